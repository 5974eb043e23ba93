"""What a review of the delivery worker found: connectors and books that misbehave end neither the worker nor other sinks."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from attribute_authority.configuration import read_configuration
from attribute_authority.core import dispatching
from attribute_authority.core.attempting import Attempting, Persistence
from attribute_authority.core.dispatching import Dispatcher, Office
from attribute_authority.core.stations import NamedSink
from attribute_authority.delivery_worker import _alone
from attribute_authority.domain.delivery import (
    Delivery,
    DeliveryRecord,
    DeliverySelection,
    DeliveryState,
    DueDelivery,
    Lane,
    Outcome,
    Receipt,
    SinkName,
)
from attribute_authority.domain.identifiers import Environment, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.errors import CouldNotAsk, SinkUnavailable
from attribute_authority.events import EventLog
from attribute_authority.metrics import Metrics
from attribute_authority.storage.deliveries import SqlDeliveryStore, open_delivery_store
from attribute_authority.storage.memory_sources import MemoryOutageBoard
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.upgrading import upgrade
from tests.factories.deliveries import HOME, NOW, SINK, ScriptedCollection, ScriptedSink
from tests.factories.supervisors import make_directory

_ORCIDS = ("0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X", "0000-0002-9079-593X")
_OTHER = SinkName(HOME, "other")
_LEASE = timedelta(seconds=10) * 17 + timedelta(seconds=30)


@dataclass(slots=True)
class Stage:
    """Books with people whose links go to two sinks, a dispatcher over them, and a clock that the test moves."""

    links: SqlStore
    books: SqlDeliveryStore
    board: MemoryOutageBoard = field(default_factory=MemoryOutageBoard)
    log: io.StringIO = field(default_factory=io.StringIO)
    now: datetime = NOW
    people: int = 0

    def clock(self) -> datetime:
        """Return the instant that it is."""
        return self.now

    def attempting(self) -> Attempting:
        """Make what attempts."""
        return Attempting(Persistence(timedelta(days=14), timedelta(hours=1)), self.clock, lambda: 0.0, EventLog(self.log))

    def dispatcher(self, *sinks: NamedSink) -> Dispatcher:
        """Make a dispatcher with these sinks."""
        made = Dispatcher(Office(self.books, self.board, Metrics(), Environment.PRODUCTION, self.clock, EventLog(self.log)))
        made.use(sinks, self.attempting())
        return made

    def link(self, count: int = 1, environment: Environment = Environment.PRODUCTION) -> None:
        """Link so many more people."""
        for _ in range(count):
            self.people += 1
            who = parse_identifier(IdentifierKind.EPPN, f"person{self.people}@uni.example")
            orcid = OrcidId(_ORCIDS[self.people - 1])
            self.links.add_link(NewLink(HOME, (who,), orcid, environment, LinkSource.COMPANION, self.now))

    def records(self, sink: SinkName = SINK) -> list[DeliveryRecord]:
        """Return every delivery to a sink."""
        return list(self.books.list_deliveries(DeliverySelection(HOME, sink.name)))

    def states(self, sink: SinkName = SINK) -> list[DeliveryState]:
        """Return the states of every delivery to a sink."""
        return [record.state for record in self.records(sink)]

    def events(self, name: str) -> list[dict[str, object]]:
        """Return the lines of the log of that name."""
        return [event for line in self.log.getvalue().splitlines() if (event := json.loads(line))["event"] == name]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Make empty books, in which the home organisation has two sinks."""
    url = f"sqlite:///{tmp_path / 'links.db'}"
    upgrade(url)
    made: list[Stage] = []
    links, books = open_store(url, posting=Posting(clock=lambda: made[0].now)), open_delivery_store(url)
    links.use_sinks({HOME: ["idm", "other"]})
    made.append(Stage(links, books))
    yield made[0]
    books.close()
    links.close()


def named(sink: ScriptedSink, name: SinkName = SINK, places: int = 2) -> NamedSink:
    """Name a sink."""
    return NamedSink(name, sink, places, timedelta(seconds=10))


def settle(dispatcher: Dispatcher, until: Callable[[], bool]) -> None:
    """Have the dispatcher take turns until something is so."""
    over = Event()
    for _ in range(20_000):
        dispatcher.turn()
        if until():
            return
        over.wait(0.001)
    raise AssertionError("it never came to that")


def failing(failure: BaseException) -> Callable[[Delivery], Receipt]:
    """React with a failure."""

    def react(_: Delivery) -> Receipt:
        raise failure

    return react


