"""`explain`: why a requester would or would not receive the iD of a person."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from attribute_authority.assembly import make_answering, metadata_sources, open_link_store, present, release_rules
from attribute_authority.checking import refuse_old_database
from attribute_authority.commands.naming import name_id_of
from attribute_authority.commands.options import TEXT, identifier_options, read_identifiers
from attribute_authority.core.answering import Decision, Outcome
from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.query import AttributeQuery
from attribute_authority.domain.release import ReleaseRule, allowing_rule, may_ask
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
@click.option("--requester", type=TEXT, required=True, metavar="ENTITYID", help="Who would ask.")
@identifier_options(multiple=False)
@click.pass_obj
def explain(config: Path, /, requester: str, ids: str, name_qualifier: str | None, sp_name_qualifier: str | None) -> None:
    """Print which rule decides, which identifier matches, and what would be released."""
    settings = read_settings(config)
    entity = _find_requester(settings, requester)
    identifier = read_identifiers((ids,), name_qualifier, sp_name_qualifier or requester)[0]
    refuse_old_database(settings)
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
    if not may_ask(release_rules(settings), entity):
        raise OperatorError(f"{requester} has no role that queries, and no release rule names it: its queries are denied")
    if not entity.querying_keys:
        raise OperatorError(f"{requester} has no key in its metadata by which it could prove itself: its queries are denied")
    return entity


def _print(settings: Settings, entity: Entity, decision: Decision, rules: Sequence[ReleaseRule]) -> None:
    click.echo(f"requester: {entity.entity_id} ({', '.join(sorted(entity.roles)) or 'no role'})")
    click.echo(f"looked up: {', '.join(map(str, decision.candidates)) or 'nothing'}")
    click.echo(f"matched: {decision.matched or 'nothing'}")
    if decision.subject is not None:
        click.echo(f"home organisation: {decision.subject.home_organisation}")
        for index, rule in enumerate(rules):
            click.echo(f"release rule {index + 1}: {_verdict(rule, entity, decision.subject.home_organisation)}")
    click.echo(f"answer: {_WORDS[decision.outcome]}")
    if decision.outcome is Outcome.RELEASED and decision.subject is not None and decision.subject.orcid is not None:
        click.echo(f"eduPersonOrcid: {decision.subject.orcid.uri(settings.authority.environment)}")


def _verdict(rule: ReleaseRule, entity: Entity, home_organisation: EntityId) -> str:
    if allowing_rule((rule,), entity, home_organisation) is not None:
        return "allows"
    unmet = ", ".join(rule.unmet(entity, home_organisation))
    return f"does not hold: {unmet or 'an identity provider must be named, and is answered about its own people alone'}"
