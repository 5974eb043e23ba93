"""What every store of links writes into the books of deliveries; a back end has fixtures `links`, `linking`, `books` and `clock`."""

from datetime import timedelta

import pytest

from attribute_authority.domain.delivery import DeliveryRecord, DeliveryState
from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.errors import AuthorityError, FormOver, OrcidTaken
from tests.conformance.delivery_samples import (
    CSV,
    HOUR,
    LATER,
    LDAP,
    LEASE,
    SINKS,
    SOON,
    TWO_SINKS,
    Books,
    PostingLinkings,
    PostingLinks,
    SetClock,
    claim,
    claim_one,
    deliver,
    ended,
    link_teppo,
    park,
    records,
    states,
)
from tests.conformance.linking_samples import link_with_grant
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
    completion,
    eppn,
    held_grant,
    new_link,
    orcid_number,
    people,
    persistent,
)

LONG_AGO = NOW - timedelta(days=900)


class WritingConformance:
    """What is written, and what is not."""

    def test_link_is_written_as_one_delivery(self, links: PostingLinks, books: Books) -> None:
        """A link brings its iD on the way to the sink of the home organisation, due at once."""
        links.use_sinks(SINKS)
        link = links.add_link(new_link(TEPPO, persistent("AbC=")))
        (record,) = records(books)
        expected = DeliveryRecord(
            reference=record.reference,
            sink=LDAP,
            subject_id=link.subject_id,
            identifiers=(persistent("AbC="), TEPPO),
            orcid=CARBERRY,
            environment=PRODUCTION,
            state=DeliveryState.PENDING,
            changed_at=NOW,
            created_at=NOW,
            attempts=0,
            due_at=NOW,
            in_hand=False,
            ended_at=None,
            message=None,
            told_at=None,
        )

        assert expected == record
        assert len(record.reference) == 16

    def test_withdrawal_is_written_as_a_state_without_orcid(self, links: PostingLinks, books: Books) -> None:
        """What was linked before there was a sink is taken away too."""
        link = links.add_link(new_link(TEPPO))
        links.use_sinks(SINKS)
        links.withdraw_link(link.link_id, LATER)

        assert [(None, LATER, LATER)] == [(record.orcid, record.changed_at, record.due_at) for record in records(books)]

    def test_each_sink_gets_its_own(self, links: PostingLinks, books: Books) -> None:
        """Every sink of the home organisation gets a delivery, with a reference that no other has."""
        links.use_sinks({**TWO_SINKS, OTHER_HOME: ("rest",)})
        links.add_link(new_link(TEPPO))
        written = records(books)

        assert [LDAP, CSV] == [record.sink for record in written]
        assert len({record.reference for record in written}) == 2

    def test_age_is_that_of_the_entry(self, links: PostingLinks, books: Books, clock: SetClock) -> None:
        """A link that is imported with its own date is due now, not since then."""
        links.use_sinks(SINKS)
        clock.now = LATER
        links.add_link(new_link(TEPPO, linked_at=LONG_AGO))

        assert [(LONG_AGO, LATER, LATER)] == [(record.changed_at, record.created_at, record.due_at) for record in records(books)]
        assert LATER == claim_one(books, LATER).ages_from

    def test_same_link_again_writes_nothing(self, links: PostingLinks, books: Books) -> None:
        """An import that is repeated, or a link with further identifiers, keeps no other system busy."""
        link_teppo(links)
        list(links.add_links([new_link(TEPPO), new_link(TEPPO, eppn("further"))]))

        assert len(records(books)) == 1

    def test_what_is_refused_writes_nothing(self, links: PostingLinks, books: Books) -> None:
        """A link that contradicts another one, and the withdrawal of none, are no change."""
        link_teppo(links)
        with pytest.raises(OrcidTaken):
            links.add_link(new_link(MAIJA))
        links.withdraw_link(10_000, LATER)

        assert len(records(books)) == 1

    def test_organisation_without_sinks_gets_nothing(self, links: PostingLinks, books: Books) -> None:
        """Without a call, and for the others after one, nothing is written."""
        links.add_link(new_link(TEPPO))
        links.use_sinks({OTHER_HOME: ("ldap",), HOME: ()})
        links.withdraw_link(links.add_link(new_link(MAIJA, orcid=OTHER_ORCID)).link_id, LATER)

        assert [] == records(books)

    def test_sinks_are_exchanged_at_once(self, links: PostingLinks, books: Books) -> None:
        """From the call on the new sinks get deliveries, and the former ones no more."""
        link = link_teppo(links)
        links.use_sinks({HOME: ("csv",)})
        links.withdraw_link(link.link_id, LATER)

        assert [(LDAP, CARBERRY), (CSV, None)] == [(record.sink, record.orcid) for record in records(books)]

    def test_import_writes_one_for_each(self, links: PostingLinks, books: Books) -> None:
        """Of many links in one call each person gets a delivery, with the own iD."""
        links.use_sinks(SINKS)
        list(links.add_links([*people(250), new_link(eppn("person0")), new_link(eppn("person1"), orcid=orcid_number(999))]))
        written = records(books)

        assert [(eppn(f"person{number}"),) for number in range(250)] == [record.identifiers for record in written]
        assert [orcid_number(number) for number in range(250)] == [record.orcid for record in written]

    def test_import_rehearsal_writes_nothing(self, links: PostingLinks, books: Books) -> None:
        """What is only checked is not delivered."""
        links.use_sinks(SINKS)

        assert [None] * 3 == list(links.check_links(people(3)))
        assert [] == records(books)

    def test_environments_are_apart(self, links: PostingLinks, books: Books) -> None:
        """A link to an iD of the sandbox does not change what is delivered of the other registry."""
        link_teppo(links)
        links.add_link(new_link(TEPPO, environment=SANDBOX, orcid=OTHER_ORCID))

        assert [(PRODUCTION, CARBERRY), (SANDBOX, OTHER_ORCID)] == [(record.environment, record.orcid) for record in records(books)]
        assert ["pending", "pending"] == states(books)


