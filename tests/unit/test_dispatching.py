"""The delivery worker over real books: what is claimed, how sinks that are away are left alone, and what becomes of it all at the end."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from attribute_authority.core.attempting import Attempting, Persistence
from attribute_authority.core.dispatching import Dispatcher, Office
from attribute_authority.core.stations import NamedSink
from attribute_authority.domain.delivery import Delivery, DeliveryRecord, DeliverySelection, DeliveryState, Lane, Receipt, SinkName
from attribute_authority.domain.identifiers import Environment, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.errors import CouldNotAsk, DeliveryDeferred, DeliveryRefused, SinkUnavailable
from attribute_authority.events import EventLog
from attribute_authority.storage.deliveries import SqlDeliveryStore, open_delivery_store
from attribute_authority.storage.memory_sources import MemoryOutageBoard
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.upgrading import upgrade
from tests.factories.deliveries import HOME, NOW, SINK, ScriptedCollection, ScriptedSink

_ORCIDS = ("0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X", "0000-0002-9079-593X")
_OTHER = SinkName(HOME, "other")


@dataclass(slots=True)
class Counts:
    """What the metrics are told."""

    attempts: list[tuple[str, str]] = field(default_factory=list)
    paused: list[tuple[str, bool]] = field(default_factory=list)

    def attempted(self, sink: str, outcome: str, seconds: float) -> None:
        """Note it."""
        self.attempts.append((sink, outcome))

    def backlog(self, sink: str, pending: int, parked: int, oldest: float) -> None:
        """Forget it."""

    def sink_paused(self, sink: str, paused: bool) -> None:
        """Note it."""
        self.paused.append((sink, paused))


@dataclass(slots=True)
class Stage:
    """Books with people whose links go to sinks, a dispatcher over them, and a clock that the test moves."""

    links: SqlStore
    books: SqlDeliveryStore
    board: MemoryOutageBoard = field(default_factory=MemoryOutageBoard)
    counts: Counts = field(default_factory=Counts)
    log: io.StringIO = field(default_factory=io.StringIO)
    now: datetime = NOW
    people: int = 0

    def clock(self) -> datetime:
        """Return the instant that it is."""
        return self.now

    def dispatcher(self, *sinks: NamedSink) -> Dispatcher:
        """Make a dispatcher with these sinks."""
        events = EventLog(self.log)
        made = Dispatcher(Office(self.books, self.board, self.counts, Environment.PRODUCTION, self.clock, events))
        made.use(sinks, Attempting(Persistence(timedelta(days=14), timedelta(hours=1)), self.clock, lambda: 0.0, events))
        return made

    def link(self, count: int = 1) -> None:
        """Link so many more people."""
        for _ in range(count):
            self.people += 1
            who = parse_identifier(IdentifierKind.EPPN, f"person{self.people}@uni.example")
            orcid = OrcidId(_ORCIDS[self.people - 1])
            self.links.add_link(NewLink(HOME, (who,), orcid, Environment.PRODUCTION, LinkSource.COMPANION, self.now))

    def records(self) -> list[DeliveryRecord]:
        """Return every delivery in the books."""
        return list(self.books.list_deliveries(DeliverySelection()))

    def states(self) -> list[DeliveryState]:
        """Return the states of every delivery in the books."""
        return [record.state for record in self.records()]

    def events(self, name: str) -> list[dict[str, object]]:
        """Return the lines of the log of that name."""
        return [event for line in self.log.getvalue().splitlines() if (event := json.loads(line))["event"] == name]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Make empty books, in which the home organisation has one sink."""
    url = f"sqlite:///{tmp_path / 'links.db'}"
    upgrade(url)
    made: list[Stage] = []
    links, books = open_store(url, posting=Posting(clock=lambda: made[0].now)), open_delivery_store(url)
    links.use_sinks({HOME: ["idm"]})
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


def failing(failure: Exception) -> Callable[[Delivery], Receipt]:
    """React with a failure."""

    def react(_: Delivery) -> Receipt:
        raise failure

    return react


