"""Writing a Response: signed, the assertion encrypted to the service provider where it publishes a key (core 3.3.3, profiles 4.1.4.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import xmlsec
from lxml import etree
from lxml.etree import SubElement, _Element
from xmlsec import constants

from attribute_authority.demo.authn_request import AuthnRequest
from attribute_authority.demo.enveloped import sign_element
from attribute_authority.keys import FreshKey
from attribute_authority.ports import Clock
from attribute_authority.saml import namespaces as ns

_LIFETIME: Final = timedelta(minutes=5)
_SESSION_KEY_BITS: Final = 256
_PASSWORD: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"  # noqa: S105 - the name of a context class
_AFTER_ISSUER: Final = 1
_NAMESPACES: Final = {"saml": ns.SAML, "xs": ns.XS, "xsi": ns.XSI}

NewId = Callable[[], str]
"""Makes a fresh xs:ID."""


@dataclass(frozen=True, slots=True)
class ReleasedAttribute:
    """An attribute of a person as an assertion carries it."""

    name: str
    friendly_name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """What the assertion says of the person: a NameID with its format, and attributes."""

    name_id: str
    name_id_format: str
    attributes: tuple[ReleasedAttribute, ...]


class ResponseWriter:
    """Writes the Responses of one identity provider; `new_id` makes message ids."""

    def __init__(self, issuer: str, keys: FreshKey, clock: Clock, new_id: NewId) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock
        self._new_id = new_id

    def success(self, request: AuthnRequest, statement: Statement) -> bytes:
        """Return the Response that signs a person in."""
        now = self._clock()
        response = self._response(request, now, (ns.STATUS_SUCCESS,))
        assertion = self._assertion(request, statement, now)
        if request.requester.wants_signed_assertions:
            sign_element(assertion, self._keys, _AFTER_ISSUER)
        certificate = request.requester.encryption_certificate
        response.append(assertion if certificate is None else _encrypt(assertion, certificate))
        return self._signed(response)

    def failure(self, request: AuthnRequest, codes: Sequence[str], message: str) -> bytes:
        """Return the Response that says why nobody was signed in; `codes` from the top one inwards."""
        response = self._response(request, self._clock(), codes)
        status = response[-1]
        SubElement(status, f"{{{ns.SAMLP}}}StatusMessage").text = message
        return self._signed(response)

    def _response(self, request: AuthnRequest, now: datetime, codes: Sequence[str]) -> _Element:
        attributes = {"ID": self._new_id(), "Version": "2.0", "IssueInstant": _instant(now), "Destination": request.acs_url}
        answered = {**attributes, "InResponseTo": request.request_id}
        response = etree.Element(f"{{{ns.SAMLP}}}Response", answered, nsmap={"samlp": ns.SAMLP, "saml": ns.SAML})
        SubElement(response, f"{{{ns.SAML}}}Issuer").text = self._issuer
        parent = SubElement(response, f"{{{ns.SAMLP}}}Status")
        for code in codes:
            parent = SubElement(parent, f"{{{ns.SAMLP}}}StatusCode", Value=code)
        return response

    def _assertion(self, request: AuthnRequest, statement: Statement, now: datetime) -> _Element:
        attributes = {"ID": self._new_id(), "Version": "2.0", "IssueInstant": _instant(now)}
        assertion = etree.Element(f"{{{ns.SAML}}}Assertion", attributes, nsmap=_NAMESPACES)
        SubElement(assertion, f"{{{ns.SAML}}}Issuer").text = self._issuer
        self._add_subject(assertion, request, statement, now)
        window = {"NotBefore": _instant(now - _LIFETIME), "NotOnOrAfter": _instant(now + _LIFETIME)}
        conditions = SubElement(assertion, f"{{{ns.SAML}}}Conditions", window)
        restriction = SubElement(conditions, f"{{{ns.SAML}}}AudienceRestriction")
        SubElement(restriction, f"{{{ns.SAML}}}Audience").text = request.requester.entity_id
        signed_in = {"AuthnInstant": _instant(now), "SessionIndex": self._new_id()}
        authentication = SubElement(assertion, f"{{{ns.SAML}}}AuthnStatement", signed_in)
        context = SubElement(authentication, f"{{{ns.SAML}}}AuthnContext")
        SubElement(context, f"{{{ns.SAML}}}AuthnContextClassRef").text = _PASSWORD
        _add_attributes(assertion, statement.attributes)
        return assertion

    def _add_subject(self, assertion: _Element, request: AuthnRequest, statement: Statement, now: datetime) -> None:
        subject = SubElement(assertion, f"{{{ns.SAML}}}Subject")
        qualifiers = {"Format": statement.name_id_format, "NameQualifier": self._issuer, "SPNameQualifier": request.requester.entity_id}
        SubElement(subject, f"{{{ns.SAML}}}NameID", qualifiers).text = statement.name_id
        confirmation = SubElement(subject, f"{{{ns.SAML}}}SubjectConfirmation", Method=ns.CM_BEARER)
        bearer = {"InResponseTo": request.request_id, "Recipient": request.acs_url, "NotOnOrAfter": _instant(now + _LIFETIME)}
        SubElement(confirmation, f"{{{ns.SAML}}}SubjectConfirmationData", bearer)

    def _signed(self, response: _Element) -> bytes:
        sign_element(response, self._keys, _AFTER_ISSUER)
        return etree.tostring(response)


def _add_attributes(assertion: _Element, attributes: Sequence[ReleasedAttribute]) -> None:
    if not attributes:
        return
    statement = SubElement(assertion, f"{{{ns.SAML}}}AttributeStatement")
    for attribute in attributes:
        names = {"Name": attribute.name, "NameFormat": ns.NAME_FORMAT_URI, "FriendlyName": attribute.friendly_name}
        element = SubElement(statement, f"{{{ns.SAML}}}Attribute", names)
        for value in attribute.values:
            SubElement(element, f"{{{ns.SAML}}}AttributeValue", {f"{{{ns.XSI}}}type": "xs:string"}).text = value


def _encrypt(assertion: _Element, certificate: bytes) -> _Element:
    encrypted = etree.Element(f"{{{ns.SAML}}}EncryptedAssertion", nsmap={"saml": ns.SAML})
    template = xmlsec.template.encrypted_data_create(encrypted, constants.TransformAes256Gcm, type=ns.XENC_ELEMENT, ns="xenc")
    xmlsec.template.encrypted_data_ensure_cipher_value(template)
    key_info = xmlsec.template.encrypted_data_ensure_key_info(template, ns="ds")
    transport = xmlsec.template.add_encrypted_key(key_info, constants.TransformRsaOaep)
    xmlsec.template.encrypted_data_ensure_cipher_value(transport)
    recipients = xmlsec.KeysManager()
    recipients.add_key(xmlsec.Key.from_memory(certificate, constants.KeyDataFormatCertPem))
    context = xmlsec.EncryptionContext(recipients)
    context.key = xmlsec.Key.generate(constants.KeyDataAes, _SESSION_KEY_BITS, constants.KeyDataTypeSession)
    # Octets rather than the element: they are encrypted exactly as they were signed.
    encrypted.append(context.encrypt_binary(template, etree.tostring(assertion)))
    return encrypted


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
