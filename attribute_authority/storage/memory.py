"""The reference back end: what the ports mean, in the plainest form; for tests and for reading, not for service."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject, Link, NewLink
from attribute_authority.errors import Conflict
from attribute_authority.ports import LinkStore, ReplayGuard
from attribute_authority.storage.rules import Owner, check_orcid, find_owner_of_link


class MemoryLinkStore:
    """Keeps links in this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owners: dict[Identifier, Owner] = {}
        self._links: dict[int, Link] = {}
        self._subjects = 0

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Return the person with that identifier and the present iD of `environment`, or None."""
        with self._lock:
            owner = self._owners.get(identifier)
            if owner is None:
                return None
            present = self._link_in_force(owner.subject_id, environment)
            return KnownSubject(owner.subject_id, owner.home_organisation, present.orcid if present else None)

    def add_link(self, new: NewLink) -> Link:
        """Store a link and every identifier of its subject. Raises Conflict."""
        with self._lock:
            owner = find_owner_of_link(new, self._owners)
            present = self._link_in_force(owner.subject_id, new.environment) if owner else None
            check_orcid(new, present.orcid if present else None, self._holder(new, owner))
            owner = owner or self._make_subject(new)
            for identifier in new.identifiers:
                self._owners.setdefault(identifier, owner)
            return self._complete(present or self._make_link(new, owner))

    def add_links(self, news: Iterable[NewLink]) -> Iterator[Link | Conflict]:
        """Store many links, each by itself."""
        for new in news:
            try:
                yield self.add_link(new)
            except Conflict as conflict:
                yield conflict

    def check_links(self, news: Iterable[NewLink]) -> Iterator[Conflict | None]:
        """Yield what stands in the way of each link, or None, and store nothing."""
        rehearsal = MemoryLinkStore()
        with self._lock:
            rehearsal._owners, rehearsal._links, rehearsal._subjects = dict(self._owners), dict(self._links), self._subjects
        for outcome in rehearsal.add_links(news):
            yield outcome if isinstance(outcome, Conflict) else None

    def withdraw_link(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link. None where no such link is in force."""
        with self._lock:
            link = self._links.get(link_id)
            if link is None or link.withdrawn_at is not None:
                return None
            self._links[link_id] = replace(link, withdrawn_at=now)
            return self._complete(self._links[link_id])

    def find_links(self, identifier: Identifier | None = None, orcid: OrcidId | None = None, withdrawn: bool = False) -> Iterator[Link]:
        """Yield links in the order of link_id, as they were when the first was asked for."""
        with self._lock:
            links = [self._complete(link) for link in self._links.values()]
        for link in links:
            named = identifier is None or identifier in link.identifiers
            if named and orcid in (None, link.orcid) and (withdrawn or link.withdrawn_at is None):
                yield link

    def count_links(self, withdrawn: bool = False) -> int:
        """Count the links in force, with `withdrawn` also the others."""
        with self._lock:
            return sum(withdrawn or link.withdrawn_at is None for link in self._links.values())

    def _link_in_force(self, subject_id: int, environment: Environment) -> Link | None:
        mine = (link for link in self._links.values() if (link.subject_id, link.environment) == (subject_id, environment))
        return next((link for link in mine if link.withdrawn_at is None), None)

    def _holder(self, new: NewLink, owner: Owner | None) -> int | None:
        wanted = (new.orcid, new.environment, new.home_organisation, None)
        for link in self._links.values():
            same = (link.orcid, link.environment, link.home_organisation, link.withdrawn_at) == wanted
            if same and (owner is None or owner.subject_id != link.subject_id):
                return link.subject_id
        return None

    def _make_subject(self, new: NewLink) -> Owner:
        self._subjects += 1
        return Owner(self._subjects, new.home_organisation)

    def _make_link(self, new: NewLink, owner: Owner) -> Link:
        link = Link(
            link_id=len(self._links) + 1,
            subject_id=owner.subject_id,
            home_organisation=owner.home_organisation,
            identifiers=(),
            orcid=new.orcid,
            environment=new.environment,
            source=new.source,
            linked_at=new.linked_at,
            withdrawn_at=None,
        )
        self._links[link.link_id] = link
        return link

    def _complete(self, link: Link) -> Link:
        return replace(link, identifiers=tuple(i for i, owner in self._owners.items() if owner.subject_id == link.subject_id))


class MemoryReplayGuard:
    """Remembers message ids in this process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[EntityId, str], datetime] = {}

    def is_first(self, issuer: EntityId, message_id: str, expires_at: datetime) -> bool:
        """Record the message; True when it was not seen before."""
        with self._lock:
            first = (issuer, message_id) not in self._seen
            self._seen.setdefault((issuer, message_id), expires_at)
            return first

    def forget_expired(self, now: datetime) -> int:
        """Drop records whose `expires_at` lies before `now`; returns how many."""
        with self._lock:
            kept = {message: expires_at for message, expires_at in self._seen.items() if expires_at >= now}
            dropped = len(self._seen) - len(kept)
            self._seen = kept
            return dropped


if TYPE_CHECKING:
    _keeps_links: type[LinkStore] = MemoryLinkStore
    _guards: type[ReplayGuard] = MemoryReplayGuard
