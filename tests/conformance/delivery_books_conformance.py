"""What operators see and change of deliveries; a back end has fixtures `links`, `books` and `clock`."""

from collections.abc import Iterable

import pytest

from attribute_authority.domain.delivery import DeliveryRecord, DeliverySelection, DeliveryState, SinkName
from attribute_authority.domain.identifiers import EntityId
from tests.conformance.delivery_samples import (
    CSV,
    ELSEWHERE,
    EVERYTHING,
    LATER,
    LDAP,
    LEASE,
    SINKS,
    SOON,
    TWO_SINKS,
    Books,
    PostingLinks,
    claim,
    claim_one,
    deferred,
    deliver,
    link_teppo,
    park,
    records,
    states,
)
from tests.conformance.samples import (
    CARBERRY,
    HOME,
    MAIJA,
    NOW,
    OTHER_HOME,
    OTHER_ORCID,
    PRODUCTION,
    SANDBOX,
    TEPPO,
    eppn,
    new_link,
    orcid_number,
    people,
    persistent,
)

PARKED = frozenset({DeliveryState.PARKED})
NOBODY = (
    DeliverySelection(reference="unknown"),
    DeliverySelection(reference="nul\x00"),
    DeliverySelection(reference="half \ud800"),
    DeliverySelection(sink="nul\x00"),
    DeliverySelection(home_organisation=EntityId("urn:nul\x00")),
    DeliverySelection(identifier=eppn("nobody")),
    DeliverySelection(identifier=persistent("AbC=")),
    DeliverySelection(states=frozenset()),
)


def names(listed: Iterable[DeliveryRecord]) -> list[str]:
    """Return whose deliveries these are, and to which sink."""
    return [f"{record.identifiers[-1].value.partition('@')[0]} {record.sink.name}" for record in listed]


class ListingConformance:
    """Looking into the books."""

    @pytest.fixture
    def filled(self, links: PostingLinks, books: Books) -> Books:
        """Books with deliveries of two people to two sinks, and of one to another organisation's."""
        links.use_sinks({**TWO_SINKS, OTHER_HOME: ("ldap",)})
        links.add_link(new_link(TEPPO))
        links.add_link(new_link(MAIJA, eppn("further"), orcid=OTHER_ORCID))
        links.add_link(new_link(eppn("stranger"), home=OTHER_HOME))
        deliver(books, sink=ELSEWHERE)
        return books

    def test_everything_in_the_order_of_writing(self, filled: Books) -> None:
        """Without a selection everything is listed, in the order of writing or in the opposite one."""
        expected = ["teppo ldap", "teppo csv", "maija ldap", "maija csv", "stranger ldap"]

        assert expected == names(filled.list_deliveries(EVERYTHING))
        assert expected[::-1] == names(filled.list_deliveries(EVERYTHING, latest_first=True))

    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            (DeliverySelection(home_organisation=OTHER_HOME), ["stranger ldap"]),
            (DeliverySelection(sink="csv"), ["teppo csv", "maija csv"]),
            (DeliverySelection(home_organisation=HOME, sink="ldap"), ["teppo ldap", "maija ldap"]),
            (DeliverySelection(identifier=eppn("further")), ["maija ldap", "maija csv"]),
            (DeliverySelection(states=frozenset({DeliveryState.DELIVERED})), ["stranger ldap"]),
            (DeliverySelection(states=frozenset(DeliveryState) - {DeliveryState.PENDING}, sink="csv"), []),
        ],
        ids=["home", "sink", "home-and-sink", "person", "state", "states-and-sink"],
    )
    def test_selection_narrows(self, filled: Books, selection: DeliverySelection, expected: list[str]) -> None:
        """Everything that is given must hold."""
        assert expected == names(filled.list_deliveries(selection))

    def test_one_by_its_reference(self, filled: Books) -> None:
        """The reference that somebody reads out names one delivery, unless something else does not fit."""
        wanted = records(filled)[2]
        reference = wanted.reference

        assert [wanted] == records(filled, DeliverySelection(reference=reference))
        assert [] == records(filled, DeliverySelection(reference=reference, sink="csv"))

    @pytest.mark.parametrize("selection", NOBODY)
    def test_whatever_is_typed_names_nothing(self, filled: Books, selection: DeliverySelection) -> None:
        """A text that was never stored, or cannot be, selects nothing, in every method."""
        assert [] == records(filled, selection)
        assert [] == list(filled.preview_deliveries(selection))
        assert (0, 0) == (filled.retry_deliveries(selection, SOON), filled.cancel_deliveries(selection, SOON))

    def test_long_listing_is_complete(self, links: PostingLinks, books: Books) -> None:
        """Listings of several pages miss nothing and repeat nothing, in both orders."""
        links.use_sinks(SINKS)
        list(links.add_links(people(1_001)))
        expected = [eppn(f"person{number}") for number in range(1_001)]

        assert expected == [record.identifiers[0] for record in books.list_deliveries(EVERYTHING)]
        assert expected[::-1] == [record.identifiers[0] for record in books.list_deliveries(EVERYTHING, latest_first=True)]


