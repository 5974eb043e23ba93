"""Connecting to somebody else's server under a deadline that holds for the name too."""

import socket
from concurrent.futures import Future
from threading import Thread
from typing import Any

from connectors._deadline import Deadline

_Address = tuple[Any, ...]
"""An entry of socket.getaddrinfo."""


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address of `host` that answers. Raises OSError, TimeoutError where the deadline has passed, UnicodeError."""
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in _addresses(host, port, deadline):
        attempt = socket.socket(family, kind, protocol)
        try:
            attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            attempt.settimeout(deadline.remaining())
            attempt.connect(address)
        except OSError as error:
            attempt.close()
            failure = error
        else:
            return attempt
    raise failure


def _addresses(host: str, port: int, deadline: Deadline) -> list[_Address]:
    """Return the addresses of a name, asked for on a thread that can be left behind: resolving one cannot be interrupted."""
    resolved: Future[list[_Address]] = Future()

    def resolve() -> None:
        try:
            resolved.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as failure:
            resolved.set_exception(failure)

    Thread(target=resolve, name="name-resolution", daemon=True).start()
    return resolved.result(deadline.remaining())
