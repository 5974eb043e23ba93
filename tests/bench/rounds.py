"""The rounds: every server in turn, again and again, so that what the machine does meanwhile falls on all alike."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import quantiles

from tests.bench import servers
from tests.bench.load import Burst, send_over_kept_connections, send_over_new_connections
from tests.bench.machine import Cores, cpu_seconds, largest_resident_mebibytes, openssl_sign_rate
from tests.bench.queries import Query, make_signer
from tests.bench.servers import Server
from tests.peers.lab import Federation, make_federation

CONNECTIONS = 8

Sign = Callable[[int], list[Query]]
Say = Callable[[str], None]
Samples = dict[str, list[float]]
"""Each figure by its name, one value per round. Times are in milliseconds of processor or wall, memory in MiB, rates per second."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, how many queries each server gets in one, and for how many seconds openssl signs."""

    rounds: int
    one_worker: int
    two_workers: int
    stock: int
    floor: int
    new_connections: int
    openssl_seconds: int


FULL = Plan(rounds=11, one_worker=2000, two_workers=3000, stock=60, floor=2000, new_connections=250, openssl_seconds=2)
QUICK = Plan(rounds=3, one_worker=800, two_workers=1200, stock=32, floor=800, new_connections=100, openssl_seconds=1)
_WARM_UP = Plan(rounds=1, one_worker=300, two_workers=300, stock=8, floor=100, new_connections=10, openssl_seconds=1)


@dataclass(frozen=True, slots=True)
class _Field:
    one_worker: Server
    two_workers: Server
    stock: Server
    floor: Server
    floor_of_two: Server


def run_rounds(directory: Path, plan: Plan, cores: Cores, say: Say) -> Samples:
    """Start every server below `directory`, measure them round by round, and stop them."""
    federation = make_federation(directory / "federation")
    sign = make_signer(federation.released, Random(2048))
    say("making the database of a million people")
    configuration = servers.prepare_authority(directory / "authority", federation)
    samples: Samples = {}
    with _field(directory, configuration, federation, cores) as field:
        _run_one(field, sign, _WARM_UP, cores)
        for number in range(plan.rounds):
            say(f"round {number + 1} of {plan.rounds}")
            for name, value in _run_one(field, sign, plan, cores).items():
                samples.setdefault(name, []).append(value)
    return samples


@contextmanager
def _field(directory: Path, configuration: Path, federation: Federation, cores: Cores) -> Iterator[_Field]:
    with ExitStack() as running:
        one_worker = running.enter_context(servers.authority(configuration, 1, cores.server))
        two_workers = running.enter_context(servers.authority(configuration, 2, cores.both))
        stock = running.enter_context(servers.stock(directory, federation, configuration.with_name("links.db"), cores.server))
        answer = directory / "answer.xml"
        answer.write_bytes(b"." * 6000)
        floor = running.enter_context(servers.floor(federation, answer, 1, cores.server))
        floor_of_two = running.enter_context(servers.floor(federation, answer, 2, cores.server))
        yield _Field(one_worker, two_workers, stock, floor, floor_of_two)


def _run_one(field: _Field, sign: Sign, plan: Plan, cores: Cores) -> dict[str, float]:
    figures: dict[str, float] = {}
    os.sched_setaffinity(0, cores.load)
    figures |= _measure("one_worker", field.one_worker, sign(plan.one_worker))
    figures["openssl.rate"] = openssl_sign_rate(cores.server, plan.openssl_seconds)
    for name, server in (("floor", field.floor), ("floor_of_two", field.floor_of_two)):
        figures |= _measure(name, server, [Query(query.body, b"") for query in sign(1) * plan.floor])
    figures |= _measure("stock", field.stock, sign(plan.stock))
    for resume in (False, True):
        figures |= _measure_new("resumed" if resume else "new", field.one_worker, sign(plan.new_connections), resume=resume)
    batch = sign(plan.two_workers)
    os.sched_setaffinity(0, cores.both)
    figures |= _measure("two_workers", field.two_workers, batch)
    return figures


def _measure(name: str, server: Server, queries: list[Query]) -> dict[str, float]:
    figures, burst = _spend(name, server, queries, lambda: send_over_kept_connections(server.url, queries, CONNECTIONS))
    cuts = quantiles(burst.latencies, n=100)
    figures[f"{name}.rate"] = len(queries) / burst.seconds
    figures[f"{name}.p50"], figures[f"{name}.p99"] = cuts[49] * 1000, cuts[98] * 1000
    figures[f"{name}.memory"] = largest_resident_mebibytes(server.process)
    return figures


def _measure_new(name: str, server: Server, queries: list[Query], *, resume: bool) -> dict[str, float]:
    figures, _ = _spend(name, server, queries, lambda: send_over_new_connections(server.url, queries, resume=resume))
    return figures


def _spend(name: str, server: Server, queries: list[Query], send: Callable[[], Burst]) -> tuple[dict[str, float], Burst]:
    before = cpu_seconds(server.process)
    burst = send()
    return {f"{name}.cpu": (cpu_seconds(server.process) - before) / len(queries) * 1000}, burst
