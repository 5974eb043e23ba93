"""Connecting to an HTTP server, and reading its answer, under one deadline."""

import io
import socket
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from connectors._deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a socket that is connected to one of a host's addresses. Raises OSError; TimeoutError where the deadline has passed."""
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        attempt = socket.socket(family, kind, protocol)
        try:
            attempt.settimeout(deadline.remaining())
            attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            attempt.connect(address)
        except OSError as error:
            attempt.close()
            failure = error
        else:
            return attempt
    raise failure


class BoundedResponse(HTTPResponse):
    """An answer whose status line, headers and body are all read under the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, deadline))


class _BoundedReader(io.RawIOBase):
    """Reads a socket, each time with no more patience than is left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        self._sock.settimeout(self._deadline.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
