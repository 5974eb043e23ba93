"""Connections to the database: where it is, how long anything may take, and what its failures mean.

All connections commit every statement by itself; `writing` opens a transaction where several belong together.
There are two engines for the back channel and the command line, because the answer path and changes to links promise different things:
an answer may lose the record of a message in a power failure (a replay would have to come within the same few seconds),
a withdrawal may not be lost once it was reported. The companion page has one of its own: nothing that it reports may be lost,
and somebody waits for it.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError

from attribute_authority.errors import CouldNotAsk, OperatorError

SQLITE = "sqlite"
POSTGRESQL = "postgresql+psycopg"

_LINK_WRITERS = 0x6F726369
"""Key of the PostgreSQL advisory lock that puts the writers of links in a row, as BEGIN IMMEDIATE does in SQLite."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the database, in milliseconds.

    `connecting` and `answering` bound what a query may cost; `working` bounds one statement of an import, export or migration;
    `busy` is how long SQLite waits for another writer.
    """

    connecting: int = 5_000
    answering: int = 3_000
    working: int = 60_000
    busy: int = 2_000


def parse_url(text: str) -> URL:
    """Read the database URL of the configuration. Raises OperatorError, which never repeats the URL because it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise OperatorError(f"the database url cannot be read: expected sqlite:///FILE or {POSTGRESQL}://NAME@HOST/DATABASE") from error
    if url.drivername == SQLITE:
        return _check_file(url, text)
    if url.drivername != POSTGRESQL:
        raise OperatorError(f"the database url names {url.drivername!r}: expected sqlite:///FILE or {POSTGRESQL}://NAME@HOST/DATABASE")
    return url


def _check_file(url: URL, text: str) -> URL:
    if url.database in (None, "", ":memory:") or url.host or "?" in text:
        raise OperatorError("the database url of SQLite must name a file and nothing else: expected sqlite:///FILE")
    return url


def file_of(url: URL) -> Path | None:
    """Return the file of an SQLite database, None for PostgreSQL."""
    return Path(url.database or "") if url.drivername == SQLITE else None


def make_answering_engine(url: URL, patience: Patience) -> Engine:
    """Make the engine of the answer path: short waits, and commits that need not reach the disk."""
    if url.drivername == SQLITE:
        return _make_sqlite_engine(url, patience.busy, "NORMAL")
    return _make_postgresql_engine(url, patience.connecting, {"statement_timeout": patience.answering, "synchronous_commit": "off"})


def make_working_engine(url: URL, patience: Patience) -> Engine:
    """Make the engine for everything else: longer waits, and commits that are on the disk when they return."""
    if url.drivername == SQLITE:
        return _make_sqlite_engine(url, patience.busy, "FULL")
    limits = {"statement_timeout": patience.working, "idle_in_transaction_session_timeout": patience.working}
    return _make_postgresql_engine(url, patience.connecting, limits)


def make_pooled_engine(url: URL, patience: Patience, pool_size: int) -> Engine:
    """Make the engine of the companion page: so many kept connections, short waits, and commits that are on the disk when they return.

    A thread that finds every connection in use waits for one as long as a statement may last.
    """
    pool = {"poolclass": QueuePool, "pool_size": pool_size, "max_overflow": 0, "pool_timeout": patience.answering / 1000}
    if url.drivername == SQLITE:
        return _make_sqlite_engine(url, patience.busy, "FULL", **pool)
    limits = {"statement_timeout": patience.answering, "idle_in_transaction_session_timeout": patience.answering}
    # A server that was restarted, or a firewall, has ended connections that nobody used meanwhile.
    return _make_postgresql_engine(url, patience.connecting, limits, pool_pre_ping=True, **pool)


def _make_sqlite_engine(url: URL, busy: int, synchronous: str, **pool: object) -> Engine:
    # SQLite would make an empty file of a mistyped name; rw refuses.
    address = f"file:{quote(str(url.database))}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, timeout=busy / 1000, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}").close()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    return _make_engine(url, creator=connect, **pool)


def _make_postgresql_engine(url: URL, connecting: int, session: Mapping[str, int | str], **pool: object) -> Engine:
    arguments: dict[str, object] = {
        "application_name": "attribute-authority",
        "connect_timeout": max(2, connecting // 1000),
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 10_000,
    }
    ours = " ".join(f"-c {name}={value}" for name, value in session.items())
    theirs = url.query.get("options", ())
    given = {name: value for name, value in arguments.items() if name not in url.query}
    # What the operator wrote comes last, and the last one wins.
    options = " ".join((ours, *((theirs,) if isinstance(theirs, str) else theirs)))
    return _make_engine(url, connect_args={**given, "options": options}, **pool)


def _make_engine(url: URL, **how: object) -> Engine:
    # Parameters hold personal data, so they may not get into a traceback; connections are kept by whoever wants to keep them.
    return create_engine(url, **{"isolation_level": "AUTOCOMMIT", "poolclass": NullPool, "hide_parameters": True, **how})


def failure(error: Exception) -> CouldNotAsk:
    """Say what went wrong without what was asked: the first line of the driver's message, as the others may quote stored values."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(origin).splitlines() or [""]
    return CouldNotAsk(f"the database could not be asked: {type(origin).__name__}: {lines[0]}")


def is_refusal(error: DBAPIError) -> bool:
    """Whether the database refuses these very values, for a constraint or for their size (SQLSTATE class 54), and would do so again."""
    too_much = str(getattr(error.orig, "sqlstate", None) or "").startswith("54")
    return too_much or isinstance(error, IntegrityError | DataError)


@contextmanager
def asking() -> Iterator[None]:
    """Turn every failure of the database into CouldNotAsk."""
    try:
        yield
    except SQLAlchemyError as error:
        raise failure(error) from error


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """Read everything in the block as it was at one moment, while others write."""
    on_sqlite = connection.dialect.name == SQLITE
    connection.exec_driver_sql("BEGIN" if on_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """Run the block as one transaction, after every other writer of links and before the next.

    One writer at a time makes "look, then write" safe on both back ends without serialisation failures to repeat; links are written seldom.
    """
    on_sqlite = connection.dialect.name == SQLITE
    connection.exec_driver_sql("BEGIN IMMEDIATE" if on_sqlite else "BEGIN")
    try:
        if not on_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LINK_WRITERS})")
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        # A connection that is gone has rolled back by itself; the first failure is the one to tell.
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise
