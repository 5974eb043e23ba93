"""When files are due: at times of the day where the organisation is, or every so many minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Schedule(Protocol):
    """Tells at which instants files are due."""

    def latest(self, now: datetime) -> datetime:
        """Return the latest of them that is not after `now`, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class TimesOfDay:
    """Every day at these local times.

    A time that the clocks skip is as much later as they are put forward, and of one that comes twice the first counts
    (RFC 5545 section 3.3.5).
    """

    times: Sequence[time]
    zone: ZoneInfo

    def latest(self, now: datetime) -> datetime:
        """Return the latest of them that is not after `now`, in UTC."""
        today = now.astimezone(self.zone).date()
        # Zones have left out whole days, when they moved across the date line.
        days = [today - timedelta(days=back) for back in range(4)]
        instants = [datetime.combine(day, at, self.zone).astimezone(UTC) for day in days for at in self.times]
        return max(instant for instant in instants if instant <= now)


@dataclass(frozen=True, slots=True)
class EveryMinutes:
    """Every so many minutes from midnight UTC; `minutes` divides the day."""

    minutes: int

    def latest(self, now: datetime) -> datetime:
        """Return the latest of them that is not after `now`, in UTC."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        step = timedelta(minutes=self.minutes)
        return midnight + (now - midnight) // step * step
