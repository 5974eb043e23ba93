"""From md:KeyDescriptor to the public keys that prove who asks.

Only the key of a certificate counts: names, issuer and expiry are not evaluated (SAML V2.0 Metadata Interoperability Profile 2.5).
"""

import base64
import binascii
from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from lxml.etree import _Element

from attribute_authority.errors import OperatorError
from attribute_authority.saml.namespaces import DS, MD

MINIMAL_RSA_BITS = 2048
MINIMAL_EC_BITS = 256


class KeyReader:
    """Reads the signing keys of role descriptors; a certificate that stands in several places is read once."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def signing_keys(self, role: _Element) -> Iterator[bytes | OperatorError]:
        """Yield the DER SubjectPublicKeyInfo of each KeyDescriptor with use="signing" or without use; a fault where one cannot serve."""
        for descriptor in role.iterchildren(f"{{{MD}}}KeyDescriptor"):
            if descriptor.get("use", "signing") == "signing":
                try:
                    yield self._read_descriptor(descriptor)
                except OperatorError as fault:
                    yield fault

    def _read_descriptor(self, descriptor: _Element) -> bytes:
        # One KeyInfo stands for one key. What follows the first certificate may be its chain, whose keys prove nothing.
        certificate = descriptor.find(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")
        if certificate is not None:
            return self._read_certificate(certificate)
        numbers = descriptor.find(f"{{{DS}}}KeyInfo/{{{DS}}}KeyValue/{{{DS}}}RSAKeyValue")
        if numbers is not None:
            return subject_public_key_info(_read_rsa_key(numbers))
        raise OperatorError("a KeyDescriptor has neither an X509Certificate nor an RSAKeyValue")

    def _read_certificate(self, element: _Element) -> bytes:
        text = element.text or ""
        if text not in self._known:
            self._known[text] = read_certificate(_decode(element))
        return self._known[text]


def read_certificate(der: bytes) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a DER certificate. Raises OperatorError where it is unreadable or its key too weak."""
    try:
        return subject_public_key_info(load_der_x509_certificate(der).public_key())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperatorError(f"a certificate cannot be read ({error})") from error


def subject_public_key_info(key: CertificatePublicKeyTypes) -> bytes:
    """Write the key as DER SubjectPublicKeyInfo, the form in which keys are compared.

    Raises OperatorError for anything but RSA of at least 2048 bits and EC of at least 256 bits.
    """
    if isinstance(key, rsa.RSAPublicKey):
        too_short = key.key_size < MINIMAL_RSA_BITS
    elif isinstance(key, ec.EllipticCurvePublicKey):
        too_short = key.key_size < MINIMAL_EC_BITS
    else:
        raise OperatorError("a key is neither RSA nor EC")
    if too_short:
        raise OperatorError(
            f"a key of {key.key_size} bits is too short: expected RSA of {MINIMAL_RSA_BITS} or EC of {MINIMAL_EC_BITS} bits"
        )
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read_rsa_key(numbers: _Element) -> rsa.RSAPublicKey:
    modulus, exponent = (numbers.find(f"{{{DS}}}{name}") for name in ("Modulus", "Exponent"))
    if modulus is None or exponent is None:
        raise OperatorError("an RSAKeyValue is incomplete")
    try:
        return rsa.RSAPublicNumbers(int.from_bytes(_decode(exponent)), int.from_bytes(_decode(modulus))).public_key()
    except ValueError as error:
        raise OperatorError(f"an RSAKeyValue cannot be read ({error})") from error


def _decode(element: _Element) -> bytes:
    # The parser has dropped comments; a processing instruction would cut the text short, so it makes the value unreadable.
    text = "" if len(element) else "".join((element.text or "").split())
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise OperatorError("a certificate or key is not base64") from error
