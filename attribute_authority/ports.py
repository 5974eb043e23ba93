"""The ports: what the core needs from the outside, each with its contract.

"Asked and absent" is None. "Could not ask" is the exception CouldNotAsk. They are never confused.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Protocol

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject, Link, NewLink
from attribute_authority.domain.linking import AuthorizationRequest, Completion, DueRevocation, Grant, HeldGrant, Standing
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
        """Withdraw a link: from this instant on it is released to nobody, and what ORCID granted for it is due for revocation.

        None where no such link is in force. Raises CouldNotAsk.
        """
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


class StateKeeper(Protocol):
    """Keeps what the companion page must remember between two requests, for every worker and node that shares the database.

    A `key` is a digest of something that only the browser or the partner knows; `content` is sealed. Expired content is never returned.
    """

    def keep(self, key: str, content: bytes, expires_at: datetime) -> None:
        """Store the content, in place of what was there. Raises CouldNotAsk."""
        ...

    def read(self, key: str, now: datetime) -> bytes | None:
        """Return the content, or None where there is none that is still valid. Raises CouldNotAsk."""
        ...

    def take(self, key: str, now: datetime) -> bytes | None:
        """Remove the content and return it; of several that take it at once one gets it, the others None. Raises CouldNotAsk."""
        ...

    def forget_expired_states(self, now: datetime) -> int:
        """Drop what expired before `now`; returns how many. Raises CouldNotAsk."""
        ...


class AttemptCounter(Protocol):
    """Counts attempts across workers and nodes."""

    def count_attempt(self, bucket: str, expires_at: datetime) -> int:
        """Add one attempt to a bucket that may be forgotten from `expires_at` on; returns how many it holds now. Raises CouldNotAsk."""
        ...

    def forget_expired_attempts(self, now: datetime) -> int:
        """Drop buckets that expired before `now`; returns how many. Raises CouldNotAsk."""
        ...


class LinkingStore(Protocol):
    """Keeps what a linking brings; every method is one transaction."""

    def recognise(
        self, home_organisation: EntityId, identifiers: tuple[Identifier, ...], environment: Environment, now: datetime
    ) -> Standing | None:
        """Find the subject that the identifiers name, give it those that it did not have yet, and tell how it stands.

        None where none of the identifiers is known; nothing is stored then.
        Raises SubjectsDiffer where they name several subjects, one of another home organisation, or one that has another lasting
        identifier (subject-id, eduPersonUniqueId) and shares none; CouldNotAsk.
        """
        ...

    def check_completion(self, new: NewLink, replaces: int | None) -> None:
        """Raise the Conflict that `complete` would raise; stores nothing. Raises CouldNotAsk."""
        ...

    def hold_grant(self, held: HeldGrant) -> None:
        """Store a grant that no link has claimed yet. Raises CouldNotAsk."""
        ...

    def complete(self, completion: Completion) -> Link:
        """Store link, identifiers and consent, and have the link claim the grant; the same link again adds the consent and the grant alone.

        Earlier grants of the subject in that environment become due for revocation. Where `replaces` is given, that link is withdrawn.
        Raises OrcidTaken, OtherOrcidLinked (also where `replaces` is not the subject's link in force) and SubjectsDiffer as
        `LinkStore.add_link` would, FormOver where the held grant is not there or claimed already, CouldNotAsk.
        Whatever is raised, nothing is stored.
        """
        ...

    def withdraw(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link, and make its grants due for revocation. None where no such link is in force. Raises CouldNotAsk."""
        ...

    def give_up_grant(self, grant_id: str, now: datetime) -> None:
        """Make a held grant due for revocation, unless a link has claimed it. Raises CouldNotAsk."""
        ...

    def claim_revocations(self, now: datetime, lease: timedelta, limit: int) -> tuple[DueRevocation, ...]:
        """Return grants that are due at `now` and not leased, and lease them until `now` + `lease`. Raises CouldNotAsk."""
        ...

    def record_revoked(self, grant_id: str, now: datetime) -> None:
        """Note that a grant was revoked, and erase its sealed tokens. Raises CouldNotAsk."""
        ...

    def record_revocation_failure(self, grant_id: str, retry_at: datetime) -> None:
        """Note that a revocation failed, to be tried again from `retry_at` on. Raises CouldNotAsk."""
        ...


class Registry(Protocol):
    """The ORCID registry as an OAuth 2.0 authorization server and OpenID provider."""

    @property
    def sign_out_url(self) -> str:
        """Where a person signs out at the registry."""
        ...

    @property
    def origin(self) -> str:
        """Scheme and host of the registry's pages."""
        ...

    def authorize_url(self, request: AuthorizationRequest) -> str:
        """Return the address that the browser is sent to."""
        ...

    def exchange(self, code: str, redirect_uri: str, nonce: str | None, now: datetime) -> Grant:
        """Exchange a code, once, and return what was granted after every check of the id_token (OpenID Connect Core 3.1.3.7).

        `nonce` is None only where the researcher came from ORCID by itself.
        Raises RegistryRefused, RecordClosed, RegistryUnavailable; the code must not be tried again after any of them.
        """
        ...

    def revoke(self, response: str) -> None:
        """Revoke every token of a token response (RFC 7009); tokens that are not valid any more are no failure.

        Raises RegistryUnavailable.
        """
        ...
