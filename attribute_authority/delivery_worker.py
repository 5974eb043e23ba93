"""The process that delivers: a dispatcher on a thread, upkeep beside it, and the operations door where nothing else serves it.

Of one state directory one such process delivers at a time; a second one waits until the first is gone, however that ends.
"""

import fcntl
import gc
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from attribute_authority.assembly import open_link_store, present
from attribute_authority.configuration import read_configuration
from attribute_authority.delivery_assembly import make_attempting, make_dispatcher, make_telling, name_sinks, open_books
from attribute_authority.domain.delivery import SinkName
from attribute_authority.errors import AuthorityError, CouldNotAsk, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.metrics import Metrics
from attribute_authority.organisation_assembly import outages
from attribute_authority.process import Process
from attribute_authority.settings import Settings
from attribute_authority.web.health import Standing, operations_root
from attribute_authority.web.http import BoundedSite
from attribute_authority.web.running import BoundedPool, before_the_end

_UPKEEP_SECONDS: Final = 15.0
_LEAVING_SECONDS: Final = 30.0
"""How long deliveries that are under way are waited for; what is not recorded by then is delivered once more."""

_HEALTH_QUESTIONS: Final = 8
_HOLDER_OCTETS: Final = 8
_LOCK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class HandedDeliveries:
    """What the supervisor hands to the delivery worker over the fork; `operations` is None where the back channel serves that door."""

    number: int
    config: Path
    events: EventLog
    metrics: Metrics
    operations: socket.socket | None
    lifeline: int


class DeliveryWorker:
    """The objects of the worker; `reactor` is Twisted's, made after the fork."""

    def __init__(self, reactor: Any, handed: HandedDeliveries) -> None:
        self._reactor = reactor
        self._handed = handed
        self._events = handed.events
        self._settings = settings = read_configuration(handed.config)
        self._books = open_books(settings)
        # Whether sinks are away is told by the same board as of sources, on connections of the thread that asks.
        self._store = open_link_store(settings)
        self._process = Process(reactor, handed.lifeline, self.reload)
        self._dispatcher = make_dispatcher(settings, self._books, self._store, handed.metrics, self._events)
        self._telling = make_telling(settings, self._books, self._events)
        # For so long something that an earlier process sent may still be worked on.
        self._patience = timedelta(seconds=max((sink.timeout for one in settings.organisation for sink in one.sink), default=0.0))
        self._counted: frozenset[SinkName] = frozenset()
        self._leaving = Event()
        self._pools: list[ThreadPool] = []
        self._upkeep = self._threads("upkeep", 1)
        # Apart from the numbers: a mail server may take its time for every letter.
        self._mailing = self._threads("mail", 1)
        self._health = BoundedPool(reactor, self._threads("health", 1), settings.database.timeout, _HEALTH_QUESTIONS)
        self._delivering = Thread(target=self._deliver, name="deliveries", daemon=True)
        self._dispatcher.use(name_sinks(settings), make_attempting(settings, self._events))

    def run(self) -> None:
        """Deliver until SIGTERM, or until the supervisor at the other end of the lifeline is gone."""
        if self._handed.operations is not None:
            door = operations_root(self._standing, self._handed.metrics.render)
            timeout = self._settings.back_channel.request_timeout
            self._process.open(self._handed.operations, BoundedSite(door, self._reactor, timeout=timeout, max_body_bytes=0))
        before_the_end(self._reactor, self._leave, _LEAVING_SECONDS)
        for threads, work in ((self._upkeep, self._count), (self._mailing, self._tell)):
            LoopingCall(self._keep_up, threads, work).start(_UPKEEP_SECONDS, now=True)
        self._reactor.callWhenRunning(self._delivering.start)
        self._process.run()

    def reload(self) -> None:
        """Re-read configuration and secrets; what cannot be used leaves everything as it was."""
        try:
            settings = read_configuration(self._handed.config)
            telling = make_telling(settings, self._books, self._events)
            sinks = name_sinks(settings)
        except AuthorityError as fault:
            self._events.fault("reload-failed", cause=fault.cause)
            return
        self._settings, self._telling = settings, telling
        self._dispatcher.use(sinks, make_attempting(settings, self._events), settings.authority.environment)
        self._events.operation("reloaded")

    def _deliver(self) -> None:
        try:
            with _alone(self._settings, self._events, self._leaving) as holder:
                if holder is None:
                    return
                self._events.operation("delivering", released=self._books.release_leases(holder, present(), self._patience))
                self._dispatcher.run(holder, self._settings.deliveries.poll)
        except Exception:  # noqa: BLE001 - the named boundary of a thread: the process ends with it, and another takes its place
            self._failed(Failure())
        finally:
            self._reactor.callFromThread(self._process.stop)

    def _leave(self) -> None:
        self._leaving.set()
        self._dispatcher.stop()
        if self._delivering.is_alive():
            self._delivering.join()
        # A mail server that hangs is not waited for any longer than a sink.
        for pool in self._pools:
            pool.stop()
        self._store.close()
        self._books.close()

    def _threads(self, name: str, count: int) -> ThreadPool:
        pool = ThreadPool(minthreads=0, maxthreads=count, name=name)
        self._reactor.callWhenRunning(pool.start)
        self._pools.append(pool)
        return pool

    def _keep_up(self, threads: ThreadPool, work: Callable[[], object]) -> Any:
        return deferToThreadPool(self._reactor, threads, work).addErrback(self._failed)

    def _count(self) -> None:
        settings, now, metrics = self._settings, present(), self._handed.metrics
        waiting = {backlog.sink: backlog for backlog in self._books.read_backlogs(settings.authority.environment)}
        # Another node may have noticed that a sink is back.
        paused = {outage.source for outage in self._store.list_outages()}
        configured = frozenset(settings.sink_names)
        # What waits for a sink that is not configured any more waits for ever, and must not go unseen; what has gone is told of once more.
        for name in configured | waiting.keys() | self._counted:
            backlog = waiting.get(name)
            oldest = timedelta() if backlog is None or backlog.oldest is None else now - backlog.oldest
            pending, parked = (0, 0) if backlog is None else (backlog.pending, backlog.parked)
            metrics.backlog(str(name), pending, parked, max(0.0, oldest.total_seconds()))
            metrics.sink_paused(str(name), name in configured and str(name) in paused)
        self._counted = configured | waiting.keys()

    def _tell(self) -> None:
        self._telling.tell_due()

    def _standing(self) -> "Deferred[Standing]":
        asked = self._health.call(self._ask_store, lambda _: _AWAY)
        return asked.addErrback(self._defective)

    def _ask_store(self) -> Standing:
        try:
            return Standing(degraded=outages((), self._settings.sink_names, self._store))
        except CouldNotAsk:
            return _AWAY

    def _defective(self, failure: Failure) -> Standing:
        self._failed(failure)
        return _AWAY

    def _failed(self, failure: Failure) -> None:
        if failure.check(AuthorityError) is not None:
            self._events.fault("upkeep-failed", cause=str(failure.value))
        else:
            self._events.fault("defect", traceback=failure.getTraceback())


