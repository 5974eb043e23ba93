"""SQLite conforms, and its file behaves as an operator expects."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from attribute_authority.errors import CouldNotAsk
from attribute_authority.storage.engine import Patience
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.upgrading import upgrade
from tests.conformance.conftest import Opening, OpeningDeliveries
from tests.conformance.database_conformance import DatabaseConformance
from tests.conformance.deliveries_conformance import DatabaseDeliveriesConformance
from tests.conformance.delivery_samples import LEASE, claim, link_teppo
from tests.conformance.replay_conformance import LATER
from tests.conformance.samples import NOW, PRODUCTION, SERVICE, TEPPO, new_link


def url_of(file: Path) -> str:
    """Write the URL of a file, with every character that means something in a URL escaped."""
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


IMPATIENT = Patience(busy=20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A fresh database, whose name SQLite could mistake for parts of a URI."""
    file = tmp_path / "links? 100%20#ä&mode=ro.db"
    upgrade(url_of(file))
    return file


@pytest.fixture
def url(file: Path) -> str:
    """The URL of the fresh database."""
    return url_of(file)


class TestSqlite(DatabaseConformance):
    """Links and message ids in an SQLite file."""

    def test_is_local(self, store: SqlStore) -> None:
        """A lookup may run where it is called."""
        assert store.is_local


class TestSqliteDeliveries(DatabaseDeliveriesConformance):
    """Deliveries in an SQLite file."""

    def test_looking_for_work_waits_for_nobody(self, links: SqlStore, opening_deliveries: OpeningDeliveries, file: Path, url: str) -> None:
        """While another program writes, a worker sees that nothing is due; what is due it cannot have yet."""
        books = opening_deliveries(url, IMPATIENT)
        link_teppo(links)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            idle = claim(books, NOW - LEASE)
            with pytest.raises(CouldNotAsk, match="locked"):
                claim(books)
            other.execute("ROLLBACK")

        assert () == idle
        assert 1 == len(claim(books))


class TestFile:
    """The file."""

    def test_only_its_owner_may_read_it(self, file: Path) -> None:
        """The file holds personal data, so it is made for its owner alone."""
        assert oct(file.stat().st_mode & 0o777) == "0o600"

    def test_writers_do_not_keep_readers_waiting(self, opening: Opening, file: Path, url: str) -> None:
        """While another process is in the middle of writing, queries are answered (write-ahead log)."""
        store = opening(url, IMPATIENT)
        store.add_link(new_link(TEPPO))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")

            assert store.find_subject(TEPPO, PRODUCTION) is not None

    def test_mistyped_name_is_no_empty_database(self, tmp_path: Path) -> None:
        """A file that is not there is told, not made."""
        with pytest.raises(CouldNotAsk, match=r"mistyped\.db.*unable to open"):
            open_store(f"sqlite:///{tmp_path}/mistyped.db")

        assert [] == list(tmp_path.iterdir())

    def test_file_that_is_no_database(self, tmp_path: Path) -> None:
        """A file of another kind cannot be asked, and stays as it is."""
        (tmp_path / "letter.txt").write_text("Dear Josiah, " * 100, encoding="ascii")

        with pytest.raises(CouldNotAsk, match="not a database"):
            open_store(f"sqlite:///{tmp_path}/letter.txt")
        assert (tmp_path / "letter.txt").read_text(encoding="ascii").startswith("Dear Josiah, ")

    def test_directory_cannot_be_asked(self, tmp_path: Path) -> None:
        """A directory in the place of the file cannot be asked."""
        with pytest.raises(CouldNotAsk, match="unable to open"):
            open_store(f"sqlite:///{tmp_path}")

    def test_file_without_tables_cannot_be_asked(self, tmp_path: Path, opening: Opening) -> None:
        """A database that was never upgraded is an outage, not "no iD"."""
        (tmp_path / "empty.db").touch()
        store = opening(f"sqlite:///{tmp_path}/empty.db")

        with pytest.raises(CouldNotAsk, match="no such table"):
            store.find_subject(TEPPO, PRODUCTION)


class TestLocked:
    """A file that another program does not let go of."""

    def test_message_cannot_be_recorded_meanwhile(self, opening: Opening, file: Path, url: str) -> None:
        """A guard that cannot record says so, and works again as soon as the other program lets go."""
        store = opening(url, IMPATIENT)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(CouldNotAsk, match="locked"):
                store.is_first(SERVICE, "_a1", LATER)
            other.execute("ROLLBACK")

        assert store.is_first(SERVICE, "_a1", LATER)

    def test_link_cannot_be_stored_meanwhile(self, opening: Opening, file: Path, url: str) -> None:
        """A link that could not be stored is told as such, and is not there."""
        store = opening(url, IMPATIENT)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(CouldNotAsk, match="locked"):
                store.add_link(new_link(TEPPO))

        assert store.find_subject(TEPPO, PRODUCTION) is None

    def test_nothing_is_found_meanwhile(self, opening: Opening, file: Path, url: str) -> None:
        """A file that is locked against readers too is an outage, not "no iD"."""
        store = opening(url, IMPATIENT)
        store.add_link(new_link(TEPPO))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(CouldNotAsk, match="locked"):
                store.find_subject(TEPPO, PRODUCTION)

        assert store.find_subject(TEPPO, PRODUCTION) is not None
