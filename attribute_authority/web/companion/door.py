"""The door of the companion page on Twisted: requests go to a bounded pool of threads, and an answer comes within the deadline."""

import re
from collections.abc import Callable, Sequence
from io import BytesIO
from threading import BoundedSemaphore, Event
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from twisted.internet.defer import Deferred, DeferredSemaphore, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from werkzeug import Response

from attribute_authority.web.companion import live
from attribute_authority.web.companion.app import Companion
from attribute_authority.web.companion.forms import PageRequest

_HOP_BY_HOP: Final = frozenset({"content-type", "content-length", "transfer-encoding"})
_AUTHORITY: Final = re.compile(rb"\Ahttps?://[^/?]*", re.IGNORECASE)
_PLACES: Final = 128
"""Requests that a worker has in hand, most of them waiting; without an end to them a slow database would fill the memory."""

_ASKING_STREAMS: Final = 4
"""Streams that are on a thread at a time; however many there are, the other threads are for pages."""


class CompanionDoor(Resource):
    """Answers every address by the application; `deadline` is in seconds.

    `reactor` provides IReactorTime and IReactorFromThreads. `find_application` returns the application, which a reload may replace.
    """

    isLeaf = True

    def __init__(self, reactor: Any, pool: ThreadPool, find_application: Callable[[], Companion], deadline: float) -> None:
        super().__init__()
        self._reactor = reactor
        self._pool = pool
        self._find_application = find_application
        self._deadline = deadline
        self._places = BoundedSemaphore(_PLACES)
        self._asking = DeferredSemaphore(_ASKING_STREAMS)
        self.streams = live.Streams()

    def render(self, request: Request) -> int:
        """Answer, later."""
        application = self._find_application()
        environ = make_environ(request, application.parts.base_url)
        gone = request.notifyFinish()
        if live.wants_stream(environ):
            answered = self._answer(application, {**environ, "PATH_INFO": live.FRAGMENT}, gone)
            answered.addCallback(lambda response: self._stream(request, gone, response, environ))
        else:
            answered = self._answer(application, environ, gone)
            answered.addCallback(lambda response: _send(request, gone, response, environ))
        answered.addErrback(lambda failure: _crashed(request, gone, application, failure))
        return NOT_DONE_YET

    def _stream(self, request: Request, gone: "Deferred[None]", first: Response, environ: dict[str, Any]) -> None:
        if first.status_code != 200 or gone.called:
            _send(request, gone, first, environ)
            return
        application, over = self._find_application(), Event()
        gone.addBoth(lambda _: over.set())
        session = application.parts.cookies.session(PageRequest(environ)) or ""
        stream = live.Stream(request, self._reactor, lambda: self._ask_again({**environ, "PATH_INFO": live.FRAGMENT}, over))
        if not self.streams.begin(stream, session, gone, first):
            refusal = application.too_busy(environ)
            refusal.headers["Retry-After"] = str(live.RETRY_AFTER_SECONDS)
            _send(request, gone, refusal, environ)

    def _ask_again(self, environ: dict[str, Any], over: Event) -> "Deferred[Response]":
        application = self._find_application()

        def make() -> Response:
            return Response(status=503) if over.is_set() else Response.from_app(application, environ, buffered=True)

        def fail(failure: Failure) -> Response:
            application.parts.events.fault("defect", traceback=failure.getTraceback())
            return Response(status=500)

        asked: Deferred[Response] = self._asking.run(deferToThreadPool, self._reactor, self._pool, make)
        return asked.addErrback(fail)

    def _answer(self, application: Companion, environ: dict[str, Any], gone: "Deferred[None]") -> "Deferred[Response]":
        if not self._places.acquire(blocking=False):
            return maybeDeferred(application.too_busy, environ)
        over = Event()
        gone.addErrback(lambda _: over.set())
        answered: Deferred[Response] = deferToThreadPool(self._reactor, self._pool, self._respond, application, environ, over)

        def give_up(*_: object) -> Any:
            over.set()
            return maybeDeferred(application.too_slow, environ)

        return answered.addTimeout(self._deadline, self._reactor, give_up)

    def _respond(self, application: Companion, environ: dict[str, Any], over: Event) -> Response:
        try:
            # A step begins only while somebody waits for it: what has piled up behind a slow database is not worked off.
            return Response(status=503) if over.is_set() else Response.from_app(application, environ, buffered=True)
        finally:
            self._places.release()


def make_environ(request: Request, base_url: str) -> dict[str, Any]:
    """Put a request into a WSGI environment (PEP 3333); what it says of our own address is the configured one, never the Host header."""
    # A proxy may send the whole address (RFC 9112 section 3.2.2).
    path, _, query = _AUTHORITY.sub(b"", request.uri).partition(b"?")
    address = urlsplit(base_url)
    content = b"" if request.content is None else request.content.read()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method.decode("latin-1"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": address.hostname or "localhost",
        "SERVER_PORT": str(address.port or (443 if address.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.getClientAddress().host if hasattr(request.getClientAddress(), "host") else "",
        "CONTENT_TYPE": _joined("CONTENT-TYPE", _values(request.requestHeaders.getRawHeaders(b"content-type", ()))),
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": address.scheme,
        "wsgi.input": BytesIO(content),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, values in request.requestHeaders.getAllRawHeaders():
        key = name.decode("latin-1").upper()
        # An underscore in a name would pass for the hyphen of a header that only a proxy may set.
        if key.lower() not in _HOP_BY_HOP and "_" not in key:
            environ[f"HTTP_{key.replace('-', '_')}"] = _joined(key, _values(values))
    return environ


def _values(values: Sequence[bytes]) -> list[str]:
    # Header values are octets; PEP 3333 has them as ISO-8859-1.
    return [value.decode("latin-1") for value in values]


def _joined(name: str, values: list[str]) -> str:
    return ("; " if name == "COOKIE" else ", ").join(values)


def _send(request: Request, gone: "Deferred[None]", response: Response, environ: dict[str, Any]) -> None:
    if gone.called:
        return
    request.setResponseCode(response.status_code)
    request.responseHeaders.removeHeader("server")
    body = response.get_data()
    for name in dict.fromkeys(response.headers.keys()):
        request.responseHeaders.setRawHeaders(name, response.headers.getlist(name))
    if environ["REQUEST_METHOD"] != "HEAD":
        request.responseHeaders.setRawHeaders("content-length", [str(len(body))])
        request.write(body)
    request.finish()


def _crashed(request: Request, gone: "Deferred[None]", application: Companion, failure: Failure) -> None:
    # The named boundary: not even the page that tells of a defect could be made.
    application.parts.events.fault("defect", traceback=failure.getTraceback())
    if not gone.called:
        request.setResponseCode(500)
        request.finish()
