"""Metadata of a requester that only queries: the self-test of an authority (SAML V2.0 metadata extension for query requesters)."""

from base64 import b64encode
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree

from attribute_authority.saml import namespaces as ns

_PREFIXES: Final = {"md": ns.MD, "ds": ns.DS, "query": ns.QUERY_EXT, "xsi": ns.XSI}


def write_requester_metadata(entity_id: str, certificate_pem: bytes) -> bytes:
    """Write an EntityDescriptor with the one role of a query requester, and its key."""
    entity = etree.Element(f"{{{ns.MD}}}EntityDescriptor", {"entityID": entity_id}, nsmap=_PREFIXES)
    role = etree.SubElement(entity, f"{{{ns.MD}}}RoleDescriptor", protocolSupportEnumeration=ns.PROTOCOL)
    role.set(f"{{{ns.XSI}}}type", "query:AttributeQueryDescriptorType")
    key = etree.SubElement(role, f"{{{ns.MD}}}KeyDescriptor", use="signing")
    data = etree.SubElement(etree.SubElement(key, f"{{{ns.DS}}}KeyInfo"), f"{{{ns.DS}}}X509Data")
    certificate = load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)
    etree.SubElement(data, f"{{{ns.DS}}}X509Certificate").text = b64encode(certificate).decode()
    return etree.tostring(entity, encoding="UTF-8", xml_declaration=True, pretty_print=True)
