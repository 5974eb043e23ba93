"""The companion page in our own metadata: the SPSSODescriptor of who signs researchers in (metadata 2.4.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml.etree import SubElement, _Element

from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.own_elements import add_encryption_keys, add_signing_keys, add_text, add_texts, load_certificate

# Every identifier that services may later ask with is welcome, so that whichever they use is found.
_REQUESTED = {
    ns.SUBJECT_ID: "subject-id",
    ns.PAIRWISE_ID: "pairwise-id",
    ns.EPPN_OID_URN: "eduPersonPrincipalName",
    ns.UNIQUE_ID_OID_URN: "eduPersonUniqueId",
    ns.TARGETED_ID_OID_URN: "eduPersonTargetedID",
    ns.DISPLAY_NAME: "displayName",
    ns.EDU_PERSON_ORCID: ns.EDU_PERSON_ORCID_FRIENDLY_NAME,
}


@dataclass(frozen=True, slots=True)
class SignInRole:
    """Where identity providers and discovery services send people back to, and what is encrypted to (PEM or DER)."""

    acs_url: str
    discovery_return_url: str
    encryption_certificates: tuple[bytes, ...] = ()


def add_requirements(root: _Element) -> None:
    """Add the entity attribute that asks for subject-id or pairwise-id, whichever there is (Subject Identifier Attributes 3.5)."""
    extensions = SubElement(root, f"{{{ns.MD}}}Extensions")
    holder = SubElement(extensions, f"{{{ns.MDATTR}}}EntityAttributes", nsmap={"mdattr": ns.MDATTR})
    named = {"Name": ns.SUBJECT_ID_REQUIREMENT, "NameFormat": ns.NAME_FORMAT_URI}
    add_text(SubElement(holder, f"{{{ns.SAML}}}Attribute", named), ns.SAML, "AttributeValue", "any")


def add_sign_in_role(
    root: _Element,
    role: SignInRole,
    signing_certificates: Sequence[bytes],
    names: Mapping[str, str],
    descriptions: Mapping[str, str],
) -> _Element:
    """Add the role, and return its Extensions for what else belongs there. Raises OperatorError where a certificate cannot be read.

    Requests are announced as signed where the first of `signing_certificates`, the one in use, is RSA.
    """
    attributes = {"protocolSupportEnumeration": ns.PROTOCOL}
    if signing_certificates and isinstance(load_certificate(signing_certificates[0]).public_key(), RSAPublicKey):
        attributes["AuthnRequestsSigned"] = "true"
    element = SubElement(root, f"{{{ns.MD}}}SPSSODescriptor", attributes)
    extensions = SubElement(element, f"{{{ns.MD}}}Extensions")
    discovery = {"Binding": ns.IDPDISC, "Location": role.discovery_return_url, "index": "0"}
    SubElement(extensions, f"{{{ns.IDPDISC}}}DiscoveryResponse", discovery, nsmap={"idpdisc": ns.IDPDISC})
    add_signing_keys(element, signing_certificates)
    add_encryption_keys(element, role.encryption_certificates)
    add_text(element, ns.MD, "NameIDFormat", ns.NAMEID_PERSISTENT)
    consumer = {"Binding": ns.BINDING_HTTP_POST, "Location": role.acs_url, "index": "0", "isDefault": "true"}
    SubElement(element, f"{{{ns.MD}}}AssertionConsumerService", consumer)
    _add_requested_attributes(element, names, descriptions)
    return extensions


def _add_requested_attributes(element: _Element, names: Mapping[str, str], descriptions: Mapping[str, str]) -> None:
    service = SubElement(element, f"{{{ns.MD}}}AttributeConsumingService", {"index": "0", "isDefault": "true"})
    add_texts(service, ns.MD, "ServiceName", names)
    add_texts(service, ns.MD, "ServiceDescription", descriptions)
    for name, friendly_name in _REQUESTED.items():
        requested = {"FriendlyName": friendly_name, "Name": name, "NameFormat": ns.NAME_FORMAT_URI, "isRequired": "false"}
        SubElement(service, f"{{{ns.MD}}}RequestedAttribute", requested)
