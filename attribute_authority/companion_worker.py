"""One worker of the companion page: the door on a reactor, a pool of threads behind it, and the revocations that are due."""

import gc
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from attribute_authority.assembly import index_file, present
from attribute_authority.companion_assembly import THREADS, make_pages, make_revoking, open_pages_store
from attribute_authority.companion_loading import CompanionTables
from attribute_authority.configuration import read_configuration
from attribute_authority.errors import AuthorityError, CouldNotAsk, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.process import Process
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.settings import Settings
from attribute_authority.web.companion.door import CompanionDoor
from attribute_authority.web.companion.live import StreamingSite
from attribute_authority.web.running import before_the_end

_LEAVING_SECONDS: Final = 5.0
"""How long threads may go on when every page is answered: a database that hangs is left behind."""

_REVOKING_SECONDS: Final = 5.0
_FORGETTING_SECONDS: Final = 60.0
_LARGEST_REQUEST: Final = 524_288
_REQUEST_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class HandedCompanion:
    """What the supervisor hands to a companion worker over the fork."""

    config: Path
    events: EventLog
    door: socket.socket
    lifeline: int


class CompanionWorker:
    """The objects of one worker; `reactor` is Twisted's, made after the fork."""

    def __init__(self, reactor: Any, handed: HandedCompanion) -> None:
        self._reactor = reactor
        self._handed = handed
        self._events = handed.events
        settings = read_configuration(handed.config)
        self._store = open_pages_store(settings)
        self._directory = SqliteEntityDirectory(index_file(settings))
        self._pool = ThreadPool(minthreads=1, maxthreads=THREADS, name="pages")
        self._process = Process(reactor, handed.lifeline, self.reload)
        self._load(settings)

    def run(self) -> None:
        """Serve until SIGTERM, or until the supervisor at the other end of the lifeline is gone."""
        self._pool.start()
        before_the_end(self._reactor, self._leave, _LEAVING_SECONDS)
        door = CompanionDoor(self._reactor, self._pool, lambda: self._application, self._tables.companion.page_timeout)
        site = StreamingSite(door, self._reactor, door.streams, timeout=_REQUEST_SECONDS, max_body_bytes=_LARGEST_REQUEST)
        self._process.open(self._handed.door, site)
        for work, seconds in ((self._revoke, _REVOKING_SECONDS), (self._forget, _FORGETTING_SECONDS)):
            LoopingCall(self._on_pool, work).start(seconds, now=False)
        self._reactor.callWhenRunning(self._events.operation, "pages-ready")
        self._process.run()

    def reload(self) -> None:
        """Re-read configuration, keys, release rules and metadata; what cannot be used leaves everything as it was."""
        try:
            self._load(read_configuration(self._handed.config))
        except AuthorityError as fault:
            self._events.fault("reload-failed", cause=fault.cause)
            return
        self._directory.reopen()
        self._events.operation("reloaded")

    def _load(self, settings: Settings) -> None:
        tables = CompanionTables.of(settings)
        if tables is None:
            raise OperatorError("the companion page is no longer configured: restart to serve without it")
        self._store.use_sinks(settings.sinks)
        application = make_pages(settings, tables, self._store, self._directory, self._events)
        self._revoking = make_revoking(tables, self._store, application.parts.registry, self._events)
        self._tables, self._application = tables, application

    def _leave(self) -> None:
        self._pool.stop()
        self._store.close()

    def _on_pool(self, work: Any) -> Any:
        done = deferToThreadPool(self._reactor, self._pool, work)
        done.addErrback(self._failed)
        return done

    def _failed(self, failure: Failure) -> None:
        if failure.check(CouldNotAsk) is not None:
            self._events.fault("pause", cause=str(failure.value))
        else:
            self._events.fault("defect", traceback=failure.getTraceback())

    def _revoke(self) -> None:
        self._revoking.run_due()

    def _forget(self) -> None:
        now = present()
        self._store.forget_expired_states(now)
        self._store.forget_expired_attempts(now)


def run_companion_worker(handed: HandedCompanion) -> None:
    """Run one worker in the present process until it is told to stop."""
    from twisted.internet import reactor  # a reactor may not be carried over a fork

    worker = CompanionWorker(reactor, handed)
    gc.freeze()
    worker.run()
