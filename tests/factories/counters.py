"""A shared counter for tests, strict about what its bucket names and expiries must be, that can be away or do something meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from attribute_authority.errors import CouldNotAsk

LONGEST_BUCKET = 64


@dataclass(slots=True)
class SharedCounter:
    """Counts like a database; `meanwhile` runs while a call is on its way, as what other threads do does."""

    now: datetime
    is_away: bool = False
    meanwhile: Callable[[], None] = lambda: None
    calls: int = 0
    buckets: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def count_attempt(self, bucket: str, expires_at: datetime) -> int:
        """Add one attempt."""
        return self.count_attempts(bucket, 1, expires_at)

    def count_attempts(self, bucket: str, attempts: int, expires_at: datetime) -> int:
        """Add attempts, having forgotten what has expired."""
        self.calls += 1
        self.meanwhile()
        if self.is_away:
            raise CouldNotAsk("the database is away")
        if len(bucket) > LONGEST_BUCKET or ":" not in bucket or attempts < 0 or expires_at <= self.now:
            raise AssertionError(bucket, attempts, expires_at)
        self.forget_expired_attempts(self.now)
        counted = self.buckets.get(bucket, (0, expires_at))[0] + attempts
        self.buckets[bucket] = counted, expires_at
        return counted

    def forget_expired_attempts(self, now: datetime) -> int:
        """Drop what has expired."""
        expired = [bucket for bucket, (_, expires_at) in self.buckets.items() if expires_at < now]
        for bucket in expired:
            del self.buckets[bucket]
        return len(expired)
