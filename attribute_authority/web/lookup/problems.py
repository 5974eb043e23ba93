"""Failures as problem documents (RFC 9457): the class decides, what was sent is never repeated, and the log knows the rest."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any, Final

from attribute_authority.errors import (
    AuthorityError,
    CouldNotAsk,
    Denied,
    InvalidRequest,
    NotAuthenticated,
    SourceUnavailable,
    TooManyQueries,
)

PROBLEM: Final = b"application/problem+json"
_STATUSES: Final = {InvalidRequest: 400, NotAuthenticated: 401, Denied: 403, TooManyQueries: 429, CouldNotAsk: 503, SourceUnavailable: 503}
_RETRY_SECONDS: Final = 5.0
_CHALLENGE: Final = b'Bearer realm="lookup"'
_INVALID_TOKEN: Final = b'Bearer realm="lookup", error="invalid_token"'

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: status, media type, body, further headers, and how long it may be kept."""

    status: int
    media_type: bytes
    body: bytes
    headers: Headers = ()
    cache_control: bytes = b"no-store"


def problem_of(failure: AuthorityError, correlation_id: str, *, token_presented: bool) -> Reply:
    """Return the problem document of a failure; what is not known here is a 500 without detail."""
    status = _STATUSES.get(type(failure), 500)
    members: dict[str, Any] = {"detail": failure.public, "correlationId": correlation_id}
    if isinstance(failure, InvalidRequest):
        members["faults"] = [{"in": place, "expected": expected} for place, expected in failure.faults]
    headers: Headers = ()
    if isinstance(failure, NotAuthenticated):
        # RFC 6750 section 3.1: no error code where no credentials were presented.
        headers = ((b"www-authenticate", _INVALID_TOKEN if token_presented else _CHALLENGE),)
    if isinstance(failure, CouldNotAsk | TooManyQueries):
        headers = ((b"retry-after", b"%d" % max(1, ceil(_retry_after(failure)))),)
    return problem(status, headers, **members)


def problem(status: int, headers: Headers = (), **members: Any) -> Reply:
    """Make a problem document that has no more to tell than its status and `members`."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, **members}
    return Reply(status, PROBLEM, json.dumps(document).encode(), headers)


def _retry_after(failure: CouldNotAsk | TooManyQueries) -> float:
    return failure.retry_after if isinstance(failure, SourceUnavailable | TooManyQueries) else _RETRY_SECONDS
