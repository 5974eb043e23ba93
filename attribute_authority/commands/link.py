"""`link`: links by hand, one or a million."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TypeVar

import click

from attribute_authority.assembly import open_link_store, present
from attribute_authority.checking import refuse_old_database
from attribute_authority.commands.link_import import Tally, dry_run, import_rows
from attribute_authority.commands.link_table import COLUMNS, Row, read_rows, write_object, write_row
from attribute_authority.commands.options import TEXT, identifier_options, read_identifiers
from attribute_authority.configuration import read_configuration
from attribute_authority.domain.identifiers import OrcidId, parse_entity_id
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.ports import LinkStore
from attribute_authority.settings import Settings
from attribute_authority.storage.sql import SqlStore

_Thing = TypeVar("_Thing")
_FORMATS: Final = click.Choice(["text", "csv", "json"])


@click.group()
def link() -> None:
    """Store, show, withdraw, import and export links."""


@link.command("add")
@click.option("--orcid", type=TEXT, required=True, metavar="ID", help="The ORCID iD, bare or as URI.")
@click.option("--idp", type=TEXT, required=True, metavar="ENTITYID", help="The person's identity provider.")
@identifier_options(multiple=True)
@click.option("--dry-run", "only_check", is_flag=True, help="Say what would be stored or refused, and store nothing.")
@click.pass_obj
def add_link(config: Path, /, orcid: str, idp: str, ids: tuple[str, ...], only_check: bool, **qualifiers: str | None) -> None:
    """Store a link by hand; the person is known by every --id that is given."""
    settings = read_configuration(config)
    environment = settings.authority.environment
    identifiers = read_identifiers(ids, qualifiers["name_qualifier"] or idp, qualifiers["sp_name_qualifier"])
    new = NewLink(parse_entity_id(idp), identifiers, OrcidId.parse(orcid, environment), environment, LinkSource.MANUAL, present())
    store = _store(settings)
    if only_check:
        for conflict in filter(None, store.check_links([new])):
            raise conflict
        click.echo(f"would link {new.orcid.uri(environment)} to {', '.join(map(str, identifiers))}")
        return
    stored = store.add_link(new)
    click.echo(f"link {stored.link_id}: {stored.orcid.uri(environment)} for {', '.join(map(str, stored.identifiers))}")


@link.command("list")
@click.option("--withdrawn", is_flag=True, help="Withdrawn links too.")
@click.option("--format", "form", type=_FORMATS, default="text", show_default=True)
@click.pass_obj
def list_links(config: Path, /, withdrawn: bool, form: str) -> None:
    """List links, oldest first."""
    _write(_store(read_configuration(config)).find_links(withdrawn=withdrawn), form)


@link.command("show")
@identifier_options(multiple=False, required=False)
@click.option("--orcid", type=TEXT, metavar="ID", help="The ORCID iD, bare or as URI.")
@click.option("--format", "form", type=_FORMATS, default="json", show_default=True)
@click.pass_obj
def show_link(config: Path, /, ids: str | None, orcid: str | None, form: str, **qualifiers: str | None) -> None:
    """Show every link of a person or an iD, withdrawn ones too."""
    _write(_selected(read_configuration(config), ids, orcid, qualifiers, withdrawn=True), form)


@link.command("remove")
@identifier_options(multiple=False, required=False)
@click.option("--orcid", type=TEXT, metavar="ID", help="The ORCID iD, bare or as URI.")
@click.option("--dry-run", "only_check", is_flag=True, help="Say what would be withdrawn, and withdraw nothing.")
@click.pass_obj
def remove_link(config: Path, /, ids: str | None, orcid: str | None, only_check: bool, **qualifiers: str | None) -> None:
    """Withdraw the links of a person or an iD: from now on they are released to nobody."""
    settings = read_configuration(config)
    store = _store(settings)
    for found in _selected(settings, ids, orcid, qualifiers, withdrawn=False):
        if not only_check:
            store.withdraw_link(found.link_id, present())
        click.echo(f"{'would withdraw' if only_check else 'withdrawn'}: link {found.link_id}, {found.orcid.uri(found.environment)}")


@link.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", "only_check", is_flag=True, help="Report what would be refused, and store nothing.")
@click.pass_context
def import_links(context: click.Context, /, file: Path, only_check: bool) -> None:
    """Import links from CSV, with the columns of `link export`; rows that cannot be stored are named and left out."""
    settings = read_configuration(context.obj)
    store, tally = _store(settings), Tally()
    take: Callable[[LinkStore, Iterable[Row], Tally], None] = dry_run if only_check else import_rows
    done = f"{'would be ' if only_check else ''}linked"
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            shown = _with_progress(lines, file.stat().st_size, _octets, "import")
            take(store, read_rows(shown, settings.authority.environment, present()), tally)
    except OperatorError as fault:
        raise OperatorError(f"{file}: {fault.cause}") from fault
    except CouldNotAsk:
        _tell(file, tally, done)
        raise
    _tell(file, tally, done)
    context.exit(1 if tally.refused else 0)


@link.command("export")
@click.option("--withdrawn", is_flag=True, help="Withdrawn links too.")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.pass_obj
def export_links(config: Path, /, withdrawn: bool, form: str) -> None:
    """Write every link to standard output, as CSV that `link import` reads, or as lines of JSON."""
    store = _store(read_configuration(config))
    links = store.find_links(withdrawn=withdrawn)
    if isinstance(sys.stdout, TextIOWrapper):
        # `link import` reads UTF-8, whatever the locale is here.
        sys.stdout.reconfigure(encoding="utf-8")
    _write(_with_progress(links, store.count_links(withdrawn), _one, "export"), form)


def _store(settings: Settings) -> SqlStore:
    refuse_old_database(settings)
    store = open_link_store(settings)
    click.get_current_context().call_on_close(store.close)
    return store


def _selected(settings: Settings, ids: str | None, orcid: str | None, qualifiers: dict[str, str | None], *, withdrawn: bool) -> list[Link]:
    if (ids is None) == (orcid is None):
        raise click.UsageError("Say which: either --id KIND=VALUE or --orcid ID.")
    wanted = None if orcid is None else OrcidId.parse(orcid, settings.authority.environment)
    known = None if ids is None else read_identifiers((ids,), qualifiers["name_qualifier"], qualifiers["sp_name_qualifier"])[0]
    found = list(_store(settings).find_links(known, wanted, withdrawn))
    if not found:
        raise OperatorError(f"there is no link for {orcid or ids}")
    return found


def _write(links: Iterable[Link], form: str) -> None:
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(write_row(found) for found in links)
        return
    for found in links:
        click.echo(json.dumps(write_object(found), ensure_ascii=False) if form == "json" else _line(found))


def _line(found: Link) -> str:
    withdrawn = "" if found.withdrawn_at is None else f" (withdrawn {found.withdrawn_at:%Y-%m-%d})"
    return f"{found.link_id}\t{found.orcid.value}\t{found.linked_at:%Y-%m-%d}\t{' '.join(map(str, found.identifiers))}{withdrawn}"


def _tell(file: Path, tally: Tally, done: str) -> None:
    for refused in sorted(tally.refused, key=lambda row: row.line):
        click.echo(f"{file}:{refused.line}: {refused.reason}", err=True)
    withdrawn = f", {tally.withdrawn} withdrawn passed over" if tally.withdrawn else ""
    click.echo(f"{tally.accepted} {done}, {len(tally.refused)} refused{withdrawn}")


def _with_progress(things: Iterable[_Thing], length: int, size: Callable[[_Thing], int], label: str) -> Iterator[_Thing]:
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for thing in things:
            yield thing
            bar.update(size(thing))


def _one(_link: Link) -> int:
    return 1


def _octets(line: str) -> int:
    return len(line.encode(errors="surrogateescape"))
