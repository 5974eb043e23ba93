"""One attempt at a delivery: what is recorded of each way in which it can end."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from math import inf, nan

import pytest

from attribute_authority.core.attempting import Attempt, Attempting, Persistence
from attribute_authority.domain.delivery import Delivery, DeliveryState, Receipt
from attribute_authority.errors import CouldNotAsk, DeliveryDeferred, DeliveryRefused, SinkUnavailable
from attribute_authority.events import EventLog
from tests.factories.deliveries import NOW, ORCID, TEPPO, ScriptedCollection, ScriptedSink, due

LONGEST = timedelta(hours=1)


def attempting(log: io.StringIO | None = None, *, random: float = 0.0) -> Attempting:
    """Return what attempts, at one instant, with a number that is no surprise."""
    return Attempting(Persistence(timedelta(days=14), LONGEST), lambda: NOW, lambda: random, EventLog(log or io.StringIO()))


def raising(failure: BaseException) -> Callable[[Delivery], Receipt]:
    """React with a failure."""

    def react(_: Delivery) -> Receipt:
        raise failure

    return react


def attempted(failure: Exception, attempt: int = 1, random: float = 0.0) -> Attempt:
    """Return how a delivery ends whose sink fails."""
    return attempting(random=random).attempt(ScriptedSink(raising(failure)), due(attempt=attempt))


def test_a_receipt_is_a_delivery() -> None:
    """What a sink gives a receipt for is delivered, under the lease of whoever had it in hand."""
    ended = attempting().attempt(ScriptedSink(lambda _: Receipt(remark="ticket 7")), due())

    assert ("delivered", None, None) == (ended.kind, ended.cause, ended.away)
    outcome = ended.outcome
    assert ("d1", "lease of d1", DeliveryState.DELIVERED, "ticket 7", False) == (
        outcome.reference,
        outcome.lease,
        outcome.state,
        outcome.message,
        outcome.found,
    )


@pytest.mark.parametrize(("may_be_ours", "found"), [(False, True), (True, False)])
def test_what_stood_there_is_somebody_elses_unless_we_may_have_written_it(may_be_ours: bool, found: bool) -> None:
    """An iD that stood there before our first attempt is noted as found; after an attempt that may have reached it, it is ours."""
    ended = attempting().attempt(ScriptedSink(lambda _: Receipt(found=True)), due(may_be_ours=may_be_ours))

    assert found is ended.outcome.found


def test_a_refusal_parks_the_delivery() -> None:
    """A refusal is parked with its cause and the other side's words, of which those about the person are taken out."""
    ended = attempted(DeliveryRefused("no such entry", f"nobody has {TEPPO.value}, {ORCID.value}"))

    assert (DeliveryState.PARKED, "parked", "no such entry", None) == (ended.outcome.state, ended.kind, ended.cause, ended.away)
    assert ended.outcome.message is not None
    assert ended.outcome.message.startswith("no such entry: nobody has")
    assert TEPPO.value not in ended.outcome.message
    assert ORCID.value not in ended.outcome.message


@pytest.mark.parametrize(
    ("attempt", "random", "seconds"),
    [(1, 0.0, 2.5), (1, 0.999999, 5), (2, 0.0, 5), (5, 0.0, 40), (40, 0.0, 1800), (40, 0.999999, 3600), (4000, 0.0, 1800)],
)
def test_waits_grow_and_differ(attempt: int, random: float, seconds: float) -> None:
    """A deferred delivery waits twice as long each time, up to the longest pause, and never quite as long as another one."""
    ended = attempted(DeliveryDeferred("busy"), attempt, random)

    assert (DeliveryState.PENDING, "deferred", None) == (ended.outcome.state, ended.kind, ended.away)
    assert ended.outcome.due_at is not None
    assert pytest.approx(seconds, abs=0.01) == (ended.outcome.due_at - NOW).total_seconds()


@pytest.mark.parametrize(
    ("told", "seconds"), [(90.0, 90), (1e9, 86_400), (1e300, 86_400), (inf, 86_400), (4.0, 4), (0.0, 2.5), (-5.0, 2.5), (nan, 2.5)]
)
@pytest.mark.parametrize("failure", [DeliveryDeferred, SinkUnavailable])
def test_retry_after_is_honoured(failure: type[DeliveryDeferred | SinkUnavailable], told: float, seconds: float) -> None:
    """What the other side says of when to come back is kept to, up to a day; one that says "at once" is not asked without a pause."""
    ended = attempted(failure("busy", told))

    assert NOW + timedelta(seconds=seconds) == ended.outcome.due_at


@pytest.mark.parametrize("failure", [SinkUnavailable("away"), CouldNotAsk("away")])
def test_a_sink_that_is_away_is_told_from_one_that_refuses(failure: CouldNotAsk) -> None:
    """Where nobody's delivery can be made, the delivery waits, and the attempt says that the sink itself is away."""
    ended = attempted(failure)

    assert (DeliveryState.PENDING, "unavailable", failure) == (ended.outcome.state, ended.kind, ended.away)


