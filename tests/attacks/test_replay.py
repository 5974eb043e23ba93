"""Sending again what somebody else sent."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from attribute_authority.errors import Denied
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.upgrading import upgrade
from tests.attacks.refusals import assert_refused, assert_released
from tests.factories.doors import ORCID, OTHER_SP, WINDOW, Lab, eppn, lab, link, sp_keys
from tests.factories.metadata import rsa_pair
from tests.factories.queries import NOW, SP, attribute_query, envelope, instant, ordinary, signed

SEEN = "a query with this ID has been answered before"
OTHER_PROCESS = """
import sys
from datetime import datetime
from attribute_authority.storage.sql import open_store
store = open_store(sys.argv[1])
print(store.is_first(sys.argv[2], sys.argv[3], datetime.fromisoformat(sys.argv[4])))
store.close()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Make a database and return its address."""
    url = f"sqlite:///{tmp_path / 'links.db'}"
    upgrade(url)
    return url


@pytest.fixture
def stores(url: str) -> Iterator[tuple[SqlStore, SqlStore]]:
    """Open the database twice, as two workers do; the person is in it."""
    first, second = open_store(url), open_store(url)
    first.add_link(link(ORCID, eppn()))
    yield first, second
    first.close()
    second.close()


def over(store: SqlStore) -> Lab:
    """Make a lab over a store of links and seen messages."""
    return lab(store=store, replays=store)


def test_replayed_query() -> None:
    """A signed query is answered once."""
    door, message = lab(), envelope(signed(attribute_query(), sp_keys()))

    assert_released(door.ask(message))
    assert_refused(door.ask(message), Denied, SEEN)


def test_replayed_query_over_another_connection() -> None:
    """Neither another requester's TLS connection nor the right one makes a replay new."""
    door, message = lab(), envelope(signed(attribute_query(), sp_keys()))
    door.ask(message)

    assert_refused(door.ask(message, client=rsa_pair("other")), Denied, SEEN)
    assert_refused(door.ask(message, client=sp_keys()), Denied, SEEN)


def test_replayed_query_in_another_envelope() -> None:
    """It is the query that is new or not, not the envelope around it."""
    door, message = lab(), signed(attribute_query(), sp_keys())
    door.ask(envelope(message))

    assert_refused(door.ask(envelope(message, header="<!-- new -->", prefix="soap")), Denied, SEEN)


def test_replay_at_the_end_of_the_window() -> None:
    """A replay is known for as long as the query is fresh, and stale from then on."""
    message = envelope(signed(attribute_query(issued=instant(NOW + WINDOW)), sp_keys()))
    door = lab()
    door.ask(message)
    replays = door.door.verification.replays
    last = NOW + 2 * WINDOW
    replays.forget_expired(last)

    assert_refused(door.at(last).ask(message), Denied, SEEN)
    replays.forget_expired(last + timedelta(seconds=1))
    assert_refused(door.at(last + timedelta(seconds=1)).ask(message), Denied, "the IssueInstant")


def test_same_id_in_another_query_of_the_requester() -> None:
    """A requester does not use an ID twice (core 1.3.4), even for another question."""
    door = lab()
    door.ask(envelope(signed(attribute_query(), sp_keys())))
    other = attribute_query(*ordinary()[:2])

    assert_refused(door.ask(envelope(signed(other, sp_keys()))), Denied, SEEN)


def test_same_id_of_another_requester_is_no_replay() -> None:
    """IDs of different requesters have nothing to do with each other: nobody can use up those of somebody else."""
    door = lab()
    door.ask(envelope(signed(attribute_query(*ordinary(requester=OTHER_SP)), rsa_pair("other"))))

    assert_released(door.ask(envelope(signed(attribute_query(), sp_keys()))))


@pytest.mark.parametrize("flaw", ["tampered", "unsigned", "wrong key", "stale", "wrong destination"])
def test_refused_message_does_not_use_up_the_id(flaw: str) -> None:
    """Only a query that is verified, fresh and meant for us counts as seen."""
    genuine = signed(attribute_query(), sp_keys())
    flawed = {
        "tampered": genuine.replace("josiah", "jonah"),
        "unsigned": attribute_query(),
        "wrong key": signed(attribute_query(), rsa_pair("attacker")),
        "stale": signed(attribute_query(issued=instant(NOW - timedelta(hours=1))), sp_keys()),
        "wrong destination": signed(attribute_query(destination="https://elsewhere.example.org"), sp_keys()),
    }[flaw]
    door = lab()

    assert_refused(door.ask(envelope(flawed)), Denied, "")
    assert_released(door.ask(envelope(genuine)))


def test_unsigned_query_over_tls_may_be_repeated() -> None:
    """Where TLS authenticates, nobody but the requester can send its query, and so may it."""
    door, message = lab(), envelope(attribute_query())

    assert_released(door.ask(message, client=sp_keys()))
    assert_released(door.ask(message, client=sp_keys()))


def test_replay_at_another_worker(stores: tuple[SqlStore, SqlStore]) -> None:
    """Two doors over one database know of each other's messages."""
    message = envelope(signed(attribute_query(), sp_keys()))

    assert_released(over(stores[0]).ask(message))
    assert_refused(over(stores[1]).ask(message), Denied, SEEN)


def test_replay_of_what_another_process_answered(url: str, stores: tuple[SqlStore, SqlStore]) -> None:
    """So do two processes."""
    arguments = (url, SP, "_query", (NOW + 2 * WINDOW).isoformat())
    told = subprocess.run([sys.executable, "-c", OTHER_PROCESS, *arguments], capture_output=True, text=True, check=True).stdout

    assert told.strip() == "True"
    assert_refused(over(stores[0]).ask(envelope(signed(attribute_query(), sp_keys()))), Denied, SEEN)
