"""What one batch of queries costs: processor time of the server, rate, latencies."""

from collections.abc import Callable
from statistics import quantiles

from tests.bench.load import Burst, send_over_kept_connections, send_over_new_connections
from tests.bench.machine import cpu_seconds, largest_resident_mebibytes
from tests.bench.plan import CONNECTIONS
from tests.bench.queries import Query
from tests.bench.servers import Server
from tests.peers.lab import KeyPair

Figures = dict[str, float]
Samples = dict[str, list[float]]
"""Each figure by its name, one value per round. Times are in milliseconds of processor or wall, memory in MiB, rates per second."""


def measure(name: str, server: Server, queries: list[Query], *, connections: int = CONNECTIONS, client: KeyPair | None = None) -> Figures:
    """Send the queries over kept connections; every figure of it begins with `name`. Raises WrongAnswer."""
    figures, burst = _spend(name, server, queries, lambda: send_over_kept_connections(server.url, queries, connections, client))
    cuts = quantiles(burst.latencies, n=100)
    figures[f"{name}.rate"] = len(queries) / burst.seconds
    figures[f"{name}.p50"], figures[f"{name}.p99"] = cuts[49] * 1000, cuts[98] * 1000
    figures[f"{name}.memory"] = largest_resident_mebibytes(server.process)
    return figures


def measure_new(name: str, server: Server, queries: list[Query], *, resume: bool) -> Figures:
    """Send each query over a connection of its own. Raises WrongAnswer."""
    figures, _ = _spend(name, server, queries, lambda: send_over_new_connections(server.url, queries, resume=resume))
    return figures


def _spend(name: str, server: Server, queries: list[Query], send: Callable[[], Burst]) -> tuple[Figures, Burst]:
    before = cpu_seconds(server.process)
    burst = send()
    return {f"{name}.cpu": (cpu_seconds(server.process) - before) / len(queries) * 1000}, burst
