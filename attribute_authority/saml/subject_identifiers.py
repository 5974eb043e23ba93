"""Who signed in: the identifiers, name and iD that a verified Assertion carries, in canonical form.

A scoped identifier counts only where the metadata of the identity provider gives it the scope; one with a foreign scope
discredits the whole assertion. What is not of the form of its kind, or several where one is expected, is passed over.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lxml import etree

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.linking import SignedIn
from attribute_authority.errors import InvalidIdentifier, NoIdentifier, ScopeNotAllowed, SignInFailed
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.query import NAME_ID
from attribute_authority.saml.response_shape import ReceivedAssertion
from attribute_authority.saml.xml import NotReadable, elements_only, shown_text, whole_text

Values = Mapping[str, tuple[etree._Element, ...]]
"""The AttributeValue elements by name of the attribute."""

_ATTRIBUTE: Final = f"{{{ns.SAML}}}Attribute"
_ATTRIBUTE_VALUE: Final = f"{{{ns.SAML}}}AttributeValue"
_SCOPED: Final = (
    (IdentifierKind.SUBJECT_ID, ns.SUBJECT_ID),
    (IdentifierKind.PAIRWISE_ID, ns.PAIRWISE_ID),
    (IdentifierKind.EPPN, ns.EPPN_OID_URN),
    (IdentifierKind.UNIQUE_ID, ns.UNIQUE_ID_OID_URN),
)


def read_signed_in(assertion: ReceivedAssertion, home: Entity, own_entity_id: str, environment: Environment) -> SignedIn:
    """Read who signed in at `home`.

    Raises ScopeNotAllowed, NoIdentifier, and SignInFailed where the statements are not of the form of the schema.
    """
    try:
        values = _values(assertion.attribute_statements)
    except NotReadable as error:
        raise SignInFailed(str(error)) from error
    scoped = _scoped_identifiers(values, home, own_entity_id)
    persistent = _persistent_identifiers(assertion.subject, values, home.entity_id, own_entity_id)
    identifiers = tuple(dict.fromkeys((*scoped, *persistent)))
    if not identifiers:
        raise NoIdentifier(f"{home.entity_id} released no identifier that can be used")
    return SignedIn(home.entity_id, identifiers, _display_name(values), _orcid(values, environment))


def _values(statements: Iterable[etree._Element]) -> Values:
    found: dict[str, tuple[etree._Element, ...]] = {}
    for statement in statements:
        for attribute in elements_only(statement):
            if attribute.tag == _ATTRIBUTE and attribute.get("NameFormat") == ns.NAME_FORMAT_URI:
                values = (value for value in elements_only(attribute) if value.tag == _ATTRIBUTE_VALUE)
                name = attribute.get("Name", "")
                found[name] = (*found.get(name, ()), *values)
    return found


def _scoped_identifiers(values: Values, home: Entity, own_entity_id: str) -> tuple[Identifier, ...]:
    found = []
    for kind, name in _SCOPED:
        audience = own_entity_id if kind is IdentifierKind.PAIRWISE_ID else None
        parsed = [_parse(kind, text, None, audience) for text in _texts(values, name)]
        for identifier in parsed:
            if identifier is not None:
                _check_scope(identifier, home)
        if len(parsed) == 1 and parsed[0] is not None:
            found.append(parsed[0])
    return tuple(found)


def _check_scope(identifier: Identifier, home: Entity) -> None:
    scope = identifier.value.rpartition("@")[2]
    if not home.may_use_scope(scope):
        raise ScopeNotAllowed(f"{home.entity_id} sent a {identifier.kind} with the scope {scope!r}, which its metadata does not give it")


def _persistent_identifiers(subject: etree._Element, values: Values, issuer: EntityId, own_entity_id: str) -> tuple[Identifier, ...]:
    """Return those of the Subject's NameID and of eduPersonTargetedID, whose value is such a NameID itself (eduPerson 2.2.10)."""
    targeted = [name_id for value in values.get(ns.TARGETED_ID_OID_URN, ()) for name_id in value.iterchildren(NAME_ID)]
    name_ids = (*subject.iterchildren(NAME_ID), *(targeted if len(targeted) == 1 else ()))
    read = (_persistent(name_id, issuer, own_entity_id) for name_id in name_ids)
    return tuple(identifier for identifier in read if identifier is not None)


def _persistent(name_id: etree._Element, issuer: EntityId, own_entity_id: str) -> Identifier | None:
    """Read a persistent NameID that its own issuer made for us; an absent qualifier says just that (core 8.3.7)."""
    is_ours = name_id.get("NameQualifier", issuer) == issuer and name_id.get("SPNameQualifier", own_entity_id) == own_entity_id
    if name_id.get("Format") != ns.NAMEID_PERSISTENT or not is_ours:
        return None
    return _parse(IdentifierKind.PERSISTENT, _text(name_id), issuer, own_entity_id)


def _parse(kind: IdentifierKind, text: str, name_qualifier: str | None, sp_name_qualifier: str | None) -> Identifier | None:
    try:
        return parse_identifier(kind, text, name_qualifier, sp_name_qualifier)
    except InvalidIdentifier:
        return None


def _display_name(values: Values) -> str | None:
    """Return displayName, else cn, else givenName and sn."""
    for name in (ns.DISPLAY_NAME, ns.COMMON_NAME):
        if shown := _shown(values, name):
            return shown
    parts = (_shown(values, ns.GIVEN_NAME), _shown(values, ns.SURNAME))
    return " ".join(part for part in parts if part) or None


def _shown(values: Values, name: str) -> str:
    shown = (shown_text(text) for text in _texts(values, name))
    return next((text for text in shown if text), "")


def _orcid(values: Values, environment: Environment) -> OrcidId | None:
    found = set(_orcids(_texts(values, ns.EDU_PERSON_ORCID), environment))
    return found.pop() if len(found) == 1 else None


def _orcids(texts: Iterable[str], environment: Environment) -> Iterator[OrcidId]:
    for text in texts:
        try:
            yield OrcidId.parse(text, environment)
        except InvalidIdentifier:
            continue


def _texts(values: Values, name: str) -> tuple[str, ...]:
    return tuple(_text(value) for value in values.get(name, ()))


def _text(element: etree._Element) -> str:
    """Return the whole text of an element, "" where it is more than text: that is no valid identifier of any kind."""
    try:
        return whole_text(element)
    except NotReadable:
        return ""
