"""Metadata of the demo federation: its identity providers and service provider, and the signed aggregate of all (metadata 2.3, 2.4)."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree
from lxml.etree import SubElement, _Element

from attribute_authority.demo.enveloped import sign_element
from attribute_authority.demo.peers import BINDING_POST, BINDING_REDIRECT, DISCOVERY, PREFIXES
from attribute_authority.demo.people import HomeOrganisation, Names
from attribute_authority.keys import FreshKey
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.xml import parse

_LANGUAGE: Final = f"{{{ns.XML}}}lang"
_VALIDITY: Final = timedelta(days=1)
_METHODS: Final = (ns.AES256_GCM, ns.AES128_GCM, ns.RSA_OAEP)


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """What the metadata of a service provider says."""

    entity_id: str
    acs_url: str
    discovery_url: str
    names: Names
    keys: FreshKey


def write_identity_provider(organisation: HomeOrganisation) -> bytes:
    """Write the EntityDescriptor of an identity provider, with shibmd:Scope and mdui."""
    root = _entity(organisation.entity_id)
    role = SubElement(root, f"{{{ns.MD}}}IDPSSODescriptor", protocolSupportEnumeration=ns.PROTOCOL)
    extensions = SubElement(role, f"{{{ns.MD}}}Extensions")
    SubElement(extensions, f"{{{ns.SHIBMD}}}Scope", regexp="false").text = organisation.scope
    _add_names(extensions, organisation.names)
    _add_key(role, organisation.keys, "signing")
    for name_id_format in (ns.NAMEID_PERSISTENT, ns.NAMEID_TRANSIENT):
        SubElement(role, f"{{{ns.MD}}}NameIDFormat").text = name_id_format
    SubElement(role, f"{{{ns.MD}}}SingleSignOnService", Binding=BINDING_REDIRECT, Location=organisation.sign_on_url)
    return _write(root)


def write_service_provider(service: ServiceDescription) -> bytes:
    """Write the EntityDescriptor of a service provider that signs its requests, takes encrypted assertions and asks for eduPersonOrcid."""
    root = _entity(service.entity_id)
    role = SubElement(root, f"{{{ns.MD}}}SPSSODescriptor", protocolSupportEnumeration=ns.PROTOCOL, AuthnRequestsSigned="true")
    extensions = SubElement(role, f"{{{ns.MD}}}Extensions")
    SubElement(extensions, f"{{{DISCOVERY}}}DiscoveryResponse", Binding=DISCOVERY, Location=service.discovery_url, index="0")
    _add_names(extensions, service.names)
    _add_key(role, service.keys, "signing")
    encryption = _add_key(role, service.keys, "encryption")
    for algorithm in _METHODS:
        SubElement(encryption, f"{{{ns.MD}}}EncryptionMethod", Algorithm=algorithm)
    acs = {"Binding": BINDING_POST, "Location": service.acs_url, "index": "0", "isDefault": "true"}
    SubElement(role, f"{{{ns.MD}}}AssertionConsumerService", acs)
    consuming = SubElement(role, f"{{{ns.MD}}}AttributeConsumingService", index="0")
    _add_texts(consuming, f"{{{ns.MD}}}ServiceName", service.names)
    requested = {"Name": ns.EDU_PERSON_ORCID, "NameFormat": ns.NAME_FORMAT_URI, "FriendlyName": ns.EDU_PERSON_ORCID_FRIENDLY_NAME}
    SubElement(consuming, f"{{{ns.MD}}}RequestedAttribute", requested)
    return _write(root)


def write_aggregate(entities: Iterable[bytes], keys: FreshKey, now: datetime, new_id: Callable[[], str]) -> bytes:
    """Write all into one EntitiesDescriptor that is valid until tomorrow, signed by the federation."""
    until = f"{now + _VALIDITY:%Y-%m-%dT%H:%M:%SZ}"
    root = etree.Element(f"{{{ns.MD}}}EntitiesDescriptor", {"ID": new_id(), "validUntil": until}, nsmap=PREFIXES)
    root.extend([parse(entity) for entity in entities])
    sign_element(root, keys, 0)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _entity(entity_id: str) -> _Element:
    return etree.Element(f"{{{ns.MD}}}EntityDescriptor", {"entityID": entity_id}, nsmap=PREFIXES)


def _add_names(extensions: _Element, names: Names) -> None:
    _add_texts(SubElement(extensions, f"{{{ns.MDUI}}}UIInfo"), f"{{{ns.MDUI}}}DisplayName", names)


def _add_texts(parent: _Element, tag: str, texts: Names) -> None:
    for language, text in texts.items():
        SubElement(parent, tag, {_LANGUAGE: language}).text = text


def _add_key(role: _Element, keys: FreshKey, use: str) -> _Element:
    descriptor = SubElement(role, f"{{{ns.MD}}}KeyDescriptor", use=use)
    data = SubElement(SubElement(descriptor, f"{{{ns.DS}}}KeyInfo"), f"{{{ns.DS}}}X509Data")
    certificate = load_pem_x509_certificate(keys.certificate).public_bytes(Encoding.DER)
    SubElement(data, f"{{{ns.DS}}}X509Certificate").text = b64encode(certificate).decode()
    return descriptor


def _write(root: _Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
