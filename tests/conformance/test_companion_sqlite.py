"""SQLite conforms for the companion page, and a file that another program holds is told as an outage."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from attribute_authority.errors import CouldNotAsk
from attribute_authority.storage.companion import SqlCompanionStore, open_companion_store
from attribute_authority.storage.engine import Patience
from attribute_authority.storage.upgrading import upgrade
from tests.conformance.companion_conformance import CompanionConformance
from tests.conformance.conftest import Opening, OpeningCompanion
from tests.conformance.samples import HOME, NOW, PRODUCTION, TEPPO, completion, held_grant, new_link, persistent
from tests.conformance.states_conformance import SOON


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A fresh database."""
    file = tmp_path / "links.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def url(file: Path) -> str:
    """The URL of the fresh database."""
    return f"sqlite:///{file}"


class TestSqlite(CompanionConformance):
    """The companion page on an SQLite file."""

    def test_is_local(self, store: SqlCompanionStore) -> None:
        """The database is a file of this machine."""
        assert store.is_local


class TestLocked:
    """A file that another program does not let go of."""

    @pytest.fixture
    def store(self, opening_companion: OpeningCompanion, url: str) -> SqlCompanionStore:
        """A store that soon gives up, with something in it."""
        store = opening_companion(url, Patience(busy=20))
        store.keep("key", b"sealed", SOON)
        store.hold_grant(held_grant())
        return store

    def test_nothing_is_written_meanwhile(self, store: SqlCompanionStore, file: Path) -> None:
        """Every change says that it could not be made, and can be made as soon as the other program lets go."""
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for call in (
                lambda: store.keep("key", b"other", SOON),
                lambda: store.take("key", NOW),
                lambda: store.count_attempt("192.0.2.1", SOON),
                lambda: store.complete(completion(new_link(TEPPO))),
                lambda: store.withdraw(1, NOW),
                lambda: store.claim_revocations(SOON, SOON - NOW, 5),
            ):
                with pytest.raises(CouldNotAsk, match="locked"):
                    call()
            other.execute("ROLLBACK")

        assert store.take("key", NOW) == b"sealed"
        assert store.complete(completion(new_link(TEPPO))).identifiers == (TEPPO,)

    def test_person_who_brings_nothing_new_is_recognised_meanwhile(self, store: SqlCompanionStore, opening: Opening, url: str) -> None:
        """A sign-in waits for no writer, unless it has an identifier to store."""
        link = opening(url).add_link(new_link(TEPPO))
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            standing = store.recognise(HOME, (TEPPO,), PRODUCTION, NOW)
            with pytest.raises(CouldNotAsk, match="locked"):
                store.recognise(HOME, (TEPPO, persistent("AbC=")), PRODUCTION, NOW)

        assert standing is not None
        assert link == standing.link


class TestFile:
    """The file."""

    def test_mistyped_name_is_no_empty_database(self, tmp_path: Path) -> None:
        """A file that is not there is told, not made."""
        with pytest.raises(CouldNotAsk, match=r"mistyped\.db.*unable to open"):
            open_companion_store(f"sqlite:///{tmp_path}/mistyped.db")

        assert [] == list(tmp_path.iterdir())
