"""Connections to web servers that are kept and shared by threads, each exchange under a deadline of its own."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ECONNABORTED
from functools import partial
from http.client import HTTPConnection
from select import POLLIN, poll
from threading import BoundedSemaphore, Lock
from typing import Any, Final
from urllib.parse import SplitResult

from connectors._connecting import connect
from connectors._deadline import Deadline
from connectors._http_bounds import BoundedResponse

_PORTS: Final = {"http": 80, "https": 443}
_PIECE: Final = 16_384


class Connection(HTTPConnection):
    """A connection to a web server; `deadline` is that of the exchange under way."""

    response_class: Any

    def __init__(self, url: SplitResult, trust: ssl.SSLContext, deadline: Deadline) -> None:
        self.default_port = _PORTS[url.scheme]
        super().__init__(url.hostname or "", url.port or self.default_port)
        self.origin = origin_of(url)
        self._trust = trust if url.scheme == "https" else None
        self.expect(deadline)

    def expect(self, deadline: Deadline) -> None:
        """Have everything end by this instant from now on."""
        self.deadline = deadline
        self.response_class = partial(BoundedResponse, deadline=deadline)

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was ever sent on it."""
        return self.sock is None

    def connect(self) -> None:
        """Connect, with TLS where that is the scheme. Raises OSError."""
        self.sock = connect(self.host, self.port, self.deadline)
        if self._trust is not None:
            self.sock.settimeout(self.deadline.remaining())
            self.sock = self._trust.wrap_socket(self.sock, server_hostname=self.host)

    def send(self, data: Any) -> None:
        """Send octets, connecting first where there is no connection. Raises OSError."""
        if self.sock is None:
            self.connect()
        for start in range(0, len(data), _PIECE):
            # Across pieces a socket would count anew.
            self.sock.settimeout(self.deadline.remaining())
            self.sock.sendall(data[start : start + _PIECE])


class Connections:
    """At most `size` open connections, whichever servers they lead to; whoever wants one more waits."""

    def __init__(self, size: int, trust: ssl.SSLContext) -> None:
        self._size = size
        self._trust = trust
        self._places = BoundedSemaphore(size)
        self._lock = Lock()
        self._lent = 0
        self._kept: list[Connection] = []
        self._closed = False

    @contextmanager
    def lend(self, url: SplitResult, deadline: Deadline) -> Iterator[Connection]:
        """Lend a connection to the server of a URL, a kept one where there is one.

        Where the block raises it is closed. Raises OSError: TimeoutError where none is free in time.
        """
        if not self._places.acquire(timeout=deadline.remaining()):
            raise TimeoutError("no connection became free in time")
        try:
            connection = self._take(url, deadline)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            finally:
                self._give_back(connection)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close what is kept now, and the others when they come back."""
        with self._lock:
            self._closed = True
            for connection in self._kept:
                connection.close()
            self._kept.clear()

    def _take(self, url: SplitResult, deadline: Deadline) -> Connection:
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError(ECONNABORTED, "no connections are made any more")
            self._lent += 1
            for connection in reversed(self._kept):
                if connection.origin == origin_of(url):
                    self._kept.remove(connection)
                    break
            else:
                connection = Connection(url, self._trust, deadline)
                self._make_room()
        connection.expect(deadline)
        if connection.sock is not None and _was_left(connection):
            connection.close()
        return connection

    def _make_room(self) -> None:
        while self._kept and self._lent + len(self._kept) > self._size:
            self._kept.pop(0).close()

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._lent -= 1
            if connection.sock is None:
                return
            if self._closed:
                connection.close()
            else:
                self._kept.append(connection)


def origin_of(url: SplitResult) -> tuple[str, str, int]:
    """Return which server a URL names."""
    return (url.scheme, url.hostname or "", url.port or _PORTS[url.scheme])


def _was_left(connection: Connection) -> bool:
    # Nothing is to be read between exchanges but the end.
    poller = poll()
    poller.register(connection.sock, POLLIN)
    return bool(poller.poll(0))
