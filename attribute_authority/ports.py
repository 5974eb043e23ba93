"""The ports: what the core needs from the outside, each with its contract.

"Asked and absent" is None. "Could not ask" is the exception CouldNotAsk. They are never confused.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Protocol

from attribute_authority.domain.change import ChangePage
from attribute_authority.domain.client import Bearer, Client, NewClient
from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId
from attribute_authority.domain.link import KnownSubject, Link, NewLink
from attribute_authority.domain.linking import AuthorizationRequest, Completion, DueRevocation, Grant, HeldGrant, Standing
from attribute_authority.domain.source import Finding, Outage, PairwiseIndexName
from attribute_authority.errors import Conflict

Clock = Callable[[], datetime]
"""Returns the present instant, aware, in UTC."""


class SubjectFinder(Protocol):
    """Finds people by an identifier; the only thing of storage that an answer needs."""

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Return the person with that identifier and the present iD of `environment`, or None. Raises CouldNotAsk."""
        ...

    def is_withdrawn(self, orcid: OrcidId, home_organisation: EntityId, environment: Environment) -> bool:
        """Whether somebody of the home organisation has withdrawn that iD and nobody of it has it linked now. Raises CouldNotAsk."""
        ...


class BatchSubjectFinder(SubjectFinder, Protocol):
    """Finds many people at once."""

    def find_subjects(self, identifiers: Collection[Identifier], environment: Environment) -> dict[Identifier, KnownSubject]:
        """Return what `find_subject` would for each identifier that is known; the others are absent. Raises CouldNotAsk."""
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

    def find_entities_by_key(self, public_key: bytes, now: datetime) -> tuple[Entity, ...]:
        """Return every entity, not expired at `now`, that has the key (DER SubjectPublicKeyInfo) among its `querying_keys`.

        Raises CouldNotAsk.
        """
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

    def count_attempts(self, bucket: str, attempts: int, expires_at: datetime) -> int:
        """Add several attempts, or none, at once; returns how many the bucket holds now. Raises CouldNotAsk."""
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


class IdentifierSource(Protocol):
    """A home organisation's own system that resolves identifiers which we do not know. Threads share it.

    Whatever it talks to is trusted for this one organisation's people and nobody else's.
    """

    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        """The kinds of identifier that it can be asked about."""
        ...

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Ask about an identifier of one of `kinds`; None is "asked and absent".

        Ends within the source's configured time-out, whatever the other side does. Raises CouldNotAsk.
        """
        ...

    def check(self) -> None:
        """Try whether it could be asked, without asking about anybody.

        Raises CouldNotAsk; OperatorError where what is configured cannot work.
        """
        ...

    def close(self) -> None:
        """Give up every connection; nothing is asked after that."""
        ...


class PairwiseIndex(Protocol):
    """Keeps for computed identifiers, which cannot be computed back, whose they are. Nothing of a salt is kept."""

    def find_sources(self, name: PairwiseIndexName, digest: bytes) -> tuple[str, ...] | None:
        """Return the values that the digest may have been computed from, in the spelling of the home organisation.

        Nearly always one or none; the caller computes again to be sure. None where there is no complete index of that name.
        Raises CouldNotAsk.
        """
        ...

    def build(self, name: PairwiseIndexName, digest_of: Callable[[str], bytes], now: datetime) -> int:
        """Compute the index of everybody who has a link in force, in whatever environment; returns how many there are.

        Raises SourceUnavailable while somebody else is building it; CouldNotAsk.
        """
        ...

    def follow(self, name: PairwiseIndexName, digest_of: Callable[[str], bytes]) -> int:
        """Bring a complete index up to the last change: who linked comes in, who withdrew goes out; returns how many changes there were.

        Does nothing for one that is not there. Raises CouldNotAsk.
        """
        ...

    def names(self, home_organisation: EntityId | None = None) -> tuple[PairwiseIndexName, ...]:
        """Return the names of the complete indexes of a home organisation, with None of all. Raises CouldNotAsk."""
        ...

    def drop(self, name: PairwiseIndexName) -> None:
        """Drop an index. Raises CouldNotAsk."""
        ...


class OutageBoard(Protocol):
    """Where workers and nodes tell one another which sources cannot be asked. Every method raises CouldNotAsk."""

    def read_outage(self, source: str) -> Outage | None:
        """Return the outage of a source, None where none is recorded."""
        ...

    def claim_trial(self, seen: Outage, until: datetime) -> bool:
        """Put off the end of an outage from that of `seen` to `until`; of several that try at once one gets True and asks the source."""
        ...

    def record_outage(self, outage: Outage) -> None:
        """Record an outage in place of an earlier one of that source."""
        ...

    def clear_outage(self, source: str) -> None:
        """Note that a source can be asked again."""
        ...

    def list_outages(self) -> tuple[Outage, ...]:
        """Return every outage on record, by name of source."""
        ...


class ClientStore(Protocol):
    """Keeps the clients of the lookup door. Every method raises CouldNotAsk."""

    def add_client(self, new: NewClient) -> Client:
        """Register a client. Raises Conflict where one of that name is there and not revoked."""
        ...

    def find_bearer(self, token_digest: bytes, now: datetime) -> Bearer | None:
        """Return whoever brings the token, None where it is unknown, expired or revoked at `now`."""
        ...

    def revoke_client(self, name: str, now: datetime) -> Client | None:
        """Revoke the token of a client, at once and for good. None where no client of that name is in force."""
        ...

    def list_clients(self) -> tuple[Client, ...]:
        """Return every client, revoked ones too, in the order of registration."""
        ...


class ChangeFeed(Protocol):
    """Reads what has changed about links."""

    def read_changes(self, home_organisations: Collection[EntityId], environment: Environment, after: int, limit: int) -> ChangePage:
        """Return up to `limit` changes with numbers above `after`, in their order; `after` is 0 at the beginning.

        A link that is not in force any more is told of by its withdrawal alone. Raises CouldNotAsk.
        """
        ...


class SourceWatch(Protocol):
    """Is told how sources fare, for the metrics."""

    def source_asked(self, source: str, outcome: str, seconds: float) -> None:
        """Note a question: `outcome` is found, absent, failed, or paused where it was not asked because of an outage."""
        ...

    def source_paused(self, source: str, paused: bool) -> None:
        """Note that a source is left alone because of an outage, or is asked again."""
        ...

    def sources_disagreed(self, home_organisation: EntityId) -> None:
        """Note that the sources of an organisation contradict one another or us, or name people of another one."""
        ...


class RequesterGuard(Protocol):
    """Bounds what one requester may ask, and notices one that seems to try identifiers out."""

    def admit(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Take in so many queries of an authenticated requester. Raises TooManyQueries, CouldNotAsk."""
        ...

    def learn(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> None:
        """Note how many identifiers were asked about, and how many of them nobody has. Raises CouldNotAsk."""
        ...


class QueryWatch(Protocol):
    """Is told how queries end, for the metrics; `door` is attribute-query, lookup, lookup-batch or links."""

    def answered(self, door: str, outcome: str, seconds: float) -> None:
        """Note an answer, and the kind of decision that it tells."""
        ...

    def refused(self, door: str, failure: str) -> None:
        """Note a failure, by the name of its class."""
        ...


class EnumerationWatch(Protocol):
    """Is told of requesters that seem to try identifiers out, for the metrics."""

    def suspected(self) -> None:
        """Note one."""
        ...
