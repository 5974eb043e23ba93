"""A conversation with a mail server that ends in time: however it drips, floods or hangs."""

import os
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from threading import Timer
from typing import Any, Final, Self

_READ: Final = 65_536


class MailDeadline:
    """An instant by which everything must be over: the socket that is held is shut down then, which wakes whoever waits for it.

    A limit for each read does not bound the whole. `monotonic` returns seconds that never go backwards.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds
        self._timer: Timer | None = None
        self._held: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._held is not None:
            self._held.close()

    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._monotonic() >= self._at

    def remaining(self) -> float:
        """Return the seconds that are left, more than 0. Raises TimeoutError where none are."""
        left = self._at - self._monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def hold(self, connected: socket.socket) -> None:
        """Have a socket shut down when time is up. Raises TimeoutError where it is up already."""
        # A descriptor of our own cannot come to mean another socket, whenever TLS or the session closes theirs.
        self._held = socket.socket(fileno=os.dup(connected.fileno()))
        self._timer = Timer(self.remaining(), _shut_down, (self._held,))
        self._timer.daemon = True
        self._timer.start()


class MailSession(smtplib.SMTP):
    """A conversation with a server, from its greeting on, in TLS from the beginning where `tls` is given.

    Making one raises smtplib.SMTPException or OSError.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, deadline: MailDeadline) -> None:
        self._tls = tls
        self._deadline = deadline
        try:
            super().__init__(host, port, _own_name(), deadline.remaining())
        except BaseException:
            self.close()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = _connect(host, port, self._deadline)
        try:
            self._deadline.hold(connected)
            connected.settimeout(timeout)
            return connected if self._tls is None else self._tls.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        """Return the code and words of an answer. Raises smtplib.SMTPServerDisconnected, also once the server has said too much."""
        if self.file is None and self.sock is not None:
            self.file: Any = _BoundedFile(self.sock)
        return super().getreply()


class _BoundedFile:
    """Reads lines from a socket, no more than _READ octets in all."""

    def __init__(self, connected: socket.socket) -> None:
        self._file = connected.makefile("rb")
        self._left = _READ

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise ConnectionError("the server says more than anybody needs to know")
        return line

    def close(self) -> None:
        self._file.close()


def _own_name() -> str:
    """Return how we greet: by the name of this machine, otherwise by an address (RFC 5321, 4.1.3); no DNS is asked, which could hang."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _connect(host: str, port: int, deadline: MailDeadline) -> socket.socket:
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        attempt = socket.socket(family, kind, protocol)
        try:
            attempt.settimeout(deadline.remaining())
            attempt.connect(address)
        except OSError as error:
            attempt.close()
            failure = error
        else:
            return attempt
    raise failure


def _shut_down(held: socket.socket) -> None:
    # It may have been closed by the server.
    with suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)
