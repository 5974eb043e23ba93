"""HTTP with limits: how long a request may take, how large it may be, and an end that finishes what is in hand."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

_TOO_LARGE: Final = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TEXT: Final = b"text/plain; charset=utf-8"
_NO_STORE: Final = (b"no-cache, no-store, must-revalidate, private",)


class Unasked(Enum):
    """Stands where nobody has looked yet."""

    UNASKED = "unasked"


class DeadlineChannel(HTTPChannel):
    """A connection whose next request must be complete within the time-out, however slowly its bytes trickle in.

    `client_key` is the public key of the TLS client once somebody has asked for it, None where the client has none.
    """

    site: "BoundedSite"
    client_key: bytes | Unasked | None = Unasked.UNASKED
    _draining = False

    def connectionMade(self) -> None:
        """Start the clock before the first byte, so that a half-open connection or TLS handshake ends too."""
        super().connectionMade()
        self.site.opened(self)

    def resetTimeout(self) -> None:
        """Leave the clock alone: bytes that arrive buy no time."""

    def pauseProducing(self) -> None:
        """Read no further while the client does not take its answers, also where one is being written just now.

        Twisted leaves the reading alone then, and a client that sends request upon request fills the memory with answers.
        """
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection."""
        super().connectionLost(reason)
        self.site.closed(self)

    def drain(self) -> None:
        """Close now if idle, otherwise once the request in hand, of which the first line has arrived, is answered."""
        self._draining = True
        if any(not request.finished for request in self.requests):
            self.persistent = False
            return
        self.loseConnection()

    def checkPersistence(self, request: HttpRequest, version: bytes) -> bool:
        """Whether another request may follow; none does when the service is about to end."""
        return not self._draining and bool(super().checkPersistence(request, version))

    def loseConnection(self) -> None:
        """Close the connection; at the end of the service without waiting for the TLS farewell, which a client at rest does not send."""
        super().loseConnection()
        # The channel's type knows only of plain connections.
        transport = cast("object", self.transport)
        if self._draining and isinstance(transport, TLSMemoryBIOProtocol) and transport.transport is not None:
            transport.transport.loseConnection()


class BoundedRequest(Request):
    """A request whose body is refused, and not kept, beyond the size that its site allows."""

    _received = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that is announced as too large before any of it is read."""
        # Length 0 keeps the body in memory: it is bounded, and names people, so it has no business in a temporary file.
        super().gotLength(0)
        if length is not None and length > self._limit:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Take in a part of the body, chunked or not."""
        self._received += len(data)
        if self._received > self._limit:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Serve a complete request."""
        if not self._refused:
            super().requestReceived(command, path, version)

    @property
    def _limit(self) -> int:
        return cast("DeadlineChannel", self.channel).site.max_body_bytes

    def _refuse(self) -> None:
        if not self._refused:
            self._refused = True
            channel = cast("DeadlineChannel", self.channel)
            channel.write(_TOO_LARGE)
            channel.loseConnection()


class BoundedSite(Site):
    """A site of bounded requests that knows its open connections.

    `timeout` is in seconds: how long a connection may take to bring a complete request, counted from its opening or from the
    previous answer; `max_body_bytes` is the largest body in octets.
    """

    # Twisted's default is a proxy that chooses between HTTP/1.1 and HTTP/2; its type knows nothing else.
    protocol = cast("type[_GenericHTTPChannelProtocol]", DeadlineChannel)

    def __init__(self, root: IResource, reactor: IReactorTime, *, timeout: float, max_body_bytes: int) -> None:
        super().__init__(root, BoundedRequest, parsePOSTFormSubmission=False, timeout=timeout, reactor=reactor)
        self.max_body_bytes = max_body_bytes
        self._channels: set[DeadlineChannel] = set()
        self._drained: Deferred[None] | None = None

    def startFactory(self) -> None:
        """Do without Twisted's access log: events are the log."""

    def log(self, request: HttpRequest) -> None:
        """Write no access log line."""

    def opened(self, channel: DeadlineChannel) -> None:
        """Note a connection."""
        self._channels.add(channel)

    def closed(self, channel: DeadlineChannel) -> None:
        """Forget a connection; the last one ends a drain."""
        self._channels.discard(channel)
        if self._drained is not None and not self._channels and not self._drained.called:
            self._drained.callback(None)

    def drain(self) -> "Deferred[None]":
        """Close idle connections, let busy ones finish; fires when none is left."""
        self._drained = Deferred()
        for channel in tuple(self._channels):
            channel.drain()
        if not self._channels and not self._drained.called:
            self._drained.callback(None)
        return self._drained


class PlainResource(Resource):
    """A resource that answers octets whole."""

    isLeaf = True
    methods: tuple[bytes, ...] = (b"GET", b"HEAD")

    def render(self, request: Request) -> bytes | int:
        """Serve one of `methods`; any other is refused with 405 and Allow (RFC 9110 section 15.5.6), a longer address with 404."""
        if request.postpath:
            return NothingHere().render(request)
        if request.method not in self.methods:
            request.responseHeaders.setRawHeaders(b"allow", (b", ".join(self.methods),))
            return self.reply(request, 405, _TEXT, b"")
        return cast("bytes | int", super().render(request))

    def reply(self, request: Request, status: int, content_type: bytes, body: bytes) -> bytes:
        """Set what every answer carries: length, media type, and that it must not be kept (bindings 3.2.3.2)."""
        request.setResponseCode(status)
        headers = request.responseHeaders
        headers.removeHeader(b"server")
        headers.setRawHeaders(b"content-type", (content_type,))
        headers.setRawHeaders(b"cache-control", _NO_STORE)
        headers.setRawHeaders(b"pragma", (b"no-cache",))
        headers.setRawHeaders(b"x-content-type-options", (b"nosniff",))
        headers.setRawHeaders(b"content-length", (b"%d" % len(body),))
        return body


class NothingHere(PlainResource):
    """What stands at every address that has nothing: 404, whatever the method."""

    def render(self, request: Request) -> bytes:
        """Say so."""
        return self.reply(request, 404, _TEXT, b"There is nothing at this address.\n")


class Branch(Resource):
    """A part of an address that leads on to others and is none itself."""

    def __init__(self, children: Mapping[bytes, IResource]) -> None:
        super().__init__()
        for name, child in children.items():
            self.putChild(name, child)

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Lead nowhere."""
        return NothingHere()

    def render(self, request: Request) -> bytes:
        """Say that there is nothing."""
        return NothingHere().render(request)
