"""A web service of a home organisation: requests over kept connections, one deadline for each exchange, bounded answers.

Redirects are not followed, and neither proxies nor passwords are taken from the environment. No request is sent twice, but for two
cases: a kept connection turns out to have been closed by the peer, and the request is idempotent or carries an Idempotency-Key
(RFC 9110 section 9.2.2); or a fetched token is not accepted any more, and a new one takes its place.
"""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from attribute_authority.errors import SinkUnavailable
from attribute_authority.ports import Clock
from connectors._deadline import Deadline
from connectors._web_access import WebAccess
from connectors._web_answer import ANSWER_LIMIT, Answer, retry_after
from connectors._web_connections import Connections
from connectors._web_exchange import Request, exchange, reach, server_of
from connectors._web_token import TokenKeeper

__all__ = ["Answer", "WebService"]

_NOT_LET_IN: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
_OVERLOADED: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class WebService:
    """A web service as sinks use it; threads share it. `timeout` is in seconds, for `deadline` to start with."""

    def __init__(self, access: WebAccess, timeout: float, connections: int, wall_clock: Clock) -> None:
        self._access = access
        self._timeout = timeout
        self._clock = wall_clock
        self._connections = Connections(connections, access.trust)
        self._tokens = None if access.oauth is None else TokenKeeper(access.oauth, self._exchange, wall_clock)

    def deadline(self) -> Deadline:
        """Return the deadline of a delivery that begins now."""
        return Deadline(self._timeout)

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: Deadline, *, limit: int = ANSWER_LIMIT
    ) -> Answer:
        """Send a request, with what lets us in, and return the answer, whose status is for the caller to judge.

        `limit` is how many octets of body an answer may have; of one that tells of a failure (4xx, 5xx) the rest is left out.
        Raises SinkUnavailable where there is no answer in time, or none that can be read; where TLS fails or no token is to be had; where
        we are not let in (401, 407); and where there is too much to do (429, 503), with Retry-After. After the deadline nothing is sent.
        """
        request = Request(method, url, headers, body, limit)
        answer = self._send(request, deadline)
        if answer.status in _NOT_LET_IN:
            raise SinkUnavailable(f"{server_of(url)}: our credentials are not accepted: HTTP status {answer.status}")
        if answer.status in _OVERLOADED:
            cause = f"{server_of(url)}: takes nothing at the moment: HTTP status {answer.status}"
            raise SinkUnavailable(cause, retry_after(answer, self._clock()))
        return answer

    def connect(self, url: str, deadline: Deadline) -> None:
        """Connect to the server of a URL, with TLS, and fetch a token where one is needed; nothing is asked. Raises SinkUnavailable."""
        reach(self._connections, url, deadline)
        if self._tokens is not None:
            self._tokens.token(deadline)

    def close(self) -> None:
        """Give up every connection."""
        self._connections.close()

    def _send(self, request: Request, deadline: Deadline) -> Answer:
        if self._tokens is None:
            return self._exchange(_authorized(request, self._access.authorization), deadline)
        token = self._tokens.token(deadline)
        answer = self._exchange(_authorized(request, f"Bearer {token}"), deadline)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return answer
        another = self._tokens.token(deadline, refused=token)
        return self._exchange(_authorized(request, f"Bearer {another}"), deadline)

    def _exchange(self, request: Request, deadline: Deadline) -> Answer:
        return exchange(self._connections, request, deadline)


def _authorized(request: Request, authorization: str | None) -> Request:
    return request if authorization is None else replace(request, headers={**request.headers, "Authorization": authorization})
