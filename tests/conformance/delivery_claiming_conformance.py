"""How deliveries are handed out; a back end has fixtures `links`, `books` and `clock`."""

from datetime import timedelta

from attribute_authority.domain.delivery import Delivery, DeliveryState, DueDelivery
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
    SetClock,
    claim,
    claim_one,
    deferred,
    deliver,
    ended,
    lane,
    link_teppo,
    park,
    records,
)
from tests.conformance.samples import (
    CARBERRY,
    HOME,
    MAIJA,
    NOW,
    OTHER_ORCID,
    PRODUCTION,
    SANDBOX,
    TEPPO,
    eppn,
    new_link,
    people,
    persistent,
)

INSTANT = timedelta(microseconds=1)


class ClaimConformance:
    """Who gets what, when."""

    def test_nothing_is_due(self, books: Books) -> None:
        """Where nothing was written nothing is handed out."""
        assert () == claim(books)

    def test_delivery_is_complete(self, links: PostingLinks, books: Books) -> None:
        """Whoever claims has everything that a sink needs, the newest identifier first, and has it leased."""
        links.use_sinks(SINKS)
        links.add_link(new_link(TEPPO, persistent("AbC=")))
        due = claim_one(books, SOON)
        reference = records(books)[0].reference
        expected = Delivery(reference, HOME, (persistent("AbC="), TEPPO), CARBERRY, (), PRODUCTION, NOW, 1, False)
        record = records(books)[0]

        assert DueDelivery(expected, LDAP, due.lease, NOW) == due
        assert (True, 1, SOON + LEASE, DeliveryState.PENDING) == (record.in_hand, record.attempts, record.due_at, record.state)

    def test_nobody_else_gets_what_is_in_hand(self, links: PostingLinks, books: Books) -> None:
        """While it is leased, a delivery is nobody else's."""
        link_teppo(links)
        claim_one(books)

        assert () == claim(books, NOW + LEASE - INSTANT)

    def test_longest_due_comes_first(self, links: PostingLinks, books: Books, clock: SetClock) -> None:
        """Of several the longest due is handed out first, no more than asked for."""
        links.use_sinks(SINKS)
        list(links.add_links(people(3)))
        first = claim(books, limit=1)
        books.record_outcomes([deferred(first[0], SOON)], NOW)
        clock.now = LATER
        links.add_link(new_link(TEPPO))
        claimed = [claim(books, LATER, limit=2), claim(books, LATER, limit=2), claim(books, LATER, limit=2)]

        names = [[due.delivery.identifiers[0] for due in dues] for dues in claimed]
        assert [[eppn("person1"), eppn("person2")], [eppn("person0"), TEPPO], []] == names

    def test_lanes_are_apart(self, links: PostingLinks, books: Books) -> None:
        """Each sink gets its own deliveries of its own registry."""
        links.use_sinks(TWO_SINKS)
        links.add_link(new_link(TEPPO))

        assert () == claim(books, sink=ELSEWHERE)
        assert () == books.claim_deliveries(lane(environment=SANDBOX), NOW, 10)
        assert [CSV] == [due.sink for due in claim(books, sink=CSV)]
        assert [LDAP] == [due.sink for due in claim(books)]

    def test_only_what_was_written_by_then_is_collected(self, links: PostingLinks, books: Books, clock: SetClock) -> None:
        """A sink that collects until a certain time gets what was written by then, also what was put off since."""
        links.use_sinks(SINKS)
        links.add_link(new_link(TEPPO))
        books.record_outcomes([deferred(claim_one(books), SOON + INSTANT)], NOW)
        clock.now = SOON + INSTANT
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        collected = books.claim_deliveries(lane(before=SOON), LATER, 10)

        assert [TEPPO] == [due.delivery.identifiers[0] for due in collected]
        assert () == books.claim_deliveries(lane(before=SOON), LATER, 10)
        assert [MAIJA] == [due.delivery.identifiers[0] for due in books.claim_deliveries(lane(before=SOON + INSTANT), LATER, 10)]

    def test_leases_are_all_different(self, links: PostingLinks, books: Books) -> None:
        """Nobody can take another's lease for the own."""
        link_teppo(links)
        first = claim_one(books)

        assert first.lease != claim_one(books, NOW + LEASE).lease


