"""The servers of one directory: bound connections that are used again, and the next server where one does not answer."""

import time
from collections.abc import Callable, Sequence
from threading import BoundedSemaphore, Lock
from typing import Final, TypeVar

from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from connectors._deadline import Deadline, Monotonic
from connectors._ldap_results import BUSY, UNAVAILABLE
from connectors._ldap_session import Access, Search, SearchAnswer, ServerAddress, Session, open_session

T = TypeVar("T")

_IDLE_SECONDS: Final = 60.0
"""How long a connection may be idle: between us and the directory are firewalls that forget sooner or later, and say nothing."""

_SKIP_SECONDS: Final = 30.0
"""How long a server that failed is passed over while there is another."""

_TRY_ELSEWHERE: Final = frozenset({BUSY, UNAVAILABLE})

Work = Callable[[Session, Deadline], T]
"""What is done on a connection of its own, by a deadline. It raises CouldNotAsk where another server may do better."""


class Servers:
    """Asks the first server that works. Threads share it; each connection is one thread's at a time."""

    def __init__(self, addresses: Sequence[ServerAddress], access: Access, connections: int, monotonic: Monotonic = time.monotonic) -> None:
        self._addresses = tuple(addresses)
        self._access = access
        self._monotonic = monotonic
        self._places = BoundedSemaphore(connections)
        self._lock = Lock()
        self._idle: list[tuple[Session, float]] = []
        self._skipped_until: dict[ServerAddress, float] = {}
        self._closed = False

    def search(self, search: Search, timeout: float) -> SearchAnswer:
        """Search within `timeout` seconds, of which each server that may have to be tried gets its share.

        Raises SourceUnavailable where no connection comes free, or for an answer that is too large; CouldNotAsk where no server answers.
        """
        return self.do(lambda session, deadline: _search(session, search, deadline), timeout)

    def do(self, work: Work[T], timeout: float) -> T:
        """Do it within `timeout` seconds at the first server that works, of which each that may have to be tried gets its share.

        It may be done more than once, in part or as a whole. Raises what it raises, save that CouldNotAsk of every server becomes one;
        SourceUnavailable where no connection comes free.
        """
        deadline = Deadline(timeout, self._monotonic)
        if not self._places.acquire(timeout=timeout):
            raise SourceUnavailable("every connection to the directory is in use", timeout)
        try:
            return self._do_in_turn(work, deadline)
        finally:
            self._places.release()

    def close(self) -> None:
        """Give up every connection; those that are in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.close()

    def _do_in_turn(self, work: Work[T], deadline: Deadline) -> T:
        causes = []
        servers = self._working()
        for number, server in enumerate(servers):
            try:
                share = Deadline(deadline.remaining() / (len(servers) - number), self._monotonic)
                outcome = self._do_at(server, work, share)
            except TimeoutError:
                causes.append(f"{server}: no time left")
            except SourceUnavailable:
                raise
            except CouldNotAsk as failure:
                self._skip(server)
                causes.append(failure.cause)
            else:
                return outcome
        raise CouldNotAsk("; ".join(causes))

    def _do_at(self, server: ServerAddress, work: Work[T], deadline: Deadline) -> T:
        kept = self._take(server)
        if kept is None:
            return self._do_with(open_session(server, self._access, deadline), work, deadline)
        try:
            return self._do_with(kept, work, deadline)
        except SourceUnavailable:
            raise
        except CouldNotAsk:
            # The server may have hung up just now; a fresh connection tells. Where time is over, it fails at once.
            return self._do_with(open_session(server, self._access, deadline), work, deadline)

    def _do_with(self, session: Session, work: Work[T], deadline: Deadline) -> T:
        try:
            return work(session, deadline)
        finally:
            if session.is_sound:
                self._give_back(session)
            else:
                session.close()

    def _working(self) -> tuple[ServerAddress, ...]:
        """Return the servers to try, in the order of the configuration; where all have failed, all."""
        now = self._monotonic()
        with self._lock:
            if self._closed:
                raise CouldNotAsk("the connections to the directory are closed")
            working = tuple(server for server in self._addresses if self._skipped_until.get(server, now) <= now)
        return working or self._addresses

    def _skip(self, server: ServerAddress) -> None:
        with self._lock:
            self._skipped_until[server] = self._monotonic() + _SKIP_SECONDS
            forsaken = [session for session, _ in self._idle if session.server == server]
            self._idle = [(session, since) for session, since in self._idle if session.server != server]
        for session in forsaken:
            session.close()

    def _take(self, server: ServerAddress) -> Session | None:
        """Take the connection that was used last, unless the server has hung up on it."""
        while (kept := self._pop(server)) is not None:
            session, since = kept
            if self._monotonic() - since < _IDLE_SECONDS and session.is_usable:
                return session
            session.close()
        return None

    def _pop(self, server: ServerAddress) -> tuple[Session, float] | None:
        with self._lock:
            for position in reversed(range(len(self._idle))):
                if self._idle[position][0].server == server:
                    return self._idle.pop(position)
        return None

    def _give_back(self, session: Session) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append((session, self._monotonic()))
                return
        session.close()


def _search(session: Session, search: Search, deadline: Deadline) -> SearchAnswer:
    answer = session.search(search, deadline)
    if answer.code in _TRY_ELSEWHERE:
        raise CouldNotAsk(answer.result)
    return answer