class RetryConformance:
    """Trying again."""

    def test_parked_is_due_again(self, links: PostingLinks, books: Books) -> None:
        """What a person has seen to is attempted at once, as old as if it were new, and may have been written before."""
        link_teppo(links)
        reference = park(books).delivery.reference

        assert 1 == books.retry_deliveries(DeliverySelection(reference=reference), LATER)
        due = claim_one(books, LATER)
        assert (reference, 2, LATER, True) == (due.delivery.reference, due.delivery.attempt, due.ages_from, due.delivery.may_be_ours)

    def test_pending_that_waits_is_due_at_once(self, links: PostingLinks, books: Books) -> None:
        """Nobody has to wait for the end of a pause."""
        link_teppo(links)
        books.record_outcomes([deferred(claim_one(books), LATER)], NOW)

        assert 1 == books.retry_deliveries(EVERYTHING, SOON)
        assert SOON == claim_one(books, SOON).ages_from

    def test_only_what_is_selected(self, links: PostingLinks, books: Books) -> None:
        """What another sink has parked stays parked."""
        links.use_sinks(TWO_SINKS)
        links.add_link(new_link(TEPPO))
        park(books)
        park(books, sink=CSV)

        assert 1 == books.retry_deliveries(DeliverySelection(sink="csv", states=PARKED), SOON)
        assert ["parked", "pending"] == states(books)

    def test_what_is_in_hand_or_over_is_left(self, links: PostingLinks, books: Books) -> None:
        """An attempt that is made is not disturbed, and what was delivered, cancelled or superseded is not delivered again."""
        links.use_sinks(SINKS)
        superseded = links.add_link(new_link(eppn("changing"), orcid=orcid_number(1)))
        links.withdraw_link(superseded.link_id, NOW)
        deliver(books)
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        books.cancel_deliveries(DeliverySelection(identifier=MAIJA), NOW)
        links.add_link(new_link(TEPPO))
        due = claim_one(books)
        before = records(books)

        assert 0 == books.retry_deliveries(EVERYTHING, SOON)
        assert before == records(books)
        assert TEPPO == due.delivery.identifiers[0]

    def test_what_waits_for_another_attempt_waits_on(self, links: PostingLinks, books: Books) -> None:
        """Not even an operator has two deliveries of one person on their way at the same time."""
        link = link_teppo(links)
        claim_one(books)
        links.withdraw_link(link.link_id, NOW)

        assert 0 == books.retry_deliveries(EVERYTHING, SOON)
        assert () == claim(books, SOON)

    def test_lost_delivery_is_tried_again(self, links: PostingLinks, books: Books) -> None:
        """One whose worker died is due; its age counts from the retry on, and it may have been written."""
        link_teppo(links)
        lost = claim_one(books)

        assert 1 == books.retry_deliveries(EVERYTHING, NOW + LEASE)
        assert False is records(books)[0].in_hand
        again = claim_one(books, NOW + LEASE)
        assert (NOW + LEASE, True) == (again.ages_from, again.delivery.may_be_ours)
        assert lost.lease != again.lease

    def test_many_are_tried_again(self, links: PostingLinks, books: Books) -> None:
        """However many there are, each is counted and made due once."""
        links.use_sinks(SINKS)
        list(links.add_links(people(1_001)))
        claimed = claim(books, limit=2_000)
        books.record_outcomes([deferred(due, LATER) for due in claimed], NOW)

        assert 1_001 == books.retry_deliveries(EVERYTHING, SOON)
        assert 1_001 == len(claim(books, SOON, limit=2_000))


class CancelConformance:
    """Giving up."""

    def test_cancelled_is_over(self, links: PostingLinks, books: Books) -> None:
        """What is cancelled is neither attempted nor told of, and may be written anew by a replay."""
        links.use_sinks(TWO_SINKS)
        links.add_link(new_link(TEPPO))
        park(books)

        assert 2 == books.cancel_deliveries(EVERYTHING, SOON)
        assert [(DeliveryState.CANCELLED, SOON, None)] * 2 == [(one.state, one.ended_at, one.due_at) for one in records(books)]
        assert () == claim(books, LATER)
        assert 0 == books.cancel_deliveries(EVERYTHING, LATER)

    def test_what_is_in_hand_or_over_is_left(self, links: PostingLinks, books: Books) -> None:
        """An attempt that is made is not disturbed, and what was delivered stays delivered."""
        links.use_sinks(SINKS)
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        deliver(books)
        links.add_link(new_link(TEPPO))
        claim_one(books)

        assert 0 == books.cancel_deliveries(EVERYTHING, SOON)
        assert ["delivered", "pending"] == states(books)

    def test_lost_delivery_can_be_cancelled(self, links: PostingLinks, books: Books) -> None:
        """When the lease has ended nobody is at it; what may have been written is not forgotten."""
        link = link_teppo(links)
        claim_one(books)
        cancelled = books.cancel_deliveries(EVERYTHING, NOW + LEASE)
        links.withdraw_link(link.link_id, NOW + LEASE)

        assert 1 == cancelled
        assert (CARBERRY,) == claim_one(books, NOW + LEASE).delivery.former


