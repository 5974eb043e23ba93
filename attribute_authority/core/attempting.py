"""One attempt at a delivery, and what follows from how it ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isnan
from traceback import format_tb
from typing import Final

from attribute_authority.core.cleaning import clean_answer
from attribute_authority.delivery_ports import CollectingSink, Sink
from attribute_authority.domain.delivery import DeliveryState, DueDelivery, Outcome, Receipt
from attribute_authority.errors import CouldNotAsk, DeliveryDeferred, DeliveryRefused, SinkUnavailable
from attribute_authority.events import EventLog
from attribute_authority.ports import Clock

_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_RETRY_AFTER: Final = timedelta(days=1)
_WORTH_DOUBLING: Final = 20
_LONGEST_MESSAGE: Final = 500
_WORTH_HEEDING: Final = 5.0


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long a delivery is tried, and how long it waits between two attempts at most."""

    give_up_after: timedelta
    longest_pause: timedelta


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended: what is recorded, and `kind` (delivered, deferred, parked or unavailable) with its cause for the log.

    `away` is why nobody's delivery can be made, None where others can.
    """

    due: DueDelivery
    outcome: Outcome
    kind: str
    began: datetime
    cause: str | None = None
    away: CouldNotAsk | None = None


@dataclass(frozen=True, slots=True)
class Attempting:
    """Hands deliveries to sinks; `random` returns a number from 0 up to 1. `events` is told of defects of connectors."""

    persistence: Persistence
    clock: Clock
    random: Callable[[], float]
    events: EventLog

    def attempt(self, sink: Sink, due: DueDelivery) -> Attempt:
        """Make one delivery. Raises nothing."""
        began = self.clock()
        try:
            told = sink.deliver(due.delivery)
        # Also what ends processes: in a thread it would end nothing but what is known of the delivery.
        except BaseException as failure:  # noqa: BLE001 - the named boundary to connectors, which may be another party's
            return self._failed(due, began, failure)
        return self._judge(due, began, told)

    def attempt_all(self, sink: CollectingSink, dues: Sequence[DueDelivery], slot: datetime) -> tuple[Attempt, ...]:
        """Make deliveries together. Raises nothing."""
        began = self.clock()
        try:
            told = tuple(sink.deliver_all([due.delivery for due in dues], slot))
            if len(told) != len(dues):
                raise TypeError("a sink has answered for another number of deliveries")
        except BaseException as failure:  # noqa: BLE001 - the named boundary to connectors, which may be another party's
            return tuple(self._failed(due, began, failure) for due in dues)
        return tuple(self._judge(due, began, one) for due, one in zip(dues, told, strict=True))

    def _judge(self, due: DueDelivery, began: datetime, told: object) -> Attempt:
        if isinstance(told, DeliveryRefused):
            return self._failed(due, began, told)
        if not isinstance(told, Receipt):
            return self._failed(due, began, TypeError("a sink has answered something that is no Receipt"))
        found = bool(told.found) and not due.delivery.may_be_ours
        try:
            message = clean_answer(told.remark, due.delivery)
        except Exception as defect:  # noqa: BLE001 - a receipt that is made of what it may not be made of
            return self._failed(due, began, defect)
        return Attempt(due, self._outcome(due, DeliveryState.DELIVERED, message=message, found=found), "delivered", began)

    def _failed(self, due: DueDelivery, began: datetime, failure: BaseException) -> Attempt:
        try:
            return self._end(due, began, failure)
        except Exception as defect:  # noqa: BLE001 - a failure that is made of what it may not be made of
            return self._later(due, began, self._report(due, defect), None)

    def _end(self, due: DueDelivery, began: datetime, failure: BaseException) -> Attempt:
        match failure:
            case DeliveryRefused():
                return self._parked(due, began, failure.cause, failure.answer)
            case DeliveryDeferred():
                return self._later(due, began, failure.cause, failure.retry_after)
            case SinkUnavailable():
                return self._later(due, began, failure.cause, failure.retry_after, failure)
            case CouldNotAsk():
                return self._later(due, began, failure.cause, None, failure)
            case _:
                return self._later(due, began, self._report(due, failure), None)

    def _later(self, due: DueDelivery, began: datetime, cause: str, retry_after: float | None, away: CouldNotAsk | None = None) -> Attempt:
        now = self.clock()
        if now - due.ages_from >= self.persistence.give_up_after:
            days = self.persistence.give_up_after.days
            return self._parked(due, began, f"without success for {days} days: {cause}", away=away)
        outcome = self._outcome(due, DeliveryState.PENDING, due_at=now + self._wait(due, retry_after), message=cause)
        return Attempt(due, outcome, "deferred" if away is None else "unavailable", began, cause, away)

    def _parked(self, due: DueDelivery, began: datetime, cause: str, answer: str | None = None, away: CouldNotAsk | None = None) -> Attempt:
        cleaned = clean_answer(answer, due.delivery)
        message = cause if cleaned is None else f"{cause}: {cleaned}"
        return Attempt(due, self._outcome(due, DeliveryState.PARKED, message=message), "parked", began, cause, away)

    def _wait(self, due: DueDelivery, retry_after: float | None) -> timedelta:
        # Also where the whole sink is away: otherwise one delivery that makes it look so would be the next trial for ever.
        pause = min(_FIRST_PAUSE * 2.0 ** min(due.delivery.attempt - 1, _WORTH_DOUBLING), self.persistence.longest_pause)
        return heed(retry_after, pause * (0.5 + self.random() / 2))

    def _outcome(
        self, due: DueDelivery, state: DeliveryState, due_at: datetime | None = None, message: str | None = None, found: bool = False
    ) -> Outcome:
        cut = None if message is None else message[:_LONGEST_MESSAGE]
        return Outcome(due.delivery.reference, due.lease, state, due_at, cut, found)

    def _report(self, due: DueDelivery, defect: BaseException) -> str:
        # Without the words of the exception, which may quote what was delivered.
        kind = type(defect).__name__
        self.events.fault("defect", sink=str(due.sink), exception=kind, traceback="".join(format_tb(defect.__traceback__)))
        return f"a defect of its connector: {kind}"


def heed(retry_after: float | None, pause: timedelta) -> timedelta:
    """Return how long to wait: as long as the other side said, up to a day, or for `pause` where it said nothing that can be used.

    Who says "at once" does not shorten the pause: it could be told so again and again.
    """
    if retry_after is None or isnan(retry_after):
        return pause
    told = timedelta(seconds=min(max(retry_after, 0.0), _LONGEST_RETRY_AFTER.total_seconds()))
    return told if told.total_seconds() >= _WORTH_HEEDING else max(told, pause)
