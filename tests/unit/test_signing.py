"""Loading the authority's signing keys."""

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.signing import EcdsaSigner, RsaSigner, load_signer
from tests.factories.metadata import certify, ec_pair, rsa_pair


def test_rsa() -> None:
    """An RSA key signs with SHA-256; the value is as long as the modulus."""
    pair = rsa_pair("authority")
    signer = load_signer(pair.key_pem, pair.certificate_pem)

    assert isinstance(signer, RsaSigner)
    assert (ns.RSA_SHA256, 256) == (signer.algorithm, len(signer.sign(b"x")))


def test_ecdsa() -> None:
    """A key on P-256 signs with ECDSA; the value is r and s, 32 octets each, whatever their size."""
    pair = ec_pair("authority")
    signer = load_signer(pair.key_pem, pair.certificate_pem)

    assert isinstance(signer, EcdsaSigner)
    assert ns.ECDSA_SHA256 == signer.algorithm
    assert {64} == {len(signer.sign(b"%d" % number)) for number in range(300)}


def test_certificate_as_it_stands_in_key_info() -> None:
    """The certificate is DER in base64 without line breaks."""
    pair = rsa_pair("authority")
    text = load_signer(pair.key_pem, pair.certificate_pem).certificate

    assert pair.certificate.public_bytes(Encoding.DER) == b64decode(text, validate=True)


@pytest.mark.parametrize("kind", ["not PEM", "no certificate", "others", "short", "other curve", "Ed25519", "with a pass phrase"])
def test_key_that_cannot_sign(kind: str) -> None:
    """Each is refused with a sentence for the operator, never with a traceback."""
    good, other = rsa_pair("authority"), rsa_pair("other")
    short, curve = rsa_pair("short", 1024), certify(ec.generate_private_key(ec.SECP384R1()), "curve")
    edwards = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = good.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    key, certificate, words = {
        "not PEM": (b"x", good.certificate_pem, "expected an unencrypted PEM"),
        "no certificate": (good.key_pem, b"x", "expected an unencrypted PEM"),
        "others": (good.key_pem, other.certificate_pem, "do not belong together"),
        "short": (short.key_pem, short.certificate_pem, "at least 2048 bits"),
        "other curve": (curve.key_pem, curve.certificate_pem, "EC key on P-256"),
        "Ed25519": (edwards, good.certificate_pem, "do not belong together"),
        "with a pass phrase": (locked, good.certificate_pem, "unencrypted"),
    }[kind]

    with pytest.raises(OperatorError, match=words):
        load_signer(key, certificate)