class ReplayConformance:
    """Everybody once more."""

    def test_present_state_of_everybody_is_written(self, links: PostingLinks, books: Books) -> None:
        """A sink that is new, or lost everything, is brought to what is true now, withdrawals too."""
        withdrawn = links.add_link(new_link(TEPPO))
        links.withdraw_link(withdrawn.link_id, SOON)
        linked = links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        again = links.withdraw_link(links.add_link(new_link(eppn("again"), orcid=orcid_number(1))).link_id, SOON)
        links.add_link(new_link(eppn("again"), orcid=orcid_number(2), linked_at=LATER))
        outcome = books.replay_deliveries(LDAP, PRODUCTION, 0, 10, LATER)
        written = [(record.subject_id, record.orcid, record.changed_at, record.due_at) for record in records(books)]

        assert again is not None
        assert (again.subject_id, 3) == outcome
        assert [
            (withdrawn.subject_id, None, SOON, LATER),
            (linked.subject_id, OTHER_ORCID, NOW, LATER),
            (again.subject_id, orcid_number(2), LATER, LATER),
        ] == written

    def test_several_calls_go_on(self, links: PostingLinks, books: Books) -> None:
        """A replay of many is made in parts, each of which begins after the last."""
        numbers = [link.subject_id for link in links.add_links(people(5)) if not isinstance(link, Exception)]
        first = books.replay_deliveries(LDAP, PRODUCTION, 0, 3, SOON)
        second = books.replay_deliveries(LDAP, PRODUCTION, first[0], 3, SOON)

        assert [(numbers[2], 3), (numbers[4], 2)] == [first, second]
        assert (numbers[4], 0) == books.replay_deliveries(LDAP, PRODUCTION, numbers[4], 3, SOON)
        assert numbers == [record.subject_id for record in records(books)]

    def test_replay_supersedes_what_was_not_delivered(self, links: PostingLinks, books: Books) -> None:
        """Of a person and a sink never more than one delivery waits."""
        link_teppo(links)
        park(books)
        for _ in range(2):
            books.replay_deliveries(LDAP, PRODUCTION, 0, 10, SOON)

        assert ["superseded", "superseded", "pending"] == states(books)

    def test_system_that_went_back_to_an_earlier_state_is_brought_to_this_one(self, links: PostingLinks, books: Books) -> None:
        """A replay takes away whatever we ever wrote there, for a copy that was restored may have it again; what was found there stays."""
        first = link_teppo(links)
        deliver(books)
        links.withdraw_link(first.link_id, SOON)
        deliver(books, SOON)
        second = links.add_link(new_link(TEPPO, orcid=OTHER_ORCID, linked_at=SOON))
        deliver(books, SOON, found=True)
        links.withdraw_link(second.link_id, SOON)
        deliver(books, SOON)
        books.replay_deliveries(LDAP, PRODUCTION, 0, 10, LATER)
        replayed = deliver(books, LATER).delivery
        links.add_link(new_link(TEPPO, orcid=orcid_number(7), linked_at=LATER))

        assert (None, (CARBERRY,)) == (replayed.orcid, replayed.former)
        assert () == claim_one(books, LATER).delivery.former

    def test_replay_that_gives_way_to_a_newer_state_hands_its_memory_on(self, links: PostingLinks, books: Books) -> None:
        """What a replay was to take away is taken away by what follows it too."""
        link = link_teppo(links)
        deliver(books)
        links.withdraw_link(link.link_id, SOON)
        deliver(books, SOON)
        books.replay_deliveries(LDAP, PRODUCTION, 0, 10, LATER)
        links.add_link(new_link(TEPPO, orcid=OTHER_ORCID, linked_at=LATER))

        assert (CARBERRY,) == claim_one(books, LATER).delivery.former

    def test_only_people_of_the_organisation_and_environment(self, links: PostingLinks, books: Books) -> None:
        """Nobody else's iD gets into a system."""
        links.add_link(new_link(TEPPO))
        links.add_link(new_link(MAIJA, environment=SANDBOX, orcid=OTHER_ORCID))
        links.add_link(new_link(eppn("stranger"), home=OTHER_HOME))
        books.replay_deliveries(LDAP, PRODUCTION, 0, 10, SOON)

        assert ["teppo ldap"] == names(records(books))

    @pytest.mark.parametrize("after", [2**63 - 1, 2**63, 2**100])
    def test_after_the_last_number_there_is_nobody(self, links: PostingLinks, books: Books, after: int) -> None:
        """However large a number is typed, it is no fault."""
        links.add_link(new_link(TEPPO))

        assert (after, 0) == books.replay_deliveries(LDAP, PRODUCTION, after, 10, SOON)

    @pytest.mark.parametrize("sink", [SinkName(HOME, "nul\x00"), SinkName(EntityId("urn:\ud800"), "ldap")])
    def test_sink_that_cannot_be_has_nobody(self, links: PostingLinks, books: Books, sink: SinkName) -> None:
        """Text that no database can hold is not stored in one."""
        if sink.home_organisation != HOME:
            assert 0 == books.count_replay(sink.home_organisation, PRODUCTION)
        assert (0, 0) == books.replay_deliveries(sink, PRODUCTION, 0, 10, SOON)
        assert [] == list(books.preview_replay(sink, PRODUCTION))

    def test_people_are_counted_ahead(self, links: PostingLinks, books: Books) -> None:
        """The progress of a replay is measured by people, whoever has a link or had one."""
        links.withdraw_link(links.add_link(new_link(TEPPO)).link_id, SOON)
        links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))
        links.withdraw_link(links.add_link(new_link(MAIJA)).link_id, SOON)
        links.add_link(new_link(eppn("sandbox"), environment=SANDBOX))

        assert (2, 1) == (books.count_replay(HOME, PRODUCTION), books.count_replay(HOME, SANDBOX))
        assert 0 == books.count_replay(OTHER_HOME, PRODUCTION)


