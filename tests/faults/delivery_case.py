"""One person whose iD is linked, replaced and unlinked, and delivered to two systems, in a process that may die at any step of it."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event, select

from attribute_authority.core.attempting import Attempting, Persistence
from attribute_authority.core.dispatching import Dispatcher, Office
from attribute_authority.core.stations import NamedSink
from attribute_authority.delivery_ports import DeliveryQueue
from attribute_authority.domain.delivery import Delivery, DeliveryState, DueDelivery, Lane, Outcome, Receipt, SinkName
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.domain.linking import Completion, Consent, HeldGrant
from attribute_authority.errors import SinkUnavailable
from attribute_authority.events import EventLog
from attribute_authority.ports import LinkingStore
from attribute_authority.storage.companion import SqlCompanionStore, open_companion_store
from attribute_authority.storage.deliveries import open_delivery_store
from attribute_authority.storage.sql import open_store
from attribute_authority.storage.tables import IN_FORCE, delivery, link
from tests.factories.deliveries import HOME, NOW, ORCID, OTHER_ORCID, TEPPO
from tests.faults.dying import Death

NAMES = ("idm", "crm")
_LATER = timedelta(hours=3)
_HOLDER = "node-1"
_MOST_CLAIMS = 500
"""More than it ever takes, and long before a lease ends."""

_TICK = timedelta(seconds=2)
_AT_ONCE = timedelta()
_TIMEOUT = timedelta(hours=1)


@dataclass(slots=True)
class Ticking:
    """A clock that goes on by itself, so that nobody has to wait for a pause to end."""

    now: datetime

    def __call__(self) -> datetime:
        """Return an instant later than the one before."""
        self.now += _TICK
        return self.now


@dataclass(frozen=True, slots=True)
class System:
    """A system that takes iDs and writes them to a file, which outlives us; it is away when it is first called."""

    file: Path
    is_away: Iterator[bool] = field(default_factory=lambda: chain([True], repeat(False)))

    def deliver(self, handed: Delivery) -> Receipt:
        """Have it, unless it is away."""
        if next(self.is_away):
            raise SinkUnavailable("away")
        orcid = None if handed.orcid is None else handed.orcid.value
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([handed.reference, orcid]) + "\n")
        return Receipt()

    def rehearse(self, handed: Delivery) -> str:
        """Say nothing."""
        return ""

    def check(self) -> None:
        """Be there."""

    def close(self) -> None:
        """Do nothing."""


class Unwatched:
    """Stands where metrics would be."""

    def attempted(self, sink: str, outcome: str, seconds: float) -> None:
        """Forget it."""

    def backlog(self, sink: str, pending: int, parked: int, oldest: float) -> None:
        """Forget it."""

    def sink_paused(self, sink: str, paused: bool) -> None:
        """Forget it."""


@dataclass(slots=True)
class UntilNothingIsLeft:
    """A queue that has the dispatcher end when no delivery is pending any more, or one is stuck; `books` are asked for that."""

    queue: DeliveryQueue
    books: DeliveryQueue
    claims: int = 0
    stop: Callable[[], None] = lambda: None

    def claim_deliveries(self, lane: Lane, now: datetime, limit: int) -> tuple[DueDelivery, ...]:
        """Claim what is due."""
        dues = self.queue.claim_deliveries(lane, now, limit)
        self.claims += 1
        if self.claims == _MOST_CLAIMS or not self.books.read_backlogs(Environment.PRODUCTION):
            self.stop()
        return dues

    def release_leases(self, holder: str, now: datetime, patience: timedelta = _AT_ONCE) -> int:
        """Release what a dead process had in hand."""
        return self.queue.release_leases(holder, now, patience)

    def record_outcomes(self, outcomes: Sequence[Outcome], now: datetime) -> int:
        """Record how attempts ended."""
        return self.queue.record_outcomes(outcomes, now)

    def read_backlogs(self, environment: Environment) -> tuple[Any, ...]:
        """Count what waits."""
        return self.queue.read_backlogs(environment)


@dataclass(frozen=True, slots=True)
class Case:
    """A database and the files of two systems, in a directory."""

    path: Path

    @property
    def url(self) -> str:
        """The database."""
        return f"sqlite:///{self.path / 'links.db'}"

    def live(self, death: Death) -> None:
        """Link, deliver, replace, unlink, and deliver again; `death` watches every port."""
        clock = Ticking(NOW)
        with self.linking() as pages:
            store: LinkingStore = death.watch(pages)
            first = _link(store, ORCID, None, clock())
            self.deliver(death, clock)
            second = _link(store, OTHER_ORCID, first, clock())
            store.withdraw(second, clock())
            self.deliver(death, clock)

    def change(self, death: Death) -> None:
        """Link, replace and unlink; `death` watches every statement that the database gets."""
        clock = Ticking(NOW)
        with self.linking() as pages:
            event.listen(Engine, "before_cursor_execute", lambda *_: death.call(lambda: None, ()))
            pages.withdraw(_link(pages, OTHER_ORCID, _link(pages, ORCID, None, clock()), clock()), clock())

    @contextmanager
    def linking(self) -> Iterator[SqlCompanionStore]:
        """Open the store of the pages, which knows where deliveries go."""
        with closing(open_companion_store(self.url)) as pages:
            pages.use_sinks({HOME: NAMES})
            yield pages

    def deliver(self, death: Death | None, clock: Ticking) -> None:
        """Deliver until nothing is left, as a worker does that has just been started; `death` watches every port."""
        watch = (lambda port: port) if death is None else death.watch
        with ExitStack() as opened:
            books = opened.enter_context(closing(open_delivery_store(self.url)))
            board = opened.enter_context(closing(open_store(self.url)))
            events = EventLog(StringIO())
            queue = UntilNothingIsLeft(watch(books), books)
            dispatcher = Dispatcher(Office(queue, watch(board), Unwatched(), Environment.PRODUCTION, clock, events))
            queue.stop = dispatcher.stop
            sinks = [NamedSink(SinkName(HOME, name), watch(System(self.path / name)), 1, _TIMEOUT) for name in NAMES]
            persistence = Persistence(timedelta(days=14), timedelta(hours=1))
            dispatcher.use(sinks, Attempting(persistence, clock, lambda: 0.0, events))
            queue.release_leases(_HOLDER, clock())
            dispatcher.run(_HOLDER, poll=0.001)

    def deliver_what_is_left(self) -> None:
        """Deliver as a successor of the dead process does, well within the lease of whatever that one had in hand."""
        self.deliver(None, Ticking(NOW + _LATER))

    def told(self, name: str) -> list[tuple[str, str | None]]:
        """Return the references and iDs that a system was told."""
        file = self.path / name
        return [(reference, orcid) for reference, orcid in map(json.loads, file.read_text().splitlines())] if file.exists() else []

    def faults(self) -> list[str]:
        """Return a sentence for everything that is not as it must be."""
        with create_engine(self.url, poolclass=NullPool).connect() as connection:
            rows = connection.execute(select(delivery).order_by(delivery.c.id)).all()
            links = connection.execute(select(link.c.orcid)).scalars().all()
            present = connection.execute(select(link.c.orcid).where(IN_FORCE)).scalar()
        changes = len(links) + (1 if links and present is None else 0)
        return [
            fault for name in NAMES for fault in _faults_of([row for row in rows if row.sink == name], self.told(name), present, changes)
        ]


def _link(store: LinkingStore, orcid: OrcidId, replaces: int | None, now: datetime) -> int:
    grant_id = f"grant of {orcid.value}"
    store.hold_grant(HeldGrant(grant_id, b"sealed", ("/authenticate",), now, None, now + timedelta(hours=1)))
    new = NewLink(HOME, (TEPPO,), orcid, Environment.PRODUCTION, LinkSource.COMPANION, now)
    return store.complete(Completion(new, Consent("1", "en", now), grant_id, replaces)).link_id


def _faults_of(rows: Sequence[Any], told: Sequence[tuple[str, str | None]], present: str | None, changes: int) -> Iterator[str]:
    if len(rows) != changes:
        yield f"{len(rows)} deliveries of {changes} changes"
    for row in rows:
        if row.state not in {DeliveryState.DELIVERED, DeliveryState.SUPERSEDED} or row.lease is not None:
            yield f"delivery {row.id} is {row.state}, and its lease is {row.lease}"
        if row.state == DeliveryState.DELIVERED and (row.reference, row.orcid) not in told:
            yield f"delivery {row.id} never arrived"
    if rows and (rows[-1].state, rows[-1].orcid) != (DeliveryState.DELIVERED, present):
        yield f"the last delivery, of {rows[-1].orcid}, is {rows[-1].state} where {present} is right"
    numbers = [row.id for reference, _ in told for row in rows if row.reference == reference]
    if len(numbers) != len(told) or numbers != sorted(numbers):
        yield f"{len(told)} deliveries arrived, in the order {numbers}"
    if (told[-1][1] if told else None) != present:
        yield f"the system has {told[-1:]} where {present} is right"
