"""Deliveries as sinks are handed them, and what sinks are surrounded by."""

from datetime import UTC, datetime

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from connectors import SinkSurroundings

HOME = EntityId("https://idp.uni.example/idp/shibboleth")
AUTHORITY = EntityId("https://orcid.example.org/authority")
NOW = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
ORCID = "0000-0002-1825-0097"
FORMER = "0000-0001-5109-3700"


def sink_surroundings(now: datetime = NOW) -> SinkSurroundings:
    """Those of a sink at an instant."""
    return SinkSurroundings(HOME, Environment.PRODUCTION, AUTHORITY, lambda: now)


def person(eppn: str | None = "teppo@uni.example", unique_id: str | None = None, subject_id: str | None = None) -> tuple[Identifier, ...]:
    """Return somebody's identifiers."""
    kinds = {IdentifierKind.EPPN: eppn, IdentifierKind.UNIQUE_ID: unique_id, IdentifierKind.SUBJECT_ID: subject_id}
    return tuple(parse_identifier(kind, text) for kind, text in kinds.items() if text is not None)


def handed(
    *identifiers: Identifier,
    orcid: str | None = ORCID,
    former: tuple[str, ...] = (),
    reference: str = "7KQ2-MZ4D",
    changed_at: datetime = NOW,
) -> Delivery:
    """Return a delivery about a person, by default one with an ePPN whose iD was linked."""
    return Delivery(
        reference=reference,
        home_organisation=HOME,
        identifiers=identifiers or person(),
        orcid=None if orcid is None else OrcidId(orcid),
        former=tuple(OrcidId(one) for one in former),
        environment=Environment.PRODUCTION,
        changed_at=changed_at,
    )
