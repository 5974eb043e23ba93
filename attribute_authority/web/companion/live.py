"""Streams of how deliveries go on, as server-sent events (HTML Living Standard section 9.2); none of them holds a thread."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request
from werkzeug import Response

from attribute_authority.web.companion.front import UNDER_WAY
from attribute_authority.web.http import BoundedSite

LIVE: Final = "/deliveries/live"
"""Where browsers ask for a stream."""

FRAGMENT: Final = "/deliveries"
"""Where the application makes what a stream shows."""

RETRY_AFTER_SECONDS: Final = 60

_STREAMS: Final = 256
_STREAMS_OF_A_SESSION: Final = 4
"""A browser has six connections to a host (HTTP/1.1); two of them are left for pages."""

_PACE_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 15.0
"""How long nothing is asked when something is away, and how long a line may be silent: proxies give up silent ones."""

_LONGEST_SECONDS: Final = 600.0
_RECONNECT_MILLISECONDS: Final = 3_000
_MEDIA_TYPE: Final = "text/event-stream"


def wants_stream(environ: dict[str, Any]) -> bool:
    """Whether a request (PEP 3333) is for a stream, and can take one."""
    accepted: str = environ.get("HTTP_ACCEPT", "")
    return environ["PATH_INFO"] == LIVE and environ["REQUEST_METHOD"] == "GET" and _MEDIA_TYPE in accepted


class Stream:
    """One answer that goes on until nothing is under way any more, the session is over, the browser has gone, or its time is up.

    `make` has the application say how the deliveries are, and never fails.
    """

    def __init__(self, request: Request, reactor: IReactorTime, make: "Callable[[], Deferred[Response]]") -> None:
        self._request = request
        self._reactor = reactor
        self._make = make
        self._shown = b""
        self._timers: dict[str, Any] = {}
        self._over = False

    def begin(self, first: Response) -> None:
        """Send the head, and what the application has said first."""
        self._request.setResponseCode(200)
        headers = self._request.responseHeaders
        headers.removeHeader("server")
        for name, value in first.headers.items():
            # What every page carries. A cookie was set with the page, and the length is nobody's.
            if name.lower() not in ("content-length", "set-cookie", UNDER_WAY.lower()):
                headers.setRawHeaders(name, [value])
        headers.setRawHeaders("content-type", [_MEDIA_TYPE])
        headers.setRawHeaders("cache-control", ["no-store"])
        headers.setRawHeaders("x-accel-buffering", ["no"])
        self._request.write(b"retry: %d\n\n" % _RECONNECT_MILLISECONDS)
        self._later("end", _LONGEST_SECONDS, self.end)
        self._later("heartbeat", _PAUSE_SECONDS, self._beat)
        self._show(first)

    def end(self) -> None:
        """Finish the answer; a browser that still wants to know comes back."""
        if not self.abandon():
            self._request.finish()

    def abandon(self) -> bool:
        """Stop, because the browser has gone; returns whether the stream was over already."""
        was_over, self._over = self._over, True
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        return was_over

    def _show(self, response: Response) -> None:
        if self._over:
            return
        if response.status_code >= 500:
            self._later("next", _PAUSE_SECONDS, self._ask)
            return
        if response.status_code != 200:
            self._say_done()
            return
        fragment = response.get_data()
        if fragment != self._shown:
            self._shown = fragment
            self._request.write(b"".join(b"data: %s\n" % line for line in fragment.splitlines()) + b"\n")
        if response.headers.get(UNDER_WAY) == "no":
            self._say_done()
            return
        self._later("next", _PACE_SECONDS, self._ask)

    def _say_done(self) -> None:
        # An event without data is passed over by browsers.
        self._request.write(b"event: done\ndata: done\n\n")
        self.end()

    def _ask(self) -> None:
        self._make().addCallback(self._show)

    def _beat(self) -> None:
        self._request.write(b":\n\n")
        self._later("heartbeat", _PAUSE_SECONDS, self._beat)

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self._timers[name] = self._reactor.callLater(seconds, work)


class Streams:
    """The streams of a worker, so many of them at most, and so many of one session."""

    def __init__(self) -> None:
        self._open: dict[Stream, str] = {}
        self._ended = False

    def begin(self, stream: Stream, session: str, gone: "Deferred[None]", first: Response) -> bool:
        """Begin a stream and keep it until the browser has gone or it has ended; False where there are too many."""
        present = list(self._open.values())
        if self._ended or len(present) >= _STREAMS or present.count(session) >= _STREAMS_OF_A_SESSION:
            return False
        self._open[stream] = session

        def forget(_: object) -> None:
            stream.abandon()
            del self._open[stream]

        gone.addBoth(forget)
        stream.begin(first)
        return True

    def end(self) -> None:
        """End every stream, and begin none any more."""
        self._ended = True
        for stream in tuple(self._open):
            stream.end()


class StreamingSite(BoundedSite):
    """A site whose streams end first when it does, so that none of them holds up the end of the service."""

    def __init__(self, root: IResource, reactor: IReactorTime, streams: Streams, *, timeout: float, max_body_bytes: int) -> None:
        super().__init__(root, reactor, timeout=timeout, max_body_bytes=max_body_bytes)
        self._streams = streams

    def drain(self) -> "Deferred[None]":
        """End the streams, then drain."""
        self._streams.end()
        return super().drain()
