"""The ports: what the core needs from the outside, each with its contract.

"Asked and absent" is None. "Could not ask" is the exception CouldNotAsk. They are never confused.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject, Link, NewLink
from attribute_authority.errors import Conflict

Clock = Callable[[], datetime]
"""Returns the present instant, aware, in UTC."""


class SubjectFinder(Protocol):
    """Finds people by an identifier; the only thing of storage that an answer needs."""

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Return the person with that identifier and the present iD of `environment`, or None. Raises CouldNotAsk."""
        ...


class ReplayGuard(Protocol):
    """Remembers message ids across every worker and node that shares the database."""

    def is_first(self, issuer: EntityId, message_id: str, expires_at: datetime) -> bool:
        """Record the message; True when it was not seen before. Raises CouldNotAsk (never answers True unrecorded)."""
        ...

    def forget_expired(self, now: datetime) -> int:
        """Drop records whose `expires_at` lies before `now`; returns how many."""
        ...


class LinkStore(SubjectFinder, Protocol):
    """Keeps links; every change is one transaction."""

    def add_link(self, new: NewLink) -> Link:
        """Store a link and every identifier of its subject.

        Identifiers that are known already name the subject; further ones are added to it. The same link again changes nothing else.
        Raises Conflict where the identifiers belong to different subjects or another home organisation, where the subject has another iD,
        or where the iD belongs to another subject of the same home organisation, or where there is no identifier. Raises CouldNotAsk.
        """
        ...

    def add_links(self, news: Iterable[NewLink]) -> Iterator[Link | Conflict]:
        """Store many links and yield one outcome each, in their order: what `add_link` would return, or the Conflict that it would raise.

        A conflict leaves the others alone. Several links share a transaction, and each outcome is yielded after it is committed;
        at CouldNotAsk the links without an outcome may be missing, and may be given again.
        """
        ...

    def check_links(self, news: Iterable[NewLink]) -> Iterator[Conflict | None]:
        """Yield for each link the Conflict that `add_links` would yield, or None where it would be stored; nothing is stored.

        Later links are checked against earlier ones too. Raises CouldNotAsk.
        """
        ...

    def withdraw_link(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link: from this instant on it is released to nobody. None where no such link is in force. Raises CouldNotAsk."""
        ...

    def find_links(self, identifier: Identifier | None = None, orcid: OrcidId | None = None, withdrawn: bool = False) -> Iterator[Link]:
        """Yield links in the order of link_id, with all identifiers of their subjects, streamed.

        Narrowed to the subject with `identifier` or to `orcid` where given; withdrawn ones only where asked for. Raises CouldNotAsk.
        """
        ...

    def count_links(self, withdrawn: bool = False) -> int:
        """Return how many links are in force, with `withdrawn` also the others; for progress. Raises CouldNotAsk."""
        ...


class EntityDirectory(Protocol):
    """Trusted metadata, by entityID."""

    def find_entity(self, entity_id: str, now: datetime) -> Entity | None:
        """Return the entity, or None where it is unknown or its metadata has expired at `now`. Raises CouldNotAsk."""
        ...
