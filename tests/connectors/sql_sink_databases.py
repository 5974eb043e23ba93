"""Databases of identity management that sinks write to: PostgreSQL, MariaDB and SQLite."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, make_url, text

from attribute_authority.domain.identifiers import Identifier, IdentifierKind, parse_identifier
from connectors.sql import SQL, SqlSettings, SqlSink
from tests.connectors.conftest import IdDatabase
from tests.factories.sink_deliveries import sink_surroundings

PERSON = """\
CREATE TABLE person (eppn VARCHAR(100) NOT NULL PRIMARY KEY, orcid VARCHAR(50) NULL UNIQUE, updated TIMESTAMP NULL,
 delivery VARCHAR(40) NULL, organisation VARCHAR(200) NULL)"""

LINK = "UPDATE person SET orcid = :orcid WHERE eppn = :eppn"
WITHDRAW = "UPDATE person SET orcid = NULL WHERE eppn = :eppn AND orcid = :former"


@dataclass(frozen=True, slots=True)
class SinkDatabase:
    """A database with the table `person`; `outages` are the ways in which it goes away and comes back."""

    url: str
    password_file: Path | None
    outages: tuple[Callable[[], AbstractContextManager[None]], ...] = ()

    @property
    def backend(self) -> str:
        """Which of the three it is."""
        return make_url(self.url).get_backend_name()

    def run(self, statement: str, **values: object) -> Sequence[Any]:
        """Run a statement on a connection of the test's own, and return its rows."""
        # The driver would write text in Latin-1.
        password = {} if self.password_file is None else {"password": self.password_file.read_bytes().rstrip(b"\n")}
        engine = create_engine(self.url, connect_args=password, poolclass=NullPool)
        with engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def add(self, eppn: str, orcid: str | None = None) -> None:
        """Add a person."""
        self.run("INSERT INTO person (eppn, orcid) VALUES (:eppn, :orcid)", eppn=eppn, orcid=orcid)

    @property
    def people(self) -> dict[str, str | None]:
        """Everybody's iD by ePPN."""
        return dict(self.run("SELECT eppn, orcid FROM person"))

    def settings(self, **keys: object) -> SqlSettings:
        """Return those of a sink."""
        password = {} if self.password_file is None else {"password_file": str(self.password_file)}
        return SqlSettings.model_validate({"kind": "sql", "url": self.url, **password, **keys})

    @contextmanager
    def by_statements(self, link: str = LINK, withdraw: str = WITHDRAW, **keys: object) -> Iterator[SqlSink]:
        """Have a sink that writes by statements."""
        with self.opened(link=link, withdraw=withdraw, **keys) as sink:
            yield sink

    @contextmanager
    def by_columns(self, **keys: object) -> Iterator[SqlSink]:
        """Have a sink that writes mapped columns of `person`."""
        columns = {"eppn": "eppn", "orcid": "orcid", "changed_at": "updated", "reference": "delivery", "home_organisation": "organisation"}
        with self.opened(**{"table": "person", "columns": columns, "key": "eppn", **keys}) as sink:
            yield sink

    @contextmanager
    def opened(self, **keys: object) -> Iterator[SqlSink]:
        """Have a sink."""
        sink = SQL.open(self.settings(**keys), sink_surroundings())
        assert isinstance(sink, SqlSink)
        with closing(sink):
            yield sink


def of_ids(ids: IdDatabase) -> SinkDatabase:
    """Return a database for sinks in the place of one for sources, with its table."""
    database = SinkDatabase(ids.url, ids.password_file, ids.outages)
    database.run(PERSON)
    return database


def of_file(file: Path) -> SinkDatabase:
    """Return an SQLite database, with its table."""
    database = SinkDatabase(f"sqlite:///{file}", None)
    database.run(PERSON)
    return database


def eppn(value: str) -> Identifier:
    """Return an ePPN."""
    return parse_identifier(IdentifierKind.EPPN, value)
