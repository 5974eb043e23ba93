"""The migrations make what the tables say, on both databases."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, text

from attribute_authority.domain.link import KnownSubject
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.storage.deliveries import open_delivery_store
from attribute_authority.storage.engine import Patience, make_working_engine, parse_url
from attribute_authority.storage.schema import MIGRATIONS, migration_names, pending
from attribute_authority.storage.sql import open_store
from attribute_authority.storage.tables import identifier, link, metadata, subject
from attribute_authority.storage.upgrading import upgrade
from tests.conformance.delivery_samples import EVERYTHING, LDAP
from tests.conformance.pairwise_conformance import NAME, digest_of, sources
from tests.conformance.samples import CARBERRY, HOME, MAIJA, NOW, OTHER_ORCID, PRODUCTION, TEPPO, eppn, new_link
from tests.peers.postgresql import PostgresqlServer

ALL = ("0001_subjects_links_replay", "0002_companion", "0003_sources", "0004_deliveries")
SQLITE_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%' ORDER BY name"
POSTGRESQL_SCHEMA = """
    SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
    UNION SELECT table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, is_identity, identity_generation, column_default)
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    ORDER BY 1
"""


def fill(connection: Connection) -> None:
    """Store what the release before sources would have stored: a person linked, withdrew and linked again, and another linked meanwhile."""
    linked = {"environment": "production", "source": "import", "linked_at": NOW, "withdrawn_at": None}
    links = [
        {**linked, "subject_id": 1, "orcid": CARBERRY.value, "withdrawn_at": NOW + timedelta(hours=1)},
        {**linked, "subject_id": 2, "orcid": CARBERRY.value},
        {**linked, "subject_id": 1, "orcid": OTHER_ORCID.value, "linked_at": NOW - timedelta(days=1)},
    ]
    for table, rows in (
        (subject, [{"home_organisation": HOME, "created_at": NOW}] * 2),
        (identifier, [{"subject_id": number, "kind": "eppn", "value": item.value} for number, item in ((1, TEPPO), (2, MAIJA))]),
        (link, links),
    ):
        connection.execute(insert(table), rows)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/links.db"
    return str(request.getfixturevalue("empty_postgresql_url"))


@pytest.fixture
def migrated(url: str) -> Iterator[Connection]:
    """A connection to a database that was upgraded."""
    upgrade(url)
    with make_working_engine(parse_url(url), Patience()).connect() as connection:
        yield connection


def schema(connection: Connection) -> list[tuple[str, str]]:
    """Return every name of the schema with its definition, however it is spaced."""
    on_sqlite = connection.dialect.name == "sqlite"
    rows = connection.execute(text(SQLITE_SCHEMA if on_sqlite else POSTGRESQL_SCHEMA))
    return [(name, in_any_order(definition) if on_sqlite else " ".join(definition.split())) for name, definition in rows]


def in_any_order(definition: str) -> str:
    """Return a statement with its clauses sorted: SQLite writes a column that was added later behind the constraints."""
    before, opening, rest = definition.partition("(")
    clauses, closing, after = rest.rpartition(")")
    sorted_clauses = sorted(" ".join(clause.split()) for clause in clauses.split(","))
    return " ".join((*before.split(), opening, *sorted_clauses, closing, *after.split()))


def upgrade_to(name: str, configuration: Config, _: str, to: Callable[[Config, str], None] = command.upgrade) -> None:
    """Upgrade as a release did whose last migration had that name."""
    to(configuration, name)


class TestMigrations:
    """Migrations against tables."""

    def test_alembic_finds_no_difference(self, migrated: Connection) -> None:
        """Nothing is left for a migration to do."""
        differences = compare_metadata(MigrationContext.configure(migrated), metadata)

        assert [] == differences

    def test_definitions_are_the_same(self, migrated: Connection) -> None:
        """Every table, constraint, partial index and identity is defined alike, which Alembic does not compare in full."""
        by_migration = schema(migrated)
        metadata.drop_all(migrated)
        metadata.create_all(migrated)

        assert sorted(schema(migrated)) == sorted(by_migration)

    def test_names_are_those_that_alembic_applies(self) -> None:
        """The files are named after their migrations, in the order in which these follow each other."""
        applied = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]

        assert list(reversed(applied)) == list(migration_names())


class TestUpgrade:
    """Upgrading."""

    def test_pending_until_upgraded(self, url: str) -> None:
        """What is missing is named, applied once, and missing no more."""
        assert ALL == pending(url)
        assert ALL == upgrade(url)
        assert () == pending(url)
        assert () == upgrade(url)

    def test_upgrades_at_once_apply_each_migration_once(self, url: str) -> None:
        """Two nodes that are renewed at the same time do not disturb each other."""
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(upgrade, [url] * 2))

        assert sorted([(), ALL]) == sorted(outcomes)

    def test_database_of_a_later_release(self, migrated: Connection, url: str) -> None:
        """An old release does not work on a schema that it does not know."""
        migrated.execute(text("UPDATE alembic_version SET version_num = '9999_from_the_future'"))

        for work in (pending, upgrade):
            with pytest.raises(OperatorError, match=r"9999_from_the_future.*later release"):
                work(url)

    def test_failed_upgrade_leaves_nothing(self, url: str) -> None:
        """A migration that fails half-way is undone as a whole."""
        if url.startswith("sqlite"):
            Path(url.removeprefix("sqlite:///")).touch()
        with make_working_engine(parse_url(url), Patience()).connect() as connection:
            connection.execute(text("CREATE TABLE seen_message (other INTEGER)"))
            with pytest.raises(CouldNotAsk, match="already exists"):
                upgrade(url)

            assert {"seen_message"} == {name.partition(".")[0] for name, _ in schema(connection)}


class TestFilledDatabase:
    """Upgrading a database of an earlier release that is in use."""

    @pytest.fixture
    def filled(self, url: str, monkeypatch: pytest.MonkeyPatch) -> str:
        """A database of the release before sources, in which a person linked, withdrew and linked again."""
        with monkeypatch.context() as before:
            before.setattr(command, "upgrade", partial(upgrade_to, "0002_companion"))
            upgrade(url)
        with make_working_engine(parse_url(url), Patience()).connect() as connection:
            fill(connection)
        return url

    def test_people_are_found_as_before(self, filled: str) -> None:
        """Whoever was linked is, and nobody is known by another spelling."""
        upgrade(filled)
        with closing(open_store(filled)) as store:
            found = store.find_subject(TEPPO, PRODUCTION)
            spellings = [item.spelling for link in store.find_links(withdrawn=True) for item in link.identifiers]

        assert KnownSubject(1, HOME, OTHER_ORCID) == found
        assert [None] * 3 == spellings

    def test_what_happened_before_is_told_in_its_order(self, filled: str) -> None:
        """A subscriber who begins now ends with what is in force, though a link bears an earlier instant than the withdrawal before it."""
        upgrade(filled)
        with closing(open_store(filled)) as store:
            page = store.read_changes((HOME,), PRODUCTION, 0, 10)
            further = store.add_link(new_link(TEPPO, eppn("further"), orcid=OTHER_ORCID))
            later = store.read_changes((HOME,), PRODUCTION, page.last, 10)

        told = [(change.identifiers[0], change.orcid) for change in page.changes]
        assert [(TEPPO, None), (MAIJA, CARBERRY), (TEPPO, OTHER_ORCID)] == told
        assert [further.identifiers] == [change.identifiers for change in later.changes]

    def test_people_of_before_are_in_an_index(self, filled: str) -> None:
        """Whoever was linked before is indexed, and what follows is followed."""
        upgrade(filled)
        with closing(open_store(filled)) as store:
            indexed = store.build(NAME, digest_of, NOW)
            store.withdraw_link(2, NOW)
            followed = store.follow(NAME, digest_of)

            assert (2, 1, ()) == (indexed, followed, sources(store, MAIJA.value))

    def test_people_of_before_can_be_delivered(self, filled: str) -> None:
        """Nothing is delivered because of an upgrade; a replay delivers what is in force."""
        upgrade(filled)
        with closing(open_delivery_store(filled)) as books:
            before = books.read_backlogs(PRODUCTION)
            books.replay_deliveries(LDAP, PRODUCTION, 0, 10, NOW)
            written = [(record.identifiers, record.orcid) for record in books.list_deliveries(EVERYTHING)]

        assert () == before
        assert [((TEPPO,), OTHER_ORCID), ((MAIJA,), CARBERRY)] == written


class TestAddress:
    """The URL of the configuration."""

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "links.db",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:///links.db?mode=ro",
            "sqlite:///links?.db",
            "mysql://secret@db/links",
            "postgresql://secret@db/links",
        ],
    )
    def test_other_databases_are_refused(self, url: str) -> None:
        """Only a file of SQLite and PostgreSQL by way of psycopg are accepted, and the answer shows what is expected."""
        for work in (open_store, pending, upgrade):
            with pytest.raises(OperatorError, match="expected sqlite:///FILE") as refused:
                work(url)

            assert "secret" not in refused.value.cause

    def test_directory_that_is_missing(self, tmp_path: Path) -> None:
        """A file that cannot be made is named."""
        with pytest.raises(OperatorError, match=r"missing/links\.db cannot be made: No such file"):
            upgrade(f"sqlite:///{tmp_path}/missing/links.db")

    def test_unreachable_server(self, postgresql: PostgresqlServer) -> None:
        """A database that does not exist could not be asked."""
        with pytest.raises(CouldNotAsk, match="nowhere"):
            pending(postgresql.url("nowhere"))

    def test_pending_makes_no_file(self, tmp_path: Path) -> None:
        """Looking at what is missing does not make a database."""
        pending(f"sqlite:///{tmp_path}/links.db")

        assert [] == list(tmp_path.iterdir())

    def test_upgrade_keeps_links(self, tmp_path: Path) -> None:
        """A second upgrade leaves what is stored alone."""
        upgrade(f"sqlite:///{tmp_path}/links.db")
        connection = sqlite3.connect(tmp_path / "links.db")
        connection.execute("INSERT INTO subject (home_organisation, created_at) VALUES ('urn:x', '2026-01-01 00:00:00.000000')")
        connection.commit()
        upgrade(f"sqlite:///{tmp_path}/links.db")

        assert [(1,)] == connection.execute("SELECT count(*) FROM subject").fetchall()
        connection.close()
