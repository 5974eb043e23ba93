"""The reference back end of the companion page: what its ports mean, in the plainest form; for tests and for reading."""

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier
from attribute_authority.domain.link import Link, NewLink
from attribute_authority.domain.linking import Completion, Consent, DueRevocation, HeldGrant, Revocation, Standing
from attribute_authority.errors import AuthorityError, FormOver
from attribute_authority.ports import AttemptCounter, LinkingStore, LinkStore, StateKeeper
from attribute_authority.storage.memory import MemoryLinkStore
from attribute_authority.storage.memory_posting import MemoryPosting
from attribute_authority.storage.rules import Owner, check_lasting, check_replaced, find_owner


class MemoryStateKeeper:
    """Keeps states in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, tuple[bytes, datetime]] = {}

    def keep(self, key: str, content: bytes, expires_at: datetime) -> None:
        """Store the content, in place of what was there."""
        with self._lock:
            self._states[key] = content, expires_at

    def read(self, key: str, now: datetime) -> bytes | None:
        """Return the content, or None where there is none that is still valid."""
        with self._lock:
            return _valid(self._states.get(key), now)

    def take(self, key: str, now: datetime) -> bytes | None:
        """Remove the content and return it; of several that take it at once one gets it, the others None."""
        with self._lock:
            return _valid(self._states.pop(key, None), now)

    def forget_expired_states(self, now: datetime) -> int:
        """Drop what expired before `now`; returns how many."""
        with self._lock:
            expired = [key for key, (_, expires_at) in self._states.items() if expires_at < now]
            for key in expired:
                del self._states[key]
            return len(expired)


def _valid(state: tuple[bytes, datetime] | None, now: datetime) -> bytes | None:
    return state[0] if state is not None and state[1] > now else None


class MemoryAttemptCounter:
    """Counts attempts in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[int, datetime]] = {}

    def count_attempt(self, bucket: str, expires_at: datetime) -> int:
        """Add one attempt to a bucket that may be forgotten from `expires_at` on; returns how many it holds now."""
        return self.count_attempts(bucket, 1, expires_at)

    def count_attempts(self, bucket: str, attempts: int, expires_at: datetime) -> int:
        """Add several attempts, or none, at once; returns how many the bucket holds now."""
        with self._lock:
            held = self._buckets.get(bucket, (0, expires_at))[0] + attempts
            if attempts:
                self._buckets[bucket] = held, expires_at
            return held

    def forget_expired_attempts(self, now: datetime) -> int:
        """Drop buckets that expired before `now`; returns how many."""
        with self._lock:
            expired = [bucket for bucket, (_, expires_at) in self._buckets.items() if expires_at < now]
            for bucket in expired:
                del self._buckets[bucket]
            return len(expired)


@dataclass(frozen=True, slots=True)
class _StoredGrant:
    """A grant and where it stands; the columns of the table `orcid_grant`."""

    held: HeldGrant
    revoke_at: datetime | None
    link_id: int | None = None
    revoked_at: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None

    @property
    def is_unrevoked(self) -> bool:
        """Whether it will have to be revoked, now or when its time comes."""
        return self.revoke_at is not None and self.revoked_at is None

    def is_held(self, now: datetime) -> bool:
        """Whether a link may claim it."""
        return self.link_id is None and self.retry_at is None and self.is_unrevoked and not self.is_due(now)

    def is_due(self, now: datetime) -> bool:
        """Whether its time has come."""
        return self.is_unrevoked and self.revoke_at is not None and self.revoke_at <= now


