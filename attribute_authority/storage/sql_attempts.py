"""Attempts counted in the table `attempt`, on the answer path."""

from datetime import datetime

from sqlalchemy import bindparam, insert, select

from attribute_authority.storage.engine import asking
from attribute_authority.storage.kept import KeptStatement
from attribute_authority.storage.sql_expiring import drop, dropping_expired
from attribute_authority.storage.sql_parts import Connections, StorePart
from attribute_authority.storage.tables import attempt

_ADDING = (
    "ON CONFLICT (bucket) DO UPDATE SET attempts = attempt.attempts + excluded.attempts, expires_at = excluded.expires_at"
    " RETURNING attempts"
)

DROP_ATTEMPTS = dropping_expired(attempt)


class SqlAnsweringAttempts(StorePart):
    """Counts attempts on kept connections.

    Where a connection breaks in the middle, an attempt may be counted twice, never not at all.
    """

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._add_attempts = KeptStatement(connections.kept, insert(attempt).inline(), _ADDING)
        self._read_attempts = KeptStatement(connections.kept, select(attempt.c.attempts).where(attempt.c.bucket == bindparam("bucket")))

    def count_attempt(self, bucket: str, expires_at: datetime) -> int:
        """Add one attempt to a bucket that may be forgotten from `expires_at` on; returns how many it holds now. Raises CouldNotAsk."""
        return self.count_attempts(bucket, 1, expires_at)

    def count_attempts(self, bucket: str, attempts: int, expires_at: datetime) -> int:
        """Add several attempts, or none, at once; returns how many the bucket holds now. Raises CouldNotAsk."""
        if not attempts:
            row = self._read_attempts.row({"bucket": bucket})
            return 0 if row is None else int(row[0])
        instant = self._connections.kept.write_instant(expires_at)
        row = self._add_attempts.row({"bucket": bucket, "attempts": attempts, "expires_at": instant})
        return int(row[0])

    def forget_expired_attempts(self, now: datetime) -> int:
        """Drop buckets that expired before `now`; returns how many. Raises CouldNotAsk."""
        with asking(), self._connections.answering.connect() as connection:
            return drop(connection, DROP_ATTEMPTS, now)