class SupersedingConformance:
    """A newer state in the place of an older one."""

    def test_newer_state_supersedes_what_waits(self, links: PostingLinks, books: Books) -> None:
        """What was not delivered yet need not be any more; only the present state is."""
        links.withdraw_link(link_teppo(links).link_id, SOON)
        former, present = records(books)

        assert (DeliveryState.SUPERSEDED, SOON, None) == (former.state, former.ended_at, former.due_at)
        assert None is claim_one(books, SOON).delivery.orcid
        assert SOON == present.due_at

    def test_newer_state_supersedes_what_is_parked(self, links: PostingLinks, books: Books) -> None:
        """Nobody has to act on a delivery that is not true any more."""
        link = link_teppo(links)
        park(books)
        links.withdraw_link(link.link_id, SOON)

        assert ["superseded", "pending"] == states(books)

    def test_other_people_and_sinks_are_left_alone(self, links: PostingLinks, books: Books) -> None:
        """A change is about one person, and what a sink has taken stays taken."""
        links.use_sinks(TWO_SINKS)
        link = links.add_link(new_link(TEPPO))
        deliver(books, sink=CSV)
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        links.withdraw_link(link.link_id, SOON)

        assert ["superseded", "delivered", "pending", "pending", "pending", "pending"] == states(books)

    def test_newer_state_waits_for_the_attempt_that_is_made(self, links: PostingLinks, books: Books) -> None:
        """While an older state is on its way to a sink, the newer one is not, so that the last to arrive is the newest."""
        link = link_teppo(links)
        claim_one(books)
        links.withdraw_link(link.link_id, SOON)

        assert NOW + LEASE == records(books)[1].due_at
        assert () == claim(books, NOW + LEASE - timedelta(microseconds=1))
        assert None is claim_one(books, NOW + LEASE).delivery.orcid

    def test_third_state_waits_for_the_attempt_at_the_first(self, links: PostingLinks, books: Books) -> None:
        """However often a person changes it meanwhile, the attempt that is made is waited for."""
        link = link_teppo(links)
        due = claim_one(books)
        links.withdraw_link(link.link_id, SOON)
        links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))

        assert ["superseded", "superseded", "pending"] == states(books)
        assert () == claim(books, SOON)
        books.record_outcomes([ended(due)], SOON)
        assert OTHER_ORCID == claim_one(books, SOON).delivery.orcid

    def test_attempt_whose_lease_is_over_is_not_waited_for(self, links: PostingLinks, books: Books) -> None:
        """A worker that died keeps nobody waiting."""
        link = link_teppo(links)
        claim_one(books)
        links.withdraw_link(link.link_id, NOW + LEASE)

        assert None is claim_one(books, NOW + LEASE).delivery.orcid