def test_what_is_due_is_delivered_and_recorded(stage: Stage) -> None:
    """Every link reaches the sink once, is recorded as delivered, counted, and told of in the log without the person."""
    sink = ScriptedSink()
    stage.link(3)
    dispatcher = stage.dispatcher(named(sink))
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] * 3 == stage.states())

    assert sorted(_ORCIDS[:3]) == sorted(str(delivery.orcid.value) for delivery in sink.taken if delivery.orcid)
    assert [(str(SINK), "delivered")] * 3 == stage.counts.attempts
    assert {record.reference for record in stage.records()} == {event["reference"] for event in stage.events("delivery")}
    assert not any(word in stage.log.getvalue() for word in ("person1", *_ORCIDS))
    assert not dispatcher.turn()


def test_a_refusal_is_parked_and_holds_nobody_up(stage: Stage) -> None:
    """One delivery that is refused is parked with what was said; the others go on."""
    first = parse_identifier(IdentifierKind.EPPN, "person1@uni.example")

    def react(delivery: Delivery) -> Receipt:
        if first in delivery.identifiers:
            raise DeliveryRefused("no such entry", "nobody of that name")
        return Receipt()

    stage.link(3)
    settle(stage.dispatcher(named(ScriptedSink(react))), lambda: DeliveryState.PENDING not in stage.states())

    assert [DeliveryState.PARKED, DeliveryState.DELIVERED, DeliveryState.DELIVERED] == stage.states()
    assert "no such entry: nobody of that name" == stage.records()[0].message
    assert [] == stage.counts.paused


def test_a_deferred_delivery_waits_for_its_time(stage: Stage) -> None:
    """What is deferred is not tried again before it is due, and then it is."""
    sink = ScriptedSink(lambda delivery: Receipt() if delivery.attempt > 1 else failing(DeliveryDeferred("busy", 60.0))(delivery))
    stage.link()
    dispatcher = stage.dispatcher(named(sink))
    settle(dispatcher, lambda: stage.records()[0].attempts == 1 and not stage.records()[0].in_hand)
    stage.now += timedelta(seconds=59)
    assert not dispatcher.turn()
    stage.now += timedelta(seconds=1)
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] == stage.states())

    assert [1, 2] == [delivery.attempt for delivery in sink.taken]
    assert sink.taken[1].may_be_ours
    assert sink.taken[0].reference == sink.taken[1].reference


def test_a_sink_that_is_away_is_left_alone_and_the_others_go_on(stage: Stage) -> None:
    """After a failure of the sink as a whole nothing more is claimed for it until its pause is over; another sink has everything."""
    away, well = ScriptedSink(failing(SinkUnavailable("away"))), ScriptedSink()
    stage.links.use_sinks({HOME: ["idm", "other"]})
    stage.link()
    dispatcher = stage.dispatcher(named(away, places=1), named(well, _OTHER))
    settle(dispatcher, lambda: bool(stage.board.list_outages()) and DeliveryState.DELIVERED in stage.states())
    stage.link(3)
    settle(dispatcher, lambda: len(well.taken) == 4)

    assert 1 == len(away.taken)
    assert [(str(SINK), True)] == stage.counts.paused
    (outage,) = stage.board.list_outages()
    assert (str(SINK), 1, NOW + timedelta(seconds=1), "away") == (outage.source, outage.failures, outage.until, outage.cause)


def test_one_delivery_tries_whether_a_sink_is_back(stage: Stage) -> None:
    """When the pause is over one delivery is tried, another one than before; when it succeeds, all others follow."""
    back = Event()
    sink = ScriptedSink(lambda delivery: Receipt() if back.is_set() else failing(SinkUnavailable("away"))(delivery))
    stage.link()
    dispatcher = stage.dispatcher(named(sink, places=1))
    settle(dispatcher, lambda: len(stage.board.list_outages()) == 1)
    stage.link(3)
    stage.now += timedelta(seconds=1)
    settle(dispatcher, lambda: len(sink.taken) == 2 and not any(record.in_hand for record in stage.records()))
    back.set()
    stage.now += timedelta(seconds=30)
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] * 4 == stage.states())

    assert sink.taken[0].reference != sink.taken[1].reference
    assert [] == list(stage.board.list_outages())
    assert [(str(SINK), True), (str(SINK), True), (str(SINK), False)] == stage.counts.paused


