"""The certificate in a proxy's header."""

from base64 import b64encode
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from attribute_authority.web.client_key import read_certificate_header
from tests.factories.metadata import KeyPair, ec_pair, rsa_pair

FORMS = {
    "nginx": lambda pair: quote(pair.certificate_pem.decode()),
    "nginx, safe characters": lambda pair: quote(pair.certificate_pem.decode(), safe="+/= "),
    "Apache": lambda pair: pair.certificate_pem.decode().replace("\n", " "),
    "HAProxy": lambda pair: f":{b64encode(pair.certificate.public_bytes(Encoding.DER)).decode()}:",
    "one line": lambda pair: pair.certificate_pem.decode().replace("\n", ""),
    "tabs": lambda pair: pair.certificate_pem.decode().replace("\n", "\t"),
    "with what follows": lambda pair: quote(pair.certificate_pem.decode() + rsa_pair("issuer").certificate_pem.decode()),
}


@pytest.mark.parametrize("pair", [rsa_pair("sp"), ec_pair("sp")], ids=["RSA", "EC"])
@pytest.mark.parametrize("form", list(FORMS))
def test_forms_of_proxies(form: str, pair: KeyPair) -> None:
    """Each form gives the key; of a chain the first certificate is the client's."""
    assert pair.public_key == read_certificate_header(FORMS[form](pair).encode())


@pytest.mark.parametrize(
    "value", [b"", b" ", b"(null)", b"::", b":x:", b"-----BEGIN CERTIFICATE----------END CERTIFICATE-----", b"%00", b"\xff"]
)
def test_no_certificate(value: bytes) -> None:
    """What is no certificate gives no key."""
    assert read_certificate_header(value) is None
