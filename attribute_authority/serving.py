"""The processes of `serve`: one supervisor, and workers that each have their own listening sockets.

The supervisor binds every socket (SO_REUSEPORT, one of each door per worker), so that a busy port is reported once and
clearly, and so that a worker that dies leaves its queue of connections to its successor. It answers no request itself.
It sleeps in sigwait; the signals it knows are blocked elsewhere, so none is lost between two of its steps.
"""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from traceback import format_exc
from typing import Final, NoReturn

from attribute_authority.errors import AuthorityError, OperatorError
from attribute_authority.events import EventLog

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_BACKLOG: Final = 1024
_STEADY_SECONDS: Final = 10.0
_LONGEST_BACKOFF: Final = 30.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door listens; port 0 lets the system choose, the same for all workers."""

    host: str
    port: int


def bind(address: Address, count: int) -> tuple[socket.socket, ...]:
    """Bind and listen `count` times at one address. Raises OperatorError where it is in use or not ours."""
    sockets: list[socket.socket] = []
    try:
        # Sockets that share a port do so with everybody of the same owner, so a second authority would go unnoticed;
        # and where the system chooses a port for one that may be shared, it may choose one that is.
        with _bind_one(address, shared=False) as alone:
            port = alone.getsockname()[1]
        for _ in range(count):
            sockets.append(_bind_one(Address(address.host, port), shared=True))
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise OperatorError(f"cannot listen at {address.host}:{address.port}: {error.strerror or error}") from error
    return tuple(sockets)


def _bind_one(address: Address, *, shared: bool) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        opened.bind(target)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


@dataclass(slots=True)
class _Place:
    """A worker's place: who holds it, since when, and how often in a row its holders died young."""

    process: int = 0
    started: float = 0.0
    young_deaths: int = 0
    due: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Keeps `count` workers running.

    `run_worker` gets the worker's number and its lifeline, a file descriptor that reads as ended when the supervisor is gone,
    and returns when the worker is done; SIGHUP is blocked when it is called, and it unblocks it once it has a handler.
    `reload` does what has to be done once before every worker re-reads its configuration. `forget` is told the number of a worker
    that has ended, before another one gets it. A place is filled when `is_wanted` says so of its number, which may change with a reload;
    a worker that runs is not ended by it.
    """

    count: int
    run_worker: Callable[[int, int], None]
    reload: Callable[[], None]
    forget: Callable[[int], None]
    events: EventLog
    is_wanted: Callable[[int], bool] = lambda _: True
    _places: list[_Place] = field(default_factory=list)
    _stopping: bool = False
    _lifeline: tuple[int, int] = (-1, -1)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then let every worker finish what it has in hand."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._lifeline = os.pipe()
        self._places = [_Place() for _ in range(self.count)]
        while not (self._stopping and all(place.process == 0 for place in self._places)):
            self._fill_places()
            self._wait()

    def _fill_places(self) -> None:
        for number, place in enumerate(self._places):
            if place.process == 0 and not self._stopping and place.due <= monotonic() and self.is_wanted(number):
                place.started = monotonic()
                place.process = self._start(number)

    def _wait(self) -> None:
        empty = [place for number, place in enumerate(self._places) if place.process == 0 and self.is_wanted(number)]
        waits = [] if self._stopping else [place.due - monotonic() for place in empty]
        received = signal.sigtimedwait(_SIGNALS, max(0.0, min(waits))) if waits else signal.sigwaitinfo(_SIGNALS)
        if received is None:
            return
        if received.si_signo == signal.SIGCHLD:
            self._reap()
        elif received.si_signo == signal.SIGHUP:
            self._reload()
        else:
            self._stopping = True
            self._tell(signal.SIGTERM)

    def _reload(self) -> None:
        try:
            self.reload()
        except AuthorityError as fault:
            self.events.fault("reload-failed", cause=fault.cause)
            return
        self._tell(signal.SIGHUP)

    def _tell(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process:
                os.kill(place.process, number)

    def _reap(self) -> None:
        for number, place in enumerate(self._places):
            if place.process and (status := _ended(place.process)) is not None:
                self._vacate(number, place, status)

    def _vacate(self, number: int, place: _Place, status: int) -> None:
        young = monotonic() - place.started < _STEADY_SECONDS
        self.forget(number)
        place.process = 0
        place.young_deaths = place.young_deaths + 1 if young else 0
        place.due = monotonic() + (min(2.0 ** (place.young_deaths - 1), _LONGEST_BACKOFF) if young else 0.0)
        if not self._stopping:
            self.events.fault("worker-ended", worker=number, status=status)

    def _start(self, number: int) -> int:
        process = os.fork()
        if process == 0:
            self._become_worker(number)
        return process

    def _become_worker(self, number: int) -> NoReturn:
        for known in _SIGNALS:
            signal.signal(known, signal.SIG_DFL)
        # Until the worker has its own handlers SIGTERM may end it; SIGHUP waits for them, for it may come after the reading.
        signal.pthread_sigmask(signal.SIG_SETMASK, (signal.SIGHUP,))
        os.close(self._lifeline[1])
        status = 1
        try:
            self.run_worker(number, self._lifeline[0])
            status = 0
        except AuthorityError as fault:
            self.events.fault("worker-failed", worker=number, cause=fault.cause)
        except Exception:  # noqa: BLE001 - the named boundary of a process: whatever it dies of is said before it is gone
            self.events.fault("defect", worker=number, traceback=format_exc())
        finally:
            os._exit(status)


def _ended(process: int) -> int | None:
    ended, status = os.waitpid(process, os.WNOHANG)
    return None if ended == 0 else os.waitstatus_to_exitcode(status)


def listening_url(opened: socket.socket, scheme: str) -> str:
    """Return the URL at which a bound socket is reached."""
    host, port, *_ = opened.getsockname()
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
