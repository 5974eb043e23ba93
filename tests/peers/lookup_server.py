"""A lookup door that gives whatever answer a test wants, over TLS, and remembers what it was asked."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from attribute_authority.keys import make_key
from tests.peers.lab import KeyPair

_DEADLINE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to be given; without `length` the body comes in chunks, and with another than its own it is cut off."""

    body: bytes
    status: int = 200
    media_type: str = "application/json"
    length: int | None = -1
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class LookupServer:
    """A running server: `answer` is what the next request gets (None: nothing, as long as it waits), `asked` what came so far."""

    url: str = ""
    keys: KeyPair = field(init=False)
    answer: Answer | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    released: Event = field(default_factory=Event)


@contextmanager
def lookup_server(directory: Path) -> Iterator[LookupServer]:
    """Run a server on a free port of localhost, with a fresh certificate below `directory`."""
    with _Server(("127.0.0.1", 0), _Responder) as server:
        server.told.keys = make_localhost_keys(directory, "lookup")
        server.told.url = f"https://localhost:{server.server_port}/api/v1/orcid"
        server.socket = _context(server.told.keys).wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.told
        finally:
            server.told.released.set()
            server.shutdown()
            thread.join(_DEADLINE_SECONDS)


def make_localhost_keys(directory: Path, name: str) -> KeyPair:
    """Write a fresh key and a self-signed certificate for localhost."""
    made = make_key("localhost", datetime.now(UTC), ("localhost",), bits=2048)
    pair = KeyPair(directory / f"{name}.key", directory / f"{name}.crt")
    pair.key.write_bytes(made.key)
    pair.certificate.write_bytes(made.certificate)
    return pair


def _context(keys: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.certificate, keys.key)
    return context


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], responder: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, responder)
        self.told = LookupServer()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that turn away from us are what tests are about."""


class _Responder(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        told = self.server.told
        told.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.close_connection = True
        if told.answer is None:
            told.released.wait(_DEADLINE_SECONDS)
            return
        self._give(told.answer)

    def _give(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.length is None:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer.body), answer.body)
        else:
            self.send_header("Content-Length", str(len(answer.body) if answer.length < 0 else answer.length))
            body = answer.body
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives
        """Say nothing."""
