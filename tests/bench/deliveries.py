"""How fast one worker delivers, to each sink by itself, and whether it grows meanwhile.

People are linked through the store as anybody links them, which writes their deliveries in the same transaction, while nobody delivers.
Then the worker is started, on the core of servers; systems that it delivers to have the other one. What it costs is counted from the
first recorded outcome on: its start is no part of it.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from attribute_authority.assembly import open_link_store
from attribute_authority.configuration import read_configuration
from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.link import Link, LinkSource, NewLink
from tests.bench import servers
from tests.bench.books import NotDelivered, open_books
from tests.bench.machine import Cores, running_seconds, worker_resident_mebibytes
from tests.bench.measuring import Figures
from tests.bench.population import OTHERS, PEOPLE, orcid_of
from tests.bench.servers import Server
from tests.bench.sinks import SINKS, Sinks, newcomer_eppn
from tests.peers.lab import Federation

_SHARES = {"early": 0.1, "half": 0.5, "end": 1.0}
"""When memory is looked at: after so much of all deliveries."""


def time_deliveries(directory: Path, federation: Federation, sinks: Sinks, count: int, cores: Cores) -> Figures:
    """Deliver so many to each sink, by an authority of its own below `directory`. Raises NotDelivered."""
    prepared = servers.prepare_authority(directory, federation)
    configuration = servers.vary(prepared, "delivering", sinks.lines_for(federation.home.entity_id))
    figures: Figures = {}
    for place, name in enumerate(SINKS):
        _link_newcomers(configuration, name, 1 + place * count, count)
        run = _Run(name, directory / "links.db", count, sinks.processes[name])
        with servers.deliverer(configuration, cores.server) as server:
            figures |= run.watch(server)
        figures[f"deliver.{name}.connections"] = sinks.count_connections(name)
    return figures


@dataclass(frozen=True, slots=True)
class _Run:
    """The deliveries to one sink, `system` being the root of the processes behind it."""

    name: str
    database: Path
    count: int
    system: int

    def watch(self, worker: Server) -> Figures:
        """Return every figure when all of them are delivered."""
        with open_books(self.database) as books:
            pending = books.wait_until_pending(self.count - 1)
            before = self._spent(worker)
            figures: Figures = {}
            for when, share in _SHARES.items():
                books.wait_until_pending(round(self.count * (1 - share)))
                figures[f"memory.{when}"] = worker_resident_mebibytes(worker.process)
            after = self._spent(worker)
            figures["rate"] = books.rate(self.name, self.count)
        spent = [(late - early) / pending * 1000 for early, late in zip(before, after, strict=True)]
        figures["cpu"], figures["system"] = spent
        figures["growth"] = figures["memory.end"] - figures["memory.half"]
        return {f"deliver.{self.name}.{figure}": value for figure, value in figures.items()}

    def _spent(self, worker: Server) -> tuple[float, float]:
        return running_seconds(worker.process), running_seconds(self.system)


def _link_newcomers(configuration: Path, sink: str, first: int, count: int) -> None:
    """Link people whose iD goes to one sink alone."""
    settings = read_configuration(configuration)
    home = EntityId(settings.organisation[0].identity_provider)
    with closing(open_link_store(settings)) as store:
        store.use_sinks({home: (sink,)})
        for outcome in store.add_links(_newcomer(home, number) for number in range(first, first + count)):
            if not isinstance(outcome, Link):
                raise NotDelivered(str(outcome))


def _newcomer(home: EntityId, number: int) -> NewLink:
    eppn = parse_identifier(IdentifierKind.EPPN, newcomer_eppn(number), None, None)
    orcid = OrcidId(orcid_of(PEOPLE + 2 * OTHERS + number))
    return NewLink(home, (eppn,), orcid, Environment.PRODUCTION, LinkSource.COMPANION, datetime.now(UTC))
