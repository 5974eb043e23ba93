"""The authority's signing keys: RSA with SHA-256 or ECDSA over P-256, as XML Signature values."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns

MIN_RSA_BITS = 2048
_P256_COORDINATE_BYTES = 32


class Signer(Protocol):
    """Signs bytes for XML Signature."""

    @property
    def algorithm(self) -> str:
        """The SignatureMethod URI."""
        ...

    @property
    def certificate(self) -> str:
        """The certificate of the key, DER in base64, as X509Certificate carries it."""
        ...

    def sign(self, octets: bytes) -> bytes:
        """Return the signature value."""
        ...


@dataclass(frozen=True, slots=True)
class RsaSigner:
    """RSASSA-PKCS1-v1_5 with SHA-256 (RFC 4051 section 2.3.2)."""

    key: rsa.RSAPrivateKey
    certificate: str
    algorithm: str = ns.RSA_SHA256

    def sign(self, octets: bytes) -> bytes:
        """Return the signature value."""
        return self.key.sign(octets, padding.PKCS1v15(), SHA256())


@dataclass(frozen=True, slots=True)
class EcdsaSigner:
    """ECDSA over P-256 with SHA-256; the value is r and s, 32 octets each (RFC 4051 section 2.3.6)."""

    key: ec.EllipticCurvePrivateKey
    certificate: str
    algorithm: str = ns.ECDSA_SHA256

    def sign(self, octets: bytes) -> bytes:
        """Return the signature value."""
        r, s = decode_dss_signature(self.key.sign(octets, ec.ECDSA(SHA256())))
        return r.to_bytes(_P256_COORDINATE_BYTES, "big") + s.to_bytes(_P256_COORDINATE_BYTES, "big")


def load_signer(key_pem: bytes, certificate_pem: bytes) -> Signer:
    """Make a signer from a PEM key and its certificate.

    Raises OperatorError where either cannot be read, they do not belong together, or the key is neither RSA of at least
    2048 bits nor EC P-256.
    """
    try:
        key = load_pem_private_key(key_pem, None)
        certificate = load_pem_x509_certificate(certificate_pem)
    except (ValueError, TypeError) as error:
        raise OperatorError(f"expected an unencrypted PEM private key and a PEM certificate: {error}") from error
    if key.public_key() != certificate.public_key():
        raise OperatorError("the key and the certificate do not belong together")
    text = b64encode(certificate.public_bytes(Encoding.DER)).decode()
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return RsaSigner(key, text)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return EcdsaSigner(key, text)
    raise OperatorError(f"expected an RSA key of at least {MIN_RSA_BITS} bits or an EC key on P-256")
