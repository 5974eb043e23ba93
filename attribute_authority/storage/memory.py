"""The reference back end: what the ports mean, in the plainest form; for tests and for reading, not for service."""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from attribute_authority.delivery_ports import Postbox
from attribute_authority.domain.change import ChangeKind, ChangePage, LinkChange
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId
from attribute_authority.domain.link import KnownSubject, Link, NewLink
from attribute_authority.errors import Conflict
from attribute_authority.ports import BatchSubjectFinder, ChangeFeed, LinkStore, ReplayGuard
from attribute_authority.storage.memory_posting import MemoryPosting, Present
from attribute_authority.storage.rules import Owner, check_orcid, compare_identifiers, find_owner_of_link


@dataclass(frozen=True, slots=True)
class _Change:
    """What happened to a person's link, or (without one) that a person has further identifiers; a row of the table `link_change`."""

    number: int
    owner: Owner
    changed_at: datetime
    link: Link | None = None


class MemoryLinkStore:
    """Keeps links in this process, and their deliveries in `posting`."""

    def __init__(self, posting: MemoryPosting | None = None) -> None:
        self.posting = posting or MemoryPosting()
        self._lock = self.posting.lock
        self._owners: dict[Identifier, Owner] = {}
        self._links: dict[int, Link] = {}
        self._subjects = 0
        self._spellings: dict[Identifier, str | None] = {}
        self._changes: list[_Change] = []

    def use_sinks(self, sinks: Mapping[EntityId, Sequence[str]]) -> None:
        """Write deliveries to these sinks, by home organisation, from now on."""
        self.posting.use_sinks(sinks)

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Return the person with that identifier and the present iD of `environment`, or None."""
        with self._lock:
            owner = self._owners.get(identifier)
            if owner is None:
                return None
            present = self._link_in_force(owner.subject_id, environment)
            return KnownSubject(owner.subject_id, owner.home_organisation, present.orcid if present else None)

    def is_withdrawn(self, orcid: OrcidId, home_organisation: EntityId, environment: Environment) -> bool:
        """Whether somebody of the home organisation has withdrawn that iD and nobody of it has it linked now."""
        with self._lock:
            wanted = (orcid, home_organisation, environment)
            found = [link for link in self._links.values() if (link.orcid, link.home_organisation, link.environment) == wanted]
            return bool(found) and all(link.withdrawn_at is not None for link in found)

    def find_subjects(self, identifiers: Collection[Identifier], environment: Environment) -> dict[Identifier, KnownSubject]:
        """Return what `find_subject` would for each identifier that is known; the others are absent."""
        found = ((identifier, self.find_subject(identifier, environment)) for identifier in identifiers)
        return {identifier: subject for identifier, subject in found if subject is not None}

    def add_link(self, new: NewLink) -> Link:
        """Store a link and every identifier of its subject. Raises Conflict."""
        return self._add(new, self.posting.clock())

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
            rehearsal._spellings = dict(self._spellings)
        for outcome in rehearsal.add_links(news):
            yield outcome if isinstance(outcome, Conflict) else None

    def withdraw_link(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link. None where no such link is in force."""
        with self._lock:
            link = self._end(link_id, now)
            if link is not None:
                self._post(link, now)
            return link

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

    def read_changes(self, home_organisations: Collection[EntityId], environment: Environment, after: int, limit: int) -> ChangePage:
        """Return up to `limit` changes with numbers above `after`, in their order; `after` is 0 at the beginning."""
        with self._lock:
            later = [change for change in self._changes[after:] if change.owner.home_organisation in home_organisations]
            told = [told for change in later if (told := self._tell(change, environment)) is not None]
            if len(told) > limit:
                return ChangePage(tuple(told[:limit]), told[limit - 1].number, more=True)
            return ChangePage(tuple(told), max((after, *(change.number for change in later))), more=False)

    def changes_of(self, home_organisation: EntityId) -> tuple[int, ...]:
        """Return the numbers of the changes about a home organisation."""
        with self._lock:
            return tuple(change.number for change in self._changes if change.owner.home_organisation == home_organisation)

    def texts_of(self, home_organisation: EntityId, kind: IdentifierKind) -> tuple[str, ...]:
        """Return the identifiers of a kind, as they are spelt, of a home organisation's people who have a link in force."""
        with self._lock:
            linked = {link.subject_id for link in self._links.values() if link.withdrawn_at is None}
            owners = ((item, owner) for item, owner in self._owners.items() if item.kind is kind and owner.subject_id in linked)
            theirs = (item for item, owner in owners if owner.home_organisation == home_organisation)
            return tuple(self._spellings[item] or item.value for item in theirs)

    def present_of(self, subject_id: int, environment: Environment) -> Present | None:
        """Return the state that is to be delivered of a person; None for somebody who never had a link there."""
        with self._lock:
            theirs = [link for link in self._links.values() if (link.subject_id, link.environment) == (subject_id, environment)]
        linked = next((Present(link.orcid, link.linked_at) for link in theirs if link.withdrawn_at is None), None)
        withdrawn = [link.withdrawn_at for link in theirs if link.withdrawn_at is not None]
        return linked or (Present(None, max(withdrawn)) if withdrawn else None)

    def people_of(self, home_organisation: EntityId, environment: Environment) -> list[int]:
        """Return who of a home organisation has a link, or had one, in their order."""
        with self._lock:
            theirs = (link for link in self._links.values() if link.home_organisation == home_organisation)
            return sorted({link.subject_id for link in theirs if link.environment is environment})

    def identifiers_of(self, subject_id: int) -> tuple[Identifier, ...]:
        """Return the identifiers of a person, the newest first."""
        with self._lock:
            theirs = (item for item, owner in self._owners.items() if owner.subject_id == subject_id)
            return tuple(replace(item, spelling=self._spellings[item]) for item in theirs)[::-1]

    def _add(self, new: NewLink, now: datetime) -> Link:
        with self._lock:
            owner = find_owner_of_link(new, self._owners)
            present = self._link_in_force(owner.subject_id, new.environment) if owner else None
            check_orcid(new, present.orcid if present else None, self._holder(new, owner))
            is_known = owner is not None
            owner = owner or self._make_subject(new)
            if self._identify(new.identifiers, owner) and is_known:
                self._note(owner, new.linked_at)
                self.posting.reopen(owner.home_organisation, owner.subject_id, now)
            return self._complete(present or self._make_link(new, owner, now))

    def _end(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link, of which the caller posts what it has come to."""
        link = self._links.get(link_id)
        if link is None or link.withdrawn_at is not None:
            return None
        self._links[link_id] = replace(link, withdrawn_at=now)
        self._note(Owner(link.subject_id, link.home_organisation), now, self._links[link_id])
        return self._complete(self._links[link_id])

    def _post(self, changed: Link, now: datetime) -> None:
        present = self.present_of(changed.subject_id, changed.environment)
        if present is not None:
            self.posting.post(changed.home_organisation, changed.subject_id, changed.environment, present, now)

    def _tell(self, change: _Change, environment: Environment) -> LinkChange | None:
        link = change.link or self._link_in_force(change.owner.subject_id, environment)
        if link is None or link.environment is not environment:
            return None
        present = self._complete(self._links[link.link_id])
        kind = ChangeKind.LINKED if link.withdrawn_at is None else ChangeKind.WITHDRAWN
        if kind is ChangeKind.LINKED and present.withdrawn_at is not None:
            return None
        orcid = link.orcid if kind is ChangeKind.LINKED else None
        home = change.owner.home_organisation
        return LinkChange(change.number, kind, home, present.identifiers, orcid, environment, change.changed_at)

    def _note(self, owner: Owner, changed_at: datetime, link: Link | None = None) -> None:
        self._changes.append(_Change(len(self._changes) + 1, owner, changed_at, link))

    def _identify(self, identifiers: Collection[Identifier], owner: Owner) -> bool:
        """Give a subject identifiers and spellings that it did not have; True where there were any."""
        told = compare_identifiers(identifiers, self._spellings)
        self._owners.update(dict.fromkeys(told.further, owner))
        self._spellings.update({item: item.spelling for item in (*told.further, *(item for item, _ in told.respelled))})
        return bool(told.formers)

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

    def _make_link(self, new: NewLink, owner: Owner, now: datetime) -> Link:
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
        self._note(owner, new.linked_at, link)
        self._post(link, now)
        return link

    def _complete(self, link: Link) -> Link:
        mine = (item for item, owner in self._owners.items() if owner.subject_id == link.subject_id)
        return replace(link, identifiers=tuple(replace(item, spelling=self._spellings[item]) for item in mine))


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
    _finds: type[BatchSubjectFinder] = MemoryLinkStore
    _tells_changes: type[ChangeFeed] = MemoryLinkStore
    _posts: type[Postbox] = MemoryLinkStore
    _guards: type[ReplayGuard] = MemoryReplayGuard
