"""`deliveries`: the iDs on their way to systems of home organisations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import click

from attribute_authority.assembly import open_link_store, present
from attribute_authority.checking import refuse_old_database
from attribute_authority.commands.deliveries_rehearsal import Rehearsal
from attribute_authority.commands.deliveries_replay import Pace, progress, replay_people
from attribute_authority.commands.deliveries_table import counted, printable, write_json, write_line, write_lines
from attribute_authority.commands.deliveries_wanted import (
    OPEN,
    Wanted,
    configured_sinks,
    place_options,
    read_wanted,
    refuse_former,
    wanted_options,
)
from attribute_authority.commands.options import TEXT, identifier_options, read_identifiers
from attribute_authority.configuration import read_configuration
from attribute_authority.delivery_assembly import close_sinks, open_books, open_sinks
from attribute_authority.delivery_ports import DeliveryBook, Sink
from attribute_authority.domain.delivery import DeliveryRecord, DeliverySelection, DeliveryState, DueDelivery, SinkName
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.settings import Settings

_FASTEST: Final = 10_000


@click.group()
def deliveries() -> None:
    """List, show, retry, cancel and replay deliveries to systems of home organisations."""


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each delivery.")(command)


@deliveries.command("list")
@place_options()
@click.option("--state", "states", type=click.Choice([state.value for state in DeliveryState]), multiple=True, help="May be repeated.")
@identifier_options(multiple=False, required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="How many at most.")
@_json_option
@click.pass_obj
def list_deliveries(
    config: Path,
    /,
    *,
    organisation: str | None,
    sink: str | None,
    states: tuple[str, ...],
    ids: str | None,
    limit: int,
    as_json: bool,
    **qualifiers: str | None,
) -> None:
    """List deliveries, the newest first; neither identifiers nor iDs are shown, except in JSON."""
    known = None if ids is None else read_identifiers((ids,), qualifiers["name_qualifier"], qualifiers["sp_name_qualifier"])[0]
    meant = frozenset(map(DeliveryState, states)) or None
    home_organisation = None if organisation is None else EntityId(organisation)
    selection = DeliverySelection(home_organisation, sink, meant, identifier=known)
    for record in islice(_books(read_configuration(config)).list_deliveries(selection, latest_first=True), limit):
        click.echo(write_json(record) if as_json else write_line(record))


@deliveries.command("show")
@click.argument("reference", type=TEXT)
@_json_option
@click.pass_obj
def show_delivery(config: Path, /, reference: str, as_json: bool) -> None:
    """Show everything about a delivery, with the person's identifiers and iD."""
    record = _find(_books(read_configuration(config)), reference)
    click.echo(write_json(record) if as_json else "\n".join(write_lines(record)))


@deliveries.command("retry")
@wanted_options
@click.option("--dry-run", "only_rehearse", is_flag=True, help="Say what each sink would do, and change nothing.")
@click.pass_context
def retry_deliveries(
    context: click.Context,
    /,
    *,
    references: tuple[str, ...],
    organisation: str | None,
    sink: str | None,
    states: tuple[str, ...],
    only_rehearse: bool,
) -> None:
    """Have parked deliveries, and pending ones that wait, tried at once, also where a sink is away; their age counts from now on."""
    wanted = read_wanted(references, organisation, sink, states)
    settings = read_configuration(context.obj)
    configured = settings.sink_names if organisation is None else configured_sinks(settings, organisation, sink)
    books = _books(settings)
    # Of a sink that is not configured any more nothing would ever be tried.
    named = [_find(books, reference).sink for reference in wanted.references]
    refuse_former(named, configured)
    selections = tuple(wanted.selections_of(configured))
    if only_rehearse:
        dues = chain.from_iterable(books.preview_deliveries(selection) for selection in selections)
        _rehearse(context, settings, dues, lambda due: due.delivery.reference)
        return
    changed = [books.retry_deliveries(selection, present()) for selection in selections]
    _end_pauses(settings, named or configured)
    _report(context, books, wanted, changed, "will be tried at once")


@deliveries.command("cancel")
@wanted_options
@click.option("--dry-run", "only_list", is_flag=True, help="List what would be cancelled, and cancel nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before cancelling several.")
@click.pass_context
def cancel_deliveries(
    context: click.Context,
    /,
    *,
    references: tuple[str, ...],
    organisation: str | None,
    sink: str | None,
    states: tuple[str, ...],
    only_list: bool,
    yes: bool,
) -> None:
    """Cancel parked and pending deliveries for good; the next change of the link, or a replay, makes new ones."""
    wanted = read_wanted(references, organisation, sink, states)
    books = _books(read_configuration(context.obj))
    for reference in wanted.references:
        _find(books, reference)
    concerned = (record for one in wanted.selections() for record in books.list_deliveries(one) if _may_be_cancelled(record))
    if only_list:
        lines = [write_line(record) for record in concerned]
        click.echo("\n".join([*lines, f"{counted(len(lines))} would be cancelled"]))
        return
    count = sum(1 for _ in concerned)
    if count > 1 and not yes:
        click.confirm(f"Cancel {counted(count)}?", abort=True, err=True)
    changed = [books.cancel_deliveries(selection, present()) for selection in wanted.selections()]
    _report(context, books, wanted, changed, "cancelled")


