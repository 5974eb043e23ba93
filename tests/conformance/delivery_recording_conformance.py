"""How ends of attempts are recorded; a back end has fixtures `links`, `books` and `clock`."""

from attribute_authority.domain.delivery import DeliveryState, Outcome
from tests.conformance.delivery_samples import (
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
    ended,
    link_teppo,
    park,
    records,
    states,
)
from tests.conformance.samples import CARBERRY, NOW, OTHER_ORCID, PRODUCTION, TEPPO, eppn, new_link, people


class OutcomeConformance:
    """What is recorded of whoever has the lease."""

    def test_delivered_is_over(self, links: PostingLinks, books: Books) -> None:
        """What was delivered is in nobody's hands and never due again."""
        link_teppo(links)
        due = claim_one(books)
        held = books.record_outcomes([ended(due, message="request 17")], SOON)
        (record,) = records(books)

        assert 1 == held
        assert (DeliveryState.DELIVERED, SOON, "request 17", 1) == (record.state, record.ended_at, record.message, record.attempts)
        assert (None, False) == (record.due_at, record.in_hand)
        assert () == claim(books, NOW + 2 * LEASE)

    def test_deferred_is_attempted_again_at_its_time(self, links: PostingLinks, books: Books) -> None:
        """What is put off is due when it was said, with the next number and the same reference."""
        link_teppo(links)
        due = claim_one(books)
        books.record_outcomes([deferred(due, LATER)], SOON)
        (record,) = records(books)

        assert (DeliveryState.PENDING, LATER, "the system is busy", SOON) == (record.state, record.due_at, record.message, record.ended_at)
        assert not record.in_hand
        assert () == claim(books, LATER - LEASE)
        again = claim_one(books, LATER)
        assert (due.delivery.reference, 2, NOW) == (again.delivery.reference, again.delivery.attempt, again.ages_from)

    def test_parked_waits_for_a_person(self, links: PostingLinks, books: Books) -> None:
        """What is parked is not attempted again by itself."""
        link_teppo(links)
        park(books, SOON)
        (record,) = records(books)

        assert (DeliveryState.PARKED, SOON, "unknown there") == (record.state, record.ended_at, record.message)
        assert (None, False, None) == (record.due_at, record.in_hand, record.told_at)
        assert () == claim(books, LATER)

    def test_many_are_recorded_together(self, links: PostingLinks, books: Books) -> None:
        """Outcomes of every kind in one call each go to their own delivery."""
        links.use_sinks(SINKS)
        list(links.add_links(people(3)))
        first, second, third = claim(books)
        held = books.record_outcomes([deferred(third, LATER), ended(first), ended(second, DeliveryState.PARKED)], SOON)

        assert 3 == held
        assert ["delivered", "parked", "pending"] == states(books)

    def test_nothing_is_recorded(self, books: Books) -> None:
        """No outcomes, and one of a delivery that never was, change nothing."""
        assert 0 == books.record_outcomes([], NOW)
        assert 0 == books.record_outcomes([Outcome("unknown", "nobody's", DeliveryState.DELIVERED)], NOW)
        assert [] == records(books)

    def test_awkward_message_is_stored(self, links: PostingLinks, books: Books) -> None:
        """Whatever another system says, how the attempt ended is recorded."""
        link_teppo(links)
        books.record_outcomes([ended(claim_one(books), message="no\x00 \ud800 nö")], NOW)

        assert ["no\ufffd \ufffd nö"] == [record.message for record in records(books)]


class SupersededConformance:
    """Attempts that ended when their delivery had been superseded."""

    def test_delivered_all_the_same(self, links: PostingLinks, books: Books) -> None:
        """What was superseded on its way has been delivered, and the newer one takes it away at once."""
        link = link_teppo(links)
        due = claim_one(books)
        links.withdraw_link(link.link_id, SOON)
        held = books.record_outcomes([ended(due)], SOON)
        successor = claim_one(books, SOON)

        assert (1, ["delivered", "pending"]) == (held, states(books))
        assert (None, (CARBERRY,)) == (successor.delivery.orcid, successor.delivery.former)

    def test_deferred_stays_superseded(self, links: PostingLinks, books: Books) -> None:
        """A state that is not the present one is not attempted again; the newer one is, at once."""
        link = link_teppo(links)
        due = claim_one(books)
        links.withdraw_link(link.link_id, SOON)
        books.record_outcomes([deferred(due, SOON)], SOON)

        assert ["superseded", "pending"] == states(books)
        assert (CARBERRY,) == claim_one(books, SOON).delivery.former

    def test_parked_stays_superseded(self, links: PostingLinks, books: Books) -> None:
        """Nobody is asked to act on a state that is not the present one."""
        link = link_teppo(links)
        due = claim_one(books)
        links.withdraw_link(link.link_id, SOON)
        books.record_outcomes([ended(due, DeliveryState.PARKED)], SOON)

        assert ["superseded", "pending"] == states(books)
        assert None is claim_one(books, SOON).delivery.orcid

    def test_other_peoples_waiting_deliveries_wait_on(self, links: PostingLinks, books: Books) -> None:
        """The end of one attempt makes nothing due that waits for another, nor what was put off."""
        links.use_sinks(TWO_SINKS)
        numbers = [link.link_id for link in links.add_links(people(2)) if not isinstance(link, Exception)]
        first, second = claim(books)
        for number in numbers:
            links.withdraw_link(number, SOON)
        books.record_outcomes([ended(first)], SOON)
        due = claim_one(books, SOON)

        assert eppn("person0") == due.delivery.identifiers[0]
        assert second.lease == first.lease

    def test_what_was_put_off_is_not_hurried(self, links: PostingLinks, books: Books) -> None:
        """A newer delivery that has had its own attempt keeps to its own time."""
        link = link_teppo(links)
        first = claim_one(books)
        links.withdraw_link(link.link_id, SOON)
        books.record_outcomes([deferred(claim_one(books, NOW + LEASE), LATER + LEASE)], NOW + LEASE)
        books.record_outcomes([deferred(first, LATER, counts=False)], LATER)

        assert () == claim(books, LATER)


