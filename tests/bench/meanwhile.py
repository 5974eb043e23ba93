"""Whether deliveries slow down what the authority is for: its answers, by one worker, with ten thousand deliveries under way and without.

The worker that answers has the first core for itself. The worker that delivers shares the other one with the systems that it delivers
to and with who asks, so that the two meet in the database, its locks and the memory of the machine, and not for want of a third core.
What comes of that want is measured too, with everything on both cores.

What is compared is the authority's own time of a query, from its log: whoever asks waits for its own core as well.
"""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from attribute_authority.configuration import read_configuration
from attribute_authority.domain.delivery import DeliverySelection, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.storage.deliveries import SqlDeliveryStore, open_delivery_store
from attribute_authority.storage.engine import file_of, parse_url
from tests.bench import queries, servers
from tests.bench.books import Books, NotDelivered, open_books
from tests.bench.field import Field
from tests.bench.inside import Times, ask
from tests.bench.machine import Cores, hold
from tests.bench.measuring import Figures, Samples
from tests.bench.plan import PEOPLE_UNDER_WAY, Plan
from tests.bench.queries import Sign
from tests.bench.servers import Server
from tests.bench.sinks import SINKS

_PORTION = 50


def time_answers(field: Field, sign: Sign, random: Random, plan: Plan, cores: Cores) -> Samples:
    """Ask in turn without deliveries and with them, in so many rounds. Raises WrongAnswer or NotDelivered."""
    samples: Samples = {}
    os.sched_setaffinity(0, cores.load)
    with servers.deliverer(field.delivering, cores.load) as deliverer, _open(field.delivering) as postroom:
        asking = _Asking(field, sign, random, postroom)
        asking.run("answers", plan.answers)
        for _ in range(plan.answer_rounds):
            figures = asking.run("answers", plan.answers)
            with _everything_on(cores, field, deliverer):
                figures |= asking.run("answers_unpinned", plan.answers)
            for name, value in figures.items():
                samples.setdefault(name, []).append(value)
    return samples


@dataclass(slots=True)
class _Postroom:
    """Has deliveries made, about other people each time, and takes back what has not been."""

    home: EntityId
    store: SqlDeliveryStore
    books: Books
    last: int = 0

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Have deliveries to every sink begun when the block is entered, and ended when it is left."""
        now = datetime.now(UTC)
        for sink in SINKS:
            name = SinkName(self.home, sink)
            last, count = self.store.replay_deliveries(name, Environment.PRODUCTION, self.last, PEOPLE_UNDER_WAY, now)
            if count != PEOPLE_UNDER_WAY:
                raise NotDelivered(f"there are {count} people left to deliver")
        self.last = last
        self.books.wait_until_pending(len(SINKS) * PEOPLE_UNDER_WAY - 1)
        yield
        self.store.cancel_deliveries(DeliverySelection(), datetime.now(UTC))
        self.books.wait_until_pending(0)
        self.books.require_none_parked()


@dataclass(frozen=True, slots=True)
class _Asking:
    field: Field
    sign: Sign
    random: Random
    postroom: _Postroom

    def run(self, name: str, most: int) -> Figures:
        """Ask up to so many queries with deliveries under way, and as many without."""
        books = self.postroom.books
        with self.postroom.under_way():
            before, started = books.count_pending(), time.monotonic()
            meanwhile = self._ask_meanwhile(most)
            rate = (before - books.count_pending()) / (time.monotonic() - started)
        alone = self._ask(len(meanwhile.inside))
        figures = {
            f"{name}.{state}.{figure}": value
            for state, times in (("alone", alone), ("meanwhile", meanwhile))
            for figure, value in times.figures().items()
        }
        return figures | {f"{name}.delivered": rate}

    def _ask_meanwhile(self, most: int) -> Times:
        """Ask until there are answers enough, or deliveries to some sink are over. Raises NotDelivered where they are at once."""
        asked = Times()
        while len(asked.inside) < most:
            portion = self._ask(_PORTION)
            if not self.postroom.books.is_pending_for_all(SINKS):
                break
            asked += portion
        if not asked.inside:
            raise NotDelivered("everything was delivered before the first answers came")
        return asked

    def _ask(self, count: int) -> Times:
        return ask(self.field.one_worker, self.sign(queries.anybody(self.random, count)))


@contextmanager
def _open(configuration: Path) -> Iterator[_Postroom]:
    settings = read_configuration(configuration)
    database = file_of(parse_url(settings.database.url))
    assert database is not None
    with closing(open_delivery_store(settings.database.url)) as store, open_books(database) as books:
        yield _Postroom(EntityId(settings.organisation[0].identity_provider), store, books)


@contextmanager
def _everything_on(cores: Cores, field: Field, deliverer: Server) -> Iterator[None]:
    """Have everything that is busy run on both cores for a while, and then where it was."""
    others = (deliverer.process, *field.sinks.processes.values())
    for process in (*others, field.one_worker.process):
        hold(process, cores.both)
    os.sched_setaffinity(0, cores.both)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores.load)
        hold(field.one_worker.process, cores.server)
        for process in others:
            hold(process, cores.load)