@deliveries.command("replay")
@place_options(required=True)
@click.option("--rate", type=click.IntRange(1, _FASTEST), default=20, show_default=True, metavar="N", help="How many people a second.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Go on after a replay that was interrupted.")
@click.option("--dry-run", "only_rehearse", is_flag=True, help="Say what each sink would do, and deliver nothing.")
@click.pass_context
def replay_deliveries(
    context: click.Context, /, *, organisation: str, sink: str | None, rate: int, after: int, only_rehearse: bool
) -> None:
    """Deliver the present state of everybody once more, as to a sink that is new or was restored from a backup."""
    if only_rehearse and after:
        raise click.UsageError("--after goes without --dry-run, which tells of everybody.")
    settings = read_configuration(context.obj)
    configured = configured_sinks(settings, organisation, sink)
    books = _books(settings)
    if only_rehearse:
        previews = chain.from_iterable(books.preview_replay(name, settings.authority.environment) for name in configured)
        _rehearse(context, settings, _paced(previews, Pace(rate, monotonic, sleep, largest=1)), _first_identifier)
        return
    _replay(settings, books, configured, after, Pace(rate, monotonic, sleep))


def _replay(settings: Settings, books: DeliveryBook, sinks: Sequence[SinkName], after: int, pace: Pace) -> None:
    environment = settings.authority.environment
    done = 0
    try:
        with progress(books.count_replay(sinks[0].home_organisation, environment), monotonic) as show:
            for last, people in replay_people(books, sinks, environment, after=after, pace=pace, clock=present):
                after, done = last, done + people
                show(people, last)
    except (KeyboardInterrupt, CouldNotAsk):
        click.echo(f"interrupted: {_people(done)} so far; go on with --after {after}", err=True)
        raise
    click.echo(f"{_people(done)} replayed to {', '.join(name.name for name in sinks)}")


def _rehearse(context: click.Context, settings: Settings, dues: Iterator[DueDelivery], named: Callable[[DueDelivery], str]) -> None:
    with _opened(settings) as sinks:
        rehearsal = Rehearsal(sinks, named)
        for line in rehearsal.lines(dues):
            click.echo(line)
    made = rehearsal.rehearsed - rehearsal.failed
    click.echo(f"{counted(made)} would be made, {rehearsal.failed} not")
    context.exit(1 if rehearsal.failed else 0)


@contextmanager
def _opened(settings: Settings) -> Iterator[Mapping[SinkName, Sink]]:
    sinks = open_sinks(settings)
    try:
        yield sinks
    finally:
        close_sinks(sinks)


def _paced(dues: Iterator[DueDelivery], pace: Pace) -> Iterator[DueDelivery]:
    for due in dues:
        pace.wait()
        yield due


def _books(settings: Settings) -> DeliveryBook:
    refuse_old_database(settings)
    books = open_books(settings)
    click.get_current_context().call_on_close(books.close)
    return books


def _end_pauses(settings: Settings, sinks: Sequence[SinkName]) -> None:
    # A sink that was away may have said itself that it is not to be tried before tomorrow.
    board = open_link_store(settings)
    click.get_current_context().call_on_close(board.close)
    for sink in sinks:
        board.clear_outage(str(sink))


def _find(books: DeliveryBook, reference: str) -> DeliveryRecord:
    record = next(iter(books.list_deliveries(DeliverySelection(reference=reference))), None)
    if record is None:
        raise OperatorError(f"there is no delivery {reference!r}")
    return record


def _report(context: click.Context, books: DeliveryBook, wanted: Wanted, changed: Sequence[int], done: str) -> None:
    click.echo(f"{counted(sum(changed))} {done}")
    left = [reference for reference, count in zip(wanted.references, changed, strict=False) if not count]
    for reference in left:
        click.echo(f"{printable(reference)}: left as it is: {_hindrance(_find(books, reference))}", err=True)
    context.exit(1 if left else 0)


def _hindrance(record: DeliveryRecord) -> str:
    if record.in_hand:
        return "it is being tried at this moment"
    if record.state not in OPEN:
        return f"it is {record.state}"
    return "there is another delivery about the same person, which is newer or being tried at this moment"


def _may_be_cancelled(record: DeliveryRecord) -> bool:
    return record.state in OPEN and not record.in_hand


def _first_identifier(due: DueDelivery) -> str:
    return next(map(str, due.delivery.identifiers), "nobody")


def _people(count: int) -> str:
    return f"{count} {'person' if count == 1 else 'people'}"
