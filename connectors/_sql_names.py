"""Names of tables and columns as they stand in another program's SQL, and the statement that asks for a stored identifier.

A plain name means what it means in SQL: PostgreSQL folds it to lower case, the others take it as it is written. One in double quotes
is exact. Every name is quoted in the statement, and every value is a parameter.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator
from sqlalchemy import ColumnElement, LargeBinary, Select, String, TableClause, bindparam, cast, column, func, or_, select, table
from sqlalchemy.sql.elements import quoted_name

from attribute_authority.domain.identifiers import MAX_IDENTIFIER_LENGTH

_NAME: Final = r'(?:[^\W\d][\w$]{0,62}|"[^"\x00-\x1f\x7f]{1,63}")'
_COLUMN: Final = re.compile(_NAME)
_TABLE: Final = re.compile(rf"(?:(?P<schema>{_NAME})\.)?(?P<table>{_NAME})")


def _column(text: str) -> str:
    if not _COLUMN.fullmatch(text):
        raise ValueError('expected the name of a column, such as localId, or "localId" in double quotes where its case is to be kept')
    return text


def _table(text: str) -> str:
    if not _TABLE.fullmatch(text):
        raise ValueError("expected the name of a table such as shibpid, or with its schema, idp.shibpid")
    return text


ColumnName = Annotated[str, AfterValidator(_column)]
TableName = Annotated[str, AfterValidator(_table)]

StoredIdStatement = Select[str, str, str, str]


@dataclass(frozen=True, slots=True)
class StoredIdNames:
    """The table of stored identifiers and its columns, as configured; `read` is the column that tells of the person."""

    table: str
    local_entity: str
    peer_entity: str
    persistent_id: str
    deactivation_time: str
    read: str


def stored_id_statement(names: StoredIdNames, backend: str) -> StoredIdStatement:
    """Return the statement for the parameters local, peer, first and second (two spellings of one identifier).

    It yields at most two different rows of local entity, peer entity, persistent identifier and what is read of the person (cut where
    it is longer than any identifier); rows that are deactivated stay out. Collations that ignore case or accents may let more match
    than were asked for.
    """
    columns = {name: column(quote_name(name, backend), String()) for name in _columns(names)}
    local, peer, persistent = columns[names.local_entity], columns[names.peer_entity], columns[names.persistent_id]
    # The first comparison finds the row by its index, whatever the collation; the second, in MariaDB and MySQL, is exact.
    forms = [local, peer, persistent]
    exactly = [cast(form, LargeBinary()) for form in forms] if backend in ("mysql", "mariadb") else []
    conditions = [condition for compared in (forms, exactly) if compared for condition in _equal(compared)]
    place = place_table(names.table, backend, list(columns.values()))
    told = func.substr(columns[names.read], 1, MAX_IDENTIFIER_LENGTH + 1, type_=String())
    asked = select(local, peer, persistent, told).select_from(place)
    return asked.where(*conditions, columns[names.deactivation_time].is_(None)).distinct().limit(2)


def _columns(names: StoredIdNames) -> tuple[str, ...]:
    found = (names.local_entity, names.peer_entity, names.persistent_id, names.deactivation_time, names.read)
    return tuple(dict.fromkeys(found))


def _equal(compared: list[Any]) -> list[ColumnElement[bool]]:
    local, peer, persistent = compared
    first, second = bindparam("first", type_=String()), bindparam("second", type_=String())
    return [
        local == bindparam("local", type_=String()),
        peer == bindparam("peer", type_=String()),
        or_(persistent == first, persistent == second),
    ]


def place_table(name: str, backend: str, columns: list[Any]) -> TableClause:
    """Return a table by its configured name, with those columns."""
    parts = _TABLE.fullmatch(name)
    schema = parts["schema"] if parts else None
    bare = parts["table"] if parts else name
    return table(quote_name(bare, backend), *columns, schema=None if schema is None else quote_name(schema, backend))


def quote_name(name: str, backend: str) -> quoted_name:
    """Return a configured name as it stands in statements."""
    if name.startswith('"'):
        return quoted_name(name.strip('"'), quote=True)
    return quoted_name(name.lower() if backend == "postgresql" else name, quote=True)
