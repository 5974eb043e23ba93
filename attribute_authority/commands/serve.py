"""`serve`: check what can be checked, bind, and hand over to the supervisor."""

import os
import socket
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import click

from attribute_authority.assembly import (
    gather,
    index_file,
    load_decryption_keys,
    load_pseudonyms,
    load_signers,
    load_tls,
    metadata_sources,
    open_link_store,
    own_metadata,
    present,
)
from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.saml.metadata import build_index
from attribute_authority.serving import Address, Supervisor, bind, by_worker, listening_url
from attribute_authority.settings import Settings, read_settings
from attribute_authority.storage.upgrading import pending
from attribute_authority.worker import run_worker


@click.command()
@click.option("--workers", type=click.IntRange(1, 256), default=None, help="Processes that answer; otherwise one per processor.")
@click.pass_obj
def serve(config: Path, workers: int | None) -> None:
    """Run the authority until SIGTERM; SIGHUP re-reads configuration, keys, release rules and metadata."""
    settings, events = read_settings(config), EventLog()
    _refuse_faults(settings)
    refresh_index(config, events)
    count = workers or os.cpu_count() or 1
    back_channel = bind(Address(settings.back_channel.host, settings.back_channel.port), count)
    operations = bind(Address(settings.operations.host, settings.operations.port), count)
    _announce(settings, back_channel[0], operations[0], events)

    def run(number: int, lifeline: int) -> None:
        first, second = by_worker((back_channel, operations), number)
        run_worker(config, (first, second), lifeline, events)

    Supervisor(count, run, lambda: refresh_index(config, events), events).run()
    events.operation("stopped")


def refresh_index(config: Path, events: EventLog) -> None:
    """Build the metadata index anew, in a child process, whose memory is given back when it ends.

    Raises OperatorError with every fault; the index then stays as it was.
    """
    receiving, sending = get_context("fork").Pipe(duplex=False)
    child = get_context("fork").Process(target=_build_index, args=(config, sending))
    child.start()
    sending.close()
    try:
        faults, warnings, count = receiving.recv()
    except EOFError:
        raise OperatorError("the process that reads the metadata ended without a result") from None
    finally:
        child.join()
    if faults:
        raise FaultyConfiguration(faults)
    for warning in warnings:
        events.operation("metadata-warning", warning=warning)
    events.operation("metadata", entities=count)


def _build_index(config: Path, sending: Connection) -> None:
    settings = read_settings(config)
    try:
        index_file(settings).parent.mkdir(parents=True, exist_ok=True)
        report = build_index(metadata_sources(settings), index_file(settings), present())
        sending.send(((), report.warnings, report.count))
    except FaultyConfiguration as faulty:
        sending.send((faulty.faults, (), 0))
    except OSError as error:
        sending.send(((f"authority.state_directory: {error}",), (), 0))


def _refuse_faults(settings: Settings) -> None:
    faults = gather(
        lambda: load_signers(settings),
        lambda: load_decryption_keys(settings),
        lambda: load_tls(settings),
        lambda: load_pseudonyms(settings),
        lambda: own_metadata(settings),
        lambda: refuse_old_database(settings),
    )
    if faults:
        raise FaultyConfiguration(faults)


def refuse_old_database(settings: Settings) -> None:
    """Raise OperatorError where migrations are pending, CouldNotAsk where the database is away."""
    open_link_store(settings).close()
    if pending(settings.database.url):
        raise OperatorError("database.url: the database is of an older version: run `attribute-authority database upgrade`")


def _announce(settings: Settings, back_channel: socket.socket, operations: socket.socket, events: EventLog) -> None:
    scheme = "http" if settings.back_channel.tls is None else "https"
    events.operation("listening", door="back_channel", url=listening_url(back_channel, scheme))
    events.operation("listening", door="operations", url=listening_url(operations, "http"))
