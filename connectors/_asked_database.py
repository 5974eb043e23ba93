"""Somebody else's database: asked with one read-only statement at a time, under a deadline that holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from attribute_authority.errors import CouldNotAsk
from connectors._database_drivers import DatabaseAddress
from connectors._socket_watch import Question
from connectors._sql_connections import DatabaseConnections


class AskedDatabase:
    """A database that threads share, with at most `pool_size` connections.

    Raises OperatorError where the address names a file that cannot be used.
    """

    def __init__(self, address: DatabaseAddress, pool_size: int) -> None:
        # Every statement stands by itself and changes nothing, so that there is nothing to roll back.
        self._connections = DatabaseConnections(address, pool_size, skip_autocommit_rollback=True, isolation_level="AUTOCOMMIT")

    def __repr__(self) -> str:
        return f"<AskedDatabase {self.server}>"

    @property
    def server(self) -> str:
        """How causes of failures name it."""
        return self._connections.server

    def ask(self, statement: Executable, values: Mapping[str, str]) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the rows, within the time-out of the address; a connection that was lost meanwhile is made afresh, once.

        Raises SourceUnavailable where every connection is in use for all that time, CouldNotAsk for every failure of the database,
        whose cause quotes nothing that was asked; SQLAlchemy's own exception is the cause of that one.
        """
        with self._connections.question() as question:
            try:
                return self._fetch(statement, values)
            except DBAPIError as failure:
                if not failure.connection_invalidated or not question.left():
                    raise self._failure(failure, question) from failure
            except (SQLAlchemyError, UnicodeError) as failure:
                raise self._failure(failure, question) from failure
            try:
                return self._fetch(statement, values)
            except (SQLAlchemyError, UnicodeError) as failure:
                raise self._failure(failure, question) from failure

    def close(self) -> None:
        """Close the connections that are not in use; the others close after their question."""
        self._connections.close()

    def _fetch(self, statement: Executable, values: Mapping[str, str]) -> Sequence[Row[*tuple[Any, ...]]]:
        with self._connections.engine.connect() as connection:
            try:
                rows = connection.execute(statement, values).fetchall()
            except DBAPIError:
                raise
            except BaseException:
                # What is left of an answer that could not be read would be taken for the answer to the next question.
                connection.invalidate()
                raise
            if self._connections.is_closed:
                connection.invalidate()
            return rows

    def _failure(self, error: Exception, question: Question) -> CouldNotAsk:
        return CouldNotAsk(self._connections.describe(error, question))
