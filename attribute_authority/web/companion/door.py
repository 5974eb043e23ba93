"""The door of the companion page on Twisted: requests go to a bounded pool of threads, and an answer comes within the deadline."""

from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from werkzeug import Response

from attribute_authority.web.companion.app import Companion

_HOP_BY_HOP: Final = frozenset({"content-type", "content-length"})


class CompanionDoor(Resource):
    """Answers every address by the application; `deadline` is in seconds.

    `reactor` provides IReactorTime and IReactorFromThreads. `find_application` returns the application, which a reload may replace.
    """

    isLeaf = True

    def __init__(self, reactor: Any, pool: ThreadPool, find_application: Any, deadline: float) -> None:
        super().__init__()
        self._reactor = reactor
        self._pool = pool
        self._find_application = find_application
        self._deadline = deadline

    def render(self, request: Request) -> int:
        """Answer, later."""
        application: Companion = self._find_application()
        environ = make_environ(request, application.parts.base_url)
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        answered: Deferred[Response] = deferToThreadPool(self._reactor, self._pool, _respond, application, environ)
        answered.addTimeout(self._deadline, self._reactor, lambda *_: maybeDeferred(application.too_slow, environ))
        answered.addCallback(lambda response: _send(request, gone, response, environ))
        answered.addErrback(lambda failure: _crashed(request, gone, application, failure))
        return NOT_DONE_YET


def make_environ(request: Request, base_url: str) -> dict[str, Any]:
    """Put a request into a WSGI environment (PEP 3333); what it says of our own address is the configured one, never the Host header."""
    path, _, query = request.uri.partition(b"?")
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
        "CONTENT_TYPE": request.getHeader("content-type") or "",
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
            environ[f"HTTP_{key.replace('-', '_')}"] = _joined(key, [value.decode("latin-1") for value in values])
    return environ


def _joined(name: str, values: list[str]) -> str:
    return ("; " if name == "COOKIE" else ", ").join(values)


def _respond(application: Companion, environ: dict[str, Any]) -> Response:
    return Response.from_app(application, environ, buffered=True)


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
