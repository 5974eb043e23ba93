"""Connections to somebody else's database: with a limit for each statement, and TLS that is verified where it is used.

They are read-only with every statement by itself, or, to write, in UTC with transactions that somebody begins and ends.

Nothing is taken from option files; passwords come from files of this service's configuration alone.
"""

import socket
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import psycopg
import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import URL

from attribute_authority.errors import CouldNotAsk, OperatorError

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_SHORTEST_PATIENCE: Final = 2
"""Seconds; libpq has no less for connecting."""

_MYSQL_LIMITS: Final = "/*M!100101 , max_statement_time = {seconds} */ /*!50708 , max_execution_time = {milliseconds} */"
"""Each server takes the limit that it knows, the other for a comment: MariaDB's is in seconds, MySQL's in milliseconds."""

_MYSQL_READING: Final = ("SET SESSION TRANSACTION READ ONLY", f"SET SESSION autocommit = 1 {_MYSQL_LIMITS}")
_MYSQL_WRITING: Final = (
    # Without the strict mode, what does not fit would be cut and stored.
    "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES')",
    "SET SESSION autocommit = 0, time_zone = '+00:00', innodb_lock_wait_timeout = {lock_seconds} " + _MYSQL_LIMITS,
)


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a database is, without its password in `url`; with `tls_ca` it is verified and encrypted. `timeout` is in seconds.

    `writes` tells that its connections may change something.
    """

    url: URL
    password: str | None = field(repr=False)
    tls_ca: Path | None
    timeout: float
    writes: bool = False

    @property
    def statement_milliseconds(self) -> int:
        """What the server is told that a statement may take: less than the whole, so that the connection stands when it was too much."""
        return ceil(self.timeout * 900)

    @property
    def lock_milliseconds(self) -> int:
        """What the server is told that waiting for somebody else's lock may take: a row that is in use is no outage."""
        return ceil(self.timeout * 500)

    @property
    def server(self) -> str:
        """How causes of failures name it."""
        place = self.url.host or "local socket"
        return f"{self.url.get_backend_name()} database {self.url.database} at {place}{f':{self.url.port}' if self.url.port else ''}"


def make_opener(address: DatabaseAddress) -> Callable[[], Any]:
    """Return what opens a connection of the database driver. It raises CouldNotAsk.

    Raises OperatorError where `tls_ca` cannot be used.
    """
    backend = address.url.get_backend_name()
    if backend == "sqlite":
        return lambda: _open_sqlite(address)
    context = _tls_context(address.tls_ca)
    if backend == "postgresql":
        return lambda: _open_postgresql(address)
    return lambda: _open_mysql(address, context)


def socket_number(connection: Any) -> int | None:
    """Return the file descriptor of a connection's socket, None where there is no other side."""
    return None if isinstance(connection, sqlite3.Connection) else connection.fileno()


def _tls_context(tls_ca: Path | None) -> ssl.SSLContext | None:
    if tls_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=tls_ca)
    except OSError as error:
        raise OperatorError(f"tls_ca: {tls_ca}: cannot be read as PEM certificates: {error.strerror or 'no certificate in it'}") from error


@contextmanager
def _connecting(address: DatabaseAddress) -> Iterator[None]:
    # Nobody has been asked about yet, so that the driver's own words name no person.
    try:
        yield
    except (psycopg.Error, pymysql.Error, sqlite3.Error, OSError) as error:
        lines = str(error).splitlines() or [""]
        raise CouldNotAsk(f"{address.server}: no connection: {type(error).__name__}: {lines[0]}") from error


def _open_sqlite(address: DatabaseAddress) -> sqlite3.Connection:
    with _connecting(address):
        file = f"file:{quote(str(address.url.database))}?mode={'rw' if address.writes else 'ro'}"
        return sqlite3.connect(file, uri=True, timeout=address.timeout, isolation_level=None, check_same_thread=False)


def _open_postgresql(address: DatabaseAddress) -> "psycopg.Connection[Any]":
    url = address.url
    verified = address.tls_ca is not None
    with _connecting(address):
        return psycopg.connect(
            host=str(url.query["host"]) if "host" in url.query else url.host,
            port=url.port,
            user=url.username,
            password=address.password,
            dbname=url.database,
            application_name="attribute-authority",
            connect_timeout=max(_SHORTEST_PATIENCE, ceil(address.timeout)),
            options=_postgresql_session(address),
            autocommit=not address.writes,
            sslmode="verify-full" if verified else None,
            sslrootcert=str(address.tls_ca) if verified else None,
        )


def _postgresql_session(address: DatabaseAddress) -> str:
    limit = f"-c statement_timeout={address.statement_milliseconds}"
    if not address.writes:
        return f"-c default_transaction_read_only=on {limit}"
    # Nobody's row stays locked by a process of ours that was held still.
    idle = f"-c idle_in_transaction_session_timeout={ceil(address.timeout * 1000)}"
    return f"-c TimeZone=UTC {limit} -c lock_timeout={address.lock_milliseconds} {idle}"


if TYPE_CHECKING:
    _Pymysql = pymysql.Connection[Cursor]
else:
    _Pymysql = pymysql.Connection


class _MysqlConnection(_Pymysql):
    """A connection over a socket of ours, whose file descriptor is known, with and without TLS."""

    def connect(self, sock: socket.socket | None = None) -> None:
        """Connect to the server that was named."""
        line = sock or _connect(self.unix_socket, self.host, self.port, self.connect_timeout)
        # TLS takes the socket over, with its descriptor.
        self._number = line.fileno()
        super().connect(line)

    def fileno(self) -> int:
        """Return the file descriptor of the socket."""
        return self._number


def _connect(unix_socket: Any, host: str, port: int, timeout: float | None) -> socket.socket:
    if unix_socket is None:
        line = socket.create_connection((host, port), timeout)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return line
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        local.settimeout(timeout)
        local.connect(unix_socket)
    except OSError:
        local.close()
        raise
    return local


def _open_mysql(address: DatabaseAddress, context: ssl.SSLContext | None) -> _MysqlConnection:
    url, timeout = address.url, address.timeout
    with _connecting(address):
        connection = _MysqlConnection(
            host=url.host,
            port=url.port or 0,
            unix_socket=url.query.get("unix_socket"),
            user=url.username,
            password=(address.password or "").encode(),
            database=url.database,
            charset="utf8mb4",
            connect_timeout=timeout,
            read_timeout=timeout,
            write_timeout=timeout,
            program_name="attribute-authority",
            ssl=context,
            # A row that holds already what is written counts as touched.
            client_flag=CLIENT.FOUND_ROWS if address.writes else 0,
        )
        try:
            with connection.cursor() as cursor:
                for statement in _mysql_session(address):
                    cursor.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


def _mysql_session(address: DatabaseAddress) -> Iterator[str]:
    limit = address.statement_milliseconds
    lock_seconds = max(1, address.lock_milliseconds // 1000)
    for statement in _MYSQL_WRITING if address.writes else _MYSQL_READING:
        yield statement.format(seconds=limit / 1000, milliseconds=limit, lock_seconds=lock_seconds)
