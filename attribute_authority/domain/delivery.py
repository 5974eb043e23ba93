"""Deliveries: the iD of one person, or that there is none any more, on its way to a system of the home organisation.

A delivery carries a state and no change: whoever takes it twice, or misses the one before it, ends up right.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId


@dataclass(frozen=True, slots=True, order=True)
class SinkName:
    """A sink: the home organisation, and the name under which its configuration has the sink."""

    home_organisation: EntityId
    name: str

    def __str__(self) -> str:
        """Write it as log, metrics and health have it."""
        return f"{self.home_organisation} sink {self.name}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a sink is handed.

    `reference` is the idempotency key, the same at every attempt; people read it out to one another. `identifiers` are all that the
    person has now, the newest first. `orcid` is the iD in force, None where it is withdrawn. `former` are iDs that may stand there by
    our hand and must not stand there any more. `changed_at` is the instant of the link or the withdrawal. `attempt` counts from 1.
    `may_be_ours` tells that we may have written `orcid` there before; otherwise one that already stands there is somebody else's.
    """

    reference: str
    home_organisation: EntityId
    identifiers: tuple[Identifier, ...] = field(repr=False)
    orcid: OrcidId | None = field(repr=False)
    former: tuple[OrcidId, ...] = field(repr=False)
    environment: Environment
    changed_at: datetime
    attempt: int = 1
    may_be_ours: bool = False

    def values(self, kind: IdentifierKind) -> tuple[str, ...]:
        """Return the person's identifiers of a kind, as the home organisation spells them, the newest first."""
        return tuple(one.spelling or one.value for one in self.identifiers if one.kind is kind)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a sink says of a delivery that has been made.

    `found` tells that the iD stood there already, whoever wrote it. `remark` is the other side's own reference, if any.
    """

    found: bool = False
    remark: str | None = None


class DeliveryState(StrEnum):
    """How a delivery stands. Only PENDING ones are attempted; SUPERSEDED ones gave way to a newer state of the same person."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Lane:
    """What is claimed together: the deliveries to one sink in one environment.

    Whoever claims, called `holder`, has them for `lease`. With `before` only those are due that were written by then.
    """

    sink: SinkName
    environment: Environment
    holder: str
    lease: timedelta
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that is to be made now, by whoever has its `lease`; `ages_from` is from when on its age counts."""

    delivery: Delivery
    sink: SinkName
    lease: str
    ages_from: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: delivered, parked, or still pending until `due_at`.

    `message` is what the other side said, cleaned, or why it was not delivered. `found` is as in the receipt.
    `counts` tells that the attempt reached the other system, so that something may have been written there.
    """

    reference: str
    lease: str
    state: DeliveryState
    due_at: datetime | None = None
    message: str | None = None
    found: bool = False
    counts: bool = True


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as it stands in the books.

    `attempts` counts those that began. `due_at` is when it is attempted next, None unless it is pending; `in_hand` tells that somebody
    is at it. `ended_at` is the instant of the latest outcome. `told_at` is when the organisation was told of a parked one.
    """

    reference: str
    sink: SinkName
    subject_id: int
    identifiers: tuple[Identifier, ...] = field(repr=False)
    orcid: OrcidId | None = field(repr=False)
    environment: Environment
    state: DeliveryState
    changed_at: datetime
    created_at: datetime
    attempts: int
    due_at: datetime | None
    in_hand: bool
    ended_at: datetime | None
    message: str | None
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliverySelection:
    """Which deliveries are meant: those for which everything that is given holds; None is everything."""

    home_organisation: EntityId | None = None
    sink: str | None = None
    states: frozenset[DeliveryState] | None = None
    reference: str | None = None
    identifier: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many deliveries of a sink are pending and how many parked, and since when the oldest pending one has waited."""

    sink: SinkName
    pending: int
    parked: int
    oldest: datetime | None
