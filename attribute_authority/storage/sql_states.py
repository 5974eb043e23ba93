"""What the companion page remembers between requests, on a database: states of browsers, messages seen, attempts counted."""

from datetime import datetime

from sqlalchemy import LargeBinary, bindparam, delete, select, text

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.storage.sql_attempts import DROP_ATTEMPTS
from attribute_authority.storage.sql_expiring import drop, dropping_expired
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_replay import DROP_EXPIRED, bounded
from attribute_authority.storage.tables import Instant, attempt, browser_state

# Both databases spell ON CONFLICT alike; SQLAlchemy has it only in the one dialect or the other.
_KEEP = text(
    "INSERT INTO browser_state (key, content, expires_at) VALUES (:key, :content, :expires_at)"
    " ON CONFLICT (key) DO UPDATE SET content = excluded.content, expires_at = excluded.expires_at"
).bindparams(bindparam("content", type_=LargeBinary), bindparam("expires_at", type_=Instant))

_COUNT = (
    text(
        "INSERT INTO attempt (bucket, attempts, expires_at) VALUES (:bucket, :attempts, :expires_at) ON CONFLICT (bucket)"
        " DO UPDATE SET attempts = attempt.attempts + excluded.attempts, expires_at = excluded.expires_at RETURNING attempts"
    )
    .bindparams(bindparam("expires_at", type_=Instant))
    .columns(attempt.c.attempts)
)

_RECORD = text(
    "INSERT INTO seen_message (issuer, message_id, expires_at) VALUES (:issuer, :message_id, :expires_at) ON CONFLICT DO NOTHING"
).bindparams(bindparam("expires_at", type_=Instant))

_DROP_STATES = dropping_expired(browser_state)


class SqlStateKeeper:
    """Keeps states in the table `browser_state`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def keep(self, key: str, content: bytes, expires_at: datetime) -> None:
        """Store the content, in place of what was there. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            connection.execute(_KEEP, {"key": key, "content": content, "expires_at": expires_at})

    def read(self, key: str, now: datetime) -> bytes | None:
        """Return the content, or None where there is none that is still valid. Raises CouldNotAsk."""
        statement = select(browser_state.c.content).where(browser_state.c.key == key, browser_state.c.expires_at > now)
        with self._pool.connection() as connection:
            return connection.execute(statement).scalar_one_or_none()

    def take(self, key: str, now: datetime) -> bytes | None:
        """Remove the content and return it; of several that take it at once one gets it, the others None. Raises CouldNotAsk."""
        statement = delete(browser_state).where(browser_state.c.key == key).returning(browser_state.c.content, browser_state.c.expires_at)
        with self._pool.connection() as connection:
            row = connection.execute(statement).one_or_none()
        return row.content if row is not None and row.expires_at > now else None

    def forget_expired_states(self, now: datetime) -> int:
        """Drop what expired before `now`; returns how many. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            return drop(connection, _DROP_STATES, now)


class SqlAttemptCounter:
    """Counts attempts in the table `attempt`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def count_attempt(self, bucket: str, expires_at: datetime) -> int:
        """Add one attempt to a bucket that may be forgotten from `expires_at` on; returns how many it holds now. Raises CouldNotAsk."""
        return self.count_attempts(bucket, 1, expires_at)

    def count_attempts(self, bucket: str, attempts: int, expires_at: datetime) -> int:
        """Add several attempts, or none, at once; returns how many the bucket holds now. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            if not attempts:
                return connection.execute(select(attempt.c.attempts).where(attempt.c.bucket == bucket)).scalar_one_or_none() or 0
            counted = connection.execute(_COUNT, {"bucket": bucket, "attempts": attempts, "expires_at": expires_at})
            return int(counted.scalar_one())

    def forget_expired_attempts(self, now: datetime) -> int:
        """Drop buckets that expired before `now`; returns how many. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            return drop(connection, DROP_ATTEMPTS, now)


class PooledReplayGuard:
    """Remembers message ids in the table `seen_message`, on the disk before it answers."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def is_first(self, issuer: EntityId, message_id: str, expires_at: datetime) -> bool:
        """Record the message; True when it was not seen before. Raises CouldNotAsk."""
        record = {"issuer": issuer, "message_id": bounded(message_id), "expires_at": expires_at}
        with self._pool.connection() as connection:
            return connection.execute(_RECORD, record).rowcount == 1

    def forget_expired(self, now: datetime) -> int:
        """Drop records whose `expires_at` lies before `now`; returns how many. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            return drop(connection, DROP_EXPIRED, now)
