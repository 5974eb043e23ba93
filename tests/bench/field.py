"""Everything that runs while it is measured: the authority in three configurations on one database, its peers, its sources."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from attribute_authority.assembly import open_link_store
from attribute_authority.configuration import read_configuration
from tests.bench import servers
from tests.bench.lookups import add_clients, client_names
from tests.bench.machine import Cores
from tests.bench.plan import CONNECTIONS, PEOPLE_UNDER_WAY, Plan
from tests.bench.resolving import Bare, bare_sources
from tests.bench.servers import Running, Server
from tests.bench.sinks import SINKS, Sinks, running_sinks
from tests.bench.sources import Foreign, running_sources
from tests.peers.lab import Federation, make_federation

Say = Callable[[str], None]

_UNLIMITED = """
[limits]
queries_per_minute = 0
queries_per_day = 0
"""


@dataclass(frozen=True, slots=True)
class Field:
    """The servers; `limited` has the default limits, below which each of the `tokens` in turn stays, and `asking` has sources.

    `floor_of_none`, `floor` and `floor_of_two` make so many signatures for each query. `delivering` is the configuration of the part
    that delivers to the `sinks`, which is started where it is measured.
    """

    federation: Federation
    one_worker: Server
    two_workers: Server
    limited: Server
    asking: Server
    stock: Server
    floor_of_none: Server
    floor: Server
    floor_of_two: Server
    tokens: tuple[str, ...]
    foreign: tuple[Foreign, ...]
    bare: Bare
    sinks: Sinks
    delivering: Path


@contextmanager
def running_field(directory: Path, plan: Plan, cores: Cores, say: Say) -> Iterator[Field]:
    """Start everything below `directory`, and stop it: the authority on its core, the sources where the load comes from."""
    federation = make_federation(directory / "federation")
    say("making the database of a million people")
    names = client_names(CONNECTIONS)
    prepared = servers.prepare_authority(directory / "authority", federation, names)
    with closing(open_link_store(read_configuration(prepared))) as store:
        tokens = add_clients(store, names, federation.home.entity_id)
    os.sched_setaffinity(0, cores.load)
    with ExitStack() as running:
        say("filling directories and a table of stored identifiers")
        sources = running.enter_context(running_sources(federation, prepared))
        sinks = running.enter_context(running_sinks(len(SINKS) * plan.deliveries, plan.answer_runs * PEOPLE_UNDER_WAY, cores.load))
        limited = servers.vary(prepared, "limited", sources.computed_lines)
        unlimited = servers.vary(prepared, "unlimited", _UNLIMITED + sources.computed_lines)
        asking = servers.vary(prepared, "asking", _UNLIMITED + sources.computed_lines + sources.further_lines)
        bare = running.enter_context(bare_sources(asking, federation))
        bare.build_index()
        floors = [running.enter_context(server) for server in _floors(directory, federation, cores)]
        yield Field(
            federation=federation,
            one_worker=running.enter_context(servers.authority(unlimited, 1, cores.server)),
            two_workers=running.enter_context(servers.authority(unlimited, 2, cores.both)),
            limited=running.enter_context(servers.authority(limited, 1, cores.server)),
            asking=running.enter_context(servers.authority(asking, 1, cores.server)),
            stock=running.enter_context(servers.stock(directory, federation, limited.with_name("links.db"), cores.server)),
            floor_of_none=floors[0],
            floor=floors[1],
            floor_of_two=floors[2],
            tokens=tuple(tokens),
            foreign=sources.foreign,
            bare=bare,
            sinks=sinks,
            delivering=servers.vary(prepared, "delivering", sources.computed_lines + sinks.lines),
        )


def _floors(directory: Path, federation: Federation, cores: Cores) -> Iterator[Running]:
    for signatures, size in ((0, 60), (1, 6000), (2, 6000)):
        answer = directory / f"answer-{signatures}"
        answer.write_bytes(b"." * size)
        yield servers.floor(federation, answer, signatures, cores.server)