_AWAY: Final = Standing(("database: cannot be reached",))


@contextmanager
def _alone(settings: Settings, events: EventLog, leaving: Event) -> Iterator[str | None]:
    """Hold the lock of the state directory; gives the name by which this node holds deliveries, None when `leaving` came first."""
    path = settings.authority.state_directory / "deliveries.lock"
    try:
        file: TextIO = path.open("a+", encoding="ascii")
        path.chmod(0o600)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}") from error
    with file:
        yield _read_holder(file) if _lock(file, path, events, leaving) else None


def _lock(file: TextIO, path: Path, events: EventLog, leaving: Event) -> bool:
    """Wait until nobody else has the lock; returns False when `leaving` came first."""
    waiting = False
    while not leaving.is_set():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waiting:
                events.operation("waiting-to-deliver", lock=str(path))
            waiting = True
            leaving.wait(_LOCK_SECONDS)
        else:
            return True
    return False


def _read_holder(file: TextIO) -> str:
    file.seek(0)
    holder = file.read().strip()
    if not holder:
        holder = secrets.token_hex(_HOLDER_OCTETS)
        file.write(holder)
        file.flush()
    return holder


def run_delivery_worker(handed: HandedDeliveries) -> None:
    """Run the worker in the present process until it is told to stop."""
    from twisted.internet import reactor  # a reactor may not be carried over a fork

    try:
        handed.metrics.place_taken(handed.number)
    except OSError as error:
        raise OperatorError(f"the metrics cannot be written: {error.strerror}") from error
    worker = DeliveryWorker(reactor, handed)
    gc.freeze()
    worker.run()
