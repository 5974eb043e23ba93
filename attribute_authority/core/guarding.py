"""Guarding the question itself: a query proves nothing about the person being present, so how often and about whom is watched."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from attribute_authority.core.enumerating import Enumeration
from attribute_authority.core.limiting import Allowances
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.limits import Suspicion
from attribute_authority.events import EventLog
from attribute_authority.ports import EnumerationWatch, RequesterGuard


@dataclass(frozen=True, slots=True)
class Guarding:
    """Bounds what one requester may ask, and reports one that seems to try identifiers out."""

    allowances: Allowances
    enumeration: Enumeration
    events: EventLog
    watch: EnumerationWatch

    def admit(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Take in so many queries of an authenticated requester. Raises TooManyQueries, CouldNotAsk."""
        self.enumeration.check(requester, now)
        self.allowances.spend(requester, queries, now)

    def learn(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> None:
        """Note how many identifiers were asked about, and how many of them nobody has."""
        self._report(self.enumeration.observe(requester, asked, unknown, now))

    def flush(self, now: datetime) -> None:
        """Share what this worker has counted with the others."""
        self._report(self.enumeration.flush(now))

    def _report(self, suspicions: Iterable[Suspicion]) -> None:
        for suspicion in suspicions:
            self.watch.suspected()
            self.events.fault("enumeration-suspected", requester=suspicion.requester, asked=suspicion.asked, unknown=suspicion.unknown)


if TYPE_CHECKING:
    _guards: type[RequesterGuard] = Guarding
