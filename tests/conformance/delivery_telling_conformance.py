"""What others are told of deliveries: health, researchers and organisations; a back end has fixtures `links`, `books` and `clock`."""

from datetime import datetime, timedelta

import pytest

from attribute_authority.domain.delivery import Backlog, DeliveryRecord, DeliverySelection, DeliveryState
from tests.conformance.delivery_samples import (
    CSV,
    ELSEWHERE,
    EVERYTHING,
    HOUR,
    LATER,
    LDAP,
    LEASE,
    SINKS,
    SOON,
    TWO_SINKS,
    Books,
    PostingLinks,
    SetClock,
    claim_one,
    deliver,
    link_teppo,
    park,
    records,
)
from tests.conformance.samples import HOME, MAIJA, NOW, OTHER_HOME, OTHER_ORCID, PRODUCTION, SANDBOX, TEPPO, eppn, new_link

WAITED = timedelta(minutes=15)


def untold(books: Books, now: datetime, limit: int = 10) -> tuple[DeliveryRecord, ...]:
    """Claim what the usual organisation has to be told."""
    return books.claim_untold(HOME, now, LEASE, limit, WAITED)


class BacklogConformance:
    """How much waits."""

    def test_nothing_waits(self, links: PostingLinks, books: Books) -> None:
        """What is over is no backlog."""
        link_teppo(links)
        deliver(books)

        assert () == books.read_backlogs(PRODUCTION)

    def test_each_sink_is_counted(self, links: PostingLinks, books: Books, clock: SetClock) -> None:
        """Pending ones, in hand or not, and parked ones are counted for each sink, by name, with the instant of the oldest."""
        links.use_sinks({**TWO_SINKS, OTHER_HOME: ("ldap",)})
        links.add_link(new_link(TEPPO))
        park(books)
        clock.now = LATER
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        claim_one(books, LATER)
        links.add_link(new_link(eppn("stranger"), home=OTHER_HOME))
        links.add_link(new_link(TEPPO, environment=SANDBOX))

        expected = (Backlog(ELSEWHERE, 1, 0, LATER), Backlog(CSV, 2, 0, NOW), Backlog(LDAP, 1, 1, LATER))
        assert tuple(sorted(expected, key=lambda backlog: backlog.sink)) == books.read_backlogs(PRODUCTION)
        assert (Backlog(CSV, 1, 0, LATER), Backlog(LDAP, 1, 0, LATER)) == books.read_backlogs(SANDBOX)

    def test_parked_alone_has_no_oldest(self, links: PostingLinks, books: Books) -> None:
        """What waits for a person keeps no system waiting."""
        link_teppo(links)
        park(books)

        assert (Backlog(LDAP, 0, 1, None),) == books.read_backlogs(PRODUCTION)


class ReaderConformance:
    """What a researcher sees."""

    def test_newest_delivery_to_each_sink(self, links: PostingLinks, books: Books) -> None:
        """Of each sink the newest delivery is shown, in the order of names."""
        links.use_sinks(TWO_SINKS)
        link = links.add_link(new_link(TEPPO))
        deliver(books)
        links.use_sinks(SINKS)
        links.withdraw_link(link.link_id, SOON)
        shown = books.read_deliveries(link.subject_id, PRODUCTION, [LDAP, CSV])
        written = records(books)

        assert (written[1], written[2]) == shown
        assert [DeliveryState.PENDING] * 2 == [record.state for record in shown]

    def test_only_what_is_asked_for(self, links: PostingLinks, books: Books) -> None:
        """Other people's, other registries' and other sinks' deliveries are not shown."""
        links.use_sinks(TWO_SINKS)
        link = links.add_link(new_link(TEPPO))
        other = links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))

        assert [CSV] == [record.sink for record in books.read_deliveries(link.subject_id, PRODUCTION, {CSV, ELSEWHERE})]
        assert () == books.read_deliveries(link.subject_id, SANDBOX, [LDAP])
        assert () == books.read_deliveries(link.subject_id, PRODUCTION, ())
        assert {other.subject_id} == {record.subject_id for record in books.read_deliveries(other.subject_id, PRODUCTION, [LDAP])}

    @pytest.mark.parametrize("subject_id", [-1, 0, 10_000, 2**63, 2**100])
    def test_nobody_has_no_deliveries(self, links: PostingLinks, books: Books, subject_id: int) -> None:
        """A number that nobody has is no fault."""
        link_teppo(links)

        assert () == books.read_deliveries(subject_id, PRODUCTION, [LDAP])


