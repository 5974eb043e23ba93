"""Links out of the database, complete with the identifiers of their subjects."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Connection, Row, Select, and_, bindparam, func, select

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId
from attribute_authority.domain.link import Link, LinkSource
from attribute_authority.storage import tables
from attribute_authority.storage.tables import IN_FORCE

PAGE = 500
"""Links per statement of a listing: no statement is long, so that none holds back writers or the clean-up of PostgreSQL."""

_LINKS = select(tables.link, tables.subject.c.home_organisation).join_from(tables.link, tables.subject)

_IDENTIFIERS = (
    select(tables.identifier)
    .where(tables.identifier.c.subject_id.in_(bindparam("subjects", expanding=True)))
    .order_by(tables.identifier.c.id)
)

_SUBJECTS = (
    select(tables.subject.c.id, tables.subject.c.home_organisation, tables.link.c.orcid)
    .join_from(tables.identifier, tables.subject)
    .outerjoin(
        tables.link,
        and_(tables.link.c.subject_id == tables.subject.c.id, tables.link.c.environment == bindparam("environment"), IN_FORCE),
    )
)

_ASKED = (
    select(tables.identifier.c.subject_id)
    .where(
        tables.identifier.c.kind == bindparam("kind"),
        tables.identifier.c.value == bindparam("value"),
        tables.identifier.c.name_qualifier == bindparam("name_qualifier"),
        tables.identifier.c.sp_name_qualifier == bindparam("sp_name_qualifier"),
    )
    .scalar_subquery()
)

_SOMEBODY = 1 + bindparam("spread", type_=BigInteger) % select(func.max(tables.subject.c.id)).scalar_subquery()

_MEANT = select(_ASKED.label("asked")).subquery("meant")

FIND_SUBJECT = (
    select(tables.subject.c.id, tables.subject.c.home_organisation, tables.link.c.orcid)
    .select_from(_MEANT)
    .join(tables.subject, tables.subject.c.id == func.coalesce(_MEANT.c.asked, _SOMEBODY))
    .outerjoin(
        tables.link,
        and_(tables.link.c.subject_id == tables.subject.c.id, tables.link.c.environment == bindparam("environment"), IN_FORCE),
    )
    .add_columns(_MEANT.c.asked)
)
"""The one statement of the answer path: who has the identifier, and which iD is in force in the environment.

Where nobody has it, a row is read all the same, of somebody who follows from `spread`, with NULL in the last column: how long it takes
must not tell whether anybody was found.
"""


def find_subjects_statement(size: int) -> Select[*tuple[Any, ...]]:
    """Return the statement that finds the people with identifiers of so many values, whatever their kind and qualifiers.

    The columns are those of `columns_of`, in that order, then those of FIND_SUBJECT.
    """
    columns = (tables.identifier.c[name] for name in ("kind", "value", "name_qualifier", "sp_name_qualifier"))
    values: list[BindParameter[str]] = [bindparam(f"value_{place}") for place in range(size)]
    return _SUBJECTS.with_only_columns(*columns, *_SUBJECTS.selected_columns).where(tables.identifier.c.value.in_(values))


def columns_of(identifier: Identifier) -> dict[str, str]:
    """Return the columns that an identifier is found by."""
    return {
        "kind": identifier.kind.value,
        "value": identifier.value,
        "name_qualifier": identifier.name_qualifier or "",
        "sp_name_qualifier": identifier.sp_name_qualifier or "",
    }


def to_identifier(row: Row[*tuple[Any, ...]]) -> Identifier:
    """Return the identifier that a row of its table holds."""
    return Identifier(
        kind=IdentifierKind(row.kind),
        value=row.value,
        name_qualifier=EntityId(row.name_qualifier) if row.name_qualifier else None,
        sp_name_qualifier=EntityId(row.sp_name_qualifier) if row.sp_name_qualifier else None,
        spelling=row.spelling,
    )


def read_pages(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> Iterator[Link]:
    """Yield the links that meet all conditions, in the order of their numbers.

    A page shows what is stored when it is read; a link stored or withdrawn meanwhile may or may not be in a later one.
    """
    last = 0
    while True:
        page = read_links(connection, (*conditions, tables.link.c.id > last))
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1].link_id


def read_links(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> list[Link]:
    """Return the first page of the links that meet all conditions, in the order of their numbers."""
    rows = connection.execute(_LINKS.where(*conditions).order_by(tables.link.c.id).limit(PAGE)).all()
    identifiers = read_identifiers(connection, {row.subject_id for row in rows})
    return [_to_link(row, tuple(identifiers[row.subject_id])) for row in rows]


def count(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> int:
    """Return how many links meet all conditions."""
    return connection.execute(select(func.count()).select_from(tables.link).where(*conditions)).scalar_one()


def has_identifier(identifier: Identifier) -> ColumnElement[bool]:
    """Return the condition that a link belongs to the subject with that identifier."""
    named = (tables.identifier.c[name] == value for name, value in columns_of(identifier).items())
    return tables.link.c.subject_id == select(tables.identifier.c.subject_id).where(*named).scalar_subquery()


def read_identifiers(connection: Connection, subjects: set[int]) -> defaultdict[int, list[Identifier]]:
    """Return the identifiers of some subjects, by their numbers."""
    found: defaultdict[int, list[Identifier]] = defaultdict(list)
    for row in connection.execute(_IDENTIFIERS, {"subjects": sorted(subjects)}):
        found[row.subject_id].append(to_identifier(row))
    return found


def _to_link(row: Row[*tuple[Any, ...]], identifiers: tuple[Identifier, ...]) -> Link:
    return Link(
        link_id=row.id,
        subject_id=row.subject_id,
        home_organisation=EntityId(row.home_organisation),
        identifiers=identifiers,
        orcid=OrcidId(row.orcid),
        environment=Environment(row.environment),
        source=LinkSource(row.source),
        linked_at=row.linked_at,
        withdrawn_at=row.withdrawn_at,
    )
