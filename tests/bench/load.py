"""The load: TLS connections that each send the next query as soon as their last is answered, on one thread and one core.

It checks that every answer is the right one, and does as little else as it can, because it shares the machine with what it measures.
"""

import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.bench.queries import Query
from tests.peers.lab import KeyPair

_DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Burst:
    """What sending a batch of queries gave: wall time in seconds, and the latency of each query in seconds."""

    seconds: float
    latencies: tuple[float, ...]


class WrongAnswer(AssertionError):
    """A server answered with something else than the iD of the person that was asked about; figures of it mean nothing."""


def send_over_kept_connections(url: str, queries: Sequence[Query], connections: int, client: KeyPair | None = None) -> Burst:
    """Send all queries over so many connections, each with one query under way, with the TLS client key of `client`.

    With one connection the latencies are in the order of the queries. Raises WrongAnswer.
    """
    waiting = iter([(_request(url, query), query.expected) for query in queries])
    poll = select.epoll()
    lines = {}
    for connection in (_connect(url, _client_context(client)) for _ in range(connections)):
        connection.setblocking(False)
        poll.register(connection, select.EPOLLIN)
        lines[connection.fileno()] = _Line(connection)
    started = time.perf_counter()
    latencies = _exchange(poll, lines, waiting)
    seconds = time.perf_counter() - started
    for line in lines.values():
        line.connection.close()
    poll.close()
    return Burst(seconds, tuple(latencies))


def send_over_new_connections(url: str, queries: Sequence[Query], *, resume: bool) -> Burst:
    """Send each query over a connection of its own, one after another; with `resume` in the last TLS session. Raises WrongAnswer."""
    context = _client_context()
    session: ssl.SSLSession | None = None
    latencies = []
    for query in queries:
        started = time.perf_counter()
        with _connect(url, context, session) as connection:
            connection.sendall(_request(url, query))
            _check(_receive_one(connection), query.expected)
            if resume and session is not None and not connection.session_reused:
                raise WrongAnswer("the server did not resume the TLS session")
            session = connection.session if resume else None
        latencies.append(time.perf_counter() - started)
    return Burst(sum(latencies), tuple(latencies))


class _Line:
    """One kept connection: what it waits for, and what has come so far."""

    __slots__ = ("_received", "_size", "connection", "expected", "sent_at")

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self.expected = b""
        self.sent_at = 0.0
        self._received = b""
        self._size = 0

    def send(self, request: bytes, expected: bytes) -> None:
        """Send the next request; even a batch is far smaller than the socket's buffer."""
        self.expected, self._received, self._size = expected, b"", 0
        self.sent_at = time.perf_counter()
        if self.connection.send(request) != len(request):
            raise WrongAnswer("the server does not read")

    def take(self) -> bytes | None:
        """Read what there is; returns the whole answer when it is complete, otherwise None."""
        try:
            while chunk := self.connection.recv(65536):
                self._received += chunk
                self._size = self._size or _size_of(self._received)
                if self._size and len(self._received) >= self._size:
                    return self._received
        except ssl.SSLWantReadError:
            return None
        raise WrongAnswer("the server closed the connection")


def _exchange(poll: select.epoll, lines: dict[int, _Line], waiting: Iterator[tuple[bytes, bytes]]) -> list[float]:
    latencies = []
    under_way = 0
    for line, (request, expected) in zip(lines.values(), waiting, strict=False):
        line.send(request, expected)
        under_way += 1
    while under_way:
        ready = poll.poll(_DEADLINE)
        if not ready:
            raise WrongAnswer(f"no answer within {_DEADLINE:.0f} s")
        for descriptor, _ in ready:
            line = lines[descriptor]
            answer = line.take()
            if answer is None:
                continue
            latencies.append(time.perf_counter() - line.sent_at)
            _check(answer, line.expected)
            following = next(waiting, None)
            if following is None:
                under_way -= 1
            else:
                line.send(*following)
    return latencies


def _client_context(client: KeyPair | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the figures are about the server, and its key is made for this run
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    return context


def _connect(url: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    parts = urlsplit(url)
    plain = socket.create_connection((parts.hostname, parts.port), timeout=_DEADLINE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=parts.hostname, session=session)


def _request(url: str, query: Query) -> bytes:
    parts = urlsplit(url)
    method, length = ("POST", f"Content-Length: {len(query.body)}\r\n") if query.body else ("GET", "")
    head = f"{method} {query.target or parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{query.headers}{length}\r\n"
    return head.encode() + query.body


def _receive_one(connection: ssl.SSLSocket) -> bytes:
    received = b""
    while not (size := _size_of(received)) or len(received) < size:
        chunk = connection.recv(65536)
        if not chunk:
            raise WrongAnswer("the server closed the connection")
        received += chunk
    return received


def _size_of(received: bytes) -> int:
    """Size in bytes of the whole answer, or 0 while its head has not come."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if not end:
        return 0
    length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return len(head) + 4 + int(length)


def _check(answer: bytes, expected: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200 ") or expected not in answer:
        raise WrongAnswer(f"expected {expected!r} in the answer, got {answer[:2000]!r}")