def test_the_sinks_own_check_tries_it_where_nothing_is_due(stage: Stage) -> None:
    """An outage ends also while nobody links anything: the check of the sink finds out."""
    checked = Event()
    stage.link()
    sink = ScriptedSink(failing(SinkUnavailable("away", 5.0)), checks=checked.set)
    dispatcher = stage.dispatcher(named(sink, places=1))
    settle(dispatcher, lambda: len(stage.board.list_outages()) == 1)
    stage.books.cancel_deliveries(DeliverySelection(), stage.now)
    stage.now += timedelta(seconds=5)
    settle(dispatcher, lambda: not stage.board.list_outages())

    assert checked.is_set()
    assert 1 == len(sink.taken)


def test_a_check_that_fails_pauses_the_sink_for_longer(stage: Stage) -> None:
    """A sink whose check fails too is left alone for twice as long."""

    def check() -> None:
        raise CouldNotAsk("still away")

    stage.link()
    dispatcher = stage.dispatcher(named(ScriptedSink(failing(SinkUnavailable("away")), checks=check), places=1))
    settle(dispatcher, lambda: len(stage.board.list_outages()) == 1)
    stage.books.cancel_deliveries(DeliverySelection(), stage.now)
    stage.now += timedelta(seconds=1)
    settle(dispatcher, lambda: stage.board.list_outages()[0].failures == 2)

    assert (stage.now + timedelta(seconds=2), "still away") == (stage.board.list_outages()[0].until, stage.board.list_outages()[0].cause)


def test_deliveries_that_fail_together_are_one_failure(stage: Stage) -> None:
    """Several that were under way when the sink went away lengthen its pause no more than one."""
    ready = [Event() for _ in range(4)]
    started = iter(ready)
    gone = Event()

    def react(delivery: Delivery) -> Receipt:
        next(started).set()
        assert gone.wait(30)
        return failing(SinkUnavailable("away"))(delivery)

    stage.link(4)
    dispatcher = stage.dispatcher(named(ScriptedSink(react), places=4))
    settle(dispatcher, lambda: all(event.is_set() for event in ready))
    gone.set()
    settle(dispatcher, lambda: not any(record.in_hand for record in stage.records()))

    assert [1] == [outage.failures for outage in stage.board.list_outages()]


def test_another_node_that_pauses_a_sink_is_heeded(stage: Stage) -> None:
    """What another worker has noticed of a sink holds here too."""
    sink = ScriptedSink()
    other = stage.dispatcher(named(ScriptedSink(failing(SinkUnavailable("away", 600.0)))))
    stage.link()
    settle(other, lambda: len(stage.board.list_outages()) == 1)
    stage.link()
    dispatcher = stage.dispatcher(named(sink))

    assert not dispatcher.turn()
    assert [] == sink.taken