class IdentifiedConformance:
    """People of whom more becomes known."""

    def test_parked_is_tried_again_with_further_identifiers(self, links: PostingLinks, books: Books, clock: SetClock) -> None:
        """Who was refused for want of an identifier is delivered as soon as there is one, as if it were new."""
        link_teppo(links)
        reference = park(books).delivery.reference
        clock.now = LATER
        links.add_link(new_link(TEPPO, eppn("further")))
        due = claim_one(books, LATER)

        assert (reference, 2, LATER) == (due.delivery.reference, due.delivery.attempt, due.ages_from)
        assert (eppn("further"), TEPPO) == due.delivery.identifiers

    def test_parked_is_tried_again_with_another_spelling(self, links: PostingLinks, books: Books) -> None:
        """A system that minds every letter is asked again when the letters are other ones."""
        link_teppo(links)
        park(books)
        links.add_link(new_link(parse_identifier(IdentifierKind.EPPN, "Teppo@Yliopisto.Example")))

        assert ("Teppo@Yliopisto.Example",) == claim_one(books).delivery.values(IdentifierKind.EPPN)

    def test_parked_of_others_stays_parked(self, links: PostingLinks, books: Books) -> None:
        """Known identifiers tell nothing new, and nobody else's deliveries are touched."""
        link_teppo(links)
        park(books)
        links.add_link(new_link(TEPPO))
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        links.add_link(new_link(MAIJA, eppn("further"), orcid=OTHER_ORCID))

        assert ["parked", "pending"] == states(books)

    def test_only_what_is_parked_is_touched(self, links: PostingLinks, books: Books) -> None:
        """What was delivered stays delivered."""
        link_teppo(links)
        deliver(books)
        links.add_link(new_link(TEPPO, eppn("further")))

        assert ["delivered"] == states(books)


class LinkingPostingConformance:
    """What linkings of the companion page write."""

    def test_linking_is_written(self, linking: PostingLinkings, books: Books) -> None:
        """A researcher's confirmation is on its way from the moment that it is stored, by the clock of the page."""
        linking.use_sinks(SINKS)
        link_with_grant(linking, new_link(TEPPO, linked_at=SOON))

        assert [(CARBERRY, SOON, SOON)] == [(record.orcid, record.changed_at, record.due_at) for record in records(books)]

    def test_replacement_is_one_delivery(self, linking: PostingLinkings, books: Books) -> None:
        """What was there until then is named in the delivery of the new iD, and nothing is delivered in between."""
        linking.use_sinks(SINKS)
        link = link_with_grant(linking, new_link(TEPPO))
        deliver(books)
        link_with_grant(linking, new_link(TEPPO, orcid=OTHER_ORCID, linked_at=SOON), "grant-2", replaces=link.link_id)
        due = claim_one(books, SOON)

        assert ["delivered", "pending"] == states(books)
        assert (OTHER_ORCID, (CARBERRY,), SOON) == (due.delivery.orcid, due.delivery.former, due.delivery.changed_at)

    def test_refresh_writes_nothing(self, linking: PostingLinkings, books: Books) -> None:
        """A permission that is renewed changes no iD."""
        linking.use_sinks(SINKS)
        link_with_grant(linking, new_link(TEPPO))
        link_with_grant(linking, new_link(TEPPO, linked_at=SOON), "grant-2")

        assert ["pending"] == states(books)

    def test_unlinking_is_written(self, linking: PostingLinkings, books: Books) -> None:
        """A researcher who withdraws is taken out of the other system."""
        linking.use_sinks(SINKS)
        linking.withdraw(link_with_grant(linking, new_link(TEPPO)).link_id, SOON)

        assert [CARBERRY, None] == [record.orcid for record in records(books)]
        assert ["superseded", "pending"] == states(books)

    @pytest.mark.parametrize(("orcid", "fault"), [(OTHER_ORCID, OrcidTaken), (CARBERRY, FormOver)], ids=["conflict", "no-grant"])
    def test_linking_that_fails_writes_nothing(
        self, linking: PostingLinkings, books: Books, orcid: object, fault: type[AuthorityError]
    ) -> None:
        """Where nothing is stored, nothing is delivered, and what was written before stays."""
        linking.use_sinks(SINKS)
        link_with_grant(linking, new_link(MAIJA, orcid=OTHER_ORCID))
        present = link_with_grant(linking, new_link(TEPPO), "grant-2")
        before = records(books)
        if fault is OrcidTaken:
            linking.hold_grant(held_grant("grant-3"))
        with pytest.raises(fault):
            linking.complete(completion(new_link(TEPPO, orcid=OTHER_ORCID), "grant-3", replaces=present.link_id))

        assert before == records(books)

    def test_checking_writes_nothing(self, linking: PostingLinkings, books: Books) -> None:
        """What is only looked ahead at is not delivered."""
        linking.use_sinks(SINKS)
        linking.check_completion(new_link(TEPPO), None)

        assert [] == records(books)

    def test_sign_in_with_further_identifiers_tries_again(self, linking: PostingLinkings, books: Books) -> None:
        """A person who was refused is delivered after the next sign-in that tells more, and not after one that does not."""
        linking.use_sinks(SINKS)
        link_with_grant(linking, new_link(TEPPO))
        park(books)
        linking.recognise(HOME, (TEPPO,), PRODUCTION, SOON)
        before = states(books)
        linking.recognise(HOME, (TEPPO, eppn("further")), PRODUCTION, SOON + HOUR)

        assert ["parked"] == before
        assert SOON + HOUR == claim_one(books, SOON + HOUR).ages_from


class PostingConformance(WritingConformance, SupersedingConformance, IdentifiedConformance):
    """Everything that a store of links writes into the books."""
