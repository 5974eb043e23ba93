"""A system of the home organisation that takes iDs over HTTP and outlives everything else; it can be stopped, and can fall silent."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote

from tests.peers.postgresql import free_port

_TAKES = (0.0, 0.01, 0.2)
"""Seconds that requests take, in turn: the slow ones are overtaken where nobody waits for them."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What was taken: about whom, by the ePPN, and the iD that the person has since."""

    person: str
    reference: str
    orcid: str | None


class Target:
    """What the system was told; `faults` are sentences about what should not have come as it came."""

    def __init__(self) -> None:
        self.port = free_port()
        self.arrivals: list[Arrival] = []
        self.faults: list[str] = []
        self.requests = 0
        self.is_silent = False
        self._under_way: set[str] = set()
        self._lock = Lock()
        self._listener: _Listener | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """The address of somebody's iD, as a configuration has it."""
        return f"http://127.0.0.1:{self.port}/people/{{eppn}}/orcid"

    @property
    def present(self) -> dict[str, str | None]:
        """Return what everybody has there."""
        return {arrival.person: arrival.orcid for arrival in self.arrivals}

    def start(self) -> None:
        """Listen."""
        self._listener = _Listener(self)
        self._thread = Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more, and break off whatever is under way."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._thread.join()
        self._listener.close_connections()
        self._listener.server_close()
        self._listener = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Be away for a while: nobody listens."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Answer nothing for a while, on connections that stand; every other request is taken all the same."""
        self.is_silent = True
        try:
            yield
        finally:
            self.is_silent = False

    @contextmanager
    def under_way(self, person: str) -> Iterator[int]:
        """Work on a request; returns its number. Two about one person at a time are a fault."""
        with self._lock:
            self.requests += 1
            if person in self._under_way:
                self.faults.append(f"two requests about {person} at a time")
            self._under_way.add(person)
            number = self.requests
        try:
            yield number
        finally:
            with self._lock:
                self._under_way.discard(person)

    def take(self, arrival: Arrival) -> None:
        """Have what was told."""
        with self._lock:
            self.arrivals.append(arrival)


class _Listener(ThreadingHTTPServer):
    """Accepts connections, and knows those that are open."""

    request_queue_size = 64
    daemon_threads = False

    def __init__(self, target: Target) -> None:
        super().__init__(("127.0.0.1", target.port), _Handler)
        self.target = target
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def close_connections(self) -> None:
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that are killed are what this is for.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_one_request(self) -> None:
        with suppress(OSError):
            super().handle_one_request()
            return
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Write nothing."""

    def do_PUT(self) -> None:
        target, length = self.server.target, int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # Whoever sent it was killed over it.
            self.close_connection = True
            return
        person = unquote(self.path.split("/")[2])
        told = Arrival(person, self.headers["Idempotency-Key"].strip('"'), json.loads(body)["orcid"])
        with target.under_way(person) as number:
            # Of what nobody waits for any more, or will wait for in vain, every other one is taken all the same.
            is_waited_for = not target.is_silent and not self._is_left_within(_TAKES[number % len(_TAKES)])
            if is_waited_for or number % 2:
                target.take(told)
            if not is_waited_for:
                self._is_left_within(None)
                self.close_connection = True
                return
        self.send_response(204)
        self.end_headers()

    def _is_left_within(self, seconds: float | None) -> bool:
        """Whether whoever asks is gone before so many seconds are over; without a number wait until then."""
        return bool(select.select([self.connection], [], [], seconds)[0])
