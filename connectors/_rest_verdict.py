"""What an answer of the other system means for a delivery."""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from attribute_authority.domain.delivery import Receipt
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, SinkUnavailable
from connectors._web_answer import Answer, retry_after


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges answers. `server` is what causes name; the fields are dotted paths into a body of JSON."""

    server: str
    success: AbstractSet[int]
    unknown_person: AbstractSet[int]
    retry: AbstractSet[int]
    success_field: str | None = None
    success_value: str | int | bool | None = None
    error_field: str | None = None

    def judge(self, answer: Answer, is_withdrawal: bool, now: datetime) -> Receipt:
        """Return the receipt of a delivery that was made. Raises SinkUnavailable, DeliveryDeferred, DeliveryRefused."""
        status = answer.status
        if status in self.success:
            return self._accept(answer)
        if status in self.unknown_person:
            if is_withdrawal:
                return Receipt()
            raise DeliveryRefused(f"{self.server}: the person is not known there: HTTP status {status}", self._words(answer))
        if status in self.retry and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise DeliveryDeferred(f"{self.server}: not yet: HTTP status {status}", retry_after(answer, now))
        trouble = _trouble_for_everybody(status)
        if trouble is not None:
            raise SinkUnavailable(f"{self.server}: {trouble}: HTTP status {status}", retry_after(answer, now))
        raise DeliveryRefused(f"{self.server}: HTTP status {status}", self._words(answer))

    def _accept(self, answer: Answer) -> Receipt:
        if self.success_field is not None:
            found = _at(_parse(answer.body), self.success_field)
            # True equals 1 in Python, and in no JSON.
            if found != self.success_value or type(found) is not type(self.success_value):
                cause = f"{self.server}: HTTP status {answer.status}, but {self.success_field} is not as configured"
                raise DeliveryRefused(cause, self._words(answer))
        return Receipt()

    def _words(self, answer: Answer) -> str | None:
        named = None if self.error_field is None else _at(_parse(answer.body), self.error_field)
        text = named if isinstance(named, str) else answer.body.decode("utf-8", "replace")
        # Whole: an identifier that was cut in two could not be taken out any more.
        return text.strip() or None


def _trouble_for_everybody(status: int) -> str | None:
    if status == HTTPStatus.FORBIDDEN:
        return "we lack the right to deliver"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "leads elsewhere, where we do not follow"
    if HTTPStatus.OK <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    return "fails"


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _at(content: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        elif isinstance(content, dict):
            content = content.get(name)
        else:
            return None
    return content
