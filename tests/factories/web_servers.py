"""A strict web server on 127.0.0.1: it is told what will be asked, in which order for each address, and what it shall answer.

    with strict_server() as server:
        server.expect("POST", "/people", Reply(201))
        ...
    assert server.received[0].json == {...}

Whatever comes unexpected, or is expected and does not come, fails the block at its end.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Event, Lock, Thread
from typing import Any

from attribute_authority.keys import FreshKey, make_key

_ARRIVAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """A request that came; the names of its headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """An ordinary answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Octets:
    """These octets instead of an answer, and then the end of the connection; by default nothing but the end."""

    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Drip:
    """The start of an answer, and then drop after drop, each well before a reader would give up, for as long as somebody reads."""

    start: bytes
    drop: bytes
    seconds: float = 0.02


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing at all, on a connection that stays."""


Behaviour = Reply | Octets | Drip | Silence
Answering = Behaviour | Callable[[Received], Behaviour]


@dataclass(frozen=True, slots=True)
class PemPair:
    """The files of a key and its self-signed certificate, which is its own authority."""

    key: Path
    certificate: Path

    @property
    def table(self) -> dict[str, str]:
        """As a configuration has it."""
        return {"key": str(self.key), "certificate": str(self.certificate)}


def pem_pair(directory: Path, name: str, host: str | None = None) -> PemPair:
    """Write a key and certificate; `host` is under which name TLS will be spoken, by default the same."""
    fresh = _key(name, host or name)
    pair = PemPair(directory / f"{name}.key", directory / f"{name}.crt")
    pair.key.write_bytes(fresh.key)
    pair.certificate.write_bytes(fresh.certificate)
    return pair


@lru_cache
def _key(name: str, host: str) -> FreshKey:
    return make_key(name, datetime.now(UTC), (host,), 2048)


def server_tls(own: PemPair, client_authority: Path | None = None) -> ssl.SSLContext:
    """Return how a server does TLS; with `client_authority` it lets nobody in without a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority)
    return context


class StrictServer:
    """What the server was told, and what came. `url` is its address without a slash at the end.

    `otherwise` is what anything is answered with that is not expected, for a server that plays a whole service.
    """

    def __init__(self, listener: "_Listener") -> None:
        self._listener = listener
        scheme = "http" if listener.tls is None else "https"
        self.url = f"{scheme}://localhost:{listener.server_address[1]}"
        self.received: list[Received] = []
        self.otherwise: Answering | None = None
        self.faults: list[str] = []
        self._expected: list[tuple[str, str, Answering]] = []
        self._lock = Lock()

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._listener.accepted

    def await_connections(self, count: int) -> int:
        """Wait until so many were accepted, which a client need not notice; returns how many there are."""
        with self._listener.arrival:
            self._listener.arrival.wait_for(lambda: self._listener.accepted >= count, _ARRIVAL_SECONDS)
        return self.connections

    def expect(self, method: str, target: str, answering: Answering = Reply(), times: int = 1) -> None:
        """Expect a request for that path and query, so many times."""
        with self._lock:
            self._expected += [(method, target, answering)] * times

    def close_connections(self) -> None:
        """Close every connection that is open, as a server does with those that nobody uses."""
        self._listener.close_connections()

    def take(self, request: Received) -> Behaviour:
        """Note a request, and return what is to be answered."""
        with self._lock:
            self.received.append(request)
            for expected in self._expected:
                method, target, answering = expected
                if (method, target) == (request.method, request.target):
                    self._expected.remove(expected)
                    break
            else:
                answering = self._unexpected(request)
        return answering(request) if callable(answering) else answering

    def _unexpected(self, request: Received) -> Answering:
        if self.otherwise is not None:
            return self.otherwise
        self.faults.append(f"unexpected: {request.method} {request.target}")
        return Reply(500)

    def verify(self) -> None:
        """Raise AssertionError where something else came than what was expected."""
        assert not self.faults, self.faults
        assert not self._expected, [f"did not come: {method} {target}" for method, target, _ in self._expected]


@contextmanager
def strict_server(tls: ssl.SSLContext | None = None) -> Iterator[StrictServer]:
    """Run such a server until the context ends, and have it verified then."""
    with _Listener(tls) as listener:
        server = listener.server = StrictServer(listener)
        thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.over.set()
            listener.shutdown()
            thread.join()
            listener.close_connections()
    server.verify()


class _Listener(ThreadingHTTPServer):
    """Accepts connections, and knows those that are open."""

    request_queue_size = 64
    daemon_threads = False
    server: StrictServer

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = tls
        self.accepted = 0
        self.arrival = Condition()
        self.over = Event()
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        # The handshake is made by the thread that reads.
        ours = connection if self.tls is None else self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._open.add(ours)
        with self.arrival:
            self.accepted += 1
            self.arrival.notify_all()
        return ours, address

    def close_connections(self) -> None:
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that go away, or are not let in, are what tests are about.
        return


class _Handler(BaseHTTPRequestHandler):
    """Reads a request whole, asks what to answer, and does."""

    protocol_version = "HTTP/1.1"
    server: _Listener
    disable_nagle_algorithm = True
    # An answer in one piece.
    wbufsize = -1

    def handle_one_request(self) -> None:
        with suppress(OSError):
            super().handle_one_request()
            return
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Write nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.command, self.path, headers, body)
        match self.server.server.take(request):
            case Reply(status, answer, more):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"" if status == 204 else answer)
            case Octets(octets):
                self.wfile.write(octets)
                self.close_connection = True
            case Drip(start, drop, seconds):
                self.wfile.write(start)
                self.wfile.flush()
                while not self.server.over.wait(seconds):
                    self.wfile.write(drop)
                    self.wfile.flush()
                self.close_connection = True
            case Silence():
                self.server.over.wait()
                self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer
