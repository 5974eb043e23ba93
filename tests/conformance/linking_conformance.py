"""What every store of linkings does.

A back end proves itself with a subclass, a fixture `linking` that gives an empty store, and `links`, the operator's view of the same links.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from attribute_authority.domain.identifiers import EntityId, Identifier
from attribute_authority.domain.link import KnownSubject, Link, LinkSource, NewLink
from attribute_authority.domain.linking import Consent, Standing
from attribute_authority.errors import Conflict, FormOver, OrcidTaken, OtherOrcidLinked, SubjectsDiffer
from attribute_authority.ports import LinkingStore, LinkStore
from tests.conformance.linking_samples import LATER, LEASE, MUCH_LATER, NOBODYS_ORCID, due, link_with_grant, standing_of_teppo
from tests.conformance.samples import (
    CARBERRY,
    CONSENT,
    GRANT,
    HELD_UNTIL,
    HOME,
    MAIJA,
    NOW,
    OTHER_HOME,
    OTHER_ORCID,
    PRODUCTION,
    SANDBOX,
    SCOPES,
    TEPPO,
    completion,
    eppn,
    held_grant,
    new_link,
    persistent,
    unique_id,
)
from tests.conformance.unlinking_conformance import RevocationConformance, WithdrawingConformance


class RecogniseConformance:
    """Who signed in."""

    def test_stranger_is_none_and_stays_one(self, linking: LinkingStore, links: LinkStore) -> None:
        """A sign-in alone stores nothing."""
        assert linking.recognise(HOME, (TEPPO, persistent("AbC=")), PRODUCTION, NOW) is None
        assert links.find_subject(TEPPO, PRODUCTION) is None

    def test_nobody_has_no_identifier(self, linking: LinkingStore) -> None:
        """Without identifiers there is nobody to know."""
        assert linking.recognise(HOME, (), PRODUCTION, NOW) is None

    def test_operators_link_stands_without_consent(self, linking: LinkingStore, links: LinkStore) -> None:
        """A link that was entered by hand is in force, and nobody has agreed to it here."""
        link = links.add_link(new_link(TEPPO))

        assert Standing(link.subject_id, link, None, (), None, None) == standing_of_teppo(linking)

    def test_further_identifiers_are_kept(self, linking: LinkingStore, links: LinkStore) -> None:
        """Whichever identifier of a login a service later asks with, it finds the iD."""
        link = links.add_link(new_link(TEPPO))
        standing = linking.recognise(HOME, (persistent("AbC="), TEPPO, persistent("AbC="), persistent("DeF=")), PRODUCTION, NOW)

        assert Standing(link.subject_id, links.add_link(new_link(TEPPO)), None, (), None, None) == standing
        assert links.find_subject(persistent("DeF="), PRODUCTION) == KnownSubject(link.subject_id, HOME, CARBERRY)

    def test_further_identifiers_are_kept_without_a_link_in_force(self, linking: LinkingStore, links: LinkStore) -> None:
        """Also somebody who has unlinked is known by every identifier."""
        link = links.add_link(new_link(TEPPO))
        links.withdraw_link(link.link_id, LATER)
        linking.recognise(HOME, (TEPPO, persistent("AbC=")), PRODUCTION, NOW)

        assert links.find_subject(persistent("AbC="), PRODUCTION) == KnownSubject(link.subject_id, HOME, None)

    @pytest.mark.parametrize(
        ("home", "identifiers"),
        [(HOME, (TEPPO, eppn("further"), MAIJA)), (OTHER_HOME, (TEPPO, eppn("further")))],
        ids=["two-subjects", "other-home"],
    )
    def test_contradicting_identifiers_store_nothing(
        self, linking: LinkingStore, links: LinkStore, home: EntityId, identifiers: tuple[Identifier, ...]
    ) -> None:
        """Identifiers of two people, or of somebody at another home organisation, are refused as a whole."""
        links.add_link(new_link(TEPPO))
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))

        with pytest.raises(SubjectsDiffer):
            linking.recognise(home, identifiers, PRODUCTION, NOW)
        assert links.find_subject(eppn("further"), PRODUCTION) is None

    def test_reassigned_eppn_names_nobody(self, linking: LinkingStore, links: LinkStore) -> None:
        """Who shares an ePPN alone, and has another identifier of a kind that is never reassigned, is somebody else."""
        links.add_link(new_link(TEPPO, unique_id("former")))
        successor = NewLink(HOME, (TEPPO, unique_id("successor")), CARBERRY, PRODUCTION, LinkSource.COMPANION, NOW)
        linking.hold_grant(held_grant())

        with pytest.raises(SubjectsDiffer):
            linking.recognise(HOME, successor.identifiers, PRODUCTION, NOW)
        with pytest.raises(SubjectsDiffer):
            linking.check_completion(successor, None)
        with pytest.raises(SubjectsDiffer):
            linking.complete(completion(successor))
        assert links.find_subject(unique_id("successor"), PRODUCTION) is None

    def test_lasting_identifier_outweighs_the_others(self, linking: LinkingStore, links: LinkStore) -> None:
        """Who shares one that is never reassigned is the same person, whatever else has changed."""
        link = links.add_link(new_link(TEPPO, unique_id("former"), persistent("AbC=")))
        standing = linking.recognise(HOME, (eppn("renamed"), unique_id("former"), persistent("DeF=")), PRODUCTION, NOW)

        assert standing is not None
        assert link.subject_id == standing.subject_id
        assert links.find_subject(eppn("renamed"), PRODUCTION) == KnownSubject(link.subject_id, HOME, CARBERRY)

    def test_environments_are_apart(self, linking: LinkingStore, links: LinkStore) -> None:
        """A link to the other registry is no link here."""
        link = links.add_link(new_link(TEPPO, environment=SANDBOX))

        assert Standing(link.subject_id, None, None, (), None, None) == standing_of_teppo(linking)

    def test_link_that_was_withdrawn_last_is_told(self, linking: LinkingStore, links: LinkStore) -> None:
        """Of several withdrawn links it is the last one, and none while one is in force."""
        for number, orcid in enumerate((CARBERRY, OTHER_ORCID)):
            instant = NOW + timedelta(hours=number)
            links.withdraw_link(links.add_link(new_link(TEPPO, orcid=orcid, linked_at=instant)).link_id, instant + timedelta(minutes=1))
        last = list(links.find_links(withdrawn=True))[-1]

        assert Standing(last.subject_id, None, None, (), last, None) == standing_of_teppo(linking)
        present = links.add_link(new_link(TEPPO))
        assert Standing(last.subject_id, present, None, (), None, None) == standing_of_teppo(linking)


class CompleteConformance:
    """Storing a linking."""

    def test_everything_is_stored_together(self, linking: LinkingStore, links: LinkStore) -> None:
        """Link, identifiers, consent and scopes are there, and the grant is not revoked when its time would have come."""
        given = NewLink(HOME, (TEPPO, persistent("AbC=")), CARBERRY, PRODUCTION, LinkSource.COMPANION, NOW)
        link = link_with_grant(linking, given)
        expected = Link(link.link_id, link.subject_id, HOME, given.identifiers, CARBERRY, PRODUCTION, LinkSource.COMPANION, NOW, None)

        assert expected == link
        assert [expected] == list(links.find_links(withdrawn=True))
        assert Standing(link.subject_id, link, CONSENT, SCOPES, None, None) == standing_of_teppo(linking)
        assert [] == due(linking, MUCH_LATER)

    def test_same_orcid_again_renews_consent_and_grant(self, linking: LinkingStore, links: LinkStore) -> None:
        """Refreshing keeps the link, adds the consent, and lets the earlier permission go."""
        link = link_with_grant(linking, new_link(TEPPO))
        linking.hold_grant(held_grant("grant-2"))
        again = Consent("2026-02", "fi", LATER)
        refreshed = linking.complete(completion(new_link(TEPPO, linked_at=LATER), "grant-2", consent=again))

        assert link == refreshed
        assert Standing(link.subject_id, link, again, SCOPES, None, None) == standing_of_teppo(linking)
        assert [] == due(linking, LATER - timedelta(microseconds=1))
        assert [GRANT] == due(linking, LATER)

    def test_operators_link_can_be_confirmed(self, linking: LinkingStore, links: LinkStore) -> None:
        """A link that was entered by hand stays, with consent and grant from now on."""
        link = links.add_link(new_link(TEPPO))

        assert link == link_with_grant(linking, new_link(TEPPO, linked_at=LATER))
        assert Standing(link.subject_id, link, CONSENT, SCOPES, None, None) == standing_of_teppo(linking)

    def test_replacing_withdraws_and_links_in_one(self, linking: LinkingStore, links: LinkStore) -> None:
        """The earlier link ends when the new one begins, and its permission goes."""
        first = link_with_grant(linking, new_link(TEPPO))
        second = link_with_grant(linking, new_link(TEPPO, orcid=OTHER_ORCID, linked_at=LATER), "grant-2", replaces=first.link_id)

        assert [replace(first, withdrawn_at=LATER), second] == list(links.find_links(withdrawn=True))
        assert Standing(first.subject_id, second, CONSENT, SCOPES, None, None) == standing_of_teppo(linking)
        assert [GRANT] == due(linking, MUCH_LATER)

    def test_earlier_grants_of_withdrawn_links_go_too(self, linking: LinkingStore, links: LinkStore) -> None:
        """Linking again after unlinking leaves one permission in use, whatever became of the others."""
        first = link_with_grant(linking, new_link(TEPPO))
        links.withdraw_link(first.link_id, LATER)
        link_with_grant(linking, new_link(TEPPO, linked_at=LATER), "grant-2")

        assert [GRANT] == due(linking, MUCH_LATER)

    def test_grants_of_other_people_and_environments_stay(self, linking: LinkingStore) -> None:
        """Nobody's refresh revokes what another link lives on."""
        link_with_grant(linking, new_link(TEPPO), "grant-teppo")
        link_with_grant(linking, new_link(TEPPO, environment=SANDBOX), "grant-sandbox")
        link_with_grant(linking, new_link(MAIJA, orcid=OTHER_ORCID), "grant-maija")
        link_with_grant(linking, new_link(TEPPO, linked_at=LATER), "grant-again")

        assert ["grant-teppo"] == due(linking, MUCH_LATER)

    def test_second_completion_with_a_grant_is_over(self, linking: LinkingStore, links: LinkStore) -> None:
        """A form that is sent twice links once, and changes nothing the second time."""
        link = link_with_grant(linking, new_link(TEPPO))
        before = standing_of_teppo(linking)

        with pytest.raises(FormOver):
            linking.complete(completion(new_link(TEPPO), consent=Consent("2026-02", "fi", LATER)))
        with pytest.raises(FormOver):
            linking.complete(completion(new_link(MAIJA, eppn("further"), orcid=OTHER_ORCID)))
        assert [link] == list(links.find_links(withdrawn=True))
        assert before == standing_of_teppo(linking)
        assert [] == due(linking, MUCH_LATER)

    def test_replacement_that_is_sent_twice_is_over(self, linking: LinkingStore, links: LinkStore) -> None:
        """The same replacement again is told as what it is, not as a contradiction."""
        first = link_with_grant(linking, new_link(TEPPO))
        link_with_grant(linking, new_link(TEPPO, orcid=OTHER_ORCID), "grant-2", replaces=first.link_id)

        with pytest.raises(FormOver):
            linking.complete(completion(new_link(TEPPO, orcid=OTHER_ORCID), "grant-2", replaces=first.link_id))
        assert links.count_links(withdrawn=True) == 2

    def test_unknown_grant_stores_nothing(self, linking: LinkingStore, links: LinkStore) -> None:
        """Without the grant there is no link, no person and no consent."""
        with pytest.raises(FormOver):
            linking.complete(completion(new_link(TEPPO, persistent("AbC="))))

        assert links.count_links(withdrawn=True) == 0
        assert standing_of_teppo(linking) is None

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(days=1)])
    def test_grant_whose_time_is_over_stores_nothing(self, linking: LinkingStore, links: LinkStore, late: timedelta) -> None:
        """A permission that is being revoked is no basis for a link."""
        linking.hold_grant(held_grant())
        with pytest.raises(FormOver):
            linking.complete(completion(new_link(TEPPO, linked_at=HELD_UNTIL + late)))

        assert links.count_links(withdrawn=True) == 0
        assert [GRANT] == due(linking, HELD_UNTIL)

    def test_grant_that_a_worker_is_revoking_stores_nothing(self, linking: LinkingStore, links: LinkStore) -> None:
        """Where the clock of another node is ahead, a leased grant is not linked any more."""
        linking.hold_grant(held_grant())
        linking.claim_revocations(HELD_UNTIL, LEASE, 1)

        with pytest.raises(FormOver):
            linking.complete(completion(new_link(TEPPO, linked_at=HELD_UNTIL - timedelta(seconds=1))))
        assert links.count_links(withdrawn=True) == 0

    def test_grant_that_was_given_up_stores_nothing(self, linking: LinkingStore, links: LinkStore) -> None:
        """After "no" in one tab, "yes" in another is too late."""
        linking.hold_grant(held_grant())
        linking.give_up_grant(GRANT, NOW)

        with pytest.raises(FormOver):
            linking.complete(completion(new_link(TEPPO, linked_at=LATER)))
        assert links.count_links(withdrawn=True) == 0