class LateConformance:
    """Attempts that ended when their lease was lost."""

    def test_late_outcome_is_not_recorded_and_the_present_state_is_delivered_anew(self, links: PostingLinks, books: Books) -> None:
        """Nobody knows which of two attempts reached the other system last, so a third one does."""
        link_teppo(links)
        first = claim_one(books)
        second = claim_one(books, NOW + LEASE)
        held = [books.record_outcomes([ended(due)], NOW + LEASE) for due in (second, first)]
        anew = claim_one(books, NOW + LEASE)

        assert [1, 0] == held
        assert ["delivered", "pending"] == states(books)
        assert (CARBERRY, True) == (anew.delivery.orcid, anew.delivery.may_be_ours)

    def test_new_delivery_waits_for_whoever_has_it_now(self, links: PostingLinks, books: Books) -> None:
        """While the second attempt is made, a third is not."""
        link_teppo(links)
        first = claim_one(books)
        second = claim_one(books, NOW + LEASE)
        books.record_outcomes([deferred(first, LATER)], NOW + LEASE)
        waiting = claim(books, NOW + LEASE)
        books.record_outcomes([ended(second)], NOW + LEASE)

        assert () == waiting
        assert ["delivered", "pending"] == states(books)
        assert CARBERRY == claim_one(books, NOW + LEASE).delivery.orcid

    def test_late_attempt_that_may_have_restored_an_orcid_is_undone(self, links: PostingLinks, books: Books) -> None:
        """Where the withdrawal has been delivered already, what a late attempt may have written after it is taken away."""
        link = link_teppo(links)
        first = claim_one(books)
        links.withdraw_link(link.link_id, SOON)
        deliver(books, NOW + LEASE)
        held = books.record_outcomes([ended(first)], LATER)
        anew = claim_one(books, LATER)

        assert 1 == held
        assert (None, (CARBERRY,)) == (anew.delivery.orcid, anew.delivery.former)

    def test_late_attempt_of_a_lost_lease_is_undone(self, links: PostingLinks, books: Books) -> None:
        """So it is where the lease itself was lost, and whoever had it then delivered."""
        link = link_teppo(links)
        first = claim_one(books)
        deliver(books, NOW + LEASE)
        links.withdraw_link(link.link_id, LATER)
        deliver(books, LATER)
        held = books.record_outcomes([deferred(first, LATER)], LATER)
        anew = claim_one(books, LATER)

        assert 0 == held
        assert (None, (CARBERRY,)) == (anew.delivery.orcid, anew.delivery.former)

    def test_two_late_attempts_are_both_undone(self, links: PostingLinks, books: Books) -> None:
        """Of one person several iDs may have been left behind by attempts that end together."""
        link = link_teppo(links)
        first = claim_one(books)
        links.withdraw_link(link.link_id, NOW)
        other = links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))
        second = claim_one(books, NOW + LEASE)
        links.withdraw_link(other.link_id, NOW + LEASE)
        deliver(books, NOW + 2 * LEASE)
        books.record_outcomes([ended(first), ended(second)], LATER)
        anew = claim_one(books, LATER)

        assert None is anew.delivery.orcid
        assert {CARBERRY, OTHER_ORCID} == set(anew.delivery.former)
        assert () == claim(books, LATER)

    def test_late_attempt_that_never_began_changes_nothing(self, links: PostingLinks, books: Books) -> None:
        """What was given back late has reached nobody."""
        link_teppo(links)
        first = claim_one(books)
        deliver(books, NOW + LEASE)
        books.record_outcomes([deferred(first, LATER, counts=False)], LATER)

        assert ["delivered"] == states(books)

    def test_attempt_that_was_tried_again_meanwhile_is_late(self, links: PostingLinks, books: Books) -> None:
        """After an operator's retry of a lost delivery, the present state is delivered whatever the lost attempt did."""
        link_teppo(links)
        first = claim_one(books)
        books.retry_deliveries(EVERYTHING, NOW + LEASE)
        assert 0 == books.record_outcomes([ended(first)], LATER)

        assert ["superseded", "pending"] == states(books)
        assert claim_one(books, LATER).delivery.may_be_ours

    def test_only_the_sink_of_the_late_attempt_is_concerned(self, links: PostingLinks, books: Books) -> None:
        """Other sinks have nothing to repair."""
        links.use_sinks(TWO_SINKS)
        links.add_link(new_link(TEPPO))
        first = claim_one(books)
        deliver(books, NOW + LEASE)
        books.record_outcomes([ended(first)], LATER)

        assert [LDAP] == [record.sink for record in records(books)][2:]
        assert PRODUCTION is records(books)[2].environment


class RecordingConformance(OutcomeConformance, SupersededConformance, LateConformance):
    """Everything about recording."""
