"""`prepare`: what `serve` has done in a child process, so that the memory it takes is given back.

Reads and verifies the metadata, writes the index that the workers share, and checks everything that can be checked beforehand.
Not for people: it speaks JSON to the supervisor.
"""

import json
from pathlib import Path

import click

from attribute_authority.assembly import index_file, metadata_sources, present
from attribute_authority.checking import check_all
from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.saml.metadata import build_index
from attribute_authority.saml.metadata_index import IndexReport
from attribute_authority.settings import Settings, read_settings


@click.command(hidden=True)
@click.pass_obj
def prepare(config: Path) -> None:
    """Check, build the metadata index, and report as JSON."""
    settings = read_settings(config)
    faults = check_all(settings)
    if faults:
        raise FaultyConfiguration(faults)
    report = _build_index(settings)
    click.echo(json.dumps({"entities": report.count, "warnings": report.warnings}))


def _build_index(settings: Settings) -> IndexReport:
    index = index_file(settings)
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"authority.state_directory: {index.parent} cannot be made: {error.strerror}") from error
    return build_index(metadata_sources(settings), index, present())
