"""How much one requester may ask, and when its questions look like trying identifiers out."""

from dataclasses import dataclass
from datetime import timedelta

from attribute_authority.domain.identifiers import EntityId


@dataclass(frozen=True, slots=True)
class Limits:
    """How many queries one requester may make in a minute and in a day of UTC; 0 is no limit."""

    per_minute: int
    per_day: int


@dataclass(frozen=True, slots=True)
class EnumerationRule:
    """When a requester seems to try identifiers out, and what follows.

    It does when it asked at least `unknown_minimum` questions within an hour and at least `unknown_share`, a part of 1, of them were
    about nobody known. Where that `blocks`, it is shut out for `block_for`, and in any case for what is left of the hour.
    Most people of an honest service provider have no iD linked either, so that a low share means nothing.
    """

    unknown_share: float
    unknown_minimum: int
    blocks: bool
    block_for: timedelta

    def is_met_by(self, asked: int, unknown: int) -> bool:
        """Whether so many questions, so many of them about nobody known, look like trying out."""
        return asked >= max(1, self.unknown_minimum) and unknown / asked >= self.unknown_share


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A requester that seems to try identifiers out: how many questions it asked within an hour, and how many were about nobody known."""

    requester: EntityId
    asked: int
    unknown: int
