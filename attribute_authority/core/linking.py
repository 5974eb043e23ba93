"""Linking an iD to a person: what ORCID granted is held, shown, agreed to, and then stored in one transaction.

A grant that nobody confirms is revoked when its time is up, so that ORCID does not go on to list a permission that serves nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.domain.linking import Completion, Consent, Grant, HeldGrant, LinkingKind, SignedIn, Standing
from attribute_authority.ports import LinkingStore
from attribute_authority.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Proposal:
    """An authenticated iD that waits for its confirmation; `name` is the one on the record, None where it is hidden."""

    grant_id: str
    orcid: OrcidId
    name: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What confirming a proposal would do: `present` is the link in force, None where there is none.

    `is_confirmed` tells that the researcher has confirmed that one at the registry.
    """

    kind: LinkingKind
    present: Link | None
    is_confirmed: bool

    @property
    def replaces(self) -> int | None:
        """The number of the link that would be withdrawn, or None."""
        return self.present.link_id if self.present is not None and self.kind is LinkingKind.REPLACE else None


@dataclass(frozen=True, slots=True)
class Linking:
    """The steps of a linking over the store; `patience` is how long a grant waits for its confirmation."""

    store: LinkingStore
    sealer: Sealer
    environment: Environment
    patience: timedelta

    def recognise(self, person: SignedIn, now: datetime) -> Standing | None:
        """Tell how the person stands, and keep identifiers that are new; None for somebody unknown.

        Raises SubjectsDiffer, CouldNotAsk.
        """
        return self.store.recognise(person.home_organisation, person.identifiers, self.environment, now)

    def hold(self, grant: Grant, grant_id: str, now: datetime) -> Proposal:
        """Keep a grant until it is confirmed, and return what is to be confirmed. Raises CouldNotAsk."""
        sealed = self.sealer.seal(grant.response.encode())
        self.store.hold_grant(HeldGrant(grant_id, sealed, grant.scopes, now, grant.expires_at, now + self.patience))
        return Proposal(grant_id, grant.orcid, grant.name, grant.scopes)

    def plan(self, person: SignedIn, orcid: OrcidId, now: datetime) -> Plan:
        """Tell what linking the iD to the person would do. Raises OrcidTaken, SubjectsDiffer, CouldNotAsk."""
        standing = self.recognise(person, now)
        present = None if standing is None else standing.link
        plan = Plan(_kind(present, orcid), present, standing is not None and standing.is_confirmed)
        self.store.check_completion(self._new_link(person, orcid, now), plan.replaces)
        return plan

    def complete(self, person: SignedIn, proposal: Proposal, plan: Plan, consent: Consent) -> Link:
        """Store everything, at the instant of the consent.

        Raises OrcidTaken, OtherOrcidLinked, SubjectsDiffer, FormOver, CouldNotAsk; nothing is stored then.
        """
        new = self._new_link(person, proposal.orcid, consent.given_at)
        return self.store.complete(Completion(new, consent, proposal.grant_id, plan.replaces))

    def decline(self, proposal: Proposal, now: datetime) -> None:
        """Have a grant that was not wanted revoked. Raises CouldNotAsk."""
        self.store.give_up_grant(proposal.grant_id, now)

    def withdraw(self, link: Link, now: datetime) -> None:
        """Withdraw a link; from now on it is released to nobody. Raises CouldNotAsk."""
        self.store.withdraw(link.link_id, now)

    def _new_link(self, person: SignedIn, orcid: OrcidId, now: datetime) -> NewLink:
        return NewLink(person.home_organisation, person.identifiers, orcid, self.environment, LinkSource.COMPANION, now)


def _kind(present: Link | None, orcid: OrcidId) -> LinkingKind:
    if present is None:
        return LinkingKind.NEW
    return LinkingKind.REFRESH if present.orcid == orcid else LinkingKind.REPLACE
