"""`serve`: check what can be checked, bind, and hand over to the supervisor."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

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


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=None,
    help="Processes that answer queries, one per processor by default; companion.workers are beside them.",
)
@click.pass_obj
def serve(config: Path, /, workers: int | None) -> None:
    """Run the authority until SIGTERM; SIGHUP re-reads configuration, keys, release rules and metadata."""
    settings, events = read_configuration(config), EventLog()
    prepare_in_child(config, events)
    count = workers or os.cpu_count() or 1
    tls = load_tls(settings)
    back_channel = bind(Address(settings.back_channel.host, settings.back_channel.port), count)
    operations = bind(Address(settings.operations.host, settings.operations.port), count)
    pages = _bind_pages(settings.companion)
    # Not before: an authority that runs already, on these ports, would lose its numbers.
    metrics, directory = _open_metrics(settings)
    _announce(settings, back_channel[0], operations[0], pages, events)

    def run(number: int, lifeline: int) -> None:
        if number >= count:
            _run_pages(config, events, pages[number - count], lifeline)
        else:
            run_worker(Handed(number, config, events, metrics, back_channel[number], operations[number], tls, lifeline))

    def reload() -> None:
        prepare_in_child(config, events)
        # A worker that has to be replaced later starts from what the supervisor has.
        renewed = load_tls(read_configuration(config))
        if tls is not None and renewed is not None:
            tls.replace(renewed)

    def forget(number: int) -> None:
        with suppress(OSError):
            forget_worker(directory, number)

    Supervisor(count + len(pages), run, reload, forget, events).run()
    events.operation("stopped")


def _open_metrics(settings: Settings) -> tuple[Metrics, Path]:
    directory = settings.authority.state_directory / "metrics"
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


def _announce(
    settings: Settings, back_channel: socket.socket, operations: socket.socket, pages: Sequence[socket.socket], events: EventLog
) -> None:
    scheme = "http" if settings.back_channel.tls is None else "https"
    events.operation("listening", door="back_channel", url=listening_url(back_channel, scheme))
    events.operation("listening", door="operations", url=listening_url(operations, "http"))
    for door in pages[:1]:
        events.operation("listening", door="companion", url=listening_url(door, "http"))
