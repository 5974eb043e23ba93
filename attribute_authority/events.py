"""One event per query, step of a linking or attempt at a delivery, written once; the only place that decides what may be logged.

Personal data does not go into a log: a person appears as a pseudonym, a keyed hash that lets the operators of this
authority tell that two lines are about the same person, and tells nobody who that is. The iD is never logged.
"""

import hmac
import json
import sys
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter
from typing import Any, Final, TextIO

import structlog

_PSEUDONYM_LENGTH: Final = 16
_ENCODE: Final = json.JSONEncoder().encode


@dataclass(slots=True)
class QueryEvent:
    """What is known of one query; None until it is.

    `correlation_id` also stands in the StatusMessage of an error, so that a service provider's operator can name it.
    `rule` is the number of the release rule that allows, the first being 1. `cause` is the private reason of a failure, or why sources
    contradict one another. `source` is what resolved the identifier where the store did not know it. `retry_after` is in seconds.
    `asked` and `released` count identifiers where there are several in one request.
    """

    correlation_id: str
    door: str
    peer: str | None = None
    message_id: str | None = None
    requester: str | None = None
    signature_algorithm: str | None = None
    client_key: bool | None = None
    subject: str | None = None
    rule: int | None = None
    source: str | None = None
    asked: int | None = None
    released: int | None = None
    outcome: str | None = None
    failure: str | None = None
    cause: str | None = None
    retry_after: float | None = None


@dataclass(slots=True)
class PageEvent:
    """What is known of one step on the companion page; None until it is.

    `correlation_id` also stands on the page that tells of a failure. `subject` and `browser` are pseudonyms, the latter of the address.
    """

    correlation_id: str
    page: str
    browser: str | None = None
    home_organisation: str | None = None
    subject: str | None = None
    outcome: str | None = None
    failure: str | None = None
    cause: str | None = None


@dataclass(slots=True)
class DeliveryEvent:
    """An attempt at a delivery. `reference` names it in the books, which know whom it is about."""

    reference: str
    sink: str
    attempt: int
    outcome: str
    cause: str | None = None


class Pseudonyms:
    """Makes pseudonyms with a key of the authority; a new key makes every pseudonym a new one."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, identifier: str) -> str:
        """Return the pseudonym of an identifier, 16 hexadecimal digits."""
        return hmac.digest(self._key, identifier.encode(), sha256).hex()[:_PSEUDONYM_LENGTH]


class EventLog:
    """Writes events as lines of JSON."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._logger = structlog.wrap_logger(
            structlog.WriteLogger(stream or sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(_write_json),
            ],
            wrapper_class=structlog.make_filtering_bound_logger("info"),
        ).bind()

    def query(self, event: QueryEvent, started: float) -> None:
        """Write the event of a query; `started` is what `stopwatch` said at its beginning."""
        self._write("query", event, started)

    def page(self, event: PageEvent, started: float) -> None:
        """Write the event of a step on the companion page."""
        self._write("page", event, started)

    def delivery(self, event: DeliveryEvent, seconds: float) -> None:
        """Write the event of an attempt at a delivery, which took so many seconds."""
        fields = {field: value for field in event.__slots__ if (value := getattr(event, field)) is not None}
        write = self._logger.info if event.outcome == "delivered" else self._logger.warning
        write("delivery", **fields, milliseconds=round(seconds * 1000, 3))

    def _write(self, name: str, event: QueryEvent | PageEvent, started: float) -> None:
        fields: dict[str, Any] = {field: value for field in event.__slots__ if (value := getattr(event, field)) is not None}
        fields["milliseconds"] = round((stopwatch() - started) * 1000, 3)
        if event.failure is None:
            self._logger.info(name, **fields)
        else:
            self._logger.warning(name, **fields)

    def operation(self, event: str, **fields: str | int | None) -> None:
        """Write something about the service itself, such as where it listens; never about a person."""
        self._logger.info(event, **fields)

    def fault(self, event: str, **fields: str | int | None) -> None:
        """Write that something is wrong with the service itself."""
        self._logger.error(event, **fields)


def _write_json(event: dict[str, Any], **_: object) -> str:
    # json.dumps, with the fallback that structlog gives it, makes an encoder for every line; nothing but texts and numbers is written here.
    return _ENCODE(event)


def stopwatch() -> float:
    """Return seconds of a monotonic clock, for durations in events alone."""
    return perf_counter()