class NoticesConformance:
    """What organisations are told."""

    def test_parked_is_told_when_the_oldest_has_waited(self, links: PostingLinks, books: Books) -> None:
        """Notices are collected: as soon as the oldest has waited long enough, the others are told with it."""
        links.use_sinks(TWO_SINKS)
        links.add_link(new_link(TEPPO))
        park(books)
        park(books, NOW + WAITED, CSV)

        assert () == untold(books, NOW + WAITED - timedelta(microseconds=1))
        assert [LDAP, CSV] == [record.sink for record in untold(books, NOW + WAITED)]

    def test_nothing_else_is_told(self, links: PostingLinks, books: Books) -> None:
        """What is pending, delivered or another organisation's needs nobody of this one."""
        links.use_sinks({**TWO_SINKS, OTHER_HOME: ("ldap",)})
        links.add_link(new_link(TEPPO))
        deliver(books)
        links.add_link(new_link(eppn("stranger"), home=OTHER_HOME))
        park(books, sink=ELSEWHERE)

        assert () == untold(books, NOW + HOUR)

    def test_nobody_else_tells_meanwhile(self, links: PostingLinks, books: Books) -> None:
        """While one is telling nobody else is, and where it failed it is told when the lease has ended."""
        link_teppo(links)
        park(books)
        first = untold(books, LATER)

        assert () == untold(books, LATER + LEASE - timedelta(microseconds=1))
        assert first == untold(books, LATER + LEASE)

    def test_what_was_told_is_not_told_again(self, links: PostingLinks, books: Books) -> None:
        """One notice is enough, and the books tell when it was."""
        link_teppo(links)
        park(books)
        books.record_told([record.reference for record in untold(books, LATER)], LATER)

        assert () == untold(books, LATER + HOUR)
        assert [LATER] == [record.told_at for record in records(books)]

    def test_no_more_than_the_limit_at_a_time(self, links: PostingLinks, books: Books) -> None:
        """The rest is told with the next notice."""
        links.use_sinks(TWO_SINKS)
        links.add_link(new_link(TEPPO))
        park(books)
        park(books, SOON, CSV)

        assert [[LDAP], [CSV], []] == [[record.sink for record in untold(books, LATER, 1)] for _ in range(3)]

    def test_what_is_parked_again_is_told_again(self, links: PostingLinks, books: Books) -> None:
        """Whoever was told, and had it tried again, wants to know how that ended."""
        link_teppo(links)
        park(books)
        told = [record.reference for record in untold(books, LATER)]
        books.record_told(told, LATER)
        books.retry_deliveries(EVERYTHING, LATER)
        between = [record.told_at for record in records(books)]
        park(books, LATER)

        assert [None] == between
        assert told == [record.reference for record in untold(books, LATER + WAITED)]

    def test_notice_of_an_earlier_parking_does_not_count(self, links: PostingLinks, books: Books) -> None:
        """Where it was tried again while the notice was on its way, the next parking is told of."""
        link_teppo(links)
        park(books)
        told = [record.reference for record in untold(books, LATER)]
        books.retry_deliveries(EVERYTHING, LATER)
        park(books, LATER)
        books.record_told(told, LATER)

        assert told == [record.reference for record in untold(books, LATER + WAITED)]

    def test_what_is_not_parked_any_more_is_not_told(self, links: PostingLinks, books: Books) -> None:
        """Nobody is asked to act on what was cancelled or superseded."""
        links.use_sinks(TWO_SINKS)
        link = links.add_link(new_link(TEPPO))
        park(books)
        park(books, sink=CSV)
        books.cancel_deliveries(DeliverySelection(sink="csv"), NOW)
        links.use_sinks(SINKS)
        links.withdraw_link(link.link_id, SOON)

        assert () == untold(books, LATER)

    def test_nothing_was_told(self, links: PostingLinks, books: Books) -> None:
        """A notice about nothing, or about what is unknown, changes nothing."""
        link_teppo(links)
        park(books)
        books.record_told([], LATER)
        books.record_told(["unknown", records(books)[0].reference], LATER)

        assert [None] == [record.told_at for record in records(books)]


class TellingConformance(BacklogConformance, ReaderConformance, NoticesConformance):
    """Everything that others are told."""
