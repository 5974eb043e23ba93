"""One request at the lookup door on its way: what arrived, what the log will say of it, and who tells it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock

from attribute_authority.errors import AuthorityError, CouldNotAsk, SourceUnavailable, TooManyQueries
from attribute_authority.events import EventLog, QueryEvent, stopwatch
from attribute_authority.ports import Clock, QueryWatch
from attribute_authority.web.lookup.callers import Credentials
from attribute_authority.web.lookup.problems import Reply, problem_of
from attribute_authority.web.running import Later


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it arrived: the query of its address, its credentials, its body, and the peer's address.

    `told` is taken by whoever ends it first, an answer or a deadline, so that there is one event.
    """

    query: bytes
    credentials: Credentials
    peer: str | None = None
    body: bytes = b""
    told: Lock = field(default_factory=Lock, compare=False)


@dataclass(frozen=True, slots=True)
class Case:
    """A request on its way: the call, what the log will say, when it began by the stopwatch and by the clock."""

    call: Call
    event: QueryEvent
    started: float
    now: datetime


@dataclass(frozen=True, slots=True)
class Telling:
    """Ends requests, each with one event."""

    events: EventLog
    watch: QueryWatch
    clock: Clock
    new_correlation_id: Callable[[], str]

    def open(self, door: str, call: Call) -> Case:
        """Open the case of a request."""
        return Case(call, QueryEvent(self.new_correlation_id(), door, call.peer), stopwatch(), self.clock())

    def attempt(self, case: Case, work: Callable[[], Reply | Later[Reply]]) -> Reply | Later[Reply]:
        """Work on a request, and refuse it at any failure of the closed set."""
        try:
            return work()
        except AuthorityError as failure:
            return self.refuse(case, failure)

    def later(self, case: Case, work: Callable[[], Reply]) -> Later[Reply]:
        """Put off work on a request to another thread."""

        def finish() -> Reply:
            try:
                return work()
            except AuthorityError as failure:
                return self.refuse(case, failure)

        # The thread may still be filling in the event while the deadline passes.
        given_up = replace(case, event=replace(case.event))
        return Later(finish, lambda cause: self.refuse(given_up, CouldNotAsk(cause)))

    def answer(self, case: Case, reply: Reply) -> Reply:
        """End a request with an answer; the event says already what was decided."""
        event = case.event
        if case.call.told.acquire(blocking=False):
            self.events.query(event, case.started)
            self.watch.answered(event.door, event.outcome or "answered", stopwatch() - case.started)
        return reply

    def refuse(self, case: Case, failure: AuthorityError) -> Reply:
        """End a request with a failure."""
        event = case.event
        event.failure, event.cause = type(failure).__name__, failure.cause
        event.retry_after = failure.retry_after if isinstance(failure, SourceUnavailable | TooManyQueries) else None
        if case.call.told.acquire(blocking=False):
            self.events.query(event, case.started)
            self.watch.refused(event.door, event.failure)
        return problem_of(failure, event.correlation_id, token_presented=bool(case.call.credentials.authorization))
