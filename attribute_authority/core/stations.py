"""A sink with threads of its own, and what they have in hand; used by the thread of the dispatcher alone."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from attribute_authority.core.attempting import Attempt, Attempting
from attribute_authority.delivery_ports import CollectingSink, Sink
from attribute_authority.domain.delivery import DeliveryState, DueDelivery, Outcome, SinkName
from attribute_authority.errors import AuthorityError, CouldNotAsk, SinkUnavailable

GIVEN_BACK: Final = "given back"
"""The kind of an attempt that was never begun."""

_AHEAD: Final = 16
"""Deliveries claimed for each thread of a sink: books are read and written for many at once."""

_COLLECTED: Final = 10_000
_LEASE_MARGIN: Final = timedelta(seconds=30)
_MOST_LOST: Final = 64
"""Threads of a sink, at least, that never came back before no further ones are risked for it."""


@dataclass(frozen=True, slots=True)
class NamedSink:
    """A sink under its name; `places` is how many deliveries it takes at a time, `timeout` how long one takes at most."""

    name: SinkName
    sink: Sink
    places: int
    timeout: timedelta


@dataclass(slots=True)
class Station:
    """A sink with its threads and what they have in hand."""

    named: NamedSink
    attempting: Attempting
    wake: Callable[[], None]
    paused_at: datetime | None = None
    until: datetime | None = None
    """When everything that was begun has ended, if the connector ends in time."""
    _lost: int = 0
    _hands: ThreadPoolExecutor = field(init=False)
    _in_hand: "dict[Future[tuple[Attempt, ...]], tuple[DueDelivery, ...]]" = field(default_factory=dict)
    _check: "Future[None] | None" = None

    def __post_init__(self) -> None:
        self._hands = self._new_hands()

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing in hand."""
        return not self._in_hand and self._check is None

    @property
    def room(self) -> int:
        """How many deliveries are worth claiming now: none while there is enough to do."""
        if isinstance(self.named.sink, CollectingSink):
            return _COLLECTED if self.is_idle else 0
        most = self.named.places * _AHEAD
        free = most - len(self._in_hand)
        return free if 2 * free >= most else 0

    @property
    def trial(self) -> int:
        """How many deliveries try whether the sink is back."""
        return _COLLECTED if isinstance(self.named.sink, CollectingSink) else 1

    @property
    def lease(self) -> timedelta:
        """How long everything that it may have in hand can take."""
        return self.named.timeout * (_AHEAD + 1) + _LEASE_MARGIN

    def slot(self, now: datetime) -> datetime | None:
        """Return until when something must have been written for a sink that collects, None for others."""
        sink = self.named.sink
        if not isinstance(sink, CollectingSink):
            return None
        slot = sink.slot(now)
        if slot.tzinfo is None:
            raise TypeError("a sink has named an instant without a time zone")
        return slot

    def begin(self, dues: Sequence[DueDelivery]) -> None:
        """Begin deliveries, each by itself."""
        for due in dues:
            self._submit((due,), partial(self._attempt, due))

    def begin_together(self, dues: Sequence[DueDelivery], slot: datetime) -> None:
        """Begin deliveries that are made together."""
        sink = self.named.sink
        if isinstance(sink, CollectingSink):
            self._submit(tuple(dues), partial(self.attempting.attempt_all, sink, dues, slot))

    def begin_check(self) -> None:
        """Try the sink without delivering anything."""
        self._check = self._hands.submit(self.named.sink.check)
        self._check.add_done_callback(lambda _: self.wake())

    def collect(self) -> Iterator[Attempt]:
        """Yield the attempts that have ended since the last time; what was never begun is given back."""
        for future in [future for future in self._in_hand if future.done()]:
            dues = self._in_hand.pop(future)
            if future.cancelled():
                yield from (_given_back(due) for due in dues)
            else:
                yield from future.result()

    def has_passed_check(self) -> bool:
        """Whether a check has ended well; tells it once."""
        if self._check is None or not self._check.done() or self._check.exception() is not None:
            return False
        self._check = None
        return True

    def failed_check(self) -> CouldNotAsk | None:
        """Return why a check has failed, None where it has not; tells it once."""
        if self._check is None or not self._check.done():
            return None
        failure, self._check = self._check.exception(), None
        return failure if isinstance(failure, CouldNotAsk) else SinkUnavailable(describe_failure(failure))

    def cancel(self) -> None:
        """Begin nothing more."""
        for future in self._in_hand:
            future.cancel()

    def give_up_lost(self, now: datetime) -> int:
        """Forget what should have ended long ago, and go on with new threads; returns how many were lost.

        Its leases are over: it is delivered once more.
        """
        if self.is_idle or self.until is None or now < self.until or self._lost >= _MOST_LOST:
            return 0
        lost = sum(not future.cancelled() for future in self._in_hand) + (self._check is not None)
        self._lost += lost
        self._in_hand, self._check = {}, None
        self._hands.shutdown(wait=False, cancel_futures=True)
        self._hands = self._new_hands()
        return lost

    def close(self) -> None:
        """Give up threads and connections; a connector that fails at it keeps nobody."""
        self._hands.shutdown(wait=False, cancel_futures=True)
        with suppress(Exception):
            self.named.sink.close()

    def _new_hands(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.named.places, thread_name_prefix=self.named.name.name)

    def _attempt(self, due: DueDelivery) -> tuple[Attempt, ...]:
        return (self.attempting.attempt(self.named.sink, due),)

    def _submit(self, dues: tuple[DueDelivery, ...], work: Callable[[], tuple[Attempt, ...]]) -> None:
        future = self._hands.submit(work)
        self._in_hand[future] = dues
        future.add_done_callback(lambda _: self.wake())


def _given_back(due: DueDelivery) -> Attempt:
    # Due since before, so that whoever looks next takes it.
    outcome = Outcome(due.delivery.reference, due.lease, DeliveryState.PENDING, due.ages_from, counts=False)
    return Attempt(due, outcome, GIVEN_BACK, due.ages_from)


def describe_failure(failure: BaseException | None) -> str:
    """Say why nothing can be done with a sink, without the words of an exception that is none of ours."""
    return failure.cause if isinstance(failure, AuthorityError) else f"a defect of its connector: {type(failure).__name__}"
