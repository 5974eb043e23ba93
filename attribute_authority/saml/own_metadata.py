"""Our own metadata: one EntityDescriptor with an AttributeAuthorityDescriptor (metadata 2.4.7).

Keys that only sign are published with use="signing": a key without use would invite service providers to encrypt to it.
The algorithms stand in the Extensions of the role, where Shibboleth looks before it decides what to sign a query with.
"""

from base64 import encodebytes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate
from lxml import etree
from lxml.etree import SubElement, _Element

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns

_NAMESPACES = {"md": ns.MD, "mdui": ns.MDUI, "alg": ns.ALG, "saml": ns.SAML, "ds": ns.DS}
_LANGUAGE = f"{{{ns.XML}}}lang"
_DIGEST_METHODS = (ns.SHA256, ns.SHA384, ns.SHA512)
_SIGNING_METHODS = (ns.RSA_SHA256, ns.ECDSA_SHA256, ns.RSA_SHA384, ns.ECDSA_SHA384, ns.RSA_SHA512, ns.ECDSA_SHA512)
_ENCRYPTION_METHODS = (ns.AES128_GCM, ns.AES256_GCM, ns.RSA_OAEP)
_NAME_ID_FORMATS = (
    ns.NAMEID_PERSISTENT,
    ns.NAMEID_UNSPECIFIED_11,
    ns.EPPN_OID_URN,
    ns.UNIQUE_ID_OID_URN,
    ns.SUBJECT_ID,
    ns.PAIRWISE_ID,
)

Texts = Mapping[str, str]
"""A text or URL by language (xml:lang)."""


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo: an https or data URL and its size in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who runs the authority, by language; display names are the names where none are given."""

    names: Texts
    urls: Texts
    display_names: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or desk; `kind` is technical, support, administrative, billing or other."""

    kind: str
    email: str
    given_name: str | None = None
    surname: str | None = None


@dataclass(frozen=True, slots=True)
class OwnDescription:
    """What our metadata says. Certificates are PEM or DER; `tls_certificate` where we terminate TLS ourselves."""

    entity_id: str
    attribute_query_url: str
    signing_certificates: tuple[bytes, ...]
    tls_certificate: bytes | None = None
    encryption_certificates: tuple[bytes, ...] = ()
    display_names: Texts = field(default_factory=dict)
    descriptions: Texts = field(default_factory=dict)
    information_urls: Texts = field(default_factory=dict)
    privacy_statement_urls: Texts = field(default_factory=dict)
    logo: Logo | None = None
    organisation: Organisation | None = None
    contacts: tuple[Contact, ...] = ()


def write_own_metadata(description: OwnDescription) -> bytes:
    """Write the metadata document, UTF-8, the same bytes for the same description.

    Raises OperatorError where a certificate cannot be read or a text holds characters that XML cannot carry.
    """
    try:
        root = _entity_descriptor(description)
    except ValueError as error:
        raise OperatorError(f"our metadata cannot be written: {error}") from error
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _entity_descriptor(description: OwnDescription) -> _Element:
    root = etree.Element(f"{{{ns.MD}}}EntityDescriptor", {"entityID": description.entity_id}, nsmap=_NAMESPACES)
    _add_authority_role(root, description)
    if description.organisation is not None:
        _add_organisation(root, description.organisation)
    for contact in description.contacts:
        _add_contact(root, contact)
    return root


def _add_authority_role(root: _Element, description: OwnDescription) -> None:
    role = SubElement(root, f"{{{ns.MD}}}AttributeAuthorityDescriptor", {"protocolSupportEnumeration": ns.PROTOCOL})
    extensions = SubElement(role, f"{{{ns.MD}}}Extensions")
    _add_algorithms(extensions)
    _add_user_interface(extensions, description)
    _add_keys(role, description)
    SubElement(role, f"{{{ns.MD}}}AttributeService", {"Binding": ns.BINDING_SOAP, "Location": description.attribute_query_url})
    for name_id_format in _NAME_ID_FORMATS:
        _add_text(role, ns.MD, "NameIDFormat", name_id_format)
    _add_text(role, ns.MD, "AttributeProfile", ns.PROFILE_ATTRIBUTE_X500)
    attribute = {"Name": ns.EDU_PERSON_ORCID, "NameFormat": ns.NAME_FORMAT_URI, "FriendlyName": ns.EDU_PERSON_ORCID_FRIENDLY_NAME}
    SubElement(role, f"{{{ns.SAML}}}Attribute", attribute)


