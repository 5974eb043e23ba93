"""Reading the answer of an HTTP server under one deadline."""

import io
import socket
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from connectors._deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


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
