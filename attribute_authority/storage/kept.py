"""Kept connections of the answer path, one per calling thread.

Here a statement is made and compiled once, when the store is opened, and run by the driver itself:
SQLAlchemy's own execution costs more than SQLite's lookup in a million rows.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import Select

from attribute_authority.storage.engine import SQLITE, failure
from attribute_authority.storage.tables import Instant

T = TypeVar("T")

ParametersInOrder = Callable[[Mapping[str, object]], tuple[object, ...]]


class DriverCursor(Protocol):
    """What is used of a cursor of sqlite3 or psycopg."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def fetchone(self) -> Sequence[Any] | None:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return every row that is left."""
        ...


class DriverConnection(Protocol):
    """What is used of a connection of sqlite3 or psycopg, which have it in common beyond DB-API."""

    def execute(self, sql: str, parameters: Sequence[object], /) -> DriverCursor:
        """Run a statement with positional parameters."""
        ...


Work = Callable[[DriverConnection], T]


class KeptConnections:
    """Runs work on the calling thread's own connection, which is made when first needed and again after it failed.

    Threads are expected to be few and to live as long as the store: connections are closed by `close` alone.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[PoolProxiedConnection] = []
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        # How this dialect has an instant; the driver is given it without SQLAlchemy in between.
        instant = Instant().dialect_impl(engine.dialect)
        self._write_instant = instant.bind_processor(engine.dialect)
        self._read_instant = instant.result_processor(engine.dialect, None)

    def compile(self, statement: Select[*tuple[Any, ...]] | UpdateBase) -> tuple[str, ParametersInOrder]:
        """Return the text of a statement for the driver, and what puts its named parameters in their order."""
        dialect = cast("type[DefaultDialect]", type(self._engine.dialect))
        compiled = statement.compile(dialect=dialect(paramstyle="qmark" if dialect.name == SQLITE else "format"))
        order = tuple(compiled.positiontup or ())
        # What stands in the statement itself is a parameter too.
        fixed = {name: parameter.value for name, parameter in compiled.binds.items() if not parameter.required}
        if fixed:
            return str(compiled), lambda values: tuple(fixed[name] if name in fixed else values[name] for name in order)
        return str(compiled), lambda values: tuple([values[name] for name in order])

    def write_instant(self, instant: datetime | None) -> object:
        """Return an instant as the driver takes it."""
        return instant if self._write_instant is None else self._write_instant(instant)

    def read_instant(self, value: object) -> Any:
        """Return the instant, or None, that the driver has read."""
        return value if self._read_instant is None else self._read_instant(value)

    def ask(self, work: Work[T], again: Work[T] | None = None) -> T:
        """Run `work`; where the connection turns out to be broken, make a new one and run `again` (by default `work`) once.

        Raises CouldNotAsk.
        """
        try:
            return work(self._connection())
        except self._driver_error as error:
            if not self._drop():
                raise failure(error) from error
        try:
            return (again or work)(self._connection())
        except self._driver_error as error:
            self._drop()
            raise failure(error) from error

    def close(self) -> None:
        """Close every connection; the store is not used after that."""
        with self._lock:
            while self._open:
                self._open.pop().close()
        self._local = threading.local()

    def _connection(self) -> DriverConnection:
        connection: DriverConnection | None = getattr(self._local, "connection", None)
        return self._connect() if connection is None else connection

    def _connect(self) -> DriverConnection:
        kept = self._engine.raw_connection()
        with self._lock:
            self._open.append(kept)
        connection = cast("DriverConnection", kept.dbapi_connection)
        self._local.kept, self._local.connection = kept, connection
        return connection

    def _drop(self) -> bool:
        """Forget this thread's connection after a failure, whatever it was; True when it had been lost in use.

        A connection that still stands may be to a server that turned into a read-only standby, or to a file that was replaced.
        """
        kept: PoolProxiedConnection | None = getattr(self._local, "kept", None)
        if kept is None:
            return False
        lost = bool(getattr(kept.dbapi_connection, "closed", False))
        self._local.kept = self._local.connection = None
        with self._lock:
            self._open.remove(kept)
        kept.invalidate()
        return lost


class KeptStatement:
    """A statement that is compiled when the store is opened, and run on kept connections.

    `ending` is written behind it: both databases spell ON CONFLICT and RETURNING alike, but SQLAlchemy has the former only in the one
    dialect or the other, each of which costs memory to load.
    """

    def __init__(self, kept: KeptConnections, statement: Select[*tuple[Any, ...]] | UpdateBase, ending: str = "") -> None:
        self._kept = kept
        sql, self._in_order = kept.compile(statement)
        self._sql = f"{sql} {ending}" if ending else sql

    def rows(self, values: Mapping[str, object]) -> list[Any]:
        """Run it with these parameters and return every row. Raises CouldNotAsk."""
        sql, parameters = self._sql, self._in_order(values)

        def run(connection: DriverConnection) -> list[Any]:
            # To the last row, because only then is SQLite done with a statement that changes something.
            return connection.execute(sql, parameters).fetchall()

        return self._kept.ask(run)

    def row(self, values: Mapping[str, object]) -> Any:
        """Run it with these parameters and return its one row, or None. Raises CouldNotAsk."""
        return next(iter(self.rows(values)), None)

    def change(self, values: Mapping[str, object]) -> int:
        """Run it with these parameters and return how many rows it changed. Raises CouldNotAsk."""
        sql, parameters = self._sql, self._in_order(values)

        def run(connection: DriverConnection) -> int:
            return connection.execute(sql, parameters).rowcount

        return self._kept.ask(run)
