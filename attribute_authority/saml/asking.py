"""The other side of the door: writing an AttributeQuery and reading what came back, for trouble-shooting and the demo."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import xmlsec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree
from xmlsec import constants

from attribute_authority.domain.query import NameId
from attribute_authority.errors import Denied, NotSoap, OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.soap import read_envelope
from attribute_authority.saml.xml import has_qualified_attributes

_NAMESPACES: Final = {"samlp": ns.SAMLP, "saml": ns.SAML, "ds": ns.DS, "S": ns.SOAP11}


@dataclass(frozen=True, slots=True)
class Question:
    """Whom a query asks about, as whom, and where; `destination` is None in a query that does not say."""

    message_id: str
    requester: str
    destination: str | None
    name_id: NameId


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back: status codes and sentence, the values of eduPersonOrcid, and whose signatures verified."""

    codes: tuple[str, ...]
    message: str | None
    values: tuple[str, ...]
    signed: tuple[str, ...]


def write_query(question: Question, now: datetime, key_pem: bytes | None, certificate_pem: bytes | None) -> bytes:
    """Write the query in its envelope, signed where a key is given. Raises OperatorError where the key cannot be used."""
    envelope = etree.Element(f"{{{ns.SOAP11}}}Envelope", nsmap={"S": ns.SOAP11})
    body = etree.SubElement(envelope, f"{{{ns.SOAP11}}}Body")
    query = etree.SubElement(body, f"{{{ns.SAMLP}}}AttributeQuery", nsmap={"samlp": ns.SAMLP, "saml": ns.SAML})
    query.set("ID", question.message_id)
    query.set("Version", "2.0")
    query.set("IssueInstant", f"{now:%Y-%m-%dT%H:%M:%SZ}")
    if question.destination is not None:
        query.set("Destination", question.destination)
    etree.SubElement(query, f"{{{ns.SAML}}}Issuer").text = question.requester
    query.append(_subject(question.name_id))
    etree.SubElement(query, f"{{{ns.SAML}}}Attribute", Name=ns.EDU_PERSON_ORCID, NameFormat=ns.NAME_FORMAT_URI)
    if key_pem is not None:
        _sign(query, key_pem, certificate_pem)
    return etree.tostring(envelope)


def read_response(body: bytes, question: Question, certificates_pem: tuple[bytes, ...]) -> Heard:
    """Read the envelope that came back; signatures are checked with the authority's certificates.

    Raises NotSoap for a fault or anything that is no Response, Denied for a signature that does not verify or
    an answer to another query.
    """
    response = read_envelope(body)
    if response.tag != f"{{{ns.SAMLP}}}Response":
        raise NotSoap(f"what came back is {etree.QName(response).localname}: {' '.join(str(text) for text in response.itertext())}")
    if response.get("InResponseTo") not in (None, question.message_id):
        raise Denied(f"the Response answers {response.get('InResponseTo')}, not {question.message_id}")
    signed = _verify(response, certificates_pem)
    attributes = response.iterfind("saml:Assertion/saml:AttributeStatement/saml:Attribute", _NAMESPACES)
    values = [value.text or "" for attribute in attributes if attribute.get("Name") == ns.EDU_PERSON_ORCID for value in attribute]
    codes = [code.get("Value", "") for code in response.iterfind("samlp:Status//samlp:StatusCode", _NAMESPACES)]
    message = response.findtext("samlp:Status/samlp:StatusMessage", namespaces=_NAMESPACES)
    return Heard(tuple(codes), message, tuple(values), signed)


def _subject(name_id: NameId) -> etree._Element:
    subject = etree.Element(f"{{{ns.SAML}}}Subject", nsmap={"saml": ns.SAML})
    element = etree.SubElement(subject, f"{{{ns.SAML}}}NameID")
    element.text = name_id.value
    qualifiers = {"Format": name_id.format, "NameQualifier": name_id.name_qualifier, "SPNameQualifier": name_id.sp_name_qualifier}
    for name, value in qualifiers.items():
        if value is not None:
            element.set(name, value)
    return subject


def _sign(query: etree._Element, key_pem: bytes, certificate_pem: bytes | None) -> None:
    try:
        key = xmlsec.Key.from_memory(key_pem, constants.KeyDataFormatPem)
        if certificate_pem is not None:
            key.load_cert_from_memory(certificate_pem, constants.KeyDataFormatPem)
    except (xmlsec.Error, ValueError, TypeError) as error:
        raise OperatorError(f"expected a PEM private key and certificate: {error}") from error
    method = constants.TransformEcdsaSha256 if _is_ec(certificate_pem) else constants.TransformRsaSha256
    signature = xmlsec.template.create(query, constants.TransformExclC14N, method, ns="ds")
    query.insert(1, signature)
    reference = xmlsec.template.add_reference(signature, constants.TransformSha256, uri=f"#{query.get('ID')}")
    xmlsec.template.add_transform(reference, constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, constants.TransformExclC14N)
    if certificate_pem is not None:
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    context = xmlsec.SignatureContext()
    context.key = key
    context.register_id(query, "ID")
    context.sign(signature)


def _is_ec(certificate_pem: bytes | None) -> bool:
    return certificate_pem is not None and isinstance(load_pem_x509_certificate(certificate_pem).public_key(), EllipticCurvePublicKey)


def _verify(response: etree._Element, certificates_pem: tuple[bytes, ...]) -> tuple[str, ...]:
    keys = [xmlsec.Key.from_memory(certificate, constants.KeyDataFormatCertPem) for certificate in certificates_pem]
    verified = []
    for signature in response.iter(f"{{{ns.DS}}}Signature"):
        signed = signature.getparent()
        if signed is None or not any(_covers(signed, signature, key) for key in keys):
            raise Denied("a signature of the answer verifies with none of the authority's certificates")
        verified.append(etree.QName(signed).localname)
    return tuple(verified)


def _covers(signed: etree._Element, signature: etree._Element, key: xmlsec.Key) -> bool:
    references = signature.findall("ds:SignedInfo/ds:Reference", _NAMESPACES)
    if has_qualified_attributes(signature) or [reference.get("URI") for reference in references] != [f"#{signed.get('ID')}"]:
        return False
    context = xmlsec.SignatureContext()
    context.key = key
    try:
        context.register_id(signed, "ID")
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True
