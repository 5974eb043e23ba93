"""The shape of an AttributeQuery (core 3.3.2.3): from an element to what it says, nothing verified yet.

The element is read in the order of the schema, and whatever does not belong is refused rather than passed over.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from attribute_authority.domain.entity import AttributeName
from attribute_authority.domain.identifiers import MAX_ENTITY_ID_LENGTH
from attribute_authority.domain.query import AttributeDesignator, NameId
from attribute_authority.errors import InvalidAttribute, MalformedQuery, UnsupportedQuery, VersionTooHigh, VersionTooLow
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.xml import NotReadable, elements_only, whole_text

ISSUER: Final = f"{{{ns.SAML}}}Issuer"
SIGNATURE: Final = f"{{{ns.DS}}}Signature"
NAME_ID: Final = f"{{{ns.SAML}}}NameID"
ENCRYPTED_ID: Final = f"{{{ns.SAML}}}EncryptedID"
_ATTRIBUTE_QUERY: Final = f"{{{ns.SAMLP}}}AttributeQuery"
_EXTENSIONS: Final = f"{{{ns.SAMLP}}}Extensions"
_SUBJECT: Final = f"{{{ns.SAML}}}Subject"
_SUBJECT_CONFIRMATION: Final = f"{{{ns.SAML}}}SubjectConfirmation"
_ATTRIBUTE: Final = f"{{{ns.SAML}}}Attribute"
_ATTRIBUTE_VALUE: Final = f"{{{ns.SAML}}}AttributeValue"
_ORDER: Final = (ISSUER, SIGNATURE, _EXTENSIONS, _SUBJECT, _ATTRIBUTE)
# Productions 4 and 4a of XML 1.0, without the colon.
_NAME_START: Final = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NCNAME: Final = re.compile(f"[{_NAME_START}][{_NAME_START}0-9.\xb7\u0300-\u036f\u203f-\u2040-]{{0,255}}")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


@dataclass(frozen=True, slots=True)
class ReceivedQuery:
    """What a query says of itself, unverified; `element` is the very node that the signature must cover."""

    element: etree._Element
    message_id: str
    issuer: str
    issue_instant: datetime
    destination: str | None
    signature: etree._Element | None
    subject: etree._Element
    attributes: tuple[etree._Element, ...]


def read_message_id(entry: etree._Element) -> str | None:
    """Return the ID that an answer may name in InResponseTo, or None where there is no valid one (core 3.2.2)."""
    message_id = entry.get("ID")
    return message_id if message_id is not None and _NCNAME.fullmatch(message_id) else None


def read_query(entry: etree._Element) -> ReceivedQuery:
    """Read the entry of a SOAP Body.

    Raises UnsupportedQuery for other requests, VersionTooHigh or VersionTooLow for other versions of SAML,
    MalformedQuery where the schema or core 3.2.1 is broken.
    """
    if entry.tag != _ATTRIBUTE_QUERY:
        raise UnsupportedQuery(f"the message is {entry.tag}")
    _check_version(entry.get("Version"))
    try:
        return _read(entry)
    except NotReadable as error:
        raise MalformedQuery(str(error)) from error


def read_name_id(element: etree._Element) -> NameId:
    """Read a NameID exactly. Raises MalformedQuery where it is empty or broken up."""
    try:
        value = whole_text(element)
    except NotReadable as error:
        raise MalformedQuery(str(error)) from error
    if not value.strip():
        raise MalformedQuery("the NameID is empty")
    return NameId(
        value=value,
        format=element.get("Format"),
        name_qualifier=element.get("NameQualifier"),
        sp_name_qualifier=element.get("SPNameQualifier"),
        sp_provided_id=element.get("SPProvidedID"),
    )


def read_identifier_element(subject: etree._Element) -> etree._Element:
    """Return the NameID or EncryptedID of a Subject.

    Raises UnsupportedQuery for a BaseID, for no identifier at all, and where the Subject asks for a confirmation
    that the answer would not carry (core 3.3.4 wants one of the same method); MalformedQuery for anything else.
    """
    try:
        children = elements_only(subject)
    except NotReadable as error:
        raise MalformedQuery(str(error)) from error
    if not children or children[0].tag not in (NAME_ID, ENCRYPTED_ID):
        raise UnsupportedQuery(f"the Subject holds {[child.tag for child in children]}, a NameID is expected")
    confirmations = children[1:]
    if any(child.tag != _SUBJECT_CONFIRMATION for child in confirmations):
        raise MalformedQuery(f"the Subject holds {[child.tag for child in children]}")
    if confirmations and all(child.get("Method") != ns.CM_SENDER_VOUCHES for child in confirmations):
        raise UnsupportedQuery("the Subject asks for a confirmation other than sender-vouches")
    return children[0]


def read_designators(attributes: Sequence[etree._Element]) -> tuple[AttributeDesignator, ...]:
    """Read what is asked for; an absent NameFormat means unspecified (core 2.7.3.1). Raises InvalidAttribute."""
    try:
        return tuple(_read_designator(attribute) for attribute in attributes)
    except NotReadable as error:
        raise InvalidAttribute(str(error)) from error


def _read_designator(attribute: etree._Element) -> AttributeDesignator:
    name = attribute.get("Name")
    if not name or name.isspace():
        raise InvalidAttribute("an Attribute has no Name")
    values = elements_only(attribute)
    if any(value.tag != _ATTRIBUTE_VALUE for value in values):
        raise InvalidAttribute(f"the Attribute {name!r} holds something else than AttributeValue")
    name_format = attribute.get("NameFormat") or ns.NAME_FORMAT_UNSPECIFIED
    # pysaml2 writes an empty AttributeValue where it means "any"; no iD is empty, so it cannot be meant as a filter.
    texts = [whole_text(value) for value in values]
    return AttributeDesignator(AttributeName(name, name_format), tuple(text for text in texts if text.strip()))


def _check_version(version: str | None) -> None:
    major, point, minor = (version or "").partition(".")
    if not (point and major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise MalformedQuery(f"Version is {version!r}")
    number = (int(major), int(minor)) if len(major) + len(minor) < 10 else (9, 9)
    if number > (2, 0):
        raise VersionTooHigh(f"Version is {version}")
    if number < (2, 0):
        raise VersionTooLow(f"Version is {version}")


def _read(entry: etree._Element) -> ReceivedQuery:
    message_id = read_message_id(entry)
    if message_id is None:
        raise MalformedQuery("the ID is absent or not an NCName of at most 256 characters")
    children = elements_only(entry)
    _check_order([child.tag for child in children])
    single = {child.tag: child for child in children}
    if _SUBJECT not in single:
        raise MalformedQuery("there is no Subject")
    return ReceivedQuery(
        element=entry,
        message_id=message_id,
        issuer=_read_issuer(single.get(ISSUER)),
        issue_instant=_read_instant(entry.get("IssueInstant")),
        destination=entry.get("Destination"),
        signature=single.get(SIGNATURE),
        subject=single[_SUBJECT],
        attributes=tuple(child for child in children if child.tag == _ATTRIBUTE),
    )


def _check_order(tags: list[str]) -> None:
    position = 0
    for tag in tags:
        if tag not in _ORDER or _ORDER.index(tag) < position:
            raise MalformedQuery(f"{tag} stands where the schema has no place for it")
        position = _ORDER.index(tag) + (tag != _ATTRIBUTE)


def _read_issuer(issuer: etree._Element | None) -> str:
    if issuer is None:
        raise MalformedQuery("there is no Issuer")
    if issuer.get("Format", ns.NAMEID_ENTITY) != ns.NAMEID_ENTITY:
        raise MalformedQuery(f"the Issuer has the Format {issuer.get('Format')!r}")
    qualifiers = {"NameQualifier", "SPNameQualifier", "SPProvidedID"}.intersection(issuer.keys())
    if qualifiers:
        raise MalformedQuery(f"the Issuer carries {sorted(qualifiers)}, which entity identifiers may not (core 8.3.6)")
    entity_id = whole_text(issuer).strip()
    if not 0 < len(entity_id) <= MAX_ENTITY_ID_LENGTH:
        raise MalformedQuery(f"the Issuer has {len(entity_id)} characters, expected 1 to {MAX_ENTITY_ID_LENGTH} (core 8.3.6)")
    return entity_id


def _read_instant(text: str | None) -> datetime:
    if text is None or not _INSTANT.fullmatch(text):
        raise MalformedQuery(f"IssueInstant is {text!r}, expected a UTC instant ending in Z (core 1.3.3)")
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedQuery(f"IssueInstant is {text!r}, which is no instant") from error
