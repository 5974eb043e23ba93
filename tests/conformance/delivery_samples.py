"""What the suites of deliveries share: sinks, instants, and the steps of a worker in one call."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from attribute_authority.delivery_ports import DeliveryBook, DeliveryNotices, DeliveryQueue, DeliveryReader, Postbox
from attribute_authority.domain.delivery import DeliveryRecord, DeliverySelection, DeliveryState, DueDelivery, Lane, Outcome, SinkName
from attribute_authority.domain.identifiers import Environment
from attribute_authority.domain.link import Link
from attribute_authority.ports import LinkingStore, LinkStore
from tests.conformance.samples import HOME, NOW, OTHER_HOME, PRODUCTION, TEPPO, new_link

LDAP = SinkName(HOME, "ldap")
CSV = SinkName(HOME, "csv")
SINKS = {HOME: ("ldap",)}
TWO_SINKS = {HOME: ("ldap", "csv")}
ELSEWHERE = SinkName(OTHER_HOME, "ldap")

LEASE = timedelta(minutes=2)
HOUR = timedelta(hours=1)
SOON = NOW + timedelta(minutes=1)
LATER = NOW + HOUR
EVERYTHING = DeliverySelection()
ALL = 100
WORKER = "node-1"


class Books(DeliveryQueue, DeliveryBook, DeliveryReader, DeliveryNotices, Protocol):
    """Everything about deliveries."""


class PostingLinks(LinkStore, Postbox, Protocol):
    """A store of links that writes deliveries."""


class PostingLinkings(LinkingStore, Postbox, Protocol):
    """A store of linkings that writes deliveries."""


@dataclass(slots=True)
class SetClock:
    """A clock that stands still until it is set."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Return the instant that it was set to."""
        return self.now


def lane(sink: SinkName = LDAP, *, environment: Environment = PRODUCTION, before: datetime | None = None, holder: str = WORKER) -> Lane:
    """Make a lane with the usual lease."""
    return Lane(sink, environment, holder, LEASE, before)


def claim(books: DeliveryQueue, now: datetime = NOW, sink: SinkName = LDAP, limit: int = ALL) -> tuple[DueDelivery, ...]:
    """Claim what is due for a sink."""
    return books.claim_deliveries(lane(sink), now, limit)


def claim_one(books: DeliveryQueue, now: datetime = NOW, sink: SinkName = LDAP) -> DueDelivery:
    """Claim the one delivery that is due for a sink."""
    (due,) = claim(books, now, sink)
    return due


def ended(due: DueDelivery, state: DeliveryState = DeliveryState.DELIVERED, *, found: bool = False, message: str | None = None) -> Outcome:
    """Make an outcome that leaves nothing to be attempted."""
    return Outcome(due.delivery.reference, due.lease, state, message=message, found=found)


def deferred(due: DueDelivery, until: datetime, *, counts: bool = True) -> Outcome:
    """Make the outcome of an attempt that is to be repeated."""
    return Outcome(due.delivery.reference, due.lease, DeliveryState.PENDING, until, "the system is busy", counts=counts)


def deliver(books: DeliveryQueue, now: datetime = NOW, sink: SinkName = LDAP, *, found: bool = False) -> DueDelivery:
    """Deliver the one delivery that is due."""
    due = claim_one(books, now, sink)
    books.record_outcomes([ended(due, found=found)], now)
    return due


def park(books: DeliveryQueue, now: datetime = NOW, sink: SinkName = LDAP) -> DueDelivery:
    """Park the one delivery that is due."""
    due = claim_one(books, now, sink)
    books.record_outcomes([ended(due, DeliveryState.PARKED, message="unknown there")], now)
    return due


def link_teppo(links: PostingLinks) -> Link:
    """Link the usual person, whose home organisation has a sink."""
    links.use_sinks(SINKS)
    return links.add_link(new_link(TEPPO))


def records(books: DeliveryBook, selection: DeliverySelection = EVERYTHING) -> list[DeliveryRecord]:
    """Return the deliveries of a selection."""
    return list(books.list_deliveries(selection))


def states(books: DeliveryBook) -> list[str]:
    """Return how all deliveries stand, in the order in which they were written."""
    return [record.state.value for record in records(books)]