class DeadWorkerConformance:
    """Workers that do not come back."""

    def test_delivery_of_a_dead_worker_is_claimed_again(self, links: PostingLinks, books: Books) -> None:
        """When the lease has ended somebody else has it, and knows that the iD may stand there by our hand."""
        link_teppo(links)
        first = claim_one(books)
        again = claim_one(books, NOW + LEASE)

        assert (1, False) == (first.delivery.attempt, first.delivery.may_be_ours)
        assert (first.delivery.reference, 2, True) == (again.delivery.reference, again.delivery.attempt, again.delivery.may_be_ours)

    def test_withdrawal_takes_away_what_a_dead_worker_may_have_written(self, links: PostingLinks, books: Books) -> None:
        """An attempt that was begun and never recorded may have reached the other system."""
        link = link_teppo(links)
        claim_one(books)
        links.withdraw_link(link.link_id, SOON)

        assert (CARBERRY,) == claim_one(books, NOW + LEASE).delivery.former

    def test_what_a_dead_worker_may_have_written_is_not_forgotten(self, links: PostingLinks, books: Books) -> None:
        """Nor is it where whoever came next gave the delivery back without an attempt."""
        link = link_teppo(links)
        claim_one(books)
        books.record_outcomes([deferred(claim_one(books, NOW + LEASE), LATER, counts=False)], NOW + LEASE)
        links.withdraw_link(link.link_id, NOW + LEASE)

        assert (CARBERRY,) == claim_one(books, NOW + LEASE).delivery.former

    def test_leases_of_a_holder_that_is_gone_are_released(self, links: PostingLinks, books: Books) -> None:
        """Nobody waits for the end of a lease whose holder is known to be gone, and what it may have written is not forgotten."""
        links.use_sinks(TWO_SINKS)
        links.add_link(new_link(TEPPO))
        claim_one(books)
        books.claim_deliveries(lane(CSV, holder="node-2"), NOW, 10)
        released = books.release_leases("node-1", SOON)
        again = claim_one(books, SOON)

        assert (1, 2, True) == (released, again.delivery.attempt, again.delivery.may_be_ours)
        assert () == claim(books, SOON, CSV)

    def test_newer_delivery_need_not_wait_for_a_holder_that_is_gone(self, links: PostingLinks, books: Books) -> None:
        """What had to wait for the attempt is due when it is known that there is none."""
        link = link_teppo(links)
        claim_one(books)
        links.withdraw_link(link.link_id, NOW)

        assert (1, 0) == (books.release_leases("node-1", SOON), books.release_leases("node-1", SOON))
        due = claim_one(books, SOON)
        assert (None, (CARBERRY,)) == (due.delivery.orcid, due.delivery.former)

    def test_nothing_is_released_twice_or_of_others(self, links: PostingLinks, books: Books) -> None:
        """Of a holder that has nothing in hand nothing is released, nor what it had once."""
        link_teppo(links)
        deliver(books)
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        claim_one(books)

        assert 0 == books.release_leases("node-2", NOW)
        assert 0 == books.release_leases("node-1", NOW + LEASE)
        assert 1 == books.release_leases("node-1", NOW)

    def test_released_attempt_that_comes_back_is_late(self, links: PostingLinks, books: Books) -> None:
        """Where the holder was not gone after all, and another has its delivery, the present state is delivered once more."""
        link_teppo(links)
        due = claim_one(books)
        books.release_leases("node-1", SOON)
        claim_one(books, SOON)

        assert 0 == books.record_outcomes([ended(due)], SOON)
        assert [DeliveryState.SUPERSEDED, DeliveryState.PENDING] == [record.state for record in records(books)]

    def test_what_a_holder_has_sent_may_still_arrive(self, links: PostingLinks, books: Books) -> None:
        """With patience nobody takes over before it is over: neither the same delivery nor a newer one may be overtaken."""
        patience = timedelta(seconds=10)
        links.use_sinks(SINKS)
        teppo, maija = links.add_link(new_link(TEPPO)), links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        claim(books)
        links.withdraw_link(teppo.link_id, NOW)
        released = books.release_leases("node-1", NOW, patience)
        links.withdraw_link(maija.link_id, NOW)

        assert (2, 0) == (released, books.release_leases("node-1", NOW, patience))
        assert () == claim(books, NOW + patience - timedelta(seconds=1))
        assert [None, None] == [due.delivery.orcid for due in claim(books, NOW + patience)]


