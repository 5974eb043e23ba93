"""How much one requester may ask: fixed windows of a minute and of a day of UTC, counted across every worker and node.

A database write for every query would cost more than many an answer. So a worker claims a block of permits from the shared counter, and
spends it from its own memory: as many as it has spent in this window already, and at most a fiftieth of the limit. What is claimed is
counted, so the limit is never exceeded. What a worker has not spent is lost when the window, the worker or its configuration ends; that is
never more than it has spent, so that many workers, and many reloads, cannot use up the day of a requester that asks little.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.limits import Limits
from attribute_authority.errors import AuthorityError, TooManyQueries
from attribute_authority.ports import AttemptCounter

_BLOCKS: Final = 50
_CLOCK_SKEW: Final = timedelta(minutes=1)
_DIGEST_OCTETS: Final = 16


def bucket_name(purpose: str, window: int, requester: EntityId) -> str:
    """Name a bucket of the shared counter: of bounded length whatever the entityID, and unlike a pseudonym, which has no colon."""
    return f"{purpose}:{window}:{sha256(requester.encode()).hexdigest()[: 2 * _DIGEST_OCTETS]}"


# Compared by identity, for it is part of a key that every query looks up.
@dataclass(frozen=True, slots=True, eq=False)
class _Period:
    """A kind of window, `seconds` long; windows are numbered from the Unix epoch on."""

    name: str
    seconds: int

    def window(self, timestamp: float) -> int:
        return int(timestamp // self.seconds)

    def ends_at(self, window: int) -> datetime:
        return datetime.fromtimestamp((window + 1) * self.seconds, UTC)


_MINUTE: Final = _Period("minute", 60)
_DAY: Final = _Period("day", 86_400)


@dataclass(slots=True)
class _Purse:
    """What this worker knows of a requester's window: permits spent and held, the shared count as last seen, and whether it is claiming."""

    window: int
    spent: int = 0
    permits: int = 0
    counted: int = 0
    is_claiming: bool = False


@dataclass(slots=True)
class _Demand:
    """So many permits of a requester's window, wanted by a query at `timestamp`, of `limit` there are."""

    requester: EntityId
    period: _Period
    limit: int
    queries: int
    timestamp: float

    @property
    def block(self) -> int:
        return max(1, self.limit // _BLOCKS)

    def too_many(self, window: int) -> TooManyQueries:
        ends_at = self.period.ends_at(window).timestamp()
        return TooManyQueries(f"more than {self.limit} queries in a {self.period.name}", ends_at - self.timestamp)


class Allowances:
    """Spends what every requester is allowed; threads share it, and a claim that has to wait for the database holds up nobody else."""

    def __init__(self, counter: AttemptCounter, limits_of: Callable[[EntityId], Limits]) -> None:
        self._counter = counter
        self._limits_of = limits_of
        self._lock = threading.Lock()
        self._purses: dict[tuple[_Period, EntityId], _Purse] = {}
        self._swept = 0

    def spend(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Take as many permits as there are queries, or none of them: a batch is answered whole or not at all.

        Raises TooManyQueries, with the seconds that are left of the window; CouldNotAsk, and nothing may be answered then.
        """
        limits, timestamp = self._limits_of(requester), now.timestamp()
        of_minute = self._take(_Demand(requester, _MINUTE, limits.per_minute, queries, timestamp))
        try:
            self._take(_Demand(requester, _DAY, limits.per_day, queries, timestamp))
        except AuthorityError:
            self._give_back(of_minute, queries)
            raise

    def _take(self, demand: _Demand) -> _Purse | None:
        if not demand.limit or not demand.queries:
            return None
        with self._lock:
            purse = self._purse(demand)
            if purse.permits >= demand.queries:
                purse.permits -= demand.queries
                purse.spent += demand.queries
                return purse
            if purse.counted >= demand.limit:
                raise demand.too_many(purse.window)
            # One thread claims a block and takes along what is left; others meanwhile claim just what they need themselves.
            # So none waits for another, and a worker never holds more than a block.
            alone, purse.is_claiming = not purse.is_claiming, True
            held = purse.permits if alone else 0
            purse.permits -= held
            ahead = min(purse.spent, demand.block) if alone else 0
        spent = 0
        try:
            held += self._claim(purse, demand, max(demand.queries - held, ahead))
            if held < demand.queries:
                raise demand.too_many(purse.window)
            spent = demand.queries
        finally:
            with self._lock:
                purse.permits += held - spent
                purse.spent += spent
                purse.is_claiming = purse.is_claiming and not alone
        return purse

    def _claim(self, purse: _Purse, demand: _Demand, permits: int) -> int:
        """Count permits as claimed; returns how many of them were within the limit."""
        bucket = bucket_name(demand.period.name, purse.window, demand.requester)
        expires_at = demand.period.ends_at(purse.window) + _CLOCK_SKEW
        # A large batch that does not fit any more must not use up what smaller ones still could.
        if permits > demand.block and self._counter.count_attempts(bucket, 0, expires_at) + permits > demand.limit:
            return 0
        counted = self._counter.count_attempts(bucket, permits, expires_at)
        purse.counted = max(purse.counted, counted)
        return max(0, min(permits, demand.limit - (counted - permits)))

    def _give_back(self, purse: _Purse | None, permits: int) -> None:
        if purse is not None:
            with self._lock:
                purse.permits += permits
                purse.spent -= permits

    def _purse(self, demand: _Demand) -> _Purse:
        self._sweep(demand.timestamp)
        key, window = (demand.period, demand.requester), demand.period.window(demand.timestamp)
        purse = self._purses.get(key)
        if purse is None or purse.window != window:
            purse = self._purses[key] = _Purse(window)
        return purse

    def _sweep(self, timestamp: float) -> None:
        """Drop the purses of past windows, once a minute."""
        minute = _MINUTE.window(timestamp)
        if minute != self._swept:
            self._swept = minute
            self._purses = {key: purse for key, purse in self._purses.items() if purse.window >= key[0].window(timestamp)}
