"""Deliveries that are due, and sinks that do what a test tells them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from attribute_authority.domain.delivery import Delivery, DueDelivery, Receipt, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.errors import DeliveryRefused

HOME = EntityId("https://idp.uni.example/idp")
SINK = SinkName(HOME, "idm")
ORCID = OrcidId("0000-0002-1825-0097")
OTHER_ORCID = OrcidId("0000-0001-5109-3700")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEPPO = parse_identifier(IdentifierKind.EPPN, "teppo@uni.example")


def due(
    reference: str = "d1", *, orcid: OrcidId | None = ORCID, attempt: int = 1, may_be_ours: bool = False, ages_from: datetime = NOW
) -> DueDelivery:
    """Return a delivery that somebody has in hand."""
    delivery = Delivery(reference, HOME, (TEPPO,), orcid, (), Environment.PRODUCTION, NOW, attempt, may_be_ours)
    return DueDelivery(delivery, SINK, f"lease of {reference}", ages_from)


@dataclass(slots=True)
class ScriptedSink:
    """A sink that answers by `react`, which may raise, and remembers what it was handed; threads may share it."""

    react: Callable[[Delivery], Receipt] = lambda _: Receipt()
    checks: Callable[[], None] = lambda: None
    taken: list[Delivery] = field(default_factory=list)
    closed: bool = False
    _lock: Lock = field(default_factory=Lock)

    def deliver(self, delivery: Delivery) -> Receipt:
        """Note the delivery, and react."""
        with self._lock:
            self.taken.append(delivery)
        return self.react(delivery)

    def rehearse(self, delivery: Delivery) -> str:
        """Say something."""
        return f"would take {delivery.reference}"

    def check(self) -> None:
        """Do what the test says."""
        self.checks()

    def close(self) -> None:
        """Note it."""
        self.closed = True


@dataclass(slots=True)
class ScriptedCollection(ScriptedSink):
    """A sink that takes deliveries together; `refused` are references that it leaves out."""

    slot_at: datetime = NOW
    refused: frozenset[str] = frozenset()
    together: list[tuple[str, ...]] = field(default_factory=list)

    def slot(self, now: datetime) -> datetime:
        """Return the instant that the test says."""
        return min(now, self.slot_at)

    def deliver_all(self, deliveries: Sequence[Delivery], slot: datetime) -> Sequence[Receipt | DeliveryRefused]:
        """Note them, and take or refuse each."""
        self.together.append(tuple(delivery.reference for delivery in deliveries))
        return [DeliveryRefused("left out") if one.reference in self.refused else self.react(one) for one in deliveries]
