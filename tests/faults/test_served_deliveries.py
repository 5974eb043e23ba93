"""Parts of the authority served beside one another from one state directory, as by several units of one machine; real processes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from attribute_authority.domain.identifiers import Environment
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.storage.sql import open_store
from tests.factories.deliveries import HOME, NOW, OTHER_ORCID, TEPPO
from tests.factories.supervisors import DEADLINE, Directory, Supervised, make_directory, until

_SINK = """
[[organisation]]
identity_provider = "https://idp.uni.example/idp"

[[organisation.sink]]
kind = "csv"
directory = "drop"
every = 60
"""


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """Write an authority with a sink."""
    made = make_directory(tmp_path)
    (tmp_path / "drop").mkdir()
    made.configure(extra=_SINK)
    return made


@contextmanager
def serving(directory: Directory, *parts: str) -> Iterator[Supervised]:
    """Serve some parts, and end what is left of it."""
    server = Supervised(directory, "attribute_authority", "--workers", "1", *(f"--only={part}" for part in parts))
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
        server.wait()


def ask(server: Supervised, path: str) -> tuple[int, str]:
    """Ask the operations door, and return the HTTP status and what it says."""
    until(lambda: any(event["door"] == "operations" for event in server.events("listening")), server)
    (url,) = (event["url"] for event in server.events("listening") if event["door"] == "operations")
    connection = HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=DEADLINE)
    connection.request("GET", path)
    response = connection.getresponse()
    said = response.status, response.read().decode()
    connection.close()
    return said


def test_parts_that_are_served_beside_one_another_keep_their_numbers_apart(directory: Directory) -> None:
    """A process that delivers beside one that answers, of one state directory, neither wipes nor overwrites its numbers."""
    with serving(directory, "back-channel") as answering:
        until(lambda: ask(answering, "/health/ready")[0] == 200, answering)
        with serving(directory, "deliveries") as delivering:
            until(lambda: "attribute_authority_deliveries{" in ask(delivering, "/metrics")[1], delivering)
            until(lambda: bool(delivering.events("delivering")), delivering)

            assert "attribute_authority_workers{" in ask(answering, "/metrics")[1]
            assert "attribute_authority_workers{" not in ask(delivering, "/metrics")[1]


def test_what_waits_for_a_sink_that_is_not_configured_any_more_is_counted(directory: Directory) -> None:
    """A sink that was removed or renamed takes nothing any more; that something waits for it for ever is to be seen."""
    store = open_store(directory.database)
    store.use_sinks({HOME: ["former"]})
    store.add_link(NewLink(HOME, (TEPPO,), OTHER_ORCID, Environment.PRODUCTION, LinkSource.COMPANION, NOW))
    store.close()
    with serving(directory, "deliveries") as delivering:
        waiting = f'attribute_authority_deliveries{{sink="{HOME} sink former",state="pending"}} 1.0'
        until(lambda: waiting in ask(delivering, "/metrics")[1], delivering)
        until(lambda: f'attribute_authority_sinks_paused{{sink="{HOME} sink csv"}} 0.0' in ask(delivering, "/metrics")[1], delivering)


def test_the_operations_door_is_answered_where_there_is_nothing_to_deliver(directory: Directory) -> None:
    """Without sinks the process that is to deliver still says how it is."""
    directory.configure()
    with serving(directory, "deliveries", "deliveries") as delivering:
        assert (200, 200) == (ask(delivering, "/health/ready")[0], ask(delivering, "/health/live")[0])


def test_a_part_that_is_not_configured_is_refused(directory: Directory) -> None:
    """A node for companion pages that has none ends at once, with a sentence."""
    with serving(directory, "companion") as server:
        assert 1 == server.wait()
        assert "--only companion: the configuration has no [companion]" in server.log()


def test_a_second_process_that_delivers_says_that_it_waits_and_takes_over(directory: Directory) -> None:
    """Of one state directory one process delivers; another one says so, ends when it is told to, or takes over when the first is gone."""
    with serving(directory, "deliveries") as first:
        until(lambda: bool(first.events("delivering")), first)
        with serving(directory, "deliveries") as second, serving(directory, "deliveries") as third:
            for waiting in (second, third):
                until(lambda waiting=waiting: bool(waiting.events("waiting-to-deliver")), waiting)  # type: ignore[misc]
            third.signal(signal.SIGTERM)
            assert 0 == third.wait()
            first.process.kill()
            until(lambda: bool(second.events("delivering")), second)
            assert 1 == len(second.events("waiting-to-deliver"))
