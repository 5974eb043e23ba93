"""Our own metadata: one EntityDescriptor with an AttributeAuthorityDescriptor (metadata 2.4.7).

Where there is a companion page, its SPSSODescriptor stands beside it.

Keys that only sign are published with use="signing": a key without use would invite service providers to encrypt to it.
The algorithms stand in the Extensions of the role, where Shibboleth looks before it decides what to sign a query with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree
from lxml.etree import SubElement, _Element

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.own_elements import add_encryption_keys, add_signing_keys, add_text, add_texts
from attribute_authority.saml.own_sign_in_role import SignInRole, add_requirements, add_sign_in_role

_NAMESPACES = {"md": ns.MD, "mdui": ns.MDUI, "alg": ns.ALG, "saml": ns.SAML, "ds": ns.DS}
_DIGEST_METHODS = (ns.SHA256, ns.SHA384, ns.SHA512)
_SIGNING_METHODS = (ns.RSA_SHA256, ns.ECDSA_SHA256, ns.RSA_SHA384, ns.ECDSA_SHA384, ns.RSA_SHA512, ns.ECDSA_SHA512)
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
    companion: SignInRole | None = None


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
    if description.companion is not None:
        add_requirements(root)
    _add_authority_role(root, description)
    if description.companion is not None:
        _add_companion(root, description, description.companion)
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
        add_text(role, ns.MD, "NameIDFormat", name_id_format)
    add_text(role, ns.MD, "AttributeProfile", ns.PROFILE_ATTRIBUTE_X500)
    attribute = {"Name": ns.EDU_PERSON_ORCID, "NameFormat": ns.NAME_FORMAT_URI, "FriendlyName": ns.EDU_PERSON_ORCID_FRIENDLY_NAME}
    SubElement(role, f"{{{ns.SAML}}}Attribute", attribute)


def _add_companion(root: _Element, description: OwnDescription, companion: SignInRole) -> None:
    names = description.display_names or {"en": description.entity_id}
    extensions = add_sign_in_role(root, companion, description.signing_certificates, names, description.descriptions)
    _add_algorithms(extensions)
    _add_user_interface(extensions, description)


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
        add_texts(user_interface, ns.MDUI, name, by_language)
    if description.logo is not None:
        size = {"height": str(description.logo.height), "width": str(description.logo.width)}
        SubElement(user_interface, f"{{{ns.MDUI}}}Logo", size).text = description.logo.url


def _add_keys(role: _Element, description: OwnDescription) -> None:
    tls = () if description.tls_certificate is None else (description.tls_certificate,)
    add_signing_keys(role, (*description.signing_certificates, *tls))
    add_encryption_keys(role, description.encryption_certificates)


def _add_organisation(root: _Element, organisation: Organisation) -> None:
    element = SubElement(root, f"{{{ns.MD}}}Organization")
    add_texts(element, ns.MD, "OrganizationName", organisation.names)
    add_texts(element, ns.MD, "OrganizationDisplayName", organisation.display_names or organisation.names)
    add_texts(element, ns.MD, "OrganizationURL", organisation.urls)


def _add_contact(root: _Element, contact: Contact) -> None:
    element = SubElement(root, f"{{{ns.MD}}}ContactPerson", {"contactType": contact.kind})
    if contact.given_name is not None:
        add_text(element, ns.MD, "GivenName", contact.given_name)
    if contact.surname is not None:
        add_text(element, ns.MD, "SurName", contact.surname)
    add_text(element, ns.MD, "EmailAddress", "mailto:" + contact.email.removeprefix("mailto:"))
