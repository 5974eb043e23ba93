"""What is shown of deliveries to the home organisation, as plain values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryProgress(StrEnum):
    """How a delivery to one system fares. WAITING was tried in vain, and UNSENT was never written."""

    UNDER_WAY = "under-way"
    WAITING = "waiting"
    DONE = "done"
    PARKED = "parked"
    STOPPED = "stopped"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class ShownDelivery:
    """How one system of the home organisation fares; `system` is its name, None where the organisation has no other.

    `is_removal` tells that the iD is taken away there. `at` is when it is tried again where it waits, and else when it ended; None
    where neither is known. `reference` is what support finds it by, None where nothing was written. `is_told` tells that the
    organisation's support was told.
    """

    system: str | None
    progress: DeliveryProgress
    is_removal: bool
    at: datetime | None
    reference: str | None
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Deliveries:
    """A part of the home page that is also sent by itself: how the systems of the home organisation fare, none where it has none.

    `contact` is the e-mail address of the organisation's support, None where the operator gave none.
    """

    organisation: str
    contact: str | None
    systems: tuple[ShownDelivery, ...]

    @property
    def are_under_way(self) -> bool:
        """Whether anything can still change by itself."""
        return any(one.progress in (DeliveryProgress.UNDER_WAY, DeliveryProgress.WAITING) for one in self.systems)