@pytest.mark.parametrize(
    "failure",
    [
        SystemExit(1),
        SinkUnavailable("away", 1e300),
        SinkUnavailable("away", float("nan")),
        SinkUnavailable("away", "soon"),  # type: ignore[arg-type] # what a careless one does
    ],
)
def test_whatever_a_connector_raises_other_sinks_go_on(stage: Stage, failure: BaseException) -> None:
    """A connector that ends the process, or names times that do not exist, ends nothing: its deliveries wait, those of others are made."""
    stage.link(2)
    well = ScriptedSink()
    dispatcher = stage.dispatcher(named(ScriptedSink(failing(failure))), named(well, _OTHER))
    settle(dispatcher, lambda: len(well.taken) == 2 and not any(record.in_hand for record in stage.records()))

    assert [DeliveryState.PENDING] * 2 == stage.states()
    assert [DeliveryState.DELIVERED] * 2 == stage.states(_OTHER)


@pytest.mark.parametrize("told", [0.0, -3.0])
def test_a_server_that_says_at_once_is_left_alone_for_longer_and_longer(stage: Stage, told: float) -> None:
    """A sink that is away and says that it may be tried at once is paused as if it had said nothing."""
    stage.link()
    dispatcher = stage.dispatcher(named(ScriptedSink(failing(SinkUnavailable("busy", told)))))
    settle(dispatcher, lambda: len(stage.board.list_outages()) == 1)

    assert [NOW + timedelta(seconds=1)] == [outage.until for outage in stage.board.list_outages()]
    assert not dispatcher.turn()


class _Slotless(ScriptedCollection):
    def slot(self, now: datetime) -> datetime:
        raise LookupError("no such time zone")


class _Zoneless(ScriptedCollection):
    def slot(self, now: datetime) -> datetime:
        return now.replace(tzinfo=None)


@pytest.mark.parametrize("broken", [_Slotless(), _Zoneless()])
def test_a_schedule_that_fails_pauses_its_own_sink_alone(stage: Stage, broken: ScriptedCollection) -> None:
    """A connector that cannot say when files are due is left alone like one that is away; every other sink goes on."""
    stage.link()
    dispatcher = stage.dispatcher(named(broken), named(ScriptedSink(), _OTHER))
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] == stage.states(_OTHER))

    (outage,) = stage.board.list_outages()
    assert (str(SINK), True) == (outage.source, outage.cause.startswith("a defect of its connector: "))
    assert [] == stage.events("deliveries-paused")


def test_what_was_claimed_for_a_sink_that_is_away_is_given_back_untried(stage: Stage) -> None:
    """When the first delivery finds the sink away the others that were claimed are not tried one after the other."""
    sink = ScriptedSink(failing(SinkUnavailable("away")))
    held = Event()

    def react(_: Delivery) -> Receipt:
        if len(sink.taken) == 2:
            assert held.wait(30)
        raise SinkUnavailable("away")

    sink.react = react
    stage.link(4)
    dispatcher = stage.dispatcher(named(sink, places=1))
    settle(dispatcher, lambda: bool(stage.board.list_outages()))
    held.set()
    settle(dispatcher, lambda: not any(record.in_hand for record in stage.records()))

    # The second may have begun before the first was looked at.
    assert len(sink.taken) <= 2
    assert [0, 0] == [record.attempts for record in stage.records()][-2:]


def test_a_thread_that_never_comes_back_costs_its_sink_no_more_than_itself(stage: Stage) -> None:
    """Once its lease is over a delivery that hangs in a connector is given up, told of in the log, and the sink has new threads."""
    go_on = Event()

    def react(delivery: Delivery) -> Receipt:
        if delivery.attempt == 1:
            go_on.wait(60)
        return Receipt()

    sink = ScriptedSink(react)
    stage.link()
    dispatcher = stage.dispatcher(named(sink, places=1))
    settle(dispatcher, lambda: len(sink.taken) == 1)
    stage.now += _LEASE
    settle(dispatcher, lambda: len(stage.board.list_outages()) == 1)
    stage.now += timedelta(seconds=1)
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] == stage.states())
    go_on.set()

    assert [(str(SINK), 1)] == [(event["sink"], event["threads"]) for event in stage.events("sink-hangs")]
    assert [] == list(stage.board.list_outages())


def test_a_sink_that_hangs_at_the_end_keeps_no_outcome_of_others_from_the_books(stage: Stage) -> None:
    """At the end what other sinks have done is recorded while one is still waited for."""
    begun, hanging = Event(), Event()
    both = [Event(), Event()]

    def hang(_: Delivery) -> Receipt:
        both[0].set()
        assert hanging.wait(30)
        return Receipt()

    def work(_: Delivery) -> Receipt:
        both[1].set()
        assert begun.wait(30)
        return Receipt()

    stage.link()
    dispatcher = stage.dispatcher(named(ScriptedSink(hang)), named(ScriptedSink(work), _OTHER))
    running = Thread(target=dispatcher.run, args=("node", 60.0))
    running.start()
    assert all(event.wait(30) for event in both)
    dispatcher.stop()
    begun.set()
    while [DeliveryState.DELIVERED] != stage.states(_OTHER):
        running.join(0.001)
    still_waiting = running.is_alive()
    hanging.set()
    running.join(30)

    assert still_waiting
    assert [DeliveryState.DELIVERED] == stage.states()


