"""`serve`: check what can be checked, bind, and hand over to the supervisor."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from attribute_authority.assembly import load_tls
from attribute_authority.companion_settings import CompanionSettings
from attribute_authority.configuration import read_configuration
from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.metrics import Metrics, forget_worker, open_metrics, prepare_metrics
from attribute_authority.serving import Address, Supervisor, bind, listening_url
from attribute_authority.settings import Settings
from attribute_authority.worker import Handed, run_worker

_PARTS: Final = ("back-channel", "companion", "deliveries")


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=None,
    help="Processes that answer queries, one per processor by default; companion.workers and the one that delivers are beside them.",
)
@click.option(
    "--only", type=click.Choice(_PARTS), multiple=True, help="Serve this part and leave the others to other nodes; may be repeated."
)
@click.pass_obj
def serve(config: Path, /, workers: int | None, only: tuple[str, ...]) -> None:
    """Run the authority until SIGTERM; SIGHUP re-reads configuration, keys, release rules and metadata."""
    settings, events = read_configuration(config), EventLog()
    parts = only or _PARTS
    if parts == ("companion",) * len(parts) and settings.companion is None:
        raise OperatorError("--only companion: the configuration has no [companion], so there is nothing to serve")
    prepare_in_child(config, events)
    count = (workers or os.cpu_count() or 1) if "back-channel" in parts else 0
    tls = load_tls(settings)
    doors = _bind_doors(settings, parts, count)
    # Not before: an authority that runs already, on these ports, would lose its numbers.
    metrics, directory = _open_metrics(settings, doors)
    _announce(settings, doors, events)
    delivers = [bool(settings.sinks)]

    def run(number: int, lifeline: int) -> None:
        if number < count:
            run_worker(Handed(number, config, events, metrics, doors.back_channel[number], doors.operations[number], tls, lifeline))
        elif number < count + len(doors.pages):
            _run_pages(config, events, doors.pages[number - count], lifeline)
        else:
            _run_deliveries(number, config, events, (metrics, None if count else doors.operations[0]), lifeline)

    def reload() -> None:
        prepare_in_child(config, events)
        # A worker that has to be replaced later starts from what the supervisor has.
        renewed = read_configuration(config)
        renewed_tls = load_tls(renewed)
        if tls is not None and renewed_tls is not None:
            tls.replace(renewed_tls)
        delivers[0] = bool(renewed.sinks)

    def forget(number: int) -> None:
        with suppress(OSError):
            forget_worker(directory, number)

    def is_wanted(number: int) -> bool:
        # Without sinks there is nothing to deliver, but there may be nobody else at the operations door.
        return number < count + len(doors.pages) or delivers[0] or not count

    places = count + len(doors.pages) + ("deliveries" in parts)
    Supervisor(places, run, reload, forget, events, is_wanted).run()
    events.operation("stopped")


@dataclass(frozen=True, slots=True)
class _Doors:
    """The listening sockets of each door."""

    back_channel: tuple[socket.socket, ...]
    operations: tuple[socket.socket, ...]
    pages: tuple[socket.socket, ...]


def _bind_doors(settings: Settings, parts: Sequence[str], count: int) -> _Doors:
    back_channel = bind(Address(settings.back_channel.host, settings.back_channel.port), count) if count else ()
    # Whoever delivers alone tells how it fares; the companion pages have no such door.
    operators = count or int("deliveries" in parts)
    operations = bind(Address(settings.operations.host, settings.operations.port), operators) if operators else ()
    return _Doors(back_channel, operations, _bind_pages(settings.companion) if "companion" in parts else ())


def _open_metrics(settings: Settings, doors: _Doors) -> tuple[Metrics, Path]:
    # A directory for each operations door: other parts may be served beside from the same state directory, and places count from 0 in each.
    directory = settings.authority.state_directory / ("metrics" if doors.back_channel else "metrics-deliveries")
    if not doors.operations:
        return Metrics(), directory
    try:
        prepare_metrics(directory)
        return open_metrics(directory), directory
    except OSError as error:
        raise OperatorError(f"{directory} cannot be written: {error.strerror}") from error


def prepare_in_child(config: Path, events: EventLog) -> None:
    """Run `prepare` as a process of its own. Raises FaultyConfiguration; the metadata index then stays as it was."""
    command = [sys.executable, "-m", "attribute_authority", "--config", str(config), "prepare"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        silent = f"the process that checks the configuration ended with status {done.returncode} and said nothing"
        raise FaultyConfiguration(tuple(done.stderr.removeprefix("Error: ").splitlines()) or (silent,))
    report = json.loads(done.stdout)
    for warning in report["warnings"]:
        events.operation("metadata-warning", warning=warning)
    events.operation("metadata", entities=report["entities"])


def _bind_pages(companion: CompanionSettings | None) -> tuple[socket.socket, ...]:
    return () if companion is None else bind(Address(companion.host, companion.port), companion.workers)


def _run_pages(config: Path, events: EventLog, door: socket.socket, lifeline: int) -> None:
    # Only here, after the fork: workers of the back channel carry nothing of the pages.
    from attribute_authority.companion_worker import HandedCompanion, run_companion_worker

    run_companion_worker(HandedCompanion(config, events, door, lifeline))


def _run_deliveries(number: int, config: Path, events: EventLog, counted: tuple[Metrics, socket.socket | None], lifeline: int) -> None:
    # Only here, after the fork, as for the pages.
    from attribute_authority.delivery_worker import HandedDeliveries, run_delivery_worker

    metrics, operations = counted
    run_delivery_worker(HandedDeliveries(number, config, events, metrics, operations, lifeline))


def _announce(settings: Settings, doors: _Doors, events: EventLog) -> None:
    scheme = "http" if settings.back_channel.tls is None else "https"
    for name, opened, protocol in (
        ("back_channel", doors.back_channel, scheme),
        ("operations", doors.operations, "http"),
        ("companion", doors.pages, "http"),
    ):
        for door in opened[:1]:
            events.operation("listening", door=name, url=listening_url(door, protocol))
