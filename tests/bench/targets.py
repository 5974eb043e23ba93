"""The promises of speed, each with what was reached."""

from dataclasses import dataclass
from statistics import median

from tests.bench.measuring import Samples
from tests.bench.plan import CLAIMED, CONNECTIONS, DATABASES
from tests.bench.sinks import SINKS


@dataclass(frozen=True, slots=True)
class Target:
    """One promise of speed: what was reached, and the bound that it has to keep."""

    name: str
    reached: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bound is kept."""
        return self.reached >= self.bound if self.at_least else self.reached < self.bound


def ratio(samples: Samples, over: str, under: str) -> float:
    """Return the median of ratios within each round, where both sides met the same machine."""
    return median(a / b for a, b in zip(samples[over], samples[under], strict=True))


def judge(samples: Samples) -> list[Target]:
    """Compare with the targets."""
    return [*_of_queries(samples), *_of_lookups(samples), *_of_sources(samples), *_of_privacy(samples), *_of_deliveries(samples)]


def _of_queries(samples: Samples) -> list[Target]:
    largest = max(median(samples[f"{name}.memory"]) for name in ("one_worker", "two_workers"))
    signing = 100 * ratio(samples, "one_worker.rate", "openssl.rate")
    return [
        Target("times less CPU per query than stock pysaml2", ratio(samples, "stock.cpu", "one_worker.cpu"), 35, at_least=True),
        Target("% of the core's RSA-2048 signing rate, 1 worker", signing, 25, at_least=True),
        Target("times the rate of 1 worker with 2", ratio(samples, "two_workers.rate", "one_worker.rate"), 1.7, at_least=True),
        Target(f"ms p99 at {CONNECTIONS} connections, 2 workers on two cores", median(samples["two_workers.p99"]), 15),
        Target("MiB resident, the largest worker", largest, 90),
        Target("of the CPU of a new TLS connection per query, when resumed", ratio(samples, "resumed.cpu", "new.cpu"), 1),
    ]


def _of_lookups(samples: Samples) -> list[Target]:
    callers = {"lookup": "bearer token", "lookup_limited": "bearer token and default limits", "lookup_key": "TLS client key"}
    return [
        Target(
            f"% of the core's RSA-2048 signing rate, JSON lookup by {caller}",
            100 * ratio(samples, f"{name}.rate", "openssl.rate"),
            60,
            at_least=True,
        )
        for name, caller in callers.items()
    ]


def _of_sources(samples: Samples) -> list[Target]:
    return [
        Target("s to index the computed identifiers of a million people", median(samples["index.build"]), 3),
        Target("ms to look one computed identifier up among a million", median(samples["index.find"]), 0.1),
    ]


def _of_privacy(samples: Samples) -> list[Target]:
    return [
        Target(f"% between median times of unknown, unlinked and withheld, {what}", median(samples[f"privacy.{name}.difference"]), 5)
        for name, what in (("query", "signed queries"), ("lookup", "JSON lookups"))
    ]


def _of_deliveries(samples: Samples) -> list[Target]:
    growth = max(median(samples[f"deliver.{name}.growth"]) for name in SINKS)
    slower = 100 * (ratio(samples, "answers.meanwhile.inside", "answers.alone.inside") - 1)
    return [
        Target("deliveries/s to slapd, 1 worker", median(samples["deliver.ldap.rate"]), 300, at_least=True),
        Target("MiB by which the worker grows in the second half of its deliveries", growth, 2),
        Target("% slower answers, in the authority's own time, while deliveries are under way", slower, 10),
        *(
            Target(
                f"ms to claim the next {CLAIMED} deliveries beside a million parked, {label}", median(samples[f"claims.{name}.claim"]), 5
            )
            for name, label in DATABASES.items()
        ),
    ]
