"""One worker of `serve`: the doors on a reactor, re-reading what may change on SIGHUP, finishing what is in hand on SIGTERM."""

import gc
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import LoopingCall
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.threadpool import ThreadPool

from attribute_authority.assembly import index_file, load_tls, make_client_keys, make_query_door, open_link_store, own_metadata, present
from attribute_authority.errors import AuthorityError, CouldNotAsk
from attribute_authority.events import EventLog
from attribute_authority.process import Process
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.settings import Settings, read_settings
from attribute_authority.web.back_channel import AttributeQueryResource, Inline, MetadataResource, OnPool, Runner, back_channel_root
from attribute_authority.web.health import operations_root
from attribute_authority.web.http import BoundedSite
from attribute_authority.web.tls import TlsServer

_FORGETTING_SECONDS: Final = 60.0
_FORGETTING_MARGIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Handed:
    """What the supervisor hands to a worker over the fork.

    The TLS side, None behind a proxy, is made before the fork so that all workers have the same ticket keys, and a client may
    resume its session with whichever of them its next connection reaches.
    """

    config: Path
    events: EventLog
    back_channel: socket.socket
    operations: socket.socket
    tls: TlsServer | None
    lifeline: int


class Worker:
    """The objects of one worker; `reactor` is Twisted's, made after the fork."""

    def __init__(self, reactor: Any, handed: Handed) -> None:
        self._reactor = reactor
        self._handed = handed
        self._events = handed.events
        self._settings = read_settings(handed.config)
        self._store = open_link_store(self._settings)
        self._directory = SqliteEntityDirectory(index_file(self._settings))
        self._process = Process(reactor, handed.lifeline, self.reload)
        self._load(self._settings)

    def listen(self) -> None:
        """Open the doors on the sockets that were handed over."""
        query = AttributeQueryResource(lambda: self._door, make_client_keys(self._settings), self._runner())
        root = back_channel_root(query, MetadataResource(lambda: self._metadata))
        limits, tls = self._settings.back_channel, self._handed.tls
        site = BoundedSite(root, self._reactor, timeout=limits.request_timeout, max_body_bytes=limits.max_body_bytes)
        self._process.open(self._handed.back_channel, site, None if tls is None else TLSMemoryBIOFactory(tls, False, site, self._reactor))
        health = BoundedSite(operations_root(self._reasons), self._reactor, timeout=limits.request_timeout, max_body_bytes=0)
        self._process.open(self._handed.operations, health)

    def run(self) -> None:
        """Serve until SIGTERM, or until the supervisor at the other end of the lifeline is gone."""
        LoopingCall(self._forget).start(_FORGETTING_SECONDS, now=False)
        self._process.run()
        self._store.close()

    def reload(self) -> None:
        """Re-read configuration, keys, release rules and metadata; what cannot be used leaves everything as it was."""
        try:
            settings = read_settings(self._handed.config)
            tls = load_tls(settings)
            self._load(settings)
        except AuthorityError as fault:
            self._events.fault("reload-failed", cause=fault.cause)
            return
        if self._handed.tls is not None and tls is not None:
            self._handed.tls.replace(tls)
        self._directory.reopen()
        self._events.operation("reloaded")

    def _load(self, settings: Settings) -> None:
        metadata = own_metadata(settings)
        self._door = make_query_door(settings, self._store, self._store, self._directory, self._events)
        self._metadata = metadata

    def _runner(self) -> Runner:
        if self._store.is_local:
            return Inline()
        pool = ThreadPool(minthreads=1, maxthreads=self._settings.database.pool_size, name="store")
        pool.start()
        self._reactor.addSystemEventTrigger("during", "shutdown", pool.stop)
        return OnPool(self._reactor, pool, 2 * self._settings.database.timeout)

    def _reasons(self) -> Sequence[str]:
        reasons = []
        questions: dict[str, Callable[[], object]] = {
            "database": self._store.ping,
            "metadata": lambda: self._directory.find_entity("", present()),
        }
        for name, question in questions.items():
            try:
                question()
            except CouldNotAsk:
                reasons.append(f"{name}: cannot be reached")
        return reasons

    def _forget(self) -> None:
        try:
            self._store.forget_expired(present() - _FORGETTING_MARGIN)
        except CouldNotAsk as failure:
            self._events.fault("forgetting-failed", cause=failure.cause)


def run_worker(handed: Handed) -> None:
    """Run one worker in the present process until it is told to stop."""
    from twisted.internet import reactor  # a reactor may not be carried over a fork

    worker = Worker(reactor, handed)
    worker.listen()
    # What is loaded by now stays for good; a collection need not look through it again, nor touch pages that the fork shares.
    gc.freeze()
    worker.run()
