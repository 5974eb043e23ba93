"""The log: lines of JSON, pseudonyms for people."""

import json
from io import StringIO

import pytest

from attribute_authority.events import DeliveryEvent, EventLog, Pseudonyms, QueryEvent, stopwatch

KEY = b"a key of sixteen"


def lines(stream: StringIO) -> list[dict[str, object]]:
    """Read a log."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_pseudonym_is_the_same_for_the_same_person() -> None:
    """Two lines about one person show it, to whoever has the key or not; nothing of the identifier is in it."""
    names = Pseudonyms(KEY)
    pseudonym = names.of("eppn=josiah@uni.example")

    assert pseudonym == Pseudonyms(KEY).of("eppn=josiah@uni.example")
    assert pseudonym != names.of("eppn=mary@uni.example")
    assert pseudonym != Pseudonyms(b"another key.....").of("eppn=josiah@uni.example")
    assert (16, "") == (len(pseudonym), pseudonym.strip("0123456789abcdef"))


@pytest.mark.parametrize(("failure", "level"), [(None, "info"), ("Denied", "warning")])
def test_query_event(failure: str | None, level: str) -> None:
    """What is known is written, what is not is left out, and a failure is a warning."""
    stream = StringIO()
    EventLog(stream).query(QueryEvent("c1", "attribute-query", requester="urn:sp", failure=failure), stopwatch())
    (line,) = lines(stream)

    assert (level, "query", "c1", "urn:sp") == (line["level"], line["event"], line["correlation_id"], line["requester"])
    assert {"peer", "subject", "rule", "outcome"}.isdisjoint(line)
    assert ("failure" in line) is (failure is not None)
    assert isinstance(line["milliseconds"], float)


@pytest.mark.parametrize(("outcome", "level"), [("delivered", "info"), ("deferred", "warning"), ("parked", "warning")])
def test_delivery_event(outcome: str, level: str) -> None:
    """An attempt at a delivery is told by its reference, which names nobody; one that did not succeed is a warning."""
    stream = StringIO()
    EventLog(stream).delivery(DeliveryEvent("8f3a61c2d4e59b70", "https://idp.uni.example/idp sink idm", 2, outcome, cause=None), 0.0123)
    (line,) = lines(stream)

    assert {"reference", "sink", "attempt", "outcome", "milliseconds", "event", "level", "timestamp"} == set(line)
    assert ("delivery", level, "8f3a61c2d4e59b70", 2, outcome, 12.3) == tuple(
        line[name] for name in ("event", "level", "reference", "attempt", "outcome", "milliseconds")
    )


def test_line_breaks_stay_inside_their_line() -> None:
    """Nobody writes a second line by way of an entityID."""
    stream = StringIO()
    EventLog(stream).query(QueryEvent("c1", "attribute-query", requester='urn:sp\n{"event": "forged"}\r\u2028'), stopwatch())

    assert ["query"] == [line["event"] for line in lines(stream)]
    assert 1 == stream.getvalue().count("\n")


def test_operations_and_faults() -> None:
    """What concerns the service itself is told apart from what is wrong with it."""
    stream = StringIO()
    log = EventLog(stream)
    log.operation("listening", url="https://x")
    log.fault("worker-ended", worker=1)

    assert [("listening", "info"), ("worker-ended", "error")] == [(line["event"], line["level"]) for line in lines(stream)]