def test_what_is_made_together_is_claimed_and_recorded_in_short_transactions(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that collects gets everything in one piece, and nobody waits for the books to write all of it at once."""
    sizes: list[int] = []
    claim, record = stage.books.claim_deliveries, stage.books.record_outcomes

    def claiming(lane: Lane, now: datetime, limit: int) -> tuple[DueDelivery, ...]:
        sizes.append(limit)
        return claim(lane, now, limit)

    def recording(outcomes: Sequence[Outcome], now: datetime) -> int:
        sizes.append(len(outcomes))
        return record(outcomes, now)

    monkeypatch.setattr(dispatching, "_AT_ONCE", 2)
    monkeypatch.setattr(stage.books, "claim_deliveries", claiming)
    monkeypatch.setattr(stage.books, "record_outcomes", recording)
    stage.link(4)
    sink = ScriptedCollection()
    settle(stage.dispatcher(named(sink)), lambda: [DeliveryState.DELIVERED] * 4 == stage.states())

    assert [4] == [len(together) for together in sink.together]
    assert {2} == set(sizes)


def test_what_was_claimed_before_the_database_went_away_is_delivered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is leased waits for the end of its lease because the next claim failed."""
    claim = stage.books.claim_deliveries

    def claiming(lane: Lane, now: datetime, limit: int) -> tuple[DueDelivery, ...]:
        if any(record.in_hand for record in stage.records()):
            raise CouldNotAsk("the database is away")
        return claim(lane, now, limit)

    monkeypatch.setattr(dispatching, "_AT_ONCE", 1)
    stage.link(2)
    sink = ScriptedCollection()
    dispatcher = stage.dispatcher(named(sink))
    monkeypatch.setattr(stage.books, "claim_deliveries", claiming)
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] * 2 == stage.states())

    assert [1, 1] == [len(together) for together in sink.together]


def test_another_environment_after_a_reload_is_delivered_from(stage: Stage) -> None:
    """Sinks that were opened for another environment get its deliveries, and none of the former one."""
    stage.link()
    stage.link(1, Environment.SANDBOX)
    former, latter = ScriptedSink(), ScriptedSink()
    dispatcher = stage.dispatcher(named(former))
    dispatcher.use((named(latter),), stage.attempting(), Environment.SANDBOX)
    settle(dispatcher, lambda: len(latter.taken) == 1 and DeliveryState.DELIVERED in stage.states())

    assert [Environment.SANDBOX] == [delivery.environment for delivery in latter.taken]
    assert ([], True) == (former.taken, former.closed)


def test_a_database_that_is_away_for_long_is_told_of_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every turn fails while the database is away; the log says so when it begins, and when it is over."""

    def away(*_: object) -> tuple[()]:
        raise CouldNotAsk("the database is away")

    dispatcher = stage.dispatcher(named(ScriptedSink()))
    with monkeypatch.context() as broken:
        broken.setattr(stage.books, "claim_deliveries", away)
        for _ in range(3):
            assert not dispatcher.turn()
    assert not dispatcher.turn()
    assert not dispatcher.turn()

    assert ["the database is away"] == [event["cause"] for event in stage.events("deliveries-paused")]
    assert 1 == len(stage.events("deliveries-resumed"))


def test_whoever_waits_for_another_process_to_end_stops_waiting_when_told(tmp_path: Path) -> None:
    """The lock of a state directory is waited for no longer than the process is to run, which is said once."""
    settings, log, leaving = read_configuration(make_directory(tmp_path).config), io.StringIO(), Event()
    settings.authority.state_directory.mkdir()
    holders: list[str | None] = []

    def wait() -> None:
        with _alone(settings, EventLog(log), leaving) as holder:
            holders.append(holder)

    with _alone(settings, EventLog(log), Event()) as first:
        waiting = Thread(target=wait)
        waiting.start()
        while "waiting-to-deliver" not in log.getvalue():
            waiting.join(0.001)
        leaving.set()
        waiting.join(30)

    assert ([None], False) == (holders, waiting.is_alive())
    assert first
    assert 1 == len(log.getvalue().splitlines())
    with _alone(settings, EventLog(log), Event()) as second:
        assert first == second
