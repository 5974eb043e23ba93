"""Small web sites on localhost: WSGI applications, each on its own port, served by threads of this process."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from werkzeug.serving import WSGIRequestHandler, make_server

from attribute_authority.errors import OperatorError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST: Final = "127.0.0.1"
# Below those that the system gives to outgoing connections, one of which might take a free port before we do.
_PORTS: Final = range(20_000, 32_000)


class _QuietRequests(WSGIRequestHandler):
    """Answers requests without writing a line about each."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's name
        if type == "error":
            super().log(type, message, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""


def listen(preferred: int | None = None) -> socket.socket:
    """Return a listening socket: on the preferred port, or where that is taken or None, on some free one.

    Raises OperatorError where no port is free.
    """
    choice = random.sample(_PORTS, len(_PORTS))
    for port in choice if preferred is None else (preferred, *choice):
        try:
            return socket.create_server((HOST, port))
        except OSError:
            continue
    raise OperatorError(f"none of the ports {_PORTS.start} to {_PORTS.stop - 1} is free")


def base_url(listener: socket.socket) -> str:
    """Return the address under which browsers reach what listens there."""
    return f"http://localhost:{listener.getsockname()[1]}"


@contextmanager
def serve(application: "WSGIApplication", where: int | socket.socket) -> Iterator[str]:
    """Serve an application on a port, or a socket from `listen`, until the context ends; gives its base URL.

    Raises OperatorError where the port is taken.
    """
    listener = where if isinstance(where, socket.socket) else _listen_on(where)
    with listener:
        server = make_server(
            HOST, listener.getsockname()[1], application, threaded=True, request_handler=_QuietRequests, fd=listener.fileno()
        )
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"site {base_url(listener)}", daemon=True)
        thread.start()
        try:
            yield base_url(listener)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _listen_on(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise OperatorError(f"port {port} is taken: {error.strerror}") from error
