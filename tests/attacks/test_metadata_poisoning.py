"""Metadata of one source that would change what an entity of another is."""

from pathlib import Path

from attribute_authority.saml.metadata_index import SqliteEntityDirectory, write_index
from attribute_authority.saml.metadata_reader import Affiliation
from tests.factories.doors import OTHER_SP, service_provider
from tests.factories.queries import NOW, SP


def test_affiliation_in_the_name_of_a_service_provider(tmp_path: Path) -> None:
    """Nobody becomes entitled to a service provider's persistent identifiers by an affiliation that bears its entityID."""
    victim, attacker = service_provider(SP), service_provider(OTHER_SP)
    report = write_index(tmp_path / "index", (victim, attacker), (Affiliation(victim.entity_id, frozenset({OTHER_SP})),))
    found = SqliteEntityDirectory(tmp_path / "index").find_entity(OTHER_SP, NOW)

    assert (f"{SP}: the affiliation was left out, an entity has this entityID",) == report.warnings
    assert found is not None
    assert frozenset() == found.affiliations
