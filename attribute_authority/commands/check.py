"""`check`: everything that can be wrong before the service runs, all at once."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from attribute_authority.assembly import metadata_sources, present
from attribute_authority.checking import check_all, gather
from attribute_authority.saml.metadata import build_index
from attribute_authority.settings import Settings, read_settings


@click.command()
@click.pass_context
def check(context: click.Context, /) -> None:
    """Validate configuration, keys, database and metadata; print every fault."""
    config: Path = context.obj
    settings = read_settings(config)
    faults = (*check_all(settings), *gather(lambda: _check_metadata(settings)))
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