def _add_algorithms(extensions: _Element) -> None:
    for name, algorithms in (("DigestMethod", _DIGEST_METHODS), ("SigningMethod", _SIGNING_METHODS)):
        for algorithm in algorithms:
            SubElement(extensions, f"{{{ns.ALG}}}{name}", {"Algorithm": algorithm})


def _add_user_interface(extensions: _Element, description: OwnDescription) -> None:
    texts = {
        "DisplayName": description.display_names,
        "Description": description.descriptions,
        "InformationURL": description.information_urls,
        "PrivacyStatementURL": description.privacy_statement_urls,
    }
    if description.logo is None and not any(texts.values()):
        return
    user_interface = SubElement(extensions, f"{{{ns.MDUI}}}UIInfo")
    for name, by_language in texts.items():
        _add_texts(user_interface, ns.MDUI, name, by_language)
    if description.logo is not None:
        size = {"height": str(description.logo.height), "width": str(description.logo.width)}
        SubElement(user_interface, f"{{{ns.MDUI}}}Logo", size).text = description.logo.url


def _add_keys(role: _Element, description: OwnDescription) -> None:
    tls = () if description.tls_certificate is None else (description.tls_certificate,)
    for certificate in _distinct((*description.signing_certificates, *tls)):
        _add_key(role, "signing", certificate)
    for certificate in _distinct(description.encryption_certificates):
        encryption = _add_key(role, "encryption", certificate)
        for algorithm in _ENCRYPTION_METHODS:
            SubElement(encryption, f"{{{ns.MD}}}EncryptionMethod", {"Algorithm": algorithm})


def _add_key(role: _Element, use: str, certificate: bytes) -> _Element:
    descriptor = SubElement(role, f"{{{ns.MD}}}KeyDescriptor", {"use": use})
    x509_data = SubElement(SubElement(descriptor, f"{{{ns.DS}}}KeyInfo"), f"{{{ns.DS}}}X509Data")
    _add_text(x509_data, ns.DS, "X509Certificate", "\n" + encodebytes(certificate).decode())
    return descriptor


def _add_organisation(root: _Element, organisation: Organisation) -> None:
    element = SubElement(root, f"{{{ns.MD}}}Organization")
    _add_texts(element, ns.MD, "OrganizationName", organisation.names)
    _add_texts(element, ns.MD, "OrganizationDisplayName", organisation.display_names or organisation.names)
    _add_texts(element, ns.MD, "OrganizationURL", organisation.urls)


def _add_contact(root: _Element, contact: Contact) -> None:
    element = SubElement(root, f"{{{ns.MD}}}ContactPerson", {"contactType": contact.kind})
    if contact.given_name is not None:
        _add_text(element, ns.MD, "GivenName", contact.given_name)
    if contact.surname is not None:
        _add_text(element, ns.MD, "SurName", contact.surname)
    _add_text(element, ns.MD, "EmailAddress", "mailto:" + contact.email.removeprefix("mailto:"))


def _add_texts(parent: _Element, namespace: str, name: str, by_language: Texts) -> None:
    for language, text in by_language.items():
        _add_text(parent, namespace, name, text).set(_LANGUAGE, language)


def _add_text(parent: _Element, namespace: str, name: str, text: str) -> _Element:
    element = SubElement(parent, f"{{{namespace}}}{name}")
    element.text = text
    return element


def _distinct(certificates: Iterable[bytes]) -> Iterable[bytes]:
    """Return each certificate once, as DER: the key for TLS may well be the one that signs."""
    return dict.fromkeys(_der(certificate) for certificate in certificates)


def _der(certificate: bytes) -> bytes:
    is_pem = b"-----BEGIN" in certificate
    try:
        loaded = load_pem_x509_certificate(certificate) if is_pem else load_der_x509_certificate(certificate)
    except ValueError as error:
        raise OperatorError(f"a certificate of our own cannot be read: {error}") from error
    return loaded.public_bytes(Encoding.DER)
