"""What the suites of linkings share: instants after the sign-in, and the steps of a linking in one call."""

from datetime import datetime, timedelta

from attribute_authority.domain.identifiers import OrcidId
from attribute_authority.domain.link import Link, NewLink
from attribute_authority.domain.linking import Standing
from attribute_authority.ports import LinkingStore
from tests.conformance.samples import (
    GRANT,
    HOME,
    NOW,
    PRODUCTION,
    TEPPO,
    completion,
    held_grant,
)

NOBODYS_ORCID = OrcidId("0000-0002-9079-593X")
LATER = NOW + timedelta(minutes=5)
MUCH_LATER = NOW + timedelta(days=400)
LEASE = timedelta(minutes=2)


def link_with_grant(linking: LinkingStore, new: NewLink, grant_id: str = GRANT, *, replaces: int | None = None) -> Link:
    """Link as the page does: hold a grant, then complete."""
    linking.hold_grant(held_grant(grant_id, obtained_at=new.linked_at))
    return linking.complete(completion(new, grant_id, replaces=replaces))


def standing_of_teppo(linking: LinkingStore) -> Standing | None:
    """Return how the usual person stands."""
    return linking.recognise(HOME, (TEPPO,), PRODUCTION, NOW)


def due(linking: LinkingStore, now: datetime) -> list[str]:
    """Return which grants are due, without keeping them from being due again."""
    return sorted(claimed.grant_id for claimed in linking.claim_revocations(now, timedelta(0), 100))
