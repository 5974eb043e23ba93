"""One linking on a database; the rules for links are those of `sql_writing`, whoever stores one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier
from attribute_authority.domain.link import Link, NewLink
from attribute_authority.domain.linking import Completion, Consent, DueRevocation, HeldGrant, Standing
from attribute_authority.errors import Conflict
from attribute_authority.storage import sql_grants
from attribute_authority.storage.engine import writing
from attribute_authority.storage.rules import Difference, Owner, check_lasting, check_replaced, compare_identifiers, find_owner
from attribute_authority.storage.sql_identifying import add_identifiers, identified, look_up_owners, respell
from attribute_authority.storage.sql_noting import note_identified
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.sql_reading import read_identifiers
from attribute_authority.storage.sql_standing import read_standing
from attribute_authority.storage.sql_withdrawing import end_link, withdraw
from attribute_authority.storage.sql_writing import Batch, Place, look_up, telling_refusals, write
from attribute_authority.storage.tables import IN_FORCE, consent, link


class SqlLinkingStore:
    """Keeps links with consents and grants, and writes deliveries."""

    def __init__(self, pool: ConnectionPool, posting: Posting) -> None:
        self._pool = pool
        self._posting = posting

    def use_sinks(self, sinks: Mapping[EntityId, Sequence[str]]) -> None:
        """Write deliveries to these sinks, by home organisation, from now on."""
        self._posting.use_sinks(sinks)

    def recognise(
        self, home_organisation: EntityId, identifiers: tuple[Identifier, ...], environment: Environment, now: datetime
    ) -> Standing | None:
        """Find the subject that the identifiers name, give it those that it did not have yet, and tell how it stands.

        Raises SubjectsDiffer, CouldNotAsk; Conflict where the database refuses an identifier.
        """
        with self._pool.connection() as connection, telling_refusals("further identifiers"):
            owner, told = _name_subject(connection, home_organisation, identifiers)
            if owner is None:
                return None
            if told.formers:
                # Only now does anybody wait for anybody: nearly every sign-in brings nothing new.
                self._add_further(connection, home_organisation, identifiers, now)
            return read_standing(connection, owner.subject_id, environment)

    def check_completion(self, new: NewLink, replaces: int | None) -> None:
        """Raise the Conflict that `complete` would raise; stores nothing. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            _plan(connection, new, replaces)

    def hold_grant(self, held: HeldGrant) -> None:
        """Store a grant that no link has claimed yet. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            sql_grants.hold(connection, held)

    def complete(self, completion: Completion) -> Link:
        """Store link, identifiers and consent, and have the link claim the grant.

        Raises OrcidTaken, OtherOrcidLinked, SubjectsDiffer, FormOver, CouldNotAsk; Conflict where the database refuses what is stored.
        Whatever is raised, nothing is stored.
        """
        new = completion.new
        with self._pool.connection() as connection, telling_refusals(new.orcid.value), writing(connection):
            sql_grants.reserve(connection, completion)
            stored = self._store_link(connection, new, completion.replaces)
            # Only a link in force has a claimed grant, so that no earlier one is left in use.
            sql_grants.release_link(connection, stored.link_id, new.linked_at)
            sql_grants.claim(connection, completion.grant_id, stored.link_id)
            _store_consent(connection, stored.link_id, completion.consent)
            return stored

    def withdraw(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link, and make its grants due for revocation. None where no such link is in force. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            return withdraw(connection, link_id, now, self._posting)

    def give_up_grant(self, grant_id: str, now: datetime) -> None:
        """Make a held grant due for revocation, unless a link has claimed it. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            sql_grants.give_up(connection, grant_id, now)

    def claim_revocations(self, now: datetime, lease: timedelta, limit: int) -> tuple[DueRevocation, ...]:
        """Return grants that are due at `now` and not leased, and lease them until `now` + `lease`. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            return sql_grants.claim_due(connection, now, lease, limit)

    def record_revoked(self, grant_id: str, now: datetime) -> None:
        """Note that a grant was revoked, and erase its sealed tokens. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            sql_grants.note_revoked(connection, grant_id, now)

    def record_revocation_failure(self, grant_id: str, retry_at: datetime) -> None:
        """Note that a revocation failed, to be tried again from `retry_at` on. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            sql_grants.note_failure(connection, grant_id, retry_at)

    def _store_link(self, connection: Connection, new: NewLink, replaces: int | None) -> Link:
        batch, place = _plan(connection, new, replaces)
        if replaces is not None:
            # First, because the database itself admits one link in force alone.
            end_link(connection, replaces, new.linked_at)
        return write(connection, batch, [place], self._posting, new.linked_at)[0]

    def _add_further(self, connection: Connection, home_organisation: EntityId, identifiers: Collection[Identifier], now: datetime) -> None:
        with writing(connection):
            # Somebody may have stored them meanwhile, for this subject or for another.
            owner, told = _name_subject(connection, home_organisation, identifiers)
            if owner is not None:
                add_identifiers(connection, [(owner.subject_id, item) for item in told.further])
                respell(connection, [item for item, _ in told.respelled])
                changes = identified(owner, told, now)
                note_identified(connection, changes)
                self._posting.reopen(connection, changes, now)


def _name_subject(
    connection: Connection, home_organisation: EntityId, identifiers: Collection[Identifier]
) -> tuple[Owner | None, Difference]:
    """Return the subject that the identifiers name, None for somebody unknown, and what they tell beyond that. Raises SubjectsDiffer."""
    owners = look_up_owners(connection, identifiers)
    owner = find_owner(home_organisation, owners)
    told = compare_identifiers(identifiers, {item: item.spelling for item in owners})
    if owner is not None and told.further:
        check_lasting(identifiers, read_identifiers(connection, {owner.subject_id})[owner.subject_id])
    return owner, told


def _plan(connection: Connection, new: NewLink, replaces: int | None) -> tuple[Batch, Place]:
    """Return what storing a link takes. Raises Conflict where it may not be stored."""
    _name_subject(connection, new.home_organisation, new.identifiers)
    batch = Batch()
    look_up(connection, [new], batch)
    if replaces is not None:
        _make_room(connection, new, replaces, batch)
    outcome = batch.try_link(new)
    if isinstance(outcome, Conflict):
        raise outcome
    return batch, outcome


def _make_room(connection: Connection, new: NewLink, replaces: int, batch: Batch) -> None:
    place = batch.place_of(new)
    check_replaced(new, None if place is None else _number_in_force(connection, place), replaces)
    if place is not None:
        batch.vacate(place)


def _number_in_force(connection: Connection, place: Place) -> int | None:
    subject_id, environment = place
    mine = link.c.subject_id == subject_id, link.c.environment == environment.value
    return connection.execute(select(link.c.id).where(*mine, IN_FORCE)).scalar_one_or_none()


def _store_consent(connection: Connection, link_id: int, given: Consent) -> None:
    columns = {"text_version": given.text_version, "language": given.language, "given_at": given.given_at}
    connection.execute(insert(consent).values(link_id=link_id, **columns))
