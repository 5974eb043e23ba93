"""The databases of an identity provider with its table of stored identifiers, as PostgreSQL and as MariaDB."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.peers.mariadb import PASSWORD, MariadbServer, mariadb
from tests.peers.postgresql import PostgresqlServer, empty_postgresql_url, postgresql, postgresql_url

__all__ = ["empty_postgresql_url", "mariadb", "postgresql", "postgresql_url"]

SHIBPID = """\
CREATE TABLE shibpid (localEntity VARCHAR(255) NOT NULL, peerEntity VARCHAR(255) NOT NULL,
 persistentId VARCHAR(50) NOT NULL, principalName VARCHAR(50) NOT NULL, localId VARCHAR(50) NOT NULL,
 peerProvidedId VARCHAR(50) NULL, creationDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, deactivationDate TIMESTAMP NULL,
 PRIMARY KEY (localEntity, peerEntity, persistentId))"""
"""As the identity provider's documentation has it, unquoted."""

_ACTIVE = "INSERT INTO shibpid (localEntity, peerEntity, persistentId, principalName, localId) VALUES (%s, %s, %s, %s, %s)"
_DEACTIVATED = """\
INSERT INTO shibpid (localEntity, peerEntity, persistentId, principalName, localId, deactivationDate)
 VALUES (%s, %s, %s, %s, %s, CURRENT_TIMESTAMP)"""


@dataclass(frozen=True, slots=True)
class IdDatabase:
    """A database of an identity provider; `outages` are the ways in which it goes away and comes back."""

    url: str
    password_file: Path | None
    execute: Callable[..., None]
    outages: tuple[Callable[[], AbstractContextManager[None]], ...] = ()

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL, not MariaDB."""
        return self.url.startswith("postgresql")

    def forget_key(self) -> None:
        """Have the table hold whatever comes."""
        self.execute(f"ALTER TABLE shibpid DROP {'CONSTRAINT shibpid_pkey' if self.is_postgresql else 'PRIMARY KEY'}")

    def change_type(self, column: str, postgresql: str, mariadb: str) -> None:
        """Give a column another type."""
        how = f"ALTER COLUMN {column} TYPE {postgresql}" if self.is_postgresql else f"MODIFY {column} {mariadb}"
        self.execute(f"ALTER TABLE shibpid {how}")

    def keys(self, **more: object) -> dict[str, object]:
        """Return the table of a source that asks it."""
        password = {} if self.password_file is None else {"password_file": str(self.password_file)}
        return {"kind": "stored-id", "url": self.url, **password, **more}

    def add(self, *values: str, deactivated: bool = False) -> None:
        """Add a row of local entity, peer entity, persistent identifier, principal name and local id."""
        self.execute(_DEACTIVATED if deactivated else _ACTIVE, values)


@pytest.fixture
def postgresql_ids(postgresql: PostgresqlServer, empty_postgresql_url: str) -> IdDatabase:
    """A PostgreSQL without any table."""

    def execute(statement: str, values: tuple[str, ...] = ()) -> None:
        url = make_url(empty_postgresql_url)
        with psycopg.connect(host=url.host, port=url.port, user=url.username, dbname=url.database, autocommit=True) as connection:
            connection.execute(statement.encode(), values or None)

    return IdDatabase(empty_postgresql_url, None, execute, (lambda: _stopped(postgresql), postgresql.paused))


@pytest.fixture
def mariadb_ids(mariadb: MariadbServer, tmp_path: Path) -> IdDatabase:
    """A MariaDB without any table, behind a password."""
    name = mariadb.make_database()
    password_file = tmp_path / "password"
    password_file.write_text(f"{PASSWORD}\n", encoding="utf-8")

    def execute(statement: str, values: tuple[str, ...] = ()) -> None:
        mariadb.execute(statement, values, name)

    return IdDatabase(mariadb.url(name), password_file, execute, (mariadb.stopped, mariadb.paused))


@pytest.fixture(params=["postgresql", "mariadb"])
def ids(request: pytest.FixtureRequest) -> IdDatabase:
    """Each of the two, with an empty shibpid table."""
    database: IdDatabase = request.getfixturevalue(f"{request.param}_ids")
    database.execute(SHIBPID)
    return database


@contextmanager
def _stopped(server: PostgresqlServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()
