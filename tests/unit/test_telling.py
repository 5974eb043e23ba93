"""Telling organisations: one letter for many deliveries, and nothing counts as told that no mail server has accepted."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from attribute_authority.core.letters import LISTED
from attribute_authority.core.telling import Correspondent, Telling
from attribute_authority.delivery_ports import Courier, DeliveryNotices
from attribute_authority.domain.delivery import DeliveryRecord
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.letter import Letter
from attribute_authority.errors import CouldNotAsk
from attribute_authority.events import EventLog
from tests.factories.letters import HOME, PARKED_AT, SERVICE, parked

OTHER_HOME = EntityId("https://idp.other.example/idp")
UNIVERSITY = Correspondent(HOME, "idm@uni.example", "fi", "Esimerkin yliopisto")
COLLEGE = Correspondent(OTHER_HOME, "idm@other.example", "sv", "Exempelhögskolan")
COLLECT = timedelta(minutes=15)


@dataclass(slots=True)
class Notices:
    """The notices of the books, with their leases, in memory."""

    records: Sequence[DeliveryRecord]
    leases: dict[str, datetime] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)
    failure: CouldNotAsk | None = None

    def claim_untold(
        self, home_organisation: EntityId, now: datetime, lease: timedelta, limit: int, waited: timedelta
    ) -> tuple[DeliveryRecord, ...]:
        """Lease what is untold."""
        untold = [
            record
            for record in self.records
            if record.sink.home_organisation == home_organisation
            and record.reference not in self.told
            and self.leases.get(record.reference, now) <= now
        ]
        if not any(record.ended_at is not None and record.ended_at + waited <= now for record in untold):
            return ()
        claimed = tuple(untold[:limit])
        self.leases.update({record.reference: now + lease for record in claimed})
        return claimed

    def record_told(self, references: Collection[str], now: datetime) -> None:
        """Note it, or fail as the test says."""
        if self.failure is not None:
            raise self.failure
        assert len(references) <= 1_000
        self.told.update(dict.fromkeys(references, now))


@dataclass(slots=True)
class Sent:
    """A courier that keeps letters, and sends none while `cause` is given."""

    letters: list[Letter] = field(default_factory=list)
    cause: Callable[[Letter], str | None] = lambda _: None

    def send(self, letter: Letter) -> None:
        """Keep it."""
        cause = self.cause(letter)
        if cause is not None:
            raise CouldNotAsk(cause)
        self.letters.append(letter)


@dataclass(slots=True)
class Stage:
    """Notices, a courier, a clock and a log."""

    notices: Notices
    sent: Sent = field(default_factory=Sent)
    now: datetime = PARKED_AT + COLLECT
    log: StringIO = field(default_factory=StringIO)

    def telling(self, *correspondents: Correspondent, courier: Courier | None = None) -> Telling:
        """Make what tells, the university where nobody is named."""
        told = correspondents or (UNIVERSITY,)
        return Telling(self.notices, courier or self.sent, SERVICE, told, COLLECT, lambda: self.now, EventLog(self.log))

    def events(self) -> list[dict[str, object]]:
        """Read the log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def _many(count: int, home_organisation: EntityId = HOME) -> list[DeliveryRecord]:
    return [parked(f"R{number}-{home_organisation}", home_organisation=home_organisation) for number in range(count)]


def test_many_deliveries_are_one_letter() -> None:
    """To the contact of the organisation, in its language; then all of them are told."""
    stage = Stage(Notices([parked("R1"), parked("R2", "soap")]))
    first, again = stage.telling().tell_due(), stage.telling().tell_due()
    (letter,) = stage.sent.letters

    assert (1, 0) == (first, again)
    assert ("idm@uni.example", "fi", "2 ORCID-tunnisteen toimitusta odottaa toimenpiteitä") == (
        letter.recipient,
        letter.language,
        letter.subject,
    )
    assert all(part in letter.text for part in ("R1", "R2", "Esimerkin yliopisto", "orcid@csc.example"))
    assert stage.now == letter.written_at
    assert {"R1": stage.now, "R2": stage.now} == stage.notices.told
    assert [("organisation-told", HOME, 2)] == [(line["event"], line["home_organisation"], line["deliveries"]) for line in stage.events()]


def test_an_organisation_is_told_after_a_while() -> None:
    """What is parked meanwhile goes with the same letter."""
    stage = Stage(Notices(_many(3)), now=PARKED_AT + COLLECT - timedelta(seconds=1))
    early = stage.telling().tell_due()
    stage.now += timedelta(seconds=1)

    assert (0, 1) == (early, stage.telling().tell_due())


@pytest.mark.parametrize("count", [999, 1_000, 1_001, 2_500])
def test_one_letter_tells_of_however_many(count: int) -> None:
    """It lists some of them and counts the others; all are told, and one that was parked just now too."""
    fresh = parked("fresh")
    late = [*_many(count), DeliveryRecord(**{name: getattr(fresh, name) for name in fresh.__slots__} | {"ended_at": PARKED_AT + COLLECT})]
    stage = Stage(Notices(late))
    told = stage.telling().tell_due()
    (letter,) = stage.sent.letters

    assert (1, count + 1) == (told, len(stage.notices.told))
    assert LISTED == letter.text.count("Viite ")
    assert f"ja {count + 1 - LISTED} muuta" in letter.text


def test_a_letter_that_was_not_accepted_has_told_nobody() -> None:
    """The log has the cause; after the lease it is tried again, and not before."""
    stage = Stage(Notices(_many(2)), Sent(cause=lambda _: "mail server mail.uni.example:25: broke off"))
    refused = stage.telling().tell_due()
    stage.sent.cause = lambda _: None
    stage.now += timedelta(minutes=9)
    early = stage.telling().tell_due()
    stage.now += timedelta(minutes=1)
    told = stage.telling().tell_due()
    failed, _ = stage.events()

    assert (0, 0, 1) == (refused, early, told)
    assert ("mail-failed", "error", HOME, 2) == (failed["event"], failed["level"], failed["home_organisation"], failed["deliveries"])
    assert "mail server mail.uni.example:25: broke off" == failed["cause"]
    assert 2 == len(stage.notices.told)


def test_a_letter_that_could_not_be_recorded_comes_again() -> None:
    """Twice is better than never."""
    stage = Stage(Notices(_many(1), failure=CouldNotAsk("the database is away")))
    with pytest.raises(CouldNotAsk):
        stage.telling().tell_due()
    stage.notices.failure = None
    stage.now += timedelta(minutes=10)

    assert 1 == stage.telling().tell_due()
    assert 2 == len(stage.sent.letters)


def test_organisations_are_told_of_their_own() -> None:
    """One letter each; that one of them cannot be written to concerns no other."""
    records = [*_many(1), *_many(2, OTHER_HOME)]
    stage = Stage(Notices(records), Sent(cause=lambda letter: "refused" if letter.recipient == UNIVERSITY.address else None))
    told = stage.telling(UNIVERSITY, COLLEGE).tell_due()
    (letter,) = stage.sent.letters

    assert 1 == told
    assert (COLLEGE.address, "sv") == (letter.recipient, letter.language)
    assert {record.reference for record in records[1:]} == set(stage.notices.told)


def test_without_mail_nothing_is_claimed() -> None:
    """Whoever configures mail later is told of what is still parked then."""
    stage = Stage(Notices(_many(1)))
    telling = Telling(stage.notices, None, SERVICE, (UNIVERSITY,), COLLECT, lambda: datetime.now(UTC), EventLog(stage.log))

    assert (0, {}) == (telling.tell_due(), stage.notices.leases)


def test_an_organisation_without_contact_is_not_claimed_for() -> None:
    """It is no correspondent."""
    stage = Stage(Notices(_many(1, OTHER_HOME)))

    assert (0, {}) == (stage.telling(UNIVERSITY).tell_due(), stage.notices.leases)


def _is_what_the_ports_want(notices: Notices, sent: Sent) -> tuple[DeliveryNotices, Courier]:
    return notices, sent
