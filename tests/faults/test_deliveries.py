"""Nothing is lost of deliveries: processes are killed, targets go away, a disk is full and a database crashes, all of it under load.

`FAULT_KILLS` is how many kills there are at least, `FAULT_SEED` where the random numbers begin.
"""

import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.faults.delivery_nodes import Node
from tests.faults.delivery_stage import Plan, Stage, people_of, stage
from tests.peers.postgresql import PostgresqlServer
from tests.peers.slapd import Slapd, running_slapd

_KILLS_EACH = 10
_ROUNDS = range(-(-int(os.environ.get("FAULT_KILLS", "20")) // _KILLS_EACH))
_SEED = int(os.environ.get("FAULT_SEED", "1"))
_VICTIMS = {"worker": 12, "loader": 4, "supervisor": 1, "everything": 1}
"""Who is killed how often."""

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory server."""
    with running_slapd() as server:
        yield server


def kill(acting: Stage, victim: str) -> None:
    """Kill somebody without warning, and have another take its place."""
    if victim == "worker":
        acting.node.kill_worker()
    if victim in {"loader", "everything"}:
        acting.until(lambda: acting.loader.journal.is_open)
        acting.loader.kill()
        acting.loader.restart()
    if victim in {"supervisor", "everything"}:
        ((place, node),) = acting.nodes.items()
        acting.orphans.append(node.kill_supervisor(with_worker=victim == "everything"))
        acting.nodes[place] = Node(node.directory, restarts_at_once=True)


@pytest.mark.parametrize("number", _ROUNDS)
def test_kills_at_random_instants_under_load(
    request: pytest.FixtureRequest, tmp_path: Path, slapd: Slapd, number: int, record_property: Record
) -> None:
    """Whoever is killed, whenever: what was confirmed is delivered, every system has what is right, and nothing else was claimed."""
    random = Random(_SEED + number)
    database = request.getfixturevalue("postgresql_url") if number % 2 else None
    in_hand = 0
    with people_of(slapd), stage(Plan(tmp_path, random, database, slapd, restarts_at_once=True)) as acting:
        for _ in range(_KILLS_EACH):
            acting.wait_for_requests(random.choice((0, 1, random.randrange(2, 20), random.randrange(20, 60))))
            acting.wait(random.uniform(0, 0.05))
            in_hand += acting.books.in_hand() > 0
            kill(acting, *random.choices(list(_VICTIMS), list(_VICTIMS.values())))
        acting.wait_for_requests(40)
        figures = acting.calm_down()
    record_property("figures", f"seed {_SEED + number}, {_KILLS_EACH} kills, {in_hand} of them with deliveries in hand, {figures}")

    assert in_hand > 0


@pytest.mark.parametrize("kind", ["stopped", "silent"])
def test_a_target_that_goes_away_under_load(tmp_path: Path, slapd: Slapd, kind: str, record_property: Record) -> None:
    """Stopped, or accepting everything and answering nothing: it is left alone, the other one goes on, and all arrives when it is back."""
    with people_of(slapd), stage(Plan(tmp_path, Random(_SEED), slapd=slapd)) as acting:
        acting.wait_for_requests(20)
        with acting.target.stopped() if kind == "stopped" else acting.target.silent():
            acting.until(lambda: [True, False] == [acting.is_away(name) for name in ("rest", "ldap")])
            acting.wait_for_changes(20)
        acting.wait_for_requests(20)
        with slapd.stopped() if kind == "stopped" else slapd.paused():
            acting.until(lambda: [False, True] == [acting.is_away(name) for name in ("rest", "ldap")])
            acting.wait_for_changes(20)
        figures = acting.calm_down()
        assert [False, False] == [acting.is_away(name) for name in ("rest", "ldap")]
    record_property("figures", f"seed {_SEED}, {figures}")


@contextmanager
def full_disk(acting: Stage) -> Iterator[None]:
    """Have no file grow any more that the worker writes, then none that the loader writes, until both have noticed."""
    (directory,) = acting.nodes
    log = directory / "links.db-wal"
    worker, loader = acting.node.wait_for_worker(), acting.loader.process.pid
    with closing(sqlite3.connect(directory / "links.db", isolation_level=None)) as reader:
        # While somebody reads, the log of the database only grows.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM delivery").fetchone()
        acting.wait_for_requests(10)
        limit_files(worker, log.stat().st_size)
        acting.until(lambda: acting.node.says("deliveries-paused") > 0)
        limit_files(loader, log.stat().st_size)
        yield
        for process in (worker, loader):
            limit_files(process, resource.RLIM_INFINITY)


def limit_files(process: int, size: int) -> None:
    """Have no file that a process writes grow beyond a size, in octets."""
    _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk_under_load(tmp_path: Path, slapd: Slapd, record_property: Record) -> None:
    """Who wants to change a link is told that it failed; with room again, loader and worker, which are the same, go on by themselves."""
    with people_of(slapd), stage(Plan(tmp_path, Random(_SEED), slapd=slapd)) as acting:
        acting.wait_for_requests(100)
        processes = acting.loader.process.pid, acting.node.wait_for_worker()
        with full_disk(acting):
            acting.wait_for_failures(10)
        acting.wait_for_changes(20)
        acting.wait_for_requests(20)
        failures = acting.loader.journal.causes()

        assert processes == (acting.loader.process.pid, acting.node.wait_for_worker())
        assert "the database could not be asked: OperationalError: disk I/O error" in failures
        figures = acting.calm_down()
    record_property("figures", f"seed {_SEED}, {len(failures)} changes failed on a full disk, {figures}")


def test_a_database_that_crashes_under_load(
    tmp_path: Path, postgresql: PostgresqlServer, postgresql_url: str, record_property: Record
) -> None:
    """Two nodes deliver from one PostgreSQL that crashes again and again: nobody is in two hands at a time, and nothing is lost."""
    crashes = 3
    with stage(Plan(tmp_path, Random(_SEED), postgresql_url, nodes=2)) as acting:
        for _ in range(crashes):
            acting.wait_for_requests(40)
            postgresql.stop()
            acting.wait_for_failures(1)
            postgresql.start()
            acting.wait_for_changes(10)
        acting.wait_for_requests(40)
        figures = acting.calm_down()
        by_node = [node.says("delivery") for node in acting.nodes.values()]
    record_property("figures", f"seed {_SEED}, {crashes} crashes, {' and '.join(map(str, by_node))} attempts by the two nodes, {figures}")

    assert all(by_node)
