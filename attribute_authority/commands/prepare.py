"""`prepare`: what `serve` has done in a child process, so that the memory it takes is given back.

Reads and verifies the metadata, writes the index that the workers share, and checks everything that can be checked beforehand.
Not for people: it speaks JSON to the supervisor.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from attribute_authority.assembly import index_file
from attribute_authority.checking import check_all, gather, index_metadata
from attribute_authority.configuration import read_configuration
from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.saml.metadata_index import IndexReport
from attribute_authority.settings import Settings


@click.command(hidden=True)
@click.pass_obj
def prepare(config: Path, /) -> None:
    """Check, build the metadata index, and report as JSON."""
    settings = read_configuration(config)
    reports: list[IndexReport] = []
    faults = check_all(settings)
    # Workers that start later read the index too: it may not be ahead of a configuration that stays in force.
    make = _try_index if faults else _index
    faults += gather(("metadata", lambda: reports.append(make(settings))))
    if faults:
        raise FaultyConfiguration(tuple(f"{config}: {fault}" for fault in faults))
    for report in reports:
        click.echo(json.dumps({"entities": report.count, "warnings": report.warnings}))


def _index(settings: Settings) -> IndexReport:
    index = index_file(settings)
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"authority.state_directory {index.parent} cannot be made: {error.strerror}") from error
    return index_metadata(settings, index)


def _try_index(settings: Settings) -> IndexReport:
    with TemporaryDirectory() as directory:
        return index_metadata(settings, Path(directory) / "index")
