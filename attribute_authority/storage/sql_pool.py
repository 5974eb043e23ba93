"""A pool of connections that the threads of a companion worker share."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from attribute_authority.storage.engine import asking


class ConnectionPool:
    """Lends connections of an engine, each to one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection for the block. Raises CouldNotAsk for every failure of the database, also where none comes free in time."""
        with asking(), self._engine.connect() as connection:
            try:
                yield connection
            except SQLAlchemyError:
                # It may still stand, to a server that turned into a read-only standby or to a file that was replaced.
                connection.invalidate()
                raise

    def close(self) -> None:
        """Close the connections that are not lent."""
        self._engine.dispose()
