"""How long it takes to claim the next deliveries, and to see that none is due, beside a million that nobody will attempt.

Both databases write to the disk before they answer, as they come; the PostgreSQL of the tests does not.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import TypeVar

from attribute_authority.domain.delivery import Lane, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.storage.deliveries import SqlDeliveryStore, open_delivery_store
from attribute_authority.storage.upgrading import upgrade
from tests.bench.machine import Cores
from tests.bench.measuring import Figures
from tests.bench.parked import Past
from tests.bench.peers import postgresql
from tests.bench.plan import CLAIMED, DATABASES, Plan
from tests.peers.postgresql import PostgresqlServer

_SINK = SinkName(EntityId("https://idp.uni.example/idp"), "ldap")
_LANE = Lane(_SINK, Environment.PRODUCTION, "bench", timedelta(minutes=10))
_COUNTS = 5
_IDLE = 200

T = TypeVar("T")


def time_claims(directory: Path, plan: Plan, cores: Cores) -> Figures:
    """Fill a database of each kind, and time what workers ask it for; milliseconds, from the first core."""
    past = Past(_SINK, plan.parked, plan.delivered)
    figures: Figures = {}
    for name, opened in zip(DATABASES, (_sqlite(directory), _postgresql()), strict=True):
        os.sched_setaffinity(0, cores.load)
        with opened as url:
            past.write(url)
            os.sched_setaffinity(0, cores.server)
            with closing(open_delivery_store(url)) as store:
                figures |= {f"claims.{name}.{figure}": value for figure, value in _time(store, plan.claims).items()}
    os.sched_setaffinity(0, cores.both)
    return figures


def _time(store: SqlDeliveryStore, count: int) -> Figures:
    claims: list[float] = []
    cpu = 0.0
    while len(claims) < count:
        before = time.process_time()
        dues, milliseconds = _stopped(lambda: store.claim_deliveries(_LANE, datetime.now(UTC), CLAIMED))
        if len(dues) == CLAIMED:
            claims.append(milliseconds)
            cpu += time.process_time() - before
        else:
            # All of them are in hand, and their worker is taken to be gone.
            store.release_leases(_LANE.holder, datetime.now(UTC))
    while store.claim_deliveries(_LANE, datetime.now(UTC), CLAIMED):
        continue
    idle = [_stopped(lambda: store.claim_deliveries(_LANE, datetime.now(UTC), CLAIMED))[1] for _ in range(_IDLE)]
    counts = [_stopped(lambda: store.read_backlogs(Environment.PRODUCTION))[1] for _ in range(_COUNTS)]
    return {
        "claim": median(claims),
        "cpu": cpu / count * 1000,
        "claim_p99": quantiles(claims, n=100)[98],
        "idle": median(idle),
        "idle_p99": quantiles(idle, n=100)[98],
        "backlog": median(counts),
    }


def _stopped(work: Callable[[], T]) -> tuple[T, float]:
    """Return what it returns, and how many milliseconds it took."""
    started = time.perf_counter()
    done = work()
    return done, (time.perf_counter() - started) * 1000


@contextmanager
def _sqlite(directory: Path) -> Iterator[str]:
    database = directory / "claims.db"
    database.touch()
    url = f"sqlite:///{database}"
    upgrade(url)
    yield url


@contextmanager
def _postgresql() -> Iterator[str]:
    with postgresql(_DurableServer) as (_, server):
        yield server.make_database()


class _DurableServer(PostgresqlServer):
    """A server as it comes, but for where it listens."""

    def start(self) -> None:
        """Start it and return when it accepts connections."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories=''"
        self._run("pg_ctl", "start", "--wait", "--pgdata", self._cluster, "--log", self._directory / "log", "--options", options)
