"""Who tries identifiers out: of every requester's questions within an hour, how many were about nobody known?

Each worker counts for itself and adds its counts to the shared ones with every 25th question of a requester, when an hour is over,
and whenever `flush` is called; the sums over all workers and nodes are judged then. A suspicion is told once per requester and hour.

A shut-out holds at once in the worker that finds the suspicion, and in every other at the latest after its 25th further question of
that requester (a batch, however large, is one step) or its next `flush`; a worker that does not know the requester yet looks first.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from attribute_authority.core.limiting import bucket_name
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.limits import EnumerationRule, Suspicion
from attribute_authority.errors import CouldNotAsk, TooManyQueries
from attribute_authority.ports import AttemptCounter

_FLUSH_EVERY: Final = 25
_HOUR: Final = 3600
_LATE_FLUSH: Final = timedelta(hours=1)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Tally:
    """Questions of a requester within an hour that the shared counts lack."""

    asked: int = 0
    unknown: int = 0

    def add(self, asked: int, unknown: int) -> None:
        self.asked += asked
        self.unknown += unknown


_Key = tuple[EntityId, int]
"""A requester and an hour, numbered from the Unix epoch on."""


class Enumeration:
    """Watches what requesters ask for, and shuts out where the rule says so; threads share it."""

    def __init__(self, counter: AttemptCounter, rule_of: Callable[[EntityId], EnumerationRule]) -> None:
        self._counter = counter
        self._rule_of = rule_of
        self._shut_outs = _ShutOuts(counter)
        self._lock = threading.Lock()
        self._tallies: dict[_Key, _Tally] = {}
        self._suspected: set[_Key] = set()

    def check(self, requester: EntityId, now: datetime) -> None:
        """Raise TooManyQueries, with the seconds that are left, while the requester is shut out; CouldNotAsk."""
        rule = self._rule_of(requester)
        if not rule.blocks:
            return
        until = self._shut_outs.known(requester)
        if until is None:
            until = self._shut_outs.read(requester, rule, now)
        if until > now:
            raise TooManyQueries("shut out for trying identifiers out", (until - now).total_seconds())

    def observe(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> tuple[Suspicion, ...]:
        """Note an answer to so many questions, so many of them about nobody known; returns what has become suspicious by it.

        What cannot be added to the shared counts, because the database is away, is added the next time.
        """
        hour = _hour(now)
        key, past = (requester, hour), (requester, hour - 1)
        with self._lock:
            tally = self._tallies.get(key)
            if tally is None:
                tally = self._tallies[key] = _Tally()
            tally.add(asked, unknown)
            due = (key,) if tally.asked >= _FLUSH_EVERY else ()
            if past in self._tallies:
                due = (past, *due)
        return self._share(due, now) if due else ()

    def flush(self, now: datetime) -> tuple[Suspicion, ...]:
        """Add every count to the shared ones, forget what is past, and return what has become suspicious.

        What cannot be added, because the database is away, is added the next time.
        """
        with self._lock:
            due = tuple(self._tallies)
            self._suspected = {key for key in self._suspected if key[1] >= _hour(now) - 1}
        found = self._share(due, now)
        self._shut_outs.forget(now)
        return found

    def _share(self, due: tuple[_Key, ...], now: datetime) -> tuple[Suspicion, ...]:
        found = []
        for key in due:
            with self._lock:
                tally = self._tallies.pop(key, None)
            if tally is None:
                continue
            try:
                suspicion = self._judge(key, tally, now)
            except CouldNotAsk:
                with self._lock:
                    self._tallies.setdefault(key, _Tally()).add(tally.asked, tally.unknown)
                break
            if suspicion is not None:
                found.append(suspicion)
        return tuple(found)

    def _judge(self, key: _Key, tally: _Tally, now: datetime) -> Suspicion | None:
        requester, rule = key[0], self._rule_of(key[0])
        # In this order: what fails in between makes the share of the unknown look smaller, not larger.
        asked = self._count("asked", key, tally.asked)
        unknown = self._count("unknown", key, tally.unknown)
        suspicion = Suspicion(requester, asked, unknown) if rule.is_met_by(asked, unknown) and self._is_first(key) else None
        if suspicion is not None and rule.blocks:
            self._shut_outs.record(requester, rule, now, _end_of(key[1]))
        elif rule.blocks:
            self._shut_outs.read(requester, rule, now)
        return suspicion

    def _is_first(self, key: _Key) -> bool:
        """Whether nobody else has told this suspicion."""
        if key in self._suspected:
            return False
        first = self._count("suspected", key, 1) == 1
        with self._lock:
            self._suspected.add(key)
        return first

    def _count(self, purpose: str, key: _Key, number: int) -> int:
        requester, hour = key
        return self._counter.count_attempts(bucket_name(purpose, hour, requester), number, _end_of(hour) + _LATE_FLUSH)


class _ShutOuts:
    """Who is shut out and until when, in the shared counter and, as last seen there, in this process.

    A counter can only be added to, and cannot be asked when it ends. So time is cut into slots as long as the longest shut-out,
    and the bucket of a requester and slot holds the seconds from the slot's beginning to the end of the shut-out.
    """

    def __init__(self, counter: AttemptCounter) -> None:
        self._counter = counter
        self._lock = threading.Lock()
        self._until: dict[EntityId, datetime] = {}

    def known(self, requester: EntityId) -> datetime | None:
        """Return the end of the shut-out as last seen, an instant in the past where there is none, None where nobody has looked."""
        return self._until.get(requester)

    def read(self, requester: EntityId, rule: EnumerationRule, now: datetime) -> datetime:
        """Look into the shared counter, and return the end, an instant in the past where there is no shut-out. Raises CouldNotAsk."""
        slot = _slot_of(rule, now)
        seconds = self._counter.count_attempts(slot.bucket(requester), 0, slot.expires_at)
        return self._keep(requester, slot.begins_at + timedelta(seconds=seconds) if seconds else _NEVER)

    def record(self, requester: EntityId, rule: EnumerationRule, now: datetime, earliest: datetime) -> None:
        """Shut a requester out as long as the rule says, and not less than until `earliest`. Raises CouldNotAsk."""
        until = self._keep(requester, max(now + rule.block_for, earliest))
        slot = _slot_of(rule, now)
        while slot.begins_at < until:
            self._counter.count_attempts(slot.bucket(requester), ceil((until - slot.begins_at).total_seconds()), slot.expires_at)
            slot = slot.next

    def forget(self, now: datetime) -> None:
        """Forget what is over, and who is not shut out: the next query of theirs looks again."""
        with self._lock:
            self._until = {requester: until for requester, until in self._until.items() if until > now}

    def _keep(self, requester: EntityId, until: datetime) -> datetime:
        with self._lock:
            latest = self._until[requester] = max(until, self._until.get(requester, _NEVER))
        return latest


@dataclass(frozen=True, slots=True)
class _Slot:
    """A piece of time, `seconds` long and numbered from the Unix epoch on; no shut-out reaches beyond the slot after its own."""

    number: int
    seconds: int

    @property
    def begins_at(self) -> datetime:
        return datetime.fromtimestamp(self.number * self.seconds, UTC)

    @property
    def expires_at(self) -> datetime:
        return self.next.begins_at + _LATE_FLUSH

    @property
    def next(self) -> "_Slot":
        return _Slot(self.number + 1, self.seconds)

    def bucket(self, requester: EntityId) -> str:
        return bucket_name(f"shut-out-{self.seconds}", self.number, requester)


def _slot_of(rule: EnumerationRule, now: datetime) -> _Slot:
    seconds = max(_HOUR, ceil(rule.block_for.total_seconds()))
    return _Slot(int(now.timestamp() // seconds), seconds)


def _hour(now: datetime) -> int:
    return int(now.timestamp() // _HOUR)


def _end_of(hour: int) -> datetime:
    return datetime.fromtimestamp((hour + 1) * _HOUR, UTC)
