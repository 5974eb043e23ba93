"""Whether the time that an answer takes tells what the answer does not: that nobody is known, that no iD is linked, that it is withheld.

One query after the other over one kept connection, the three in random order, so that whatever the machine does falls on all alike.
"""

from collections.abc import Mapping
from random import Random
from statistics import median

from tests.bench.load import send_over_kept_connections
from tests.bench.lookups import NOBODY, look_up
from tests.bench.measuring import Figures
from tests.bench.population import OTHERS, unknown_eppn, withdrawn_eppn, withheld_eppn
from tests.bench.queries import SUCCESS, Asked, Query, Sign
from tests.bench.servers import Server
from tests.peers.lab import eppn

KINDS = {"unknown": unknown_eppn, "unlinked": withdrawn_eppn, "withheld": withheld_eppn}


def time_queries(server: Server, sign: Sign, random: Random, count: int) -> Figures:
    """Send so many signed queries of each kind. Raises WrongAnswer."""
    eppns = _choose(random, count)
    queries = {kind: sign([Asked(eppn(value), SUCCESS) for value in values]) for kind, values in eppns.items()}
    return _compare("privacy.query", server, queries, random)


def time_lookups(server: Server, token: str, random: Random, count: int) -> Figures:
    """Send so many lookups of each kind. Raises WrongAnswer."""
    eppns = _choose(random, count)
    queries = {kind: look_up([(value, NOBODY) for value in values], [token]) for kind, values in eppns.items()}
    return _compare("privacy.lookup", server, queries, random)


def _choose(random: Random, count: int) -> dict[str, list[str]]:
    return {kind: [eppn_of(number) for number in random.choices(range(1, OTHERS + 1), k=count)] for kind, eppn_of in KINDS.items()}


def _compare(name: str, server: Server, queries: Mapping[str, list[Query]], random: Random) -> Figures:
    """Return the median of each kind in milliseconds, and by how many percent the largest exceeds the smallest."""
    mixed = [(kind, query) for kind, several in queries.items() for query in several]
    random.shuffle(mixed)
    burst = send_over_kept_connections(server.url, [query for _, query in mixed], 1)
    latencies: dict[str, list[float]] = {kind: [] for kind in queries}
    for (kind, _), latency in zip(mixed, burst.latencies, strict=True):
        latencies[kind].append(latency)
    medians = {kind: median(several) for kind, several in latencies.items()}
    difference = max(medians.values()) / min(medians.values()) - 1
    return {**{f"{name}.{kind}": value * 1000 for kind, value in medians.items()}, f"{name}.difference": 100 * difference}