class MemoryLinkingStore(MemoryLinkStore):
    """Keeps links with consents and grants in this process."""

    def __init__(self, posting: MemoryPosting | None = None) -> None:
        super().__init__(posting)
        self._grants: dict[str, _StoredGrant] = {}
        self._consents: dict[int, Consent] = {}

    def recognise(
        self, home_organisation: EntityId, identifiers: tuple[Identifier, ...], environment: Environment, now: datetime
    ) -> Standing | None:
        """Find the subject that the identifiers name, give it those that it did not have yet, and tell how it stands."""
        with self._lock:
            owner = self._name_subject(home_organisation, identifiers)
            if owner is None:
                return None
            if self._identify(identifiers, owner):
                self._note(owner, now)
                self.posting.reopen(owner.home_organisation, owner.subject_id, now)
            return self._standing(owner.subject_id, environment)

    def check_completion(self, new: NewLink, replaces: int | None) -> None:
        """Raise the Conflict that `complete` would raise; stores nothing."""
        rehearsal = MemoryLinkingStore()
        with self._lock:
            rehearsal._owners, rehearsal._links, rehearsal._subjects = dict(self._owners), dict(self._links), self._subjects
            rehearsal._spellings = dict(self._spellings)
        rehearsal._store_link(new, replaces)

    def hold_grant(self, held: HeldGrant) -> None:
        """Store a grant that no link has claimed yet."""
        with self._lock:
            self._grants[held.grant_id] = _StoredGrant(held, held.revoke_at)

    def complete(self, completion: Completion) -> Link:
        """Store link, identifiers and consent, and have the link claim the grant."""
        new = completion.new
        with self._lock:
            grant = self._grants.get(completion.grant_id)
            if grant is None or not grant.is_held(new.linked_at):
                raise FormOver("the grant of this form is claimed, given up or over")
            before = dict(self._owners), dict(self._links), self._subjects, dict(self._grants)
            noted = dict(self._spellings), list(self._changes), dict(self.posting.rows)
            try:
                link = self._store_link(new, completion.replaces)
            except AuthorityError:
                self._owners, self._links, self._subjects, self._grants = before
                self._spellings, self._changes, self.posting.rows = noted
                raise
            self._release(link.link_id, new.linked_at)
            self._grants[completion.grant_id] = replace(grant, link_id=link.link_id, revoke_at=None)
            self._consents[link.link_id] = completion.consent
            return link

    def withdraw(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link, and make its grants due for revocation. None where no such link is in force."""
        return self.withdraw_link(link_id, now)

    def give_up_grant(self, grant_id: str, now: datetime) -> None:
        """Make a held grant due for revocation, unless a link has claimed it."""
        with self._lock:
            grant = self._grants.get(grant_id)
            if grant is not None and grant.is_held(now):
                self._grants[grant_id] = replace(grant, revoke_at=now)

    def claim_revocations(self, now: datetime, lease: timedelta, limit: int) -> tuple[DueRevocation, ...]:
        """Return grants that are due at `now` and not leased, and lease them until `now` + `lease`."""
        with self._lock:
            due = {name: grant for name, grant in self._grants.items() if grant.is_due(now) and (grant.retry_at or now) <= now}
            claimed = sorted(due, key=lambda name: due[name].revoke_at or now)[:limit]
            for name in claimed:
                self._grants[name] = replace(due[name], retry_at=now + lease)
            return tuple(DueRevocation(name, due[name].held.sealed, due[name].failures) for name in claimed)

    def record_revoked(self, grant_id: str, now: datetime) -> None:
        """Note that a grant was revoked, and erase its sealed tokens."""
        with self._lock:
            grant = self._grants.get(grant_id)
            if grant is not None and grant.is_unrevoked:
                self._grants[grant_id] = replace(grant, held=replace(grant.held, sealed=b""), revoked_at=now, retry_at=None)

    def record_revocation_failure(self, grant_id: str, retry_at: datetime) -> None:
        """Note that a revocation failed, to be tried again from `retry_at` on."""
        with self._lock:
            grant = self._grants.get(grant_id)
            if grant is not None and grant.is_unrevoked:
                self._grants[grant_id] = replace(grant, failures=grant.failures + 1, retry_at=retry_at)

    def _name_subject(self, home_organisation: EntityId, identifiers: tuple[Identifier, ...]) -> Owner | None:
        owner = find_owner(home_organisation, {item: self._owners[item] for item in identifiers if item in self._owners})
        if owner is not None:
            check_lasting(identifiers, [item for item, other in self._owners.items() if other == owner])
        return owner

    def _store_link(self, new: NewLink, replaces: int | None) -> Link:
        owner = self._name_subject(new.home_organisation, new.identifiers)
        if replaces is not None:
            present = self._link_in_force(owner.subject_id, new.environment) if owner else None
            check_replaced(new, present.link_id if present else None, replaces)
            self._end(replaces, new.linked_at)
        return self._add(new, new.linked_at)

    def _end(self, link_id: int, now: datetime) -> Link | None:
        link = super()._end(link_id, now)
        if link is not None:
            self._release(link_id, now)
        return link

    def _release(self, link_id: int, now: datetime) -> None:
        for name, grant in self._grants.items():
            if grant.link_id == link_id and grant.revoke_at is None:
                self._grants[name] = replace(grant, revoke_at=now)

    def _links_of(self, subject_id: int, environment: Environment) -> list[Link]:
        return [link for link in self._links.values() if (link.subject_id, link.environment) == (subject_id, environment)]

    def _standing(self, subject_id: int, environment: Environment) -> Standing:
        links = self._links_of(subject_id, environment)
        present = next((self._complete(link) for link in links if link.withdrawn_at is None), None)
        if present is not None:
            claimed = [grant for grant in self._grants_of(present) if grant.revoke_at is None]
            scopes = claimed[0].held.scopes if claimed else ()
            return Standing(subject_id, present, self._consents.get(present.link_id), scopes, None, None)
        withdrawn = max(links, key=lambda link: (link.withdrawn_at or link.linked_at, link.link_id), default=None)
        if withdrawn is None:
            return Standing(subject_id, None, None, (), None, None)
        return Standing(subject_id, None, None, (), self._complete(withdrawn), self._revocation(withdrawn))

    def _revocation(self, link: Link) -> Revocation | None:
        """Tell how far the grants of a link are, by the one that is least far."""
        released = sorted(self._grants_of(link), key=lambda grant: (grant.revoked_at is None, grant.held.obtained_at))
        if not released or released[-1].revoke_at is None:
            return None
        return Revocation(released[-1].revoke_at, released[-1].failures, released[-1].revoked_at)

    def _grants_of(self, link: Link) -> list[_StoredGrant]:
        return [grant for grant in self._grants.values() if grant.link_id == link.link_id]


if TYPE_CHECKING:
    _keeps_states: type[StateKeeper] = MemoryStateKeeper
    _counts: type[AttemptCounter] = MemoryAttemptCounter
    _keeps_linkings: type[LinkingStore] = MemoryLinkingStore
    _keeps_links: type[LinkStore] = MemoryLinkingStore
