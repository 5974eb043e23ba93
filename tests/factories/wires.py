"""Connections in memory: the HTTP of the back channel without sockets, with a clock that a test moves."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.threadpool import ThreadPool

from attribute_authority.web.back_channel import AttributeQueryResource, MetadataResource, back_channel_root
from attribute_authority.web.client_key import ClientKeys, TrustedProxies
from attribute_authority.web.http import BoundedSite, NothingHere
from attribute_authority.web.running import BoundedPool, Inline, Later, Runner
from attribute_authority.web.tls import TlsServer
from tests.factories.doors import Lab

T = TypeVar("T")

TIMEOUT = 30.0
MAX_BODY = 20_000
PATH = "/saml/attribute-query"
METADATA = b"<EntityDescriptor/>"
PEER = "192.0.2.1"


class Line(StringTransport):
    """A TCP connection as the server sees it; `closed` when either side ended it."""

    def __init__(self, peer: str = PEER) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 40000))
        self.aborted = False

    @property
    def closed(self) -> bool:
        """Whether the server has hung up."""
        return self.disconnecting or self.aborted

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Take what a real connection takes."""

    def abortConnection(self) -> None:
        """Hang up at once."""
        self.aborted = True


@dataclass(frozen=True, slots=True)
class Http:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A connection to a site: what is sent goes in, what comes back is read as HTTP answers."""

    def __init__(self, site: BoundedSite, peer: str = PEER) -> None:
        self.line = Line(peer)
        self.protocol: Any = site.buildProtocol(self.line.getPeer())
        self.protocol.makeConnection(self.line)

    def send(self, octets: bytes) -> None:
        """Send octets, unless the server has hung up."""
        if not self.line.closed:
            self.protocol.dataReceived(octets)

    def answers(self) -> list[Http]:
        """Return the answers so far."""
        return read_answers(self.line.value())

    def ask(self, octets: bytes) -> Http:
        """Send octets and return the one answer."""
        self.send(octets)
        (answer,) = self.answers()
        self.line.clear()
        return answer


def post(body: bytes, *headers: str, content_type: str | None = "text/xml", path: str = PATH) -> bytes:
    """Write a POST with Content-Length."""
    return request("POST", *headers, f"Content-Length: {len(body)}", content_type=content_type, path=path) + body


def request(method: str, *headers: str, content_type: str | None = "text/xml", path: str = PATH) -> bytes:
    """Write the head of a request."""
    media_type = () if content_type is None else (f"Content-Type: {content_type}",)
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: aa.example.org", *media_type, *headers, "", "")).encode("latin-1")


def read_answers(octets: bytes) -> list[Http]:
    """Cut what a server wrote into answers, each of which tells its length."""
    answers = []
    while octets:
        head, blank, rest = octets.partition(b"\r\n\r\n")
        assert blank, octets
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", len(rest)))
        answers.append(Http(int(first.split()[1]), headers, rest[:length]))
        octets = rest[length:]
    return answers


@dataclass(frozen=True, slots=True)
class Served:
    """A lab behind its HTTP site, and the clock of its time-outs."""

    lab: Lab
    site: BoundedSite
    clock: Clock

    def wire(self, peer: str = PEER) -> Wire:
        """Connect."""
        return Wire(self.site, peer)


def served(lab: Lab, *, runner: Runner | None = None, proxies: TrustedProxies | None = None) -> Served:
    """Put a lab behind HTTP."""
    clock = Clock()
    resource = AttributeQueryResource(lambda: lab.door, ClientKeys(proxies), runner or Inline(on_the_spot()))
    root = back_channel_root(resource, MetadataResource(lambda: METADATA), NothingHere())
    return Served(lab, BoundedSite(root, clock, timeout=TIMEOUT, max_body_bytes=MAX_BODY), clock)


class OnTheSpot(BoundedPool):
    """Does at once what is left for a thread."""

    def call(self, work: Callable[[], T], give_up: Callable[[str], T]) -> "Deferred[T]":
        """Do it."""
        return succeed(work())


def on_the_spot() -> BoundedPool:
    """Make a pool without threads."""
    return OnTheSpot(Clock(), ThreadPool(0, 1), 1.0)


def _whole(begun: T | Later[T]) -> T:
    return begun.finish() if isinstance(begun, Later) else begun


class Held:
    """A runner that keeps every delivery until the test lets it go."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def run(self, begin: Callable[[], T | Later[T]], give_up: Callable[[str], T]) -> "Deferred[T]":
        """Keep the delivery."""
        answered: Deferred[T] = Deferred()
        self.waiting.append(lambda: answered.callback(_whole(begin())))
        return answered

    def release(self) -> None:
        """Answer the oldest."""
        self.waiting.pop(0)()


class TlsWire(Wire):
    """A connection with TLS on both sides, OpenSSL's own, over memory."""

    def __init__(self, served: Served, server: TlsServer, context: ssl.SSLContext) -> None:
        self.line = Line()
        self._clock = served.clock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = context.wrap_bio(self._incoming, self._outgoing)
        self.protocol = TLSMemoryBIOFactory(server, False, served.site, served.clock).buildProtocol(self.line.getPeer())
        self.protocol.makeConnection(self.line)
        self._shake_hands()

    def send(self, octets: bytes) -> None:
        """Send octets through TLS."""
        self._client.write(octets)
        self._carry()

    def ask(self, octets: bytes) -> Http:
        """Send octets and return the one answer."""
        self.send(octets)
        received = b""
        try:
            while part := self._client.read(65536):
                received += part
        except ssl.SSLWantReadError:
            pass
        (answer,) = read_answers(received)
        return answer

    def _shake_hands(self) -> None:
        for _ in range(10):
            try:
                self._client.do_handshake()
            except ssl.SSLWantReadError:
                self._carry()
            else:
                self._carry()
                return
        raise AssertionError("the handshake does not end")

    def _carry(self) -> None:
        if octets := self._outgoing.read():
            self.protocol.dataReceived(octets)
        self._clock.advance(0)
        self._incoming.write(self.line.value())
        self.line.clear()
