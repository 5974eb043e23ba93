"""One request and its answer, over kept connections."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Final
from urllib.parse import SplitResult, urlsplit

from attribute_authority.errors import SinkUnavailable
from connectors._deadline import Deadline
from connectors._web_answer import ANSWER_LIMIT, Answer
from connectors._web_connections import Connection, Connections

_CLOSED_BY_PEER: Final = (RemoteDisconnected, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_KEY: Final = "idempotency-key"
_ALWAYS: Final = {"Accept-Encoding": "identity", "User-Agent": "orcid-attribute-authority"}


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; `limit` is how many octets of body its answer may have."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    limit: int = ANSWER_LIMIT

    @property
    def may_be_repeated(self) -> bool:
        """Whether it does no harm where the other side has taken it already."""
        return self.method in _IDEMPOTENT or any(name.lower() == _KEY for name in self.headers)


class _AnswerTooLarge(HTTPException):
    """An answer of success with a body beyond the limit."""


def exchange(connections: Connections, request: Request, deadline: Deadline) -> Answer:
    """Send a request and read the answer, whatever its status is. Raises SinkUnavailable, whose cause names the server and no path."""
    with _telling_failures(request.url):
        url = urlsplit(request.url)
        with connections.lend(url, deadline) as connection:
            return _read(connection, _ask(connection, url, request), request.limit)


def reach(connections: Connections, url: str, deadline: Deadline) -> None:
    """Connect to the server of a URL, and ask nothing. Raises SinkUnavailable."""
    with _telling_failures(url), connections.lend(urlsplit(url), deadline) as connection:
        if connection.is_fresh:
            connection.connect()


def server_of(url: str) -> str:
    """Return the host of a URL, with its port where it has one, as causes name it."""
    return urlsplit(url).netloc


@contextmanager
def _telling_failures(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException, UnicodeError) as failure:
        # Without the failure itself, which may quote what the other side said.
        raise SinkUnavailable(f"{server_of(url)}: {_describe(failure)}") from None


def _ask(connection: Connection, url: SplitResult, request: Request) -> HTTPResponse:
    if not connection.is_fresh and request.may_be_repeated:
        with suppress(*_CLOSED_BY_PEER):
            return _ask_once(connection, url, request)
        connection.close()
    return _ask_once(connection, url, request)


def _ask_once(connection: Connection, url: SplitResult, request: Request) -> HTTPResponse:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    if connection.is_fresh:
        connection.connect()
    # A server may answer before it has taken everything, and close: what it said is worth more than that it broke off.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(request.method, target, request.body, {**_ALWAYS, **request.headers})
    return connection.getresponse()


def _read(connection: Connection, response: HTTPResponse, limit: int) -> Answer:
    with response:
        body = response.read(limit + 1)
        if not response.isclosed():
            connection.close()
    if response.length and len(body) <= limit:
        raise IncompleteRead(body)
    # The page of a failure is told in excerpts anyway.
    if len(body) > limit and response.status < HTTPStatus.BAD_REQUEST:
        raise _AnswerTooLarge
    headers = {name.lower(): ", ".join(response.headers.get_all(name, ())) for name in response.headers}
    return Answer(response.status, headers, body[:limit])


def _describe(failure: Exception) -> str:
    match failure:
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate cannot be verified: {failure.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {failure.reason or type(failure).__name__}"
        case _AnswerTooLarge():
            return "the answer is larger than what is read of it"
        case RemoteDisconnected() | ConnectionError() if not failure.args or failure.errno is None:
            return "the connection was closed without an answer"
        case OSError():
            return f"cannot be reached: {failure.strerror or type(failure).__name__}"
        case _:
            return f"what it answered is no HTTP: {type(failure).__name__}"
