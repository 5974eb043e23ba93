"""`check`: everything that can be wrong before the service runs, all at once."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from attribute_authority.assembly import (
    gather,
    load_decryption_keys,
    load_pseudonyms,
    load_signers,
    load_tls,
    metadata_sources,
    own_metadata,
    present,
    read_file,
)
from attribute_authority.commands.serve import refuse_old_database
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.saml.metadata import build_index
from attribute_authority.settings import Settings, read_settings


@click.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Validate configuration, keys, database and metadata; print every fault."""
    config: Path = context.obj
    settings = read_settings(config)
    faults = gather(
        lambda: load_signers(settings),
        lambda: load_decryption_keys(settings),
        lambda: load_tls(settings),
        lambda: load_pseudonyms(settings),
        lambda: own_metadata(settings),
        lambda: _check_metadata(settings),
        lambda: _check_database(settings),
        lambda: _check_self_test(settings),
    )
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        context.exit(1)
    click.echo(f"{config}: no fault found")


def _check_metadata(settings: Settings) -> None:
    with TemporaryDirectory() as directory:
        report = build_index(metadata_sources(settings), Path(directory) / "index", present())
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"metadata: {report.count} entities")


def _check_database(settings: Settings) -> None:
    try:
        refuse_old_database(settings)
    except CouldNotAsk as failure:
        raise OperatorError(f"database.url: {failure.cause}") from failure


def _check_self_test(settings: Settings) -> None:
    if settings.self_test is not None:
        read_file(settings.self_test.key)
        read_file(settings.self_test.certificate)