class PreviewConformance:
    """What would be delivered."""

    def test_preview_is_what_would_be_claimed(self, links: PostingLinks, books: Books) -> None:
        """A dry run hands sinks the same, attempts and former iDs included, without a lease, and changes nothing."""
        link = link_teppo(links)
        deliver(books)
        links.withdraw_link(link.link_id, SOON)
        before = records(books)
        (preview,) = books.preview_deliveries(EVERYTHING)
        after = records(books)
        due = claim_one(books, SOON)

        assert ("", before) == (preview.lease, after)
        assert (due.delivery, due.sink, due.ages_from) == (preview.delivery, preview.sink, preview.ages_from)

    def test_preview_is_of_what_is_pending_or_parked(self, links: PostingLinks, books: Books) -> None:
        """What is over is not previewed, and an attempt that is made counts."""
        links.use_sinks(SINKS)
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        deliver(books)
        links.add_link(new_link(eppn("parked"), orcid=orcid_number(1)))
        park(books)
        links.add_link(new_link(TEPPO))
        claim_one(books)
        previewed = [(due.delivery.identifiers[0], due.delivery.attempt) for due in books.preview_deliveries(EVERYTHING)]

        assert [(eppn("parked"), 2), (TEPPO, 2)] == previewed
        assert [TEPPO] == [due.delivery.identifiers[0] for due in books.preview_deliveries(DeliverySelection(identifier=TEPPO))]

    def test_replay_is_previewed(self, links: PostingLinks, books: Books) -> None:
        """A dry run of a replay hands over what the replay would, and writes nothing."""
        link = link_teppo(links)
        deliver(books)
        links.withdraw_link(link.link_id, SOON)
        links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))
        before = records(books)
        previewed = [due.delivery for due in books.preview_replay(LDAP, PRODUCTION)]
        after = records(books)
        books.replay_deliveries(LDAP, PRODUCTION, 0, 10, LATER)
        replayed = claim_one(books, LATER).delivery

        assert before == after
        assert [((TEPPO,), OTHER_ORCID, (CARBERRY,), 1)] == [(one.identifiers, one.orcid, one.former, one.attempt) for one in previewed]
        assert [(replayed.orcid, replayed.former, replayed.changed_at)] == [(one.orcid, one.former, one.changed_at) for one in previewed]

    def test_long_previews_are_complete(self, links: PostingLinks, books: Books) -> None:
        """Previews of several pages miss nothing and repeat nothing."""
        links.use_sinks(SINKS)
        list(links.add_links(people(1_000)))
        expected = [eppn(f"person{number}") for number in range(1_000)]

        assert expected == [due.delivery.identifiers[0] for due in books.preview_deliveries(EVERYTHING)]
        assert expected == [due.delivery.identifiers[0] for due in books.preview_replay(LDAP, PRODUCTION)]


class BooksConformance(ListingConformance, RetryConformance, CancelConformance, ReplayConformance, PreviewConformance):
    """Everything about the books."""
