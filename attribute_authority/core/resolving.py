"""From the NameID of a query to the identifiers that it may mean, in the shapes that service providers really send.

Formats that name an attribute mean just that attribute. A persistent NameID with a NameQualifier means the identifier of core 8.3.7.
Where the Format says nothing (absent, unspecified) or the SimpleSAMLphp module's default put an ePPN under `persistent`, a value in
the form of an ePPN is looked up as one.
"""

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, parse_identifier
from attribute_authority.domain.query import NameId
from attribute_authority.errors import Denied, InvalidIdentifier

PERSISTENT_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
_UNSPECIFIED_FORMATS = (None, "", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified")
_KIND_BY_FORMAT = {
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.6": IdentifierKind.EPPN,
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.13": IdentifierKind.UNIQUE_ID,
    "urn:oasis:names:tc:SAML:attribute:subject-id": IdentifierKind.SUBJECT_ID,
    "urn:oasis:names:tc:SAML:attribute:pairwise-id": IdentifierKind.PAIRWISE_ID,
}


def candidate_identifiers(name_id: NameId, requester: Entity, default_name_qualifier: EntityId | None) -> tuple[Identifier, ...]:
    """Return the identifiers to look up, the likeliest first; empty where the NameID cannot name anybody here.

    How many there are depends on the form of the NameID alone, never on whether the person is known.
    Raises Denied where the SPNameQualifier is neither the requester nor an affiliation that lists it.
    """
    audience = name_id.sp_name_qualifier or requester.entity_id
    if audience != requester.entity_id and audience not in requester.affiliations:
        raise Denied(f"SPNameQualifier {audience!r} is neither the requester nor an affiliation of it")
    if name_id.format == PERSISTENT_FORMAT:
        return _persistent(name_id, audience, default_name_qualifier)
    if name_id.format in _UNSPECIFIED_FORMATS:
        return _if_valid(IdentifierKind.EPPN, name_id.value)
    kind = _KIND_BY_FORMAT.get(name_id.format or "")
    if kind is IdentifierKind.PAIRWISE_ID:
        return _if_valid(kind, name_id.value, None, audience) + _if_valid(kind, name_id.value)
    return () if kind is None else _if_valid(kind, name_id.value)


def _persistent(name_id: NameId, audience: str, default_name_qualifier: EntityId | None) -> tuple[Identifier, ...]:
    qualifier = name_id.name_qualifier or default_name_qualifier
    exact = () if qualifier is None else _if_valid(IdentifierKind.PERSISTENT, name_id.value, qualifier, audience)
    if name_id.name_qualifier:
        return exact
    return exact + _if_valid(IdentifierKind.EPPN, name_id.value)


def _if_valid(kind: IdentifierKind, value: str, qualifier: str | None = None, audience: str | None = None) -> tuple[Identifier, ...]:
    try:
        return (parse_identifier(kind, value, qualifier, audience),)
    except InvalidIdentifier:
        return ()
