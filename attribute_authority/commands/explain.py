"""`explain`: why a requester would or would not receive the iD of a person."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from attribute_authority.assembly import make_answering, make_deciding, metadata_sources, open_link_store, present, release_rules
from attribute_authority.checking import refuse_old_database
from attribute_authority.commands.naming import name_id_of
from attribute_authority.commands.options import TEXT, identifier_options, read_identifiers
from attribute_authority.configuration import read_configuration
from attribute_authority.core.answering import Answering
from attribute_authority.core.deciding import Decision, Outcome, Unresolved
from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.query import AttributeQuery
from attribute_authority.domain.release import ReleaseRule, allowing_rule, may_ask
from attribute_authority.errors import OperatorError
from attribute_authority.events import EventLog
from attribute_authority.metrics import Metrics
from attribute_authority.organisation_assembly import close_organisations, make_asking, open_organisations
from attribute_authority.ports import EntityDirectory
from attribute_authority.saml.metadata import build_index
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.settings import Settings

_WORDS = {
    Outcome.RELEASED: "the iD is released",
    Outcome.NOT_AN_IDENTIFIER: "nothing: an identifier of this form names nobody here",
    Outcome.UNKNOWN: "nothing: nobody with this identifier is known",
    Outcome.UNLINKED: "nothing: the person has no iD linked in this environment",
    Outcome.WITHHELD: "nothing: no release rule allows it",
    Outcome.CONTRADICTED: "nothing: the sources contradict one another or us",
    Outcome.NOT_REQUESTED: "nothing: the query does not ask for eduPersonOrcid",
}


@click.command()
@click.option("--requester", type=TEXT, required=True, metavar="ENTITYID", help="Who would ask.")
@identifier_options(multiple=False)
@click.pass_obj
def explain(config: Path, /, requester: str, ids: str, name_qualifier: str | None, sp_name_qualifier: str | None) -> None:
    """Print which rule decides, which identifier matches, and what would be released."""
    settings = read_configuration(config)
    with TemporaryDirectory() as directory, ExitStack() as opened:
        index = Path(directory) / "index"
        build_index(metadata_sources(settings), index, present())
        entities = SqliteEntityDirectory(index)
        entity = _find_requester(settings, entities, requester)
        identifier = read_identifiers((ids,), name_qualifier, sp_name_qualifier or requester)[0]
        refuse_old_database(settings)
        store = open_link_store(settings)
        opened.callback(store.close)
        organisations = open_organisations(settings, store)
        opened.callback(close_organisations, organisations)
        asking = make_asking(settings, organisations, directory=entities, subjects=store, board=store, watch=Metrics(), events=EventLog())
        deciding = make_deciding(settings, store, asking)
        decision = _decide(make_answering(settings, deciding), AttributeQuery("_explain", entity, name_id_of(identifier)))
        _print(settings, entity, decision, deciding.rules)


def _decide(answering: Answering, query: AttributeQuery) -> Decision:
    begun = answering.begin(query, present())
    if not isinstance(begun, Unresolved):
        return begun
    for errand in begun.errands:
        click.echo(f"asked: the sources of {errand.organisation.identity_provider} about {errand.identifier}")
    return answering.finish(query, begun)


def _find_requester(settings: Settings, entities: EntityDirectory, requester: str) -> Entity:
    entity = entities.find_entity(requester, present())
    client = Entity(EntityId(requester), frozenset({Role.LOOKUP_CLIENT}))
    if entity is None and may_ask(tuple(rule for rule in release_rules(settings) if rule.names(client)), client):
        click.echo(f"{requester} is not in valid metadata: it may ask at the lookup door alone, with a token of `client add`")
        return client
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
    click.echo(f"matched: {decision.matched or 'nothing'}{f', by {decision.source}' if decision.source else ''}")
    if decision.reason is not None:
        click.echo(f"contradiction: {decision.reason}")
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
