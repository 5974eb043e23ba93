"""`explain`: why a requester would or would not receive the iD of a person."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from attribute_authority.assembly import make_answering, metadata_sources, open_link_store, present
from attribute_authority.commands.naming import name_id_of
from attribute_authority.commands.options import identifier_options, read_identifiers
from attribute_authority.core.answering import Decision, Outcome
from attribute_authority.domain.entity import Entity
from attribute_authority.domain.query import AttributeQuery
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.errors import OperatorError
from attribute_authority.saml.metadata import build_index
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.settings import Settings, read_settings

_WORDS = {
    Outcome.RELEASED: "the iD is released",
    Outcome.NOT_AN_IDENTIFIER: "nothing: an identifier of this form names nobody here",
    Outcome.UNKNOWN: "nothing: nobody with this identifier is known",
    Outcome.UNLINKED: "nothing: the person has no iD linked in this environment",
    Outcome.WITHHELD: "nothing: no release rule allows it",
    Outcome.NOT_REQUESTED: "nothing: the query does not ask for eduPersonOrcid",
}


@click.command()
@click.option("--requester", required=True, metavar="ENTITYID", help="Who would ask.")
@identifier_options(multiple=False)
@click.pass_obj
def explain(config: Path, requester: str, ids: str, name_qualifier: str | None, sp_name_qualifier: str | None) -> None:
    """Print which rule decides, which identifier matches, and what would be released."""
    settings = read_settings(config)
    entity = _find_requester(settings, requester)
    identifier = read_identifiers((ids,), name_qualifier, sp_name_qualifier or requester)[0]
    store = open_link_store(settings)
    try:
        answering = make_answering(settings, store)
        decision = answering.decide(AttributeQuery("_explain", entity, name_id_of(identifier)))
        _print(settings, entity, decision, answering.rules)
    finally:
        store.close()


def _find_requester(settings: Settings, requester: str) -> Entity:
    with TemporaryDirectory() as directory:
        index = Path(directory) / "index"
        build_index(metadata_sources(settings), index, present())
        entity = SqliteEntityDirectory(index).find_entity(requester, present())
    if entity is None:
        raise OperatorError(f"{requester} is not in valid metadata: its queries are denied")
    return entity


def _print(settings: Settings, entity: Entity, decision: Decision, rules: Sequence[ReleaseRule]) -> None:
    click.echo(f"requester: {entity.entity_id} ({', '.join(sorted(entity.roles)) or 'no role'})")
    click.echo(f"looked up: {', '.join(map(str, decision.candidates)) or 'nothing'}")
    click.echo(f"matched: {decision.matched or 'nothing'}")
    if decision.subject is not None:
        click.echo(f"home organisation: {decision.subject.home_organisation}")
        for index, rule in enumerate(rules):
            unmet = rule.unmet(entity, decision.subject.home_organisation)
            click.echo(f"release rule {index + 1}: {'does not hold: ' + ', '.join(unmet) if unmet else 'allows'}")
    click.echo(f"answer: {_WORDS[decision.outcome]}")
    if decision.outcome is Outcome.RELEASED and decision.subject is not None and decision.subject.orcid is not None:
        click.echo(f"eduPersonOrcid: {decision.subject.orcid.uri(settings.authority.environment)}")
