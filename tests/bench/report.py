"""The figures as a person and as a machine read them: medians over the rounds, and the targets beside what was reached."""

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from statistics import median

from tests.bench.lookups import BATCH
from tests.bench.machine import describe_processor
from tests.bench.measuring import Samples
from tests.bench.plan import CONNECTIONS, SOURCE_CONNECTIONS
from tests.bench.privacy import KINDS
from tests.bench.report_deliveries import write_deliveries
from tests.bench.targets import Target, judge, ratio

_ROWS = (
    ("one_worker", "authority, 1 worker"),
    ("two_workers", "authority, 2 workers"),
    ("stock", "stock pysaml2"),
    ("floor", "floor, 1 signature"),
    ("floor_of_two", "floor, 2 signatures"),
)
_LOOKUP_ROWS = (
    ("lookup", "by bearer token"),
    ("lookup_limited", "with default limits"),
    ("lookup_key", "by TLS client key"),
    ("floor_of_none", "floor, no signature"),
)
_SOURCE_ROWS = (("computed", "computed id"), ("ldap", "OpenLDAP, LDAPS"), ("stored", "shibpid, PostgreSQL"))
_PACKAGES = ("Twisted", "lxml", "xmlsec", "cryptography", "pyOpenSSL", "SQLAlchemy", "psycopg", "ldap3", "pysaml2")
_UNITS = {
    "cpu": "ms per query; of a batch, ms per batch",
    "rate": "per second",
    "p50": "ms",
    "p99": "ms",
    "memory": "MiB",
    "source": "ms of the source's own CPU per query",
    "resolve": "ms, one question after the other",
    "resolve_cpu": "ms of our own CPU in one question",
    "index.build": "s per million people",
    "index.find": "ms",
    "privacy": "ms, medians over all queries of a kind",
    "difference": "%",
    "deliver": "ms of CPU per delivery, of the worker and of the system behind the sink; MiB of the worker",
    "delivered": "per second",
    "answers": "ms, medians unless said otherwise",
    "claims": "ms",
}


def write_table(samples: Samples) -> str:
    """Lay out the medians, then the targets."""
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    lines = [f"{describe_processor()}; medians of {len(samples['openssl.rate'])} rounds; load average {load}", ""]
    lines += _write_queries(samples)
    for part in (_write_lookups, _write_sources, _write_privacy, write_deliveries):
        lines += ["", *part(samples)]
    return "\n".join([*lines, "", *map(_write_target, judge(samples))])


def as_json(samples: Samples) -> dict[str, object]:
    """Return everything that was measured, in a form that a later run can be compared with."""
    return {
        "processor": describe_processor(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "packages": {name: version(name) for name in _PACKAGES},
        "units": _UNITS,
        "medians": {name: median(values) for name, values in samples.items()},
        "targets": [{**asdict(target), "met": target.met} for target in judge(samples)],
        "samples": samples,
    }


def _write_queries(samples: Samples) -> Iterator[str]:
    title = f"{CONNECTIONS} connections, signed"
    yield f"{title:24}{'CPU/query':>11}{'x stock':>9}{'x floor':>9}{'queries/s':>11}{'p50':>9}{'p99':>9}{'memory':>10}"
    for name, label in _ROWS:
        less, more = ratio(samples, "stock.cpu", f"{name}.cpu"), ratio(samples, f"{name}.cpu", "floor.cpu")
        yield f"{label:24}{_cpu(samples, name)}{less:9.1f}{more:9.2f}{_speed(samples, name)}{median(samples[f'{name}.memory']):6.0f} MiB"
    yield ""
    yield f"openssl speed rsa2048, same core: {median(samples['openssl.rate']):,.0f} signatures/s"
    new, resumed = median(samples["new.cpu"]), median(samples["resumed.cpu"])
    yield f"a new TLS connection for every query: {new:.2f} ms CPU/query; with the last session resumed by ticket: {resumed:.2f} ms"


def _write_lookups(samples: Samples) -> Iterator[str]:
    title = f"{CONNECTIONS} connections, JSON"
    yield f"{title:24}{'CPU/lookup':>11}{'% RSA':>9}{'x floor':>9}{'lookups/s':>11}{'p50':>9}{'p99':>9}"
    for name, label in _LOOKUP_ROWS:
        signing = 100 * ratio(samples, f"{name}.rate", "openssl.rate")
        more = ratio(samples, f"{name}.cpu", "floor_of_none.cpu")
        yield f"{label:24}{_cpu(samples, name)}{signing:9.0f}{more:9.2f}{_speed(samples, name)}"
    batch = {figure: median(samples[f"batch.{figure}"]) for figure in ("cpu", "rate", "p50")}
    speed = f"{batch['rate'] * BATCH:,.0f} identifiers/s, {batch['cpu'] / BATCH * 1000:.1f} µs CPU/identifier"
    yield f"batches of {BATCH:,}, one after the other: {speed}, {batch['p50']:.0f} ms for one batch"


def _write_sources(samples: Samples) -> Iterator[str]:
    title = f"{SOURCE_CONNECTIONS} connections, signed"
    columns = f"{'source':>11}{'share':>8}{'resolve':>11}{'our CPU':>11}"
    yield f"{title:24}{'CPU/query':>11}{'x known':>9}{columns}{'queries/s':>11}{'p50':>9}{'p99':>9}"
    for name, label in _SOURCE_ROWS:
        known = ratio(samples, f"{name}.cpu", "one_worker.cpu")
        source, resolve, ours = (f"{median(samples[f'{name}.{figure}']):8.3f} ms" for figure in ("source", "resolve", "resolve_cpu"))
        yield f"{label:24}{_cpu(samples, name)}{known:9.2f}{source}{_share(samples, name):6.0f} %{resolve}{ours}{_speed(samples, name)}"
    yield "x known: CPU beside that of a query by an ePPN that the authority knows; source: CPU of the source's own process;"
    yield "share: of all CPU of a query, that of the source, for computed ids ours in resolving; resolve: one question to the source alone"
    build, find = median(samples["index.build"]), median(samples["index.find"])
    yield f"index of computed ids: made in {build:.2f} s per million people, one digest found in {find * 1000:.0f} µs"


def _write_privacy(samples: Samples) -> Iterator[str]:
    yield f"{'median time, one by one':24}" + "".join(f"{kind:>11}" for kind in KINDS) + f"{'difference':>12}"
    for name, label in (("query", "signed query"), ("lookup", "JSON lookup")):
        times = "".join(f"{median(samples[f'privacy.{name}.{kind}']):8.3f} ms" for kind in KINDS)
        yield f"{label:24}{times}{median(samples[f'privacy.{name}.difference']):10.1f} %"


def _share(samples: Samples, name: str) -> float:
    """Percentage of the CPU of a query that the source takes; one without a process of its own takes it from ours."""
    ours, source, inside = (median(samples[f"{name}.{figure}"]) for figure in ("cpu", "source", "resolve_cpu"))
    return 100 * (source / (ours + source) if source else inside / ours)


def _cpu(samples: Samples, name: str) -> str:
    return f"{median(samples[f'{name}.cpu']):8.2f} ms"


def _speed(samples: Samples, name: str) -> str:
    rate, p50, p99 = (median(samples[f"{name}.{figure}"]) for figure in ("rate", "p50", "p99"))
    return f"{rate:11,.0f}{p50:6.1f} ms{p99:6.1f} ms"


def _write_target(target: Target) -> str:
    sign = ">=" if target.at_least else "<"
    return f"{'met' if target.met else 'NOT met':8}{target.reached:9.2f} {target.name} (target {sign} {target.bound:g})"
