"""One worker of `serve`: the doors on a reactor, re-reading what may change on SIGHUP, finishing what is in hand on SIGTERM."""

import gc
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from attribute_authority import __version__
from attribute_authority.assembly import index_file, load_tls, make_client_keys, open_link_store, present
from attribute_authority.back_channel_assembly import Doors, Foundations, open_doors
from attribute_authority.configuration import read_configuration
from attribute_authority.errors import AuthorityError, CouldNotAsk, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.metrics import Metrics
from attribute_authority.organisation_assembly import (
    close_organisations,
    forget_sources,
    maintain_organisations,
    outages,
    tell_outages,
)
from attribute_authority.process import Process
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.web.back_channel import AttributeQueryResource, MetadataResource, back_channel_root
from attribute_authority.web.health import Standing, operations_root
from attribute_authority.web.http import BoundedSite
from attribute_authority.web.lookup.resources import lookup_root
from attribute_authority.web.running import BoundedPool, Inline, OnPool, Runner, before_the_end
from attribute_authority.web.tls import TlsServer

_UPKEEP_SECONDS: Final = 60.0
_FORGETTING_MARGIN: Final = timedelta(seconds=1)
_HEALTH_QUESTIONS: Final = 8
_LEAVING_SECONDS: Final = 5.0
"""How long threads may go on when every query is answered: an index in the making is finished, a server that hangs is left behind."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What the supervisor hands to a worker over the fork; `number` is its place among the workers.

    The TLS side, None behind a proxy, is made before the fork so that all workers have the same ticket keys, and a client may
    resume its session with whichever of them its next connection reaches.
    """

    number: int
    config: Path
    events: EventLog
    metrics: Metrics
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
        self._settings = read_configuration(handed.config)
        self._store = open_link_store(self._settings)
        self._directory = SqliteEntityDirectory(index_file(self._settings))
        self._foundations = Foundations(self._store, self._directory, self._events, handed.metrics)
        self._process = Process(reactor, handed.lifeline, self.reload)
        self._pools: list[ThreadPool] = []
        # One thread: more than one question at a time tells no more.
        self._health = BoundedPool(reactor, self._threads("health", 1), self._settings.database.timeout, _HEALTH_QUESTIONS)
        self._source_threads = self._threads("sources", self._settings.sources.threads)
        self._sources = BoundedPool(reactor, self._source_threads, self._settings.sources.deadline)
        self._doors: Doors = open_doors(self._settings, self._foundations)
        self._sinks = self._settings.sink_names

    def listen(self) -> None:
        """Open the doors on the sockets that were handed over."""
        client_keys, runner = make_client_keys(self._settings), self._runner()
        query = AttributeQueryResource(lambda: self._doors.query, client_keys, runner)
        lookup = lookup_root(lambda: self._doors.lookup, client_keys, runner)
        root = back_channel_root(query, MetadataResource(lambda: self._doors.metadata), lookup)
        limits, tls = self._settings.back_channel, self._handed.tls
        site = BoundedSite(root, self._reactor, timeout=limits.request_timeout, max_body_bytes=limits.max_body_bytes)
        self._process.open(self._handed.back_channel, site, None if tls is None else TLSMemoryBIOFactory(tls, False, site, self._reactor))
        operations = operations_root(self._standing, self._handed.metrics.render)
        health = BoundedSite(operations, self._reactor, timeout=limits.request_timeout, max_body_bytes=0)
        self._process.open(self._handed.operations, health)

    def run(self) -> None:
        """Serve until SIGTERM, or until the supervisor at the other end of the lifeline is gone."""
        LoopingCall(self._on_pool, self._keep_up).start(_UPKEEP_SECONDS, now=False)
        before_the_end(self._reactor, self._leave, _LEAVING_SECONDS)
        self._process.run()

    def reload(self) -> None:
        """Re-read configuration, keys, release rules, sources and metadata; what cannot be used leaves everything as it was."""
        former = self._doors
        try:
            settings = read_configuration(self._handed.config)
            tls = load_tls(settings)
            self._doors = open_doors(settings, self._foundations)
        except AuthorityError as fault:
            self._events.fault("reload-failed", cause=fault.cause)
            return
        if self._handed.tls is not None and tls is not None:
            self._handed.tls.replace(tls)
        self._sinks = settings.sink_names
        self._directory.reopen()
        self._on_pool(lambda: former.guard.flush(present()))
        # By then nothing that began with the former sources is waited for any longer.
        self._reactor.callLater(self._sources.deadline, self._on_pool, lambda: self._part_with(former))
        self._sources.deadline = settings.sources.deadline
        self._source_threads.adjustPoolsize(0, settings.sources.threads)
        self._events.operation("reloaded")

    def _runner(self) -> Runner:
        if self._store.is_local:
            return Inline(self._sources)
        store = self._threads("store", self._settings.database.pool_size)
        return OnPool(BoundedPool(self._reactor, store, 2 * self._settings.database.timeout), self._sources)

    def _threads(self, name: str, count: int) -> ThreadPool:
        pool = ThreadPool(minthreads=0, maxthreads=count, name=name)
        self._reactor.callWhenRunning(pool.start)
        self._pools.append(pool)
        return pool

    def _leave(self) -> None:
        self._doors.guard.flush(present())
        for pool in self._pools:
            pool.stop()
        close_organisations(self._doors.organisations)
        self._store.close()

    def _standing(self) -> "Deferred[Standing]":
        asked = self._health.call(self._ask_store, lambda _: self._without_store())
        asked.addErrback(self._defective)
        return asked.addCallback(self._with_metadata)

    def _ask_store(self) -> Standing:
        try:
            self._store.ping()
            return Standing(degraded=outages(self._doors.organisations, self._sinks, self._store))
        except CouldNotAsk:
            return self._without_store()

    def _without_store(self) -> Standing:
        untold = ("sources: how they fare cannot be told",) if self._doors.organisations or self._sinks else ()
        return Standing(("database: cannot be reached",), untold)

    def _defective(self, failure: Failure) -> Standing:
        self._failed(failure)
        return self._without_store()

    def _with_metadata(self, standing: Standing) -> Standing:
        # Here, for the index is a file whose connection belongs to the reactor's thread.
        try:
            self._directory.find_entity("", present())
        except CouldNotAsk:
            return replace(standing, reasons=(*standing.reasons, "metadata: cannot be reached"))
        return standing

    def _on_pool(self, work: Callable[[], None]) -> Any:
        done = deferToThreadPool(self._reactor, self._source_threads, work)
        done.addErrback(self._failed)
        return done

    def _failed(self, failure: Failure) -> None:
        if failure.check(CouldNotAsk) is not None:
            self._events.fault("upkeep-failed", cause=str(failure.value))
        else:
            self._events.fault("defect", traceback=failure.getTraceback())

    def _part_with(self, former: Doors) -> None:
        forget_sources(former.organisations, self._doors.organisations, self._handed.metrics)
        close_organisations(former.organisations)

    def _keep_up(self) -> None:
        now = present()
        self._store.forget_expired(now - _FORGETTING_MARGIN)
        self._store.forget_expired_attempts(now - _FORGETTING_MARGIN)
        self._doors.guard.flush(now)
        tell_outages(self._doors.organisations, self._store, self._handed.metrics)
        maintain_organisations(self._doors.organisations, self._store)


def run_worker(handed: Handed) -> None:
    """Run one worker in the present process until it is told to stop."""
    from twisted.internet import reactor  # a reactor may not be carried over a fork

    try:
        handed.metrics.worker_started(__version__, handed.number)
    except OSError as error:
        raise OperatorError(f"the metrics cannot be written: {error.strerror}") from error
    worker = Worker(reactor, handed)
    worker.listen()
    # What is loaded by now stays for good; a collection need not look through it again, nor touch pages that the fork shares.
    gc.freeze()
    worker.run()
