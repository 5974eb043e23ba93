"""One worker of `serve`: the doors on a reactor, re-reading what may change on SIGHUP, finishing what is in hand on SIGTERM."""

import signal
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import LoopingCall
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.threadpool import ThreadPool

from attribute_authority.assembly import index_file, load_tls, make_client_keys, make_query_door, open_link_store, own_metadata, present
from attribute_authority.errors import AuthorityError, CouldNotAsk
from attribute_authority.events import EventLog
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.settings import Settings, read_settings
from attribute_authority.web.back_channel import AttributeQueryResource, Inline, MetadataResource, OnPool, Runner, back_channel_root
from attribute_authority.web.health import operations_root
from attribute_authority.web.http import BoundedSite
from attribute_authority.web.lifeline import Lifeline

_DRAIN_SECONDS: Final = 10.0
_FORGETTING_SECONDS: Final = 60.0
_FORGETTING_MARGIN: Final = timedelta(seconds=1)


class Worker:
    """The objects of one worker; `reactor` is Twisted's, made after the fork."""

    def __init__(self, reactor: Any, config: Path, events: EventLog) -> None:
        self._reactor = reactor
        self._config = config
        self._events = events
        self._settings = read_settings(config)
        self._store = open_link_store(self._settings)
        self._directory = SqliteEntityDirectory(index_file(self._settings))
        self._tls = load_tls(self._settings)
        self._pool: ThreadPool | None = None
        self._sites: list[BoundedSite] = []
        self._ports: list[Any] = []
        self._stopping = False
        self._load(self._settings)

    def listen(self, back_channel: socket.socket, operations: socket.socket) -> None:
        """Open the doors on bound sockets."""
        query = AttributeQueryResource(lambda: self._door, make_client_keys(self._settings), self._runner())
        root = back_channel_root(query, MetadataResource(lambda: self._metadata))
        limits = self._settings.back_channel
        site = BoundedSite(root, self._reactor, timeout=limits.request_timeout, max_body_bytes=limits.max_body_bytes)
        self._open(back_channel, site, site if self._tls is None else TLSMemoryBIOFactory(self._tls, False, site, self._reactor))
        health = BoundedSite(operations_root(self._reasons), self._reactor, timeout=limits.request_timeout, max_body_bytes=0)
        self._open(operations, health, health)

    def run(self, lifeline: int) -> None:
        """Serve until SIGTERM, or until the supervisor behind the lifeline is gone."""
        self._reactor.addReader(Lifeline(lifeline, self.stop))
        LoopingCall(self._forget).start(_FORGETTING_SECONDS, now=False)
        self._reactor.callWhenRunning(self._handle_signals)
        self._reactor.run(installSignalHandlers=False)
        self._store.close()

    def reload(self) -> None:
        """Re-read configuration, keys, release rules and metadata; what cannot be used leaves everything as it was."""
        try:
            settings = read_settings(self._config)
            tls = load_tls(settings)
            self._load(settings)
        except AuthorityError as fault:
            self._events.fault("reload-failed", cause=fault.cause)
            return
        if self._tls is not None and tls is not None:
            self._tls.replace(tls)
        self._directory.reopen()
        self._events.operation("reloaded")

    def stop(self) -> None:
        """Take no new connections, finish what is in hand, then end."""
        if self._stopping:
            return
        self._stopping = True
        for port in self._ports:
            port.stopListening()
        drained = DeferredList([site.drain() for site in self._sites])
        drained.addTimeout(_DRAIN_SECONDS, self._reactor, lambda *_: None)
        drained.addBoth(lambda _: self._reactor.stop())

    def _load(self, settings: Settings) -> None:
        self._door = make_query_door(settings, self._store, self._store, self._directory, self._events)
        self._metadata = own_metadata(settings)

    def _open(self, bound: socket.socket, site: BoundedSite, factory: IProtocolFactory) -> None:
        self._sites.append(site)
        self._ports.append(self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory))

    def _runner(self) -> Runner:
        if self._store.is_local:
            return Inline()
        self._pool = ThreadPool(minthreads=1, maxthreads=self._settings.database.pool_size, name="store")
        self._pool.start()
        self._reactor.addSystemEventTrigger("during", "shutdown", self._pool.stop)
        return OnPool(self._reactor, self._pool, 2 * self._settings.database.timeout)

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

    def _handle_signals(self) -> None:
        for number, action in ((signal.SIGTERM, self.stop), (signal.SIGINT, self.stop), (signal.SIGHUP, self.reload)):
            signal.signal(number, partial(self._on_signal, action))

    def _on_signal(self, action: Callable[[], None], _number: int, _frame: FrameType | None) -> None:
        self._reactor.callFromThread(action)


def run_worker(config: Path, sockets: tuple[socket.socket, socket.socket], lifeline: int, events: EventLog) -> None:
    """Run one worker in the present process, on its back channel and operations sockets, until it is told to stop."""
    from twisted.internet import reactor  # a reactor may not be carried over a fork

    worker = Worker(reactor, config, events)
    worker.listen(*sockets)
    worker.run(lifeline)
