"""The table of deliveries as somebody beside the worker sees it, over a connection that only reads."""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_PATIENCE = 120.0
_PENDING = "SELECT count(*) FROM delivery WHERE state = 'pending'"
_ENDED = "SELECT count(*), min(ended_at), max(ended_at) FROM delivery WHERE sink = ? AND state = 'delivered'"
_SINKS = "SELECT DISTINCT sink FROM delivery WHERE state = 'pending'"
_PARKED = "SELECT count(*), min(message) FROM delivery WHERE state = 'parked'"
_FIRST = "SELECT count(*) FROM delivery WHERE sink = ? AND state = 'delivered' AND ended_at = ?"


class NotDelivered(AssertionError):
    """Deliveries did not arrive; figures of them mean nothing."""


@dataclass(frozen=True, slots=True)
class Books:
    """Reads how deliveries fare."""

    connection: sqlite3.Connection

    def count_pending(self) -> int:
        """Return how many are pending, of all sinks."""
        return int(self.connection.execute(_PENDING).fetchone()[0])

    def is_pending_for_all(self, sinks: Iterable[str]) -> bool:
        """Whether something is pending for each of the sinks."""
        return {name for (name,) in self.connection.execute(_SINKS)} >= set(sinks)

    def require_none_parked(self) -> None:
        """Raise NotDelivered where a delivery was refused."""
        count, message = self.connection.execute(_PARKED).fetchone()
        if count:
            raise NotDelivered(f"{count} are parked: {message}")

    def wait_until_pending(self, at_most: int) -> int:
        """Return how many are pending once there are at most so many. Raises NotDelivered where none is delivered for long."""
        lowest, deadline = self.count_pending(), time.monotonic() + _PATIENCE
        while (pending := self.count_pending()) > at_most:
            if pending < lowest:
                lowest, deadline = pending, time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                raise NotDelivered(f"{pending} deliveries are still pending")
            time.sleep(0.02)
        return pending

    def rate(self, sink: str, expected: int) -> float:
        """Return how many were delivered a second, from the first recorded outcome to the last. Raises NotDelivered for another number."""
        count, first, last = self.connection.execute(_ENDED, (sink,)).fetchone()
        if count != expected:
            raise NotDelivered(f"{count} of {expected} were delivered to {sink}")
        # Outcomes are recorded together; those that were with the first had begun before.
        with_first = self.connection.execute(_FIRST, (sink, first)).fetchone()[0]
        return float((count - with_first) / (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())


@contextmanager
def open_books(database: Path) -> Iterator[Books]:
    """Open the deliveries of an SQLite database."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)) as connection:
        yield Books(connection)