def test_books_that_cannot_be_reached_lose_no_outcome(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes that cannot be recorded are kept until they can, and nothing is delivered twice."""
    sink = ScriptedSink()
    stage.link()
    dispatcher = stage.dispatcher(named(sink))
    with monkeypatch.context() as broken:

        def away(*_: object) -> int:
            raise CouldNotAsk("the database is away")

        broken.setattr(stage.books, "record_outcomes", away)
        settle(dispatcher, lambda: bool(stage.events("deliveries-paused")))
        assert [DeliveryState.PENDING] == stage.states()
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] == stage.states())

    assert 1 == len(sink.taken)
    assert [] == stage.events("defect")


def test_collecting_sinks_get_everything_together_at_their_time(stage: Stage) -> None:
    """A sink that collects gets in one piece what was written until its slot; what came later waits for the next."""
    sink = ScriptedCollection(slot_at=NOW)
    stage.link(2)
    stage.now += timedelta(minutes=1)
    stage.link()
    dispatcher = stage.dispatcher(named(sink))
    settle(dispatcher, lambda: stage.states().count(DeliveryState.DELIVERED) == 2)
    assert not dispatcher.turn()
    sink.slot_at = stage.now
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] * 3 == stage.states())

    assert [2, 1] == [len(together) for together in sink.together]


def test_stopping_finishes_what_is_under_way_and_gives_the_rest_back(stage: Stage) -> None:
    """At the end the delivery under way is recorded; what was claimed and never begun is due again at once, as if untouched."""
    begun, go_on = Event(), Event()

    def react(_: Delivery) -> Receipt:
        begun.set()
        assert go_on.wait(30)
        return Receipt()

    sink = ScriptedSink(react)
    stage.link(3)
    dispatcher = stage.dispatcher(named(sink, places=1))
    running = Thread(target=dispatcher.run, args=("node", 60.0))
    running.start()
    assert begun.wait(30)
    dispatcher.stop()
    # The others are given back while the one under way still is; not before may it go on, for otherwise they might be begun.
    while [True, False, False] != [record.in_hand for record in stage.records()]:
        running.join(0.001)
    go_on.set()
    running.join(30)

    assert not running.is_alive()
    assert sink.closed
    assert 1 == len(sink.taken)
    assert [DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.PENDING] == stage.states()
    waiting = stage.records()[1:]
    assert [(0, False)] * 2 == [(record.attempts, record.in_hand) for record in waiting]
    lane = Lane(SINK, Environment.PRODUCTION, "another", timedelta(seconds=10))
    assert 2 == len(stage.books.claim_deliveries(lane, stage.now, 10))


def test_sinks_are_exchanged_while_it_runs(stage: Stage) -> None:
    """New sinks take over with the next turn; the former ones finish what they have in hand, are recorded, and then closed."""
    begun, go_on = Event(), Event()

    def react(_: Delivery) -> Receipt:
        begun.set()
        assert go_on.wait(30)
        return Receipt()

    former, latter = ScriptedSink(react), ScriptedSink()
    stage.link()
    dispatcher = stage.dispatcher(named(former))
    settle(dispatcher, begun.is_set)
    dispatcher.use(
        (named(latter),), Attempting(Persistence(timedelta(days=1), timedelta(hours=1)), stage.clock, lambda: 0.0, EventLog(stage.log))
    )
    stage.link()
    settle(dispatcher, lambda: len(latter.taken) == 1)
    assert not former.closed
    go_on.set()
    settle(dispatcher, lambda: former.closed and [DeliveryState.DELIVERED] * 2 == stage.states())

    assert 1 == len(former.taken)


def test_a_connector_that_fails_at_closing_stops_nobody(stage: Stage) -> None:
    """Whatever a connector raises when it is closed, the dispatcher ends."""

    class Clinging(ScriptedSink):
        def close(self) -> None:
            raise RuntimeError

    dispatcher = stage.dispatcher(named(Clinging()))
    dispatcher.turn()
    dispatcher.stop()
    dispatcher.run("node", 60.0)


def test_withdrawal_after_a_link_arrives_after_it(stage: Stage) -> None:
    """The order of what happened to a person is kept although the first delivery is still under way when the second is written."""
    begun, go_on = Event(), Event()

    def react(delivery: Delivery) -> Receipt:
        if delivery.orcid is not None:
            begun.set()
            assert go_on.wait(30)
        return Receipt()

    sink = ScriptedSink(react)
    stage.link()
    dispatcher = stage.dispatcher(named(sink))
    settle(dispatcher, begun.is_set)
    (link,) = stage.links.find_links()
    stage.links.withdraw_link(link.link_id, stage.now)
    for _ in range(5):
        dispatcher.turn()
    assert 1 == len(sink.taken)
    go_on.set()
    settle(dispatcher, lambda: [DeliveryState.DELIVERED] * 2 == stage.states())

    assert [link.orcid, None] == [delivery.orcid for delivery in sink.taken]
    assert (link.orcid,) == sink.taken[1].former
