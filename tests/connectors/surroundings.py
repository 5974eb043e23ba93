"""What the sources under test are surrounded by."""

from datetime import UTC, datetime

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, parse_identifier
from attribute_authority.ports import PairwiseIndex
from connectors import Surroundings
from tests.connectors.indexes import FakeIndex

HOME = EntityId("https://idp.yliopisto.fi/idp/shibboleth")
SERVICE = EntityId("https://sp.example.fi/shibboleth")


def surroundings(index: PairwiseIndex | None = None) -> Surroundings:
    """Those of the home organisation of these tests."""
    return Surroundings(HOME, Environment.PRODUCTION, index or FakeIndex(set()), lambda: datetime(2026, 11, 21, tzinfo=UTC))


def persistent(value: str, sp_name_qualifier: str = SERVICE, name_qualifier: str = HOME) -> Identifier:
    """Return a persistent identifier."""
    return parse_identifier(IdentifierKind.PERSISTENT, value, name_qualifier, sp_name_qualifier)


def pairwise(value: str, sp_name_qualifier: str | None = SERVICE) -> Identifier:
    """Return a pairwise-id that a service provider asks with."""
    return parse_identifier(IdentifierKind.PAIRWISE_ID, value, None, sp_name_qualifier)


def eppn(value: str) -> Identifier:
    """Return an ePPN."""
    return parse_identifier(IdentifierKind.EPPN, value)
