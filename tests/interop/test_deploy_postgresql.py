"""The published view and role, on a real PostgreSQL: an identity provider reads its own people's iDs at login, and nothing else."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from attribute_authority.domain.identifiers import EntityId, Environment, OrcidId, parse_identifier_text
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.storage.sql import open_store
from tests.peers.postgresql import PostgresqlServer, find_binaries
from tests.peers.shibboleth_idp import Settings

UNI, OTHER = EntityId("https://idp.uni.example/idp"), EntityId("https://idp.other.example/idp")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCRIPTS = Path(__file__).parents[2] / "deploy" / "postgresql"
ROLES = {"orcid_uni": (UNI, "production"), "orcid_other": (OTHER, "production"), "orcid_trial": (UNI, "sandbox")}


def person(home: EntityId, orcid: str, *identifiers: str, environment: Environment = Environment.PRODUCTION) -> NewLink:
    """Link an iD to somebody."""
    parsed = tuple(parse_identifier_text(identifier) for identifier in identifiers)
    return NewLink(home, parsed, OrcidId(orcid), environment, LinkSource.MANUAL, NOW)


JOSIAH = person(UNI, "0000-0002-1825-0097", "eppn=josiah@uni.example", "subject-id=j0s1ah@uni.example", "unique-id=28c5353b@uni.example")
JOSIAH_ON_TRIAL = person(UNI, "0000-0003-1415-9269", "eppn=josiah@uni.example", environment=Environment.SANDBOX)
QUOTED = person(UNI, "0000-0001-5109-3700", "eppn=o'hara@uni.example")
WITHDRAWN = person(UNI, "0000-0002-9079-593X", "eppn=withdrawn@uni.example")
NEIGHBOUR = person(OTHER, "0000-0003-0000-0009", "eppn=maija@other.example")


@dataclass(frozen=True, slots=True)
class Database:
    """A database with people, the view, and the three roles."""

    server: PostgresqlServer
    name: str

    def connect(self, role: str) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as a role."""
        return psycopg.connect(host="127.0.0.1", port=self.server.port, user=role, dbname=self.name, autocommit=True)

    def ask(self, role: str, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as a role."""
        with closing(self.connect(role)) as connection:
            return connection.execute(statement.encode()).fetchall()

    def log_in(self, principal: str, role: str = "orcid_uni", scope: str = "uni.example") -> list[str]:
        """Run the query of the published connector as the identity provider renders it, and return the values of the attribute."""
        connector = Settings({"idp.scope": scope}).connector("attribute-resolver-rdbms.xml")
        with closing(self.connect(role)) as connection:
            cursor = connection.execute(connector.query(principal).encode())
            columns = [column.name for column in cursor.description or ()]

            assert sorted(connector.listed("exportAttributes")) == columns
            return [str(value) for (value,) in cursor.fetchall()]

    def run_script(self, name: str, **variables: str) -> None:
        """Run a published script as its first lines say, as the owner of the database."""
        given = [part for variable, value in variables.items() for part in ("--set", f"{variable}={value}")]
        address = ["--host", "127.0.0.1", "--port", str(self.server.port), "--username", "postgres", "--dbname", self.name]
        fixed = ["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction", "--file", str(SCRIPTS / name)]
        done = subprocess.run([find_binaries() / "psql", *address, *fixed, *given], capture_output=True, text=True, check=False)

        assert (0, "") == (done.returncode, done.stdout), done.stderr


@pytest.fixture(scope="module")
def database(postgresql: PostgresqlServer) -> Iterator[Database]:
    """The database of this module; both scripts were run, and the one that may be run again was."""
    url = postgresql.make_database()
    database = Database(postgresql, str(make_url(url).database))
    with closing(open_store(url)) as store:
        for new in (JOSIAH, JOSIAH_ON_TRIAL, QUOTED, NEIGHBOUR):
            store.add_link(new)
        store.withdraw_link(store.add_link(WITHDRAWN).link_id, NOW)
    database.run_script("orcid-view.sql")
    for role, (home, environment) in ROLES.items():
        database.run_script("orcid-reader.sql", role=role, home=home, environment=environment)
    database.run_script("orcid-view.sql")
    yield database
    postgresql.drop_database(url)
    with closing(Database(postgresql, "postgres").connect("postgres")) as connection:
        for role in ROLES:
            connection.execute(f"DROP ROLE {role}".encode())


@pytest.mark.parametrize("principal", ["josiah", "Josiah", "JOSIAH"])
def test_login_reads_the_orcid(database: Database, principal: str) -> None:
    """Whoever is linked has the iD as a URI, however the login name is written."""
    assert ["https://orcid.org/0000-0002-1825-0097"] == database.log_in(principal)


def test_name_with_a_quote_reads_its_own_orcid(database: Database) -> None:
    """A quote is a letter of a login name like any other."""
    assert ["https://orcid.org/0000-0001-5109-3700"] == database.log_in("o'hara")


NOBODY = (
    "nobody",
    "withdrawn",
    "maija@other.example",
    "' OR ''='",
    "\\' OR 1=1 --",
    "x') OR TRUE --",
    "\\",
    "$$",
    "josiah@uni.example' --",
)


@pytest.mark.parametrize("principal", NOBODY)
def test_nobody_else_reads_anything(database: Database, principal: str) -> None:
    """Unknown and withdrawn people have no iD, and no login name says more than a name."""
    assert [] == database.log_in(principal)


def test_other_organisations_are_not_seen(database: Database) -> None:
    """The people of another home organisation are not there, whatever is asked; each role sees its own."""
    assert [] == database.log_in("maija", scope="other.example")
    assert ["https://orcid.org/0000-0003-0000-0009"] == database.log_in("maija", "orcid_other", "other.example")
    assert {(UNI,)} == set(database.ask("orcid_uni", "SELECT home_organisation FROM orcid_view.eduperson_orcid"))


def test_environments_are_apart(database: Database) -> None:
    """A role sees the iDs of the registry that it was made for, with the host of that registry."""
    assert ["https://sandbox.orcid.org/0000-0003-1415-9269"] == database.log_in("josiah", "orcid_trial")


def test_each_identifier_finds_the_person(database: Database) -> None:
    """subject-id and unique-id are columns too."""
    rows = database.ask("orcid_uni", "SELECT eppn, subject_id, unique_id FROM orcid_view.eduperson_orcid WHERE orcid LIKE '%-0097'")
    expected = {("josiah@uni.example", None, None), (None, "j0s1ah@uni.example", None), (None, None, "28c5353b@uni.example")}

    assert (3, expected) == (len(rows), set(rows))


def test_stranger_sees_nothing(database: Database) -> None:
    """Even the owner of the database, who is no home organisation, finds the view empty."""
    assert [] == database.ask("postgres", "SELECT * FROM orcid_view.eduperson_orcid")


FORBIDDEN = (
    "SELECT * FROM subject",
    "SELECT * FROM identifier",
    "SELECT * FROM link",
    "SELECT * FROM orcid_grant",
    "SELECT * FROM orcid_view.reader",
    "SET ROLE postgres",
    "SET ROLE orcid_other",
    "SET SESSION AUTHORIZATION orcid_other",
)
WRITING = (
    "INSERT INTO orcid_view.eduperson_orcid (eppn) VALUES ('x@uni.example')",
    "DELETE FROM orcid_view.eduperson_orcid",
    "UPDATE orcid_view.reader SET home_organisation = 'x'",
    "DELETE FROM link",
    "CREATE TABLE public.x (y int)",
    "CREATE TABLE orcid_view.x (y int)",
    "CREATE TEMPORARY TABLE x (y int)",
    "CREATE FUNCTION public.leak(text) RETURNS boolean LANGUAGE sql COST 0.0001 AS 'SELECT true'",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_nothing_but_the_view_is_read(database: Database, statement: str) -> None:
    """The tables, and who else reads the view, are closed to the role, and it cannot become another."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.ask("orcid_uni", statement)


@pytest.mark.parametrize("statement", WRITING)
def test_nothing_is_written(database: Database, statement: str) -> None:
    """The role writes nothing, also where it leaves its read-only default."""
    with closing(database.connect("orcid_uni")) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)):
            connection.execute(statement.encode())


def test_login_is_an_index_search(database: Database) -> None:
    """The query finds one identifier by its index, and does not walk through all of them."""
    connector = Settings({"idp.scope": "uni.example"}).connector("attribute-resolver-rdbms.xml")
    with closing(database.connect("orcid_uni")) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(f"EXPLAIN {connector.query('josiah')}".encode()).fetchall()
    steps = "\n".join(str(step) for (step,) in plan)

    assert "(value = 'josiah@uni.example'::text)" in steps, steps
    assert "'subject-id'" not in steps, steps
