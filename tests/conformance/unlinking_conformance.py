"""What every store of linkings does when a link ends, and with grants that are to be revoked; part of `linking_conformance`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from attribute_authority.domain.link import KnownSubject
from attribute_authority.domain.linking import DueRevocation, Revocation, Standing
from attribute_authority.ports import LinkingStore, LinkStore
from tests.conformance.linking_samples import LATER, LEASE, MUCH_LATER, due, link_with_grant, standing_of_teppo
from tests.conformance.samples import (
    GRANT,
    HELD_UNTIL,
    HOME,
    NOW,
    PRODUCTION,
    TEPPO,
    held_grant,
    new_link,
)


class WithdrawingConformance:
    """Unlinking."""

    def test_withdrawn_link_and_its_revocation_are_told(self, linking: LinkingStore, links: LinkStore) -> None:
        """From that instant on the iD is released to nobody, and its permission is due to go."""
        link = link_with_grant(linking, new_link(TEPPO))
        withdrawn = linking.withdraw(link.link_id, LATER)

        assert replace(link, withdrawn_at=LATER) == withdrawn
        assert links.find_subject(TEPPO, PRODUCTION) == KnownSubject(link.subject_id, HOME, None)
        assert Standing(link.subject_id, None, None, (), withdrawn, Revocation(LATER, 0, None)) == standing_of_teppo(linking)
        assert [GRANT] == due(linking, LATER)

    def test_operators_withdrawal_lets_the_permission_go(self, linking: LinkingStore, links: LinkStore) -> None:
        """Whoever withdraws a link, its permission at ORCID ends too."""
        link = link_with_grant(linking, new_link(TEPPO))
        links.withdraw_link(link.link_id, LATER)

        assert [GRANT] == due(linking, LATER)

    @pytest.mark.parametrize("link_id", [0, -1, 4711, 2**63])
    def test_unknown_link_is_none(self, linking: LinkingStore, link_id: int) -> None:
        """A number that no link has is nothing to withdraw."""
        assert linking.withdraw(link_id, NOW) is None

    def test_second_withdrawal_is_none_and_moves_nothing(self, linking: LinkingStore) -> None:
        """A link is withdrawn once, and its permission is due since then."""
        link = link_with_grant(linking, new_link(TEPPO))
        linking.withdraw(link.link_id, LATER)
        before = standing_of_teppo(linking)

        assert linking.withdraw(link.link_id, MUCH_LATER) is None
        assert before == standing_of_teppo(linking)


class RevocationConformance:
    """Grants that are to be revoked."""

    def test_abandoned_grant_falls_due_by_itself(self, linking: LinkingStore) -> None:
        """A page that was closed without an answer leaves no permission behind."""
        linking.hold_grant(held_grant())

        assert () == linking.claim_revocations(HELD_UNTIL - timedelta(microseconds=1), LEASE, 5)
        assert (DueRevocation(GRANT, b"sealed grant-1", 0),) == linking.claim_revocations(HELD_UNTIL, LEASE, 5)

    def test_given_up_grant_is_due_at_once(self, linking: LinkingStore) -> None:
        """Somebody who declines does not wait for the permission to end."""
        linking.hold_grant(held_grant())
        linking.give_up_grant(GRANT, LATER)

        assert [GRANT] == due(linking, LATER)

    def test_claimed_and_unknown_grants_are_not_given_up(self, linking: LinkingStore) -> None:
        """A late "no" does not take the permission of a link away."""
        link_with_grant(linking, new_link(TEPPO))
        linking.give_up_grant(GRANT, LATER)
        linking.give_up_grant("grant-of-nobody", LATER)

        assert [] == due(linking, MUCH_LATER)

    def test_leased_grant_is_nobody_elses(self, linking: LinkingStore) -> None:
        """While one worker revokes a grant no other does, and when it died another takes over."""
        linking.hold_grant(held_grant())
        first = linking.claim_revocations(HELD_UNTIL, LEASE, 5)
        meanwhile = linking.claim_revocations(HELD_UNTIL + LEASE - timedelta(microseconds=1), LEASE, 5)

        assert () == meanwhile
        assert first == linking.claim_revocations(HELD_UNTIL + LEASE, LEASE, 5)

    def test_limit_takes_what_waits_longest(self, linking: LinkingStore) -> None:
        """A few at a time, the oldest first."""
        for number in (3, 1, 2):
            linking.hold_grant(held_grant(f"grant-{number}", revoke_at=NOW + timedelta(minutes=number)))
        claims = [linking.claim_revocations(MUCH_LATER, LEASE, 2) for _ in range(3)]

        assert [["grant-1", "grant-2"], ["grant-3"], []] == [sorted(claimed.grant_id for claimed in claim) for claim in claims]

    def test_failed_revocation_is_tried_again_from_then_on(self, linking: LinkingStore) -> None:
        """While ORCID is away the page tells since when and how often, and nothing is given up."""
        link = link_with_grant(linking, new_link(TEPPO))
        withdrawn = linking.withdraw(link.link_id, LATER)
        linking.claim_revocations(LATER, LEASE, 5)
        linking.record_revocation_failure(GRANT, LATER + LEASE * 5)

        assert () == linking.claim_revocations(LATER + LEASE * 4, LEASE, 5)
        assert Standing(link.subject_id, None, None, (), withdrawn, Revocation(LATER, 1, None)) == standing_of_teppo(linking)
        assert (DueRevocation(GRANT, b"sealed grant-1", 1),) == linking.claim_revocations(LATER + LEASE * 5, LEASE, 5)

    def test_revoked_grant_is_done(self, linking: LinkingStore) -> None:
        """It is not due any more, and a later failure or success of a slow worker changes nothing."""
        link = link_with_grant(linking, new_link(TEPPO))
        withdrawn = linking.withdraw(link.link_id, LATER)
        linking.record_revoked(GRANT, LATER + LEASE)
        linking.record_revocation_failure(GRANT, LATER + LEASE)
        linking.record_revoked(GRANT, MUCH_LATER)

        assert [] == due(linking, MUCH_LATER)
        assert Standing(link.subject_id, None, None, (), withdrawn, Revocation(LATER, 0, LATER + LEASE)) == standing_of_teppo(linking)

    def test_grant_in_use_is_not_noted_as_revoked(self, linking: LinkingStore) -> None:
        """Only what is due can have been revoked."""
        link = link_with_grant(linking, new_link(TEPPO))
        linking.record_revoked(GRANT, LATER)
        linking.withdraw(link.link_id, LATER)

        assert [GRANT] == due(linking, LATER)

    def test_revocation_is_done_when_every_grant_is(self, linking: LinkingStore) -> None:
        """A link that was refreshed had two permissions; the page says "done" when both are gone."""
        link_with_grant(linking, new_link(TEPPO))
        link = link_with_grant(linking, new_link(TEPPO, linked_at=LATER), "grant-2")
        linking.withdraw(link.link_id, LATER + LEASE)
        linking.record_revoked("grant-2", LATER + LEASE)
        before = standing_of_teppo(linking)
        linking.record_revoked(GRANT, MUCH_LATER)
        after = standing_of_teppo(linking)

        assert before is not None
        assert after is not None
        assert (Revocation(LATER, 0, None), Revocation(LATER + LEASE, 0, LATER + LEASE)) == (before.revocation, after.revocation)
