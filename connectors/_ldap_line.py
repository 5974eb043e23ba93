"""A connection to a directory server on which nothing can hang and nothing can grow: the sockets that ldap3 is given.

The time-outs of ldap3 itself are whole seconds, and count for each single read; a server that drips octets would hold a thread for ever.
"""

import select
import socket
import ssl
from typing import Final

from connectors._connecting import connect
from connectors._deadline import Deadline

ANSWER_LIMIT: Final = 65_536
"""Octets that a server may send in answer to one request."""


class AnswerTooLarge(OSError):
    """A server sends more than is read of one answer."""


class Line:
    """A connection of which every read and write ends by a deadline. Used by one thread at a time."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self._allowance = ANSWER_LIMIT
        self.failure: OSError | None = None

    def begin(self, deadline: Deadline, limit: int = ANSWER_LIMIT) -> None:
        """Set the deadline of the next request, and how many octets may answer it."""
        self._deadline = deadline
        self._allowance = limit

    def recv(self, size: int) -> bytes:
        """Read up to `size` octets; none where the server has hung up. Raises OSError, which is kept as `failure`."""
        try:
            self._socket.settimeout(self._deadline.remaining())
            received = self._socket.recv(size)
            self._allowance -= len(received)
            if self._allowance < 0:
                raise AnswerTooLarge("the answer is too large")
        except OSError as failure:
            self.failure = failure
            raise
        return received

    def sendall(self, octets: bytes) -> None:
        """Write all octets. Raises OSError, which is kept as `failure`."""
        unsent = memoryview(octets)
        try:
            while unsent:
                self._socket.settimeout(self._deadline.remaining())
                unsent = unsent[self._socket.send(unsent) :]
        except OSError as failure:
            self.failure = failure
            raise

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from here on, with a server that proves to be `host`. Raises OSError."""
        self._socket.settimeout(self._deadline.remaining())
        # A handshake has one time-out for all of it, which is that of the socket.
        self._socket = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._socket.settimeout(self._deadline.remaining())
        self._socket.do_handshake()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: an idle server that says anything hangs up."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return not waiting.poll(0)

    def shutdown(self, _how: int) -> None:
        """Do nothing: `close` says all there is to say. ldap3 calls it first."""

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def open_line(host: str, port: int, deadline: Deadline) -> Line:
    """Connect to the first address of `host` that answers. Raises OSError, UnicodeError."""
    return Line(connect(host, port, deadline), deadline)
