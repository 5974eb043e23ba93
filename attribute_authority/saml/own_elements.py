"""The elements that every role in our own metadata has: keys, and texts by language."""

from base64 import encodebytes
from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate
from lxml.etree import SubElement, _Element

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns

_LANGUAGE = f"{{{ns.XML}}}lang"
_ENCRYPTION_METHODS = (ns.AES128_GCM, ns.AES256_GCM, ns.RSA_OAEP)


def add_signing_keys(role: _Element, certificates: Iterable[bytes]) -> None:
    """Add a KeyDescriptor for each certificate (PEM or DER), each once. Raises OperatorError where one cannot be read."""
    for certificate in _distinct(certificates):
        _add_key(role, "signing", certificate)


def add_encryption_keys(role: _Element, certificates: Iterable[bytes]) -> None:
    """Add a KeyDescriptor with the algorithms that we want for each certificate, each once. Raises OperatorError."""
    for certificate in _distinct(certificates):
        encryption = _add_key(role, "encryption", certificate)
        for algorithm in _ENCRYPTION_METHODS:
            SubElement(encryption, f"{{{ns.MD}}}EncryptionMethod", {"Algorithm": algorithm})


def add_texts(parent: _Element, namespace: str, name: str, by_language: Mapping[str, str]) -> None:
    """Add an element for each language."""
    for language, text in by_language.items():
        add_text(parent, namespace, name, text).set(_LANGUAGE, language)


def add_text(parent: _Element, namespace: str, name: str, text: str) -> _Element:
    """Add an element with a text."""
    element = SubElement(parent, f"{{{namespace}}}{name}")
    element.text = text
    return element


def load_certificate(certificate: bytes) -> Certificate:
    """Read a certificate in PEM or DER. Raises OperatorError."""
    is_pem = b"-----BEGIN" in certificate
    try:
        return load_pem_x509_certificate(certificate) if is_pem else load_der_x509_certificate(certificate)
    except ValueError as error:
        raise OperatorError(f"a certificate of our own cannot be read: {error}") from error


def _add_key(role: _Element, use: str, certificate: bytes) -> _Element:
    descriptor = SubElement(role, f"{{{ns.MD}}}KeyDescriptor", {"use": use})
    x509_data = SubElement(SubElement(descriptor, f"{{{ns.DS}}}KeyInfo"), f"{{{ns.DS}}}X509Data")
    add_text(x509_data, ns.DS, "X509Certificate", "\n" + encodebytes(certificate).decode())
    return descriptor


def _distinct(certificates: Iterable[bytes]) -> Iterable[bytes]:
    """Return each certificate once, as DER: the key for TLS may well be the one that signs."""
    return dict.fromkeys(load_certificate(certificate).public_bytes(Encoding.DER) for certificate in certificates)
