"""Telling organisations of deliveries that wait for a person, many in one letter.

A letter may come twice: deliveries count as told only once a mail server has accepted the letter. None is lost.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from attribute_authority.core.letters import LISTED, Language, Parked, Service, write_subject, write_text
from attribute_authority.delivery_ports import Courier, DeliveryNotices
from attribute_authority.domain.delivery import DeliveryRecord
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.letter import Letter
from attribute_authority.errors import CouldNotAsk
from attribute_authority.events import EventLog
from attribute_authority.ports import Clock

_LEASE: Final = timedelta(minutes=10)
_AT_ONCE: Final = 1_000
_MOST_CLAIMS: Final = 1_000
_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Correspondent:
    """An organisation that can be told: its e-mail address, the language in which it reads, and how it is called in that."""

    home_organisation: EntityId
    address: str
    language: Language
    name: str


@dataclass(slots=True)
class _Claimed:
    """What one letter is about; of what it does not list no more is kept than the reference."""

    references: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    listed: list[DeliveryRecord] = field(default_factory=list)

    def add(self, records: Sequence[DeliveryRecord]) -> None:
        self.references += [record.reference for record in records]
        self.counts.update(record.sink.name for record in records)
        self.listed += records[: LISTED - len(self.listed)]


@dataclass(frozen=True, slots=True)
class Telling:
    """Writes to organisations, to each at most once in the time `collect`; several workers and nodes may do so at once.

    `courier` is None where no mail is sent; then nobody is told, and nothing counts as told.
    """

    notices: DeliveryNotices
    courier: Courier | None
    service: Service
    correspondents: Sequence[Correspondent]
    collect: timedelta
    clock: Clock
    events: EventLog

    def tell_due(self) -> int:
        """Write every letter that is due; returns how many were accepted. Raises CouldNotAsk where the store is away."""
        courier = self.courier
        return 0 if courier is None else sum(self._tell(courier, correspondent) for correspondent in self.correspondents)

    def _tell(self, courier: Courier, correspondent: Correspondent) -> bool:
        claimed = self._claim(correspondent.home_organisation)
        count = len(claimed.references)
        if not count:
            return False
        try:
            courier.send(self._write(correspondent, claimed, self.clock()))
        except CouldNotAsk as failure:
            # The lease ends by itself; what was not told is claimed again then.
            self.events.fault("mail-failed", home_organisation=correspondent.home_organisation, deliveries=count, cause=failure.cause)
            return False
        for start in range(0, count, _AT_ONCE):
            self.notices.record_told(claimed.references[start : start + _AT_ONCE], self.clock())
        self.events.operation("organisation-told", home_organisation=correspondent.home_organisation, deliveries=count)
        return True

    def _claim(self, home_organisation: EntityId) -> _Claimed:
        claimed = _Claimed()
        waited = self.collect
        for _ in range(_MOST_CLAIMS):
            records = self.notices.claim_untold(home_organisation, self.clock(), _LEASE, _AT_ONCE, waited)
            claimed.add(records)
            if len(records) < _AT_ONCE:
                break
            # What is left goes with the same letter, however short it has waited.
            waited = _NO_TIME
        return claimed

    def _write(self, correspondent: Correspondent, claimed: _Claimed, now: datetime) -> Letter:
        language = correspondent.language
        return Letter(
            recipient=correspondent.address,
            language=language,
            subject=write_subject(language, len(claimed.references)),
            text=write_text(language, self.service, correspondent.name, Parked(claimed.counts, claimed.listed)),
            written_at=now,
        )
