"""The ports of deliveries: the systems that take them, and the books in which they are kept.

What changes links writes the deliveries too, in the same transaction: one for each sink of the home organisation.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol, runtime_checkable

from attribute_authority.domain.delivery import (
    Backlog,
    Delivery,
    DeliveryRecord,
    DeliverySelection,
    DueDelivery,
    Lane,
    Outcome,
    Receipt,
    SinkName,
)
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.domain.letter import Letter
from attribute_authority.errors import DeliveryRefused

_NO_TIME: Final = timedelta()


class Sink(Protocol):
    """A home organisation's own system that takes iDs. Threads share it.

    Every method ends within the sink's configured time-out, whatever the other side does, and none follows a redirect or a referral.
    """

    def deliver(self, delivery: Delivery) -> Receipt:
        """Bring the person there to the state of the delivery; doing so again changes nothing.

        What stands there and is not ours stays: neither `orcid` nor among `former`. Before anything is sent that can change anything,
        the time-out is checked once more.
        Raises SinkUnavailable where nothing can be delivered to anybody at the moment; DeliveryDeferred where this one may succeed later;
        DeliveryRefused where a person has to do something first, as for somebody who is not known there.
        """
        ...

    def rehearse(self, delivery: Delivery) -> str:
        """Say in a sentence what `deliver` would do, and change nothing. Raises what `deliver` would, as far as that can be told."""
        ...

    def check(self) -> None:
        """Try whether anything could be delivered, without naming anybody.

        Raises CouldNotAsk; OperatorError where what is configured cannot work.
        """
        ...

    def close(self) -> None:
        """Give up every connection; nothing is delivered after that."""
        ...


@runtime_checkable
class CollectingSink(Protocol):
    """A sink that takes many deliveries together, at certain times; it has the methods of `Sink` too."""

    def slot(self, now: datetime) -> datetime:
        """Return the latest instant, not after `now`, at which something was due; what was written until then is to be delivered."""
        ...

    def deliver_all(self, deliveries: Sequence[Delivery], slot: datetime) -> Sequence[Receipt | DeliveryRefused]:
        """Deliver all of them together; returns one outcome for each, in their order: those that are refused are left out.

        Raises SinkUnavailable, and then none was delivered. Doing so again changes nothing.
        """
        ...


class Postbox(Protocol):
    """Whoever changes links, told where deliveries go."""

    def use_sinks(self, sinks: Mapping[EntityId, Sequence[str]]) -> None:
        """Write deliveries to these sinks, by home organisation, from now on; without a call to none."""
        ...


class DeliveryQueue(Protocol):
    """Hands deliveries out and records how they ended; several workers and nodes may do so at once."""

    def claim_deliveries(self, lane: Lane, now: datetime, limit: int) -> tuple[DueDelivery, ...]:
        """Return deliveries that are due at `now` and in nobody's hands, the longest due first, and lease them.

        Of one person and sink never more than one is in hand. Raises CouldNotAsk.
        """
        ...

    def release_leases(self, holder: str, now: datetime, patience: timedelta = _NO_TIME) -> int:
        """Shorten to `patience` the leases of a holder who is known to be gone; returns how many.

        For so long the other system may still be working on what that one sent, and nothing newer may overtake it. Raises CouldNotAsk.
        """
        ...

    def record_outcomes(self, outcomes: Sequence[Outcome], now: datetime) -> int:
        """Record how attempts ended, all of them in one transaction; returns how many were still leased by whoever made them.

        For one that was not, the present state of the person is written as a new delivery: the late attempt may have been the last one
        to reach the other system. A newer delivery that had to wait for the end of this attempt becomes due. Raises CouldNotAsk.
        """
        ...

    def read_backlogs(self, environment: Environment) -> tuple[Backlog, ...]:
        """Return for each sink that has pending or parked deliveries how many, by name. Raises CouldNotAsk."""
        ...


class DeliveryBook(Protocol):
    """What operators read and change. Every method raises CouldNotAsk."""

    def list_deliveries(self, selection: DeliverySelection, latest_first: bool = False) -> Iterator[DeliveryRecord]:
        """Yield deliveries in the order in which they were written, streamed."""
        ...

    def retry_deliveries(self, selection: DeliverySelection, now: datetime) -> int:
        """Make parked deliveries, and pending ones that wait, due at once; returns how many. Their age counts from now on.

        One that a newer delivery to the same person and sink has followed stays as it is, and so does one that is in hand.
        """
        ...

    def cancel_deliveries(self, selection: DeliverySelection, now: datetime) -> int:
        """Cancel parked and pending deliveries that are in nobody's hands; returns how many."""
        ...

    def replay_deliveries(self, sink: SinkName, environment: Environment, after: int, limit: int, now: datetime) -> tuple[int, int]:
        """Write the present state of up to `limit` people of the organisation as new deliveries, in one transaction.

        People are those with a link, in force or withdrawn, whose subject_id lies above `after`, in that order. Returns the last subject_id
        (`after` where there was nobody left) and how many there were.
        """
        ...

    def count_replay(self, home_organisation: EntityId, environment: Environment) -> int:
        """Return how many people a replay is about; for progress."""
        ...

    def preview_deliveries(self, selection: DeliverySelection) -> Iterator[DueDelivery]:
        """Yield what sinks would be handed for pending and parked deliveries; nothing is leased."""
        ...

    def preview_replay(self, sink: SinkName, environment: Environment) -> Iterator[DueDelivery]:
        """Yield what the sink would be handed in a replay; nothing is written."""
        ...


class DeliveryReader(Protocol):
    """What the companion page shows."""

    def read_deliveries(self, subject_id: int, environment: Environment, sinks: Collection[SinkName]) -> tuple[DeliveryRecord, ...]:
        """Return the newest delivery to each of the sinks about a person, in the order of the sinks' names. Raises CouldNotAsk."""
        ...


class DeliveryNotices(Protocol):
    """Which parked deliveries the organisations have to be told of."""

    def claim_untold(
        self, home_organisation: EntityId, now: datetime, lease: timedelta, limit: int, waited: timedelta
    ) -> tuple[DeliveryRecord, ...]:
        """Return parked deliveries that nobody has told of, once the oldest has waited so long, and lease them. Raises CouldNotAsk."""
        ...

    def record_told(self, references: Collection[str], now: datetime) -> None:
        """Note that the organisation was told of them. Raises CouldNotAsk."""
        ...


class DeliveryWatch(Protocol):
    """Is told how deliveries fare, for the metrics; `sink` is the name of a sink as text."""

    def attempted(self, sink: str, outcome: str, seconds: float) -> None:
        """Note an attempt: `outcome` is delivered, deferred, parked, or unavailable where the sink as a whole takes nothing."""
        ...

    def backlog(self, sink: str, pending: int, parked: int, oldest: float) -> None:
        """Note what waits: `oldest` is for how many seconds, 0 where nothing does."""
        ...

    def sink_paused(self, sink: str, paused: bool) -> None:
        """Note that a sink is left alone because of an outage, or is tried again."""
        ...


class Courier(Protocol):
    """Takes letters to organisations."""

    def send(self, letter: Letter) -> None:
        """Hand a letter to a mail server, and return when that one has accepted it.

        It may have been sent although it says that it was not. Raises CouldNotAsk.
        """
        ...
