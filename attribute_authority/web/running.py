"""Where an answer is made: in place, on the pool of the store, or, when it has to wait for a home organisation, on the pool of the sources.

What can hang never runs where connections are served, and one home organisation's outage costs others no more than the deadline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Generic, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class Later(Generic[Answered]):
    """An answer that has to wait for somebody else's system.

    `finish` makes it, on any thread, and is called once; `give_up` says instead, with a cause for the log, that it took too long.
    """

    finish: Callable[[], Answered]
    give_up: Callable[[str], Answered]


class BoundedPool:
    """A pool of threads on which work is waited for no longer than `deadline` seconds, and of which no more than `places` is in hand.

    Another deadline holds for what is called from then on. `reactor` provides IReactorTime and IReactorFromThreads.
    """

    def __init__(self, reactor: Any, threads: ThreadPool, deadline: float, places: int = 256) -> None:
        self._reactor = reactor
        self._threads = threads
        self.deadline = deadline
        self._places = places
        self._taken = 0

    def call(self, work: Callable[[], Answered], give_up: Callable[[str], Answered]) -> "Deferred[Answered]":
        """Work on a thread. Past the deadline give up, whatever the thread is still waiting for; without a place give up at once."""
        if self._taken >= self._places:
            return succeed(give_up("too much is waiting for a thread already"))
        self._taken += 1
        over, deadline = Event(), self.deadline
        # None stands for work that nobody waits for any longer, so that nobody sees it.
        answered: Deferred[Any] = deferToThreadPool(self._reactor, self._threads, _unless_over, over, work)
        # Before the deadline is put on it: the place is free when the thread is, not when nobody waits for it any longer.
        answered.addBoth(self._leave)
        waiting: Deferred[Answered] = Deferred()
        answered.chainDeferred(waiting)

        def too_late(*_: object) -> Answered:
            over.set()
            return give_up(f"no answer within {deadline} s")

        waiting.addTimeout(deadline, self._reactor, too_late)
        return waiting

    def _leave(self, result: Any) -> Any:
        self._taken -= 1
        return result


def _unless_over(over: Event, work: Callable[[], Answered]) -> Answered | None:
    # Who stood in the queue for longer than the deadline need not be worked for any more.
    return None if over.is_set() else work()


def before_the_end(reactor: Any, work: Callable[[], object], seconds: float) -> None:
    """Have work done on a thread of its own before the reactor ends, which waits for it no longer than so many seconds.

    `reactor` provides IReactorCore, IReactorTime and IReactorFromThreads.
    """

    def run() -> "Deferred[None]":
        done: Deferred[None] = Deferred()

        def work_and_tell() -> None:
            try:
                work()
            finally:
                reactor.callFromThread(done.callback, None)

        Thread(target=work_and_tell, name="before-the-end", daemon=True).start()
        return done.addTimeout(seconds, reactor, lambda *_: None)

    reactor.addSystemEventTrigger("before", "shutdown", run)


class Runner(Protocol):
    """Decides where an answer is made."""

    def run(self, begin: Callable[[], Answered | Later[Answered]], give_up: Callable[[str], Answered]) -> "Deferred[Answered]":
        """Make an answer, now or later; `give_up` says that `begin` itself took too long."""
        ...


@dataclass(frozen=True, slots=True)
class Inline:
    """Begins where it is called: right for a local store, where a hand-over to a thread costs more than it gains."""

    sources: BoundedPool

    def run(self, begin: Callable[[], Answered | Later[Answered]], give_up: Callable[[str], Answered]) -> "Deferred[Answered]":
        """Answer at once unless a source has to be asked."""
        return _go_on(begin(), self.sources)


@dataclass(frozen=True, slots=True)
class OnPool:
    """Begins on a bounded pool of threads: right for a store across a network."""

    store: BoundedPool
    sources: BoundedPool

    def run(self, begin: Callable[[], Answered | Later[Answered]], give_up: Callable[[str], Answered]) -> "Deferred[Answered]":
        """Answer later; past the deadline with what `give_up` says."""
        begun: Deferred[Answered | Later[Answered]] = self.store.call(begin, give_up)
        return cast("Deferred[Answered]", begun.addCallback(lambda result: _go_on(result, self.sources)))


def _go_on(result: Answered | Later[Answered], sources: BoundedPool) -> "Deferred[Answered]":
    if isinstance(result, Later):
        return sources.call(result.finish, result.give_up)
    return succeed(result)
