"""Links into the database.

The transaction (`engine.writing`) keeps every other writer out, so what is looked up here still holds when it is written,
and a Conflict is found before anything is written.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import ReturningInsert

from attribute_authority.domain.identifiers import EntityId, Identifier, OrcidId
from attribute_authority.domain.link import Link, NewLink
from attribute_authority.errors import Conflict
from attribute_authority.storage.engine import is_refusal, writing
from attribute_authority.storage.rules import Owner, check_orcid, find_owner
from attribute_authority.storage.sql_reading import columns_of, read_links
from attribute_authority.storage.tables import IN_FORCE, identifier, link, subject

_OWNER = (
    select(subject.c.id, subject.c.home_organisation)
    .join_from(identifier, subject)
    .where(*(identifier.c[name] == bindparam(name) for name in ("kind", "value", "name_qualifier", "sp_name_qualifier")))
)

_PRESENT = select(link.c.id, link.c.orcid).where(
    link.c.subject_id == bindparam("subject_id"),
    link.c.environment == bindparam("environment"),
    IN_FORCE,
)

_HOLDER = (
    select(subject.c.id)
    .join_from(link, subject)
    .where(
        link.c.orcid == bindparam("orcid"),
        link.c.environment == bindparam("environment"),
        IN_FORCE,
        subject.c.home_organisation == bindparam("home_organisation"),
        subject.c.id != bindparam("subject_id"),
    )
    .limit(1)
)

_NOBODY = 0
"""No subject has this number."""


class _Present(NamedTuple):
    link_id: int
    orcid: OrcidId


def store_batch(connection: Connection, news: Sequence[NewLink]) -> list[Link | Conflict]:
    """Store links in one transaction and return their outcomes, in their order; there are at most `sql_reading.PAGE`.

    Raises SQLAlchemyError.
    """
    try:
        with writing(connection):
            return _complete(connection, [_try(connection, new) for new in news])
    except DBAPIError as error:
        if not is_refusal(error):
            raise
        if len(news) == 1:
            return [Conflict(f"{news[0].identifiers[0]}: the database refuses this link ({type(error.orig).__name__})")]
    # One link that the database itself refuses, for its length or a constraint, may not take the others with it.
    return [store_batch(connection, [new])[0] for new in news]


def _complete(connection: Connection, outcomes: Sequence[int | Conflict]) -> list[Link | Conflict]:
    numbers = {outcome for outcome in outcomes if isinstance(outcome, int)}
    links = {found.link_id: found for found in read_links(connection, (link.c.id.in_(numbers),))}
    return [links[outcome] if isinstance(outcome, int) else outcome for outcome in outcomes]


def _try(connection: Connection, new: NewLink) -> int | Conflict:
    try:
        return _store(connection, new)
    except Conflict as conflict:
        return conflict


def _store(connection: Connection, new: NewLink) -> int:
    owners = _find_owners(connection, new.identifiers)
    owner = find_owner(new, owners)
    present = _find_present(connection, new, owner)
    check_orcid(new, present.orcid if present else None, _find_holder(connection, new, owner))
    subject_id = owner.subject_id if owner else _insert_subject(connection, new)
    further = [item for item in dict.fromkeys(new.identifiers) if item not in owners]
    if further:
        connection.execute(insert(identifier), [{"subject_id": subject_id, **columns_of(item)} for item in further])
    return present.link_id if present else _insert_link(connection, new, subject_id)


def _find_owners(connection: Connection, identifiers: tuple[Identifier, ...]) -> dict[Identifier, Owner]:
    owners = {}
    for item in identifiers:
        row = connection.execute(_OWNER, columns_of(item)).first()
        if row is not None:
            owners[item] = Owner(row.id, EntityId(row.home_organisation))
    return owners


def _find_present(connection: Connection, new: NewLink, owner: Owner | None) -> _Present | None:
    if owner is None:
        return None
    row = connection.execute(_PRESENT, {"subject_id": owner.subject_id, "environment": new.environment.value}).first()
    return None if row is None else _Present(row.id, OrcidId(row.orcid))


def _find_holder(connection: Connection, new: NewLink, owner: Owner | None) -> int | None:
    parameters = {
        "orcid": new.orcid.value,
        "environment": new.environment.value,
        "home_organisation": new.home_organisation,
        "subject_id": owner.subject_id if owner else _NOBODY,
    }
    return connection.execute(_HOLDER, parameters).scalar()


def _insert_subject(connection: Connection, new: NewLink) -> int:
    values = {"home_organisation": new.home_organisation, "created_at": new.linked_at}
    return _number(connection, insert(subject).returning(subject.c.id), values)


def _insert_link(connection: Connection, new: NewLink, subject_id: int) -> int:
    values = {
        "subject_id": subject_id,
        "orcid": new.orcid.value,
        "environment": new.environment.value,
        "source": new.source.value,
        "linked_at": new.linked_at,
    }
    return _number(connection, insert(link).returning(link.c.id), values)


def _number(connection: Connection, statement: ReturningInsert[int], values: dict[str, object]) -> int:
    return connection.execute(statement, values).scalar_one()
