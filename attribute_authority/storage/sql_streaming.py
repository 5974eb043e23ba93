"""Very many rows out of the database, a few thousand in memory at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select

from attribute_authority.storage.engine import SQLITE, failure

_ROWS_AT_ONCE = 5_000


def stream(connection: Connection, statement: Select[*tuple[Any, ...]], values: Mapping[str, object]) -> Iterator[Sequence[Any]]:
    """Yield the rows of a statement as the driver has them, many at once; in a transaction of the caller.

    SQLAlchemy's own rows would cost as much as everything that is done with them. Raises CouldNotAsk.
    """
    compiled = statement.compile(dialect=connection.dialect)
    named = compiled.construct_params(dict(values))
    parameters: Sequence[Any] | Mapping[str, Any] = (
        named if compiled.positiontup is None else [named[name] for name in compiled.positiontup]
    )
    # A cursor with a name is kept by PostgreSQL, which otherwise sends everything at once.
    kind: dict[str, Any] = {} if connection.dialect.name == SQLITE else {"name": "streamed", "binary": True}
    try:
        cursor = connection.connection.cursor(**kind)
        try:
            cursor.execute(str(compiled), parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield rows
        finally:
            cursor.close()
    except connection.dialect.loaded_dbapi.Error as error:
        raise failure(error) from error