class ConflictConformance:
    """Linkings that contradict what is stored."""

    @pytest.fixture
    def present(self, links: LinkStore) -> Link:
        """The link of the usual person, beside one of somebody else."""
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        return links.add_link(new_link(TEPPO))

    @pytest.mark.parametrize(
        ("new", "kind"),
        [
            (new_link(TEPPO, MAIJA), SubjectsDiffer),
            (new_link(TEPPO, eppn("further"), home=OTHER_HOME), SubjectsDiffer),
            (new_link(TEPPO, eppn("further"), orcid=OTHER_ORCID), OtherOrcidLinked),
            (new_link(eppn("further")), OrcidTaken),
            (new_link(), Conflict),
        ],
        ids=["two-subjects", "other-home", "other-orcid", "orcid-of-another-subject", "no-identifier"],
    )
    def test_conflict_is_told_before_and_stores_nothing(
        self, linking: LinkingStore, links: LinkStore, present: Link, new: NewLink, kind: type[Conflict]
    ) -> None:
        """The check tells what completing would; both leave everything as it was, and the grant stays held."""
        before = list(links.find_links(withdrawn=True))
        linking.hold_grant(held_grant())
        with pytest.raises(Conflict) as checked:
            linking.check_completion(new, None)
        with pytest.raises(Conflict) as refused:
            linking.complete(completion(new))

        assert (kind, kind) == (type(checked.value), type(refused.value))
        assert before == list(links.find_links(withdrawn=True))
        assert links.find_subject(eppn("further"), PRODUCTION) is None
        assert ([], [GRANT]) == (due(linking, HELD_UNTIL - timedelta(seconds=1)), due(linking, HELD_UNTIL))

    def test_replacement_with_an_orcid_of_somebody_else_leaves_the_present_one(
        self, linking: LinkingStore, links: LinkStore, present: Link
    ) -> None:
        """Where the new iD cannot be linked, the earlier link is not withdrawn either."""
        linking.hold_grant(held_grant())
        with pytest.raises(OrcidTaken):
            linking.check_completion(new_link(TEPPO, orcid=OTHER_ORCID), present.link_id)
        with pytest.raises(OrcidTaken):
            linking.complete(completion(new_link(TEPPO, orcid=OTHER_ORCID), replaces=present.link_id))

        assert links.find_subject(TEPPO, PRODUCTION) == KnownSubject(present.subject_id, HOME, CARBERRY)

    @pytest.mark.parametrize("person", [TEPPO, eppn("further")], ids=["known", "stranger"])
    @pytest.mark.parametrize("wrong", [-1, 1, 100, 2**64])
    def test_only_the_link_in_force_can_be_replaced(
        self, linking: LinkingStore, links: LinkStore, present: Link, person: Identifier, wrong: int
    ) -> None:
        """The number of another person's link, or of none, replaces nothing."""
        before = list(links.find_links(withdrawn=True))
        new = new_link(person, orcid=NOBODYS_ORCID)
        linking.hold_grant(held_grant())
        with pytest.raises(OtherOrcidLinked):
            linking.check_completion(new, present.link_id - wrong)
        with pytest.raises(OtherOrcidLinked):
            linking.complete(completion(new, replaces=present.link_id - wrong))

        assert before == list(links.find_links(withdrawn=True))

    def test_withdrawn_link_cannot_be_replaced(self, linking: LinkingStore, links: LinkStore, present: Link) -> None:
        """Where the link ended meanwhile, what the person agreed to is not the case any more."""
        links.withdraw_link(present.link_id, NOW)

        with pytest.raises(OtherOrcidLinked):
            linking.check_completion(new_link(TEPPO), present.link_id)

    def test_check_of_what_is_possible_stores_nothing(self, linking: LinkingStore, links: LinkStore, present: Link) -> None:
        """Looking ahead is silent for a new link, a replacement and a refresh, and changes nothing."""
        before = list(links.find_links(withdrawn=True))
        linking.check_completion(new_link(eppn("further"), orcid=NOBODYS_ORCID), None)
        linking.check_completion(new_link(TEPPO, orcid=NOBODYS_ORCID), present.link_id)
        linking.check_completion(new_link(TEPPO, eppn("further")), None)

        assert before == list(links.find_links(withdrawn=True))


class LinkingStoreConformance(
    RecogniseConformance, CompleteConformance, ConflictConformance, WithdrawingConformance, RevocationConformance
):
    """Everything that a store of linkings does."""