@pytest.mark.parametrize("failure", [DeliveryDeferred("busy"), SinkUnavailable("away"), RuntimeError()])
def test_an_old_delivery_is_given_up(failure: Exception) -> None:
    """What still fails at the configured age is parked, so that a person is told."""
    sink = ScriptedSink(raising(failure))
    young = attempting().attempt(sink, due(ages_from=NOW - timedelta(days=14) + timedelta(seconds=1)))
    old = attempting().attempt(sink, due(ages_from=NOW - timedelta(days=14)))

    assert (DeliveryState.PENDING, DeliveryState.PARKED) == (young.outcome.state, old.outcome.state)
    assert (old.outcome.message or "").startswith("without success for 14 days: ")
    assert (young.away, old.away) == ((failure, failure) if isinstance(failure, CouldNotAsk) else (None, None))


def test_a_defect_of_a_connector_loses_nothing_and_tells_nobody() -> None:
    """What a connector may not raise defers the delivery; the log has the kind of failure and its place, and none of its words."""
    log = io.StringIO()
    ended = attempting(log).attempt(ScriptedSink(raising(ValueError(f"what is {TEPPO.value}?"))), due())

    assert (DeliveryState.PENDING, "deferred", "a defect of its connector: ValueError") == (ended.outcome.state, ended.kind, ended.cause)
    event = json.loads(log.getvalue())
    assert ("defect", "ValueError", "https://idp.uni.example/idp sink idm") == (event["event"], event["exception"], event["sink"])
    assert "raising" in event["traceback"] or "react" in event["traceback"]
    assert TEPPO.value not in log.getvalue()


@pytest.mark.parametrize("failure", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_a_connector_that_means_to_end_the_process_ends_nothing(failure: BaseException) -> None:
    """What a connector raises to end the process is a defect of it: the delivery waits, and the worker goes on."""
    sink = ScriptedCollection(raising(failure))
    ended = (attempting().attempt(sink, due()), *attempting().attempt_all(sink, [due()], NOW))

    assert [f"a defect of its connector: {type(failure).__name__}"] * 2 == [one.cause for one in ended]


@pytest.mark.parametrize(
    "failure",
    [
        DeliveryRefused("refused", b"in octets"),  # type: ignore[arg-type]
        SinkUnavailable("away", "soon"),  # type: ignore[arg-type]
        DeliveryDeferred(7),  # type: ignore[arg-type]
    ],
)
def test_a_failure_made_of_what_it_may_not_be_made_of_is_a_defect(failure: Exception) -> None:
    """A connector that fails in a way of its own ends nothing either."""
    ended = attempted(failure)

    assert (DeliveryState.PENDING, "deferred", None) == (ended.outcome.state, ended.kind, ended.away)


def test_a_receipt_made_of_what_it_may_not_be_made_of_is_no_receipt() -> None:
    """A remark that is no text is a defect of the connector; whether the iD was found is a truth value in any case."""
    remarked = attempting().attempt(ScriptedSink(lambda _: Receipt(remark=7)), due())  # type: ignore[arg-type]
    found = attempting().attempt(ScriptedSink(lambda _: Receipt(found=None)), due())  # type: ignore[arg-type]

    assert (DeliveryState.PENDING, "a defect of its connector: TypeError") == (remarked.outcome.state, remarked.cause)
    assert (DeliveryState.DELIVERED, False) == (found.outcome.state, found.outcome.found)


def test_an_answer_that_is_no_receipt_is_a_defect() -> None:
    """A connector that returns something else has not delivered."""
    ended = attempting().attempt(ScriptedSink(lambda _: None), due())  # type: ignore[arg-type, return-value] # what a careless one does

    assert (DeliveryState.PENDING, "a defect of its connector: TypeError") == (ended.outcome.state, ended.cause)


def test_deliveries_together_end_each_for_itself() -> None:
    """Of deliveries that are made together some may be refused; the others are delivered."""
    sink = ScriptedCollection(refused=frozenset({"d2"}))
    ended = attempting().attempt_all(sink, [due("d1"), due("d2"), due("d3")], NOW)

    assert ["delivered", "parked", "delivered"] == [one.kind for one in ended]
    assert [("d1", "d2", "d3")] == sink.together


@pytest.mark.parametrize("failure", [SinkUnavailable("disk full"), ValueError()])
def test_deliveries_together_fail_together(failure: Exception) -> None:
    """Where the sink takes nothing, all of them wait."""
    ended = attempting().attempt_all(ScriptedCollection(raising(failure)), [due("d1"), due("d2")], NOW)

    assert [DeliveryState.PENDING] * 2 == [one.outcome.state for one in ended]


def test_deliveries_together_are_all_answered_for() -> None:
    """A connector that answers for another number of deliveries has delivered none of them."""

    class Short(ScriptedCollection):
        def deliver_all(self, deliveries: object, slot: object) -> tuple[Receipt, ...]:
            return (Receipt(),)

    ended = attempting().attempt_all(Short(), [due("d1"), due("d2")], NOW)

    assert [DeliveryState.PENDING] * 2 == [one.outcome.state for one in ended]