class FormerConformance:
    """What may stand in the other system by our hand."""

    def test_first_delivery_replaces_nothing(self, links: PostingLinks, books: Books) -> None:
        """Where we never wrote anything, whatever stands there is somebody else's."""
        link = link_teppo(links)
        links.withdraw_link(link.link_id, SOON)
        due = claim_one(books, SOON)

        assert ((), False) == (due.delivery.former, due.delivery.may_be_ours)

    def test_delivered_orcid_is_taken_away(self, links: PostingLinks, books: Books) -> None:
        """What we wrote is ours to take away."""
        link = link_teppo(links)
        deliver(books)
        links.withdraw_link(link.link_id, SOON)

        assert (CARBERRY,) == claim_one(books, SOON).delivery.former

    def test_orcid_that_was_found_is_not_taken_away(self, links: PostingLinks, books: Books) -> None:
        """What stood there before us is not ours, however often it is delivered."""
        link = link_teppo(links)
        deliver(books, found=True)
        books.replay_deliveries(LDAP, PRODUCTION, 0, 10, SOON)
        again = deliver(books, SOON, found=True)
        links.withdraw_link(link.link_id, LATER)
        due = claim_one(books, LATER)

        assert not again.delivery.may_be_ours
        assert ((), False) == (due.delivery.former, due.delivery.may_be_ours)

    def test_same_orcid_again_may_be_ours(self, links: PostingLinks, books: Books) -> None:
        """Who delivers what we have delivered already is told so, and it stays ours."""
        link = link_teppo(links)
        deliver(books)
        books.replay_deliveries(LDAP, PRODUCTION, 0, 10, SOON)
        again = deliver(books, SOON)
        links.withdraw_link(link.link_id, LATER)

        assert ((), True) == (again.delivery.former, again.delivery.may_be_ours)
        assert (CARBERRY,) == claim_one(books, LATER).delivery.former

    def test_after_a_delivered_withdrawal_nothing_is_ours(self, links: PostingLinks, books: Books) -> None:
        """What was taken away is not ours any more, should somebody else have entered it since."""
        link = link_teppo(links)
        deliver(books)
        links.withdraw_link(link.link_id, SOON)
        deliver(books, SOON)
        links.add_link(new_link(TEPPO, linked_at=LATER))
        due = claim_one(books, LATER)

        assert (CARBERRY, (), False) == (due.delivery.orcid, due.delivery.former, due.delivery.may_be_ours)

    def test_after_a_delivered_replacement_only_the_new_one_is_ours(self, links: PostingLinks, books: Books) -> None:
        """Of several iDs the one counts that was delivered last."""
        link = link_teppo(links)
        deliver(books)
        links.withdraw_link(link.link_id, SOON)
        other = links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))
        replaced = deliver(books, SOON)
        links.withdraw_link(other.link_id, LATER)

        assert (CARBERRY,) == replaced.delivery.former
        assert (OTHER_ORCID,) == claim_one(books, LATER).delivery.former

    def test_attempt_that_reached_the_sink_may_have_written(self, links: PostingLinks, books: Books) -> None:
        """An attempt without success that got through counts, for the same delivery and for the next."""
        link = link_teppo(links)
        books.record_outcomes([deferred(claim_one(books), SOON)], NOW)
        again = claim_one(books, SOON)
        books.record_outcomes([ended(again, DeliveryState.PARKED)], SOON)
        links.withdraw_link(link.link_id, LATER)

        assert again.delivery.may_be_ours
        assert (CARBERRY,) == claim_one(books, LATER).delivery.former

    def test_attempt_that_was_given_back_has_written_nothing(self, links: PostingLinks, books: Books) -> None:
        """What was never sent does not count, and is no attempt."""
        link = link_teppo(links)
        books.record_outcomes([deferred(claim_one(books), SOON, counts=False)], NOW)
        again = claim_one(books, SOON)
        books.record_outcomes([deferred(again, LATER, counts=False)], SOON)
        links.withdraw_link(link.link_id, LATER)

        assert (1, False) == (again.delivery.attempt, again.delivery.may_be_ours)
        assert () == claim_one(books, LATER).delivery.former

    def test_cancelled_attempt_counts(self, links: PostingLinks, books: Books) -> None:
        """What an operator has cancelled may have been written before."""
        link = link_teppo(links)
        park(books)
        books.cancel_deliveries(EVERYTHING, SOON)
        links.withdraw_link(link.link_id, LATER)

        assert (CARBERRY,) == claim_one(books, LATER).delivery.former

    def test_everything_since_the_last_delivered_one_counts(self, links: PostingLinks, books: Books) -> None:
        """Several iDs may stand there, the oldest first, and the present one is not among those to take away."""
        link = link_teppo(links)
        deliver(books)
        links.withdraw_link(link.link_id, NOW)
        other = links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))
        books.record_outcomes([deferred(claim_one(books), LATER)], NOW)
        links.withdraw_link(other.link_id, SOON)
        withdrawn = claim_one(books, SOON)
        books.record_outcomes([deferred(withdrawn, LATER)], SOON)
        links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))
        present = claim_one(books, SOON)

        assert (CARBERRY, OTHER_ORCID) == withdrawn.delivery.former
        assert ((CARBERRY,), True) == (present.delivery.former, present.delivery.may_be_ours)

    def test_sinks_and_environments_are_apart(self, links: PostingLinks, books: Books) -> None:
        """What was written into one system is not in another."""
        links.use_sinks(TWO_SINKS)
        link = links.add_link(new_link(TEPPO))
        deliver(books)
        links.withdraw_link(link.link_id, SOON)

        assert (CARBERRY,) == claim_one(books, SOON).delivery.former
        assert () == claim_one(books, SOON, CSV).delivery.former


class ClaimingConformance(ClaimConformance, DeadWorkerConformance, FormerConformance):
    """Everything about handing deliveries out."""
