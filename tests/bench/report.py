"""The figures as a person and as a machine read them: medians over the rounds, and the targets beside what was reached."""

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from statistics import median

from tests.bench.machine import describe_processor
from tests.bench.rounds import CONNECTIONS, Samples

_ROWS = (
    ("one_worker", "authority, 1 worker"),
    ("two_workers", "authority, 2 workers"),
    ("stock", "stock pysaml2"),
    ("floor", "floor, 1 signature"),
    ("floor_of_two", "floor, 2 signatures"),
)
_PACKAGES = ("Twisted", "lxml", "xmlsec", "cryptography", "pyOpenSSL", "SQLAlchemy", "pysaml2")


@dataclass(frozen=True, slots=True)
class Target:
    """One promise of speed: what was reached, and the bound that it has to keep."""

    name: str
    reached: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the bound is kept."""
        return self.reached >= self.bound if self.at_least else self.reached < self.bound


def judge(samples: Samples) -> list[Target]:
    """Compare with the targets; ratios are taken within each round, where both sides met the same machine."""
    largest = max(median(samples[f"{name}.memory"]) for name in ("one_worker", "two_workers"))
    return [
        Target("times less CPU per query than stock pysaml2", _ratio(samples, "stock.cpu", "one_worker.cpu"), 35, at_least=True),
        Target(
            "% of the core's RSA-2048 signing rate, 1 worker", 100 * _ratio(samples, "one_worker.rate", "openssl.rate"), 25, at_least=True
        ),
        Target("times the rate of 1 worker with 2", _ratio(samples, "two_workers.rate", "one_worker.rate"), 1.7, at_least=True),
        Target(f"ms p99 at {CONNECTIONS} connections, 2 workers on two cores", median(samples["two_workers.p99"]), 15, at_least=False),
        Target("MiB resident, the largest worker", largest, 90, at_least=False),
        Target("of the CPU of a new TLS connection per query, when resumed", _ratio(samples, "resumed.cpu", "new.cpu"), 1, at_least=False),
    ]


def write_table(samples: Samples) -> str:
    """Lay out the medians, then the targets."""
    rounds = len(samples["openssl.rate"])
    lines = [f"{describe_processor()}; medians of {rounds} rounds; {CONNECTIONS} kept TLS connections, signed queries", ""]
    lines.append(f"{'':22}{'CPU/query':>11}{'x stock':>9}{'x floor':>9}{'queries/s':>11}{'p50':>9}{'p99':>9}{'memory':>10}")
    lines += [_write_row(samples, name, label) for name, label in _ROWS]
    lines.append("")
    lines.append(f"openssl speed rsa2048, same core: {median(samples['openssl.rate']):,.0f} signatures/s")
    new, resumed = median(samples["new.cpu"]), median(samples["resumed.cpu"])
    lines.append(f"a new TLS connection for every query: {new:.2f} ms CPU/query; with the last session resumed by ticket: {resumed:.2f} ms")
    lines.append("")
    lines += [_write_target(target) for target in judge(samples)]
    return "\n".join(lines)


def as_json(samples: Samples) -> dict[str, object]:
    """Return everything that was measured, in a form that a later run can be compared with."""
    return {
        "processor": describe_processor(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "units": {"cpu": "ms per query", "rate": "per second", "p50": "ms", "p99": "ms", "memory": "MiB"},
        "medians": {name: median(values) for name, values in samples.items()},
        "targets": [{**asdict(target), "met": target.met} for target in judge(samples)],
        "samples": samples,
    }


def _ratio(samples: Samples, over: str, under: str) -> float:
    return median(a / b for a, b in zip(samples[over], samples[under], strict=True))


def _write_row(samples: Samples, name: str, label: str) -> str:
    cpu, rate, p50, p99, memory = (median(samples[f"{name}.{figure}"]) for figure in ("cpu", "rate", "p50", "p99", "memory"))
    less, more = _ratio(samples, "stock.cpu", f"{name}.cpu"), _ratio(samples, f"{name}.cpu", "floor.cpu")
    return f"{label:22}{cpu:8.2f} ms{less:9.1f}{more:9.2f}{rate:11,.0f}{p50:6.1f} ms{p99:6.1f} ms{memory:6.0f} MiB"


def _write_target(target: Target) -> str:
    sign = ">=" if target.at_least else "<"
    return f"{'met' if target.met else 'NOT met':8}{target.reached:9.2f} {target.name} (target {sign} {target.bound:g})"
