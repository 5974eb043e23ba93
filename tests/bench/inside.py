"""How long answers take as whoever asks sees it, and inside the authority, as its log has it."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median, quantiles

from tests.bench.load import send_over_kept_connections
from tests.bench.machine import waiting_seconds
from tests.bench.measuring import Figures
from tests.bench.queries import Query
from tests.bench.servers import NotServing, Server

_LOG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Times:
    """Times of queries that were sent one after the other: in seconds as whoever asks sees them, in milliseconds inside the authority.

    `waited` is for how many seconds altogether the authority waited for a core.
    """

    latencies: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    waited: float = 0.0

    def __add__(self, others: "Times") -> "Times":
        """Return both."""
        return Times(self.latencies + others.latencies, self.inside + others.inside, self.waited + others.waited)

    def figures(self) -> Figures:
        """Return medians, and what more there is to the times inside, in milliseconds."""
        return {
            "latency": median(self.latencies) * 1000,
            "inside": median(self.inside),
            "inside_mean": fmean(self.inside),
            "inside_p99": quantiles(self.inside, n=100)[98],
            "waited": self.waited / len(self.inside) * 1000,
        }


def ask(server: Server, queries: list[Query]) -> Times:
    """Send the queries over one connection. Raises WrongAnswer."""
    written, waited = server.log.stat().st_size, waiting_seconds(server.process)
    burst = send_over_kept_connections(server.url, queries, 1)
    waited = waiting_seconds(server.process) - waited
    return Times(list(burst.latencies), _read_times(server.log, written, len(queries)), waited)


def _read_times(log: Path, after: int, count: int) -> list[float]:
    """Return the times of the queries that a log has behind so many octets. Raises NotServing where there are not so many."""
    deadline = time.monotonic() + _LOG_SECONDS
    times: list[float] = []
    while time.monotonic() < deadline:
        with log.open("rb") as lines:
            lines.seek(after)
            said = [json.loads(line) for line in lines if line.endswith(b"\n")]
        times = [float(one["milliseconds"]) for one in said if one["event"] == "query"]
        if len(times) >= count:
            return times
        time.sleep(0.05)
    raise NotServing(f"the log has {len(times)} of {count} queries")
