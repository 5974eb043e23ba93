"""`check`: everything that can be wrong before the service runs, all at once."""

from contextlib import suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from attribute_authority.assembly import present
from attribute_authority.checking import check_all, check_connectors, gather, index_metadata
from attribute_authority.configuration import read_configuration
from attribute_authority.delivery_assembly import open_books
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.settings import Settings


@click.command()
@click.pass_context
def check(context: click.Context, /) -> None:
    """Validate configuration, keys, database, metadata, sources and sinks; print every fault."""
    config: Path = context.obj
    settings = read_configuration(config)
    faults = (*check_all(settings), *gather(("metadata", lambda: _check_metadata(settings))))
    # Only here: a source or sink that is away is no reason not to start.
    faults = tuple(dict.fromkeys((*faults, *check_connectors(settings))))
    for warning in _abandoned(settings):
        click.echo(f"warning: {warning}", err=True)
    for fault in faults:
        click.echo(f"{config}: {fault}", err=True)
    if faults:
        context.exit(1)
    click.echo(f"{config}: no fault found")


def _check_metadata(settings: Settings) -> None:
    with TemporaryDirectory() as directory:
        index = Path(directory) / "index"
        report = index_metadata(settings, index)
        found = _release_warnings(settings, index), _sign_in_warnings(settings, index), _organisation_warnings(settings, index)
        warnings = (*report.warnings, *chain.from_iterable(found), *_patience_warnings(settings), *_mail_warnings(settings))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"metadata: {report.count} {'entity' if report.count == 1 else 'entities'}")


def _release_warnings(settings: Settings, index: Path) -> list[str]:
    directory = SqliteEntityDirectory(index)
    warnings = [] if settings.release else ["there is no [[release]] rule: nobody will receive anything"]
    for number, rule in enumerate(settings.release):
        for requester in rule.requesters or ():
            if directory.find_entity(requester, present()) is None:
                warnings.append(
                    f"release[{number + 1}].requesters: {requester} is not in valid metadata: it can ask by a token of `client add` alone"
                )
    directory.reopen()
    return warnings


def _sign_in_warnings(settings: Settings, index: Path) -> list[str]:
    wanted = None if settings.companion is None else settings.companion.identity_provider
    if wanted is None:
        return []
    directory = SqliteEntityDirectory(index)
    entity = directory.find_entity(wanted, present())
    directory.reopen()
    if entity is None or entity.sign_on_url is None or not entity.asserting_keys:
        return [f"companion.identity_provider: {wanted} is not in valid metadata, or has no address or key there: nobody can sign in"]
    return [] if entity.scopes else [f"companion.identity_provider: the metadata of {wanted} give it no shibmd:Scope: few can sign in"]


def _organisation_warnings(settings: Settings, index: Path) -> list[str]:
    directory = SqliteEntityDirectory(index)
    warnings = [
        f"organisation[{number + 1}].identity_provider: {organisation.identity_provider} is not in valid metadata, which would tell its "
        "scopes, and has no scopes here: its sources are asked about its persistent identifiers alone"
        for number, organisation in enumerate(settings.organisation)
        if organisation.source and organisation.scopes is None and directory.find_entity(organisation.identity_provider, present()) is None
    ]
    directory.reopen()
    return warnings


def _patience_warnings(settings: Settings) -> list[str]:
    return [
        f"organisation[{number + 1}].source[{position + 1}].timeout: {source.timeout} is more than sources.deadline, "
        "so that nobody waits for such an answer any longer"
        for number, organisation in enumerate(settings.organisation)
        for position, source in enumerate(organisation.source)
        if source.timeout > settings.sources.deadline
    ]


def _mail_warnings(settings: Settings) -> list[str]:
    told = settings.mail is not None
    return [
        f"organisation[{number + 1}]: nobody is told of deliveries that its sinks refuse: expected "
        + ("contact" if told else "[mail]" if organisation.contact is not None else "contact, and [mail]")
        for number, organisation in enumerate(settings.organisation)
        if organisation.sink and not (told and organisation.contact is not None)
    ]


def _abandoned(settings: Settings) -> list[str]:
    """Say which deliveries nobody makes any more; where the database is away, that is a fault of its own."""
    with suppress(CouldNotAsk, OperatorError):
        books = open_books(settings)
        try:
            backlogs = books.read_backlogs(settings.authority.environment)
        finally:
            books.close()
        return [
            f"{backlog.pending + backlog.parked} deliveries wait for {backlog.sink}, which is not configured: configure it again, or end "
            f"them by `deliveries cancel --organisation {backlog.sink.home_organisation} --sink {backlog.sink.name}`"
            for backlog in backlogs
            if backlog.sink not in settings.sink_names
        ]
    return []
