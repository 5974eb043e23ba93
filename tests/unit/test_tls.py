"""TLS of our own."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attribute_authority.errors import OperatorError
from attribute_authority.web.tls import TlsServer, public_key_of, public_key_of_der, public_key_of_pem, tls_server
from tests.factories.doors import lab
from tests.factories.metadata import KeyPair, ec_pair, rsa_pair
from tests.factories.wires import TlsWire, request, served


def server(directory: Path, pair: KeyPair) -> TlsServer:
    """Make the server's side from files."""
    key, certificate = directory / f"{id(pair)}.key", directory / f"{id(pair)}.crt"
    key.write_bytes(pair.key_pem)
    certificate.write_bytes(pair.certificate_pem)
    return tls_server(str(key), str(certificate))


def trusting(*pairs: KeyPair, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    """Make a client that trusts certificates, without looking at names."""
    context = ssl.create_default_context(cadata="".join(pair.certificate_pem.decode() for pair in pairs))
    context.check_hostname = False
    context.maximum_version = versions.get("maximum", ssl.TLSVersion.MAXIMUM_SUPPORTED)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 are spoken, with the configured certificate."""
    wire = TlsWire(served(lab()), server(tmp_path, rsa_pair("tls")), trusting(rsa_pair("tls"), maximum=version))

    assert 200 == wire.ask(request("GET", content_type=None, path="/metadata")).status


def test_older_versions(tmp_path: Path) -> None:
    """Anything older is not."""
    context = trusting(rsa_pair("tls"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(ssl.SSLError):
        TlsWire(served(lab()), server(tmp_path, rsa_pair("tls")), context)


def test_replaced_certificate(tmp_path: Path) -> None:
    """A new key is used for connections from then on; those that are open stay."""
    tls = server(tmp_path, rsa_pair("tls"))
    site = served(lab())
    before = TlsWire(site, tls, trusting(rsa_pair("tls")))
    tls.replace(server(tmp_path, ec_pair("tls")))
    after = TlsWire(site, tls, trusting(ec_pair("tls")))
    question = request("GET", content_type=None, path="/metadata")

    assert [200, 200] == [before.ask(question).status, after.ask(question).status]
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsWire(site, tls, trusting(rsa_pair("tls")))


@pytest.mark.parametrize("flaw", ["missing", "garbage", "others"])
def test_files_that_cannot_be_used(tmp_path: Path, flaw: str) -> None:
    """The operator is told which files, and what was expected."""
    key, certificate = tmp_path / "a.key", tmp_path / "a.crt"
    if flaw != "missing":
        key.write_bytes(rsa_pair("tls").key_pem if flaw == "others" else b"x")
        certificate.write_bytes(rsa_pair("other").certificate_pem)

    with pytest.raises(OperatorError, match=r"a\.key and .*a\.crt: expected a PEM private key"):
        tls_server(str(key), str(certificate))


def test_public_key_of_a_certificate() -> None:
    """The key is the whole SubjectPublicKeyInfo, the same from DER and PEM, and none from anything else."""
    pair = rsa_pair("sp")
    certificate = pair.certificate
    expected = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert expected == public_key_of(certificate) == public_key_of_der(certificate.public_bytes(Encoding.DER))
    assert expected == public_key_of_pem(pair.certificate_pem)
    assert (None, None) == (public_key_of_der(b"x"), public_key_of_pem(b"x"))
