"""The companion page on Twisted: what a request becomes, and an answer within the deadline."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from werkzeug import Request as PageRequest
from werkzeug import Response

from attribute_authority.web.companion.door import CompanionDoor, make_environ
from attribute_authority.web.http import BoundedSite
from tests.factories.companion import Site
from tests.factories.wires import Wire

_DEADLINE = 20.0


class _Reactor(Clock):
    """A clock whose threads' results come back at once."""

    def callFromThread(self, work: Any, *arguments: Any, **named: Any) -> None:
        work(*arguments, **named)


class _Pool:
    """A pool that runs work where it is, or with `busy` keeps it."""

    def __init__(self, busy: bool = False) -> None:
        self.busy = busy
        self.kept: list[Any] = []

    def callInThreadWithCallback(self, told: Any, work: Any, *arguments: Any, **named: Any) -> None:
        """Run the work, or keep it."""
        if self.busy:
            self.kept.append(work)
        else:
            told(True, work(*arguments, **named))


def _wire(application: Any, pool: Any, reactor: Clock) -> Wire:
    door = CompanionDoor(reactor, pool, lambda: application, _DEADLINE)
    return Wire(BoundedSite(door, reactor, timeout=30.0, max_body_bytes=20_000), "127.0.0.1")


def _echo(seen: list[PageRequest]) -> Any:
    class Application:
        parts = Site().application.parts

        def __call__(self, environ: Any, start_response: Any) -> Any:
            request = PageRequest(environ)
            request.get_data()
            seen.append(request)
            return Response("done")(environ, start_response)

    return Application()


def test_a_page_is_served() -> None:
    """A real page, with its headers and length, and without the server's name."""
    answer = _wire(Site().application, _Pool(), _Reactor()).ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert 200 == answer.status
    assert b"Link your ORCID iD" in answer.body
    assert "server" not in answer.headers
    assert str(len(answer.body)) == answer.headers["content-length"]


def test_a_request_arrives_whole() -> None:
    """Method, path, query, form, cookies and peer come through."""
    seen: list[PageRequest] = []
    wire = _wire(_echo(seen), _Pool(), _Reactor())

    wire.ask(
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nCookie: one=1\r\nCookie: two=2\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\ne=f"
    )

    (request,) = seen
    assert ("POST", "/a b", "d", "f") == (request.method, request.path, request.args["c"], request.form["e"])
    assert ("1", "2", "127.0.0.1") == (request.cookies["one"], request.cookies["two"], request.remote_addr)


def test_a_host_header_decides_nothing() -> None:
    """What the application knows of its own address is the configured one."""
    seen: list[PageRequest] = []

    _wire(_echo(seen), _Pool(), _Reactor()).ask(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")

    assert ("https", "orcid.example.org") == (seen[0].environ["wsgi.url_scheme"], seen[0].environ["SERVER_NAME"])


def test_a_header_with_an_underscore_passes_for_no_other() -> None:
    """Shib_Identity_Provider, which a browser may send, is not Shib-Identity-Provider, which only the web server may."""
    seen: list[PageRequest] = []

    _wire(_echo(seen), _Pool(), _Reactor()).ask(b"GET / HTTP/1.1\r\nHost: x\r\nShib_Identity_Provider: evil\r\n\r\n")

    assert seen[0].headers.get("Shib-Identity-Provider") is None


def test_a_page_that_takes_too_long_is_answered_at_the_deadline() -> None:
    """The browser gets a page that says so, in its language; the log has a line."""
    site, pool, reactor = Site(), _Pool(busy=True), _Reactor()
    wire = _wire(site.application, pool, reactor)
    wire.send(b"GET /orcid/callback?code=a&state=b HTTP/1.1\r\nHost: x\r\nAccept-Language: sv\r\n\r\n")
    reactor.advance(_DEADLINE)

    (answer,) = wire.answers()
    assert 503 == answer.status
    assert b'<html lang="sv">' in answer.body
    assert "page-too-slow" in site.events()


def test_a_browser_that_has_gone_is_not_answered() -> None:
    """The step is finished all the same, and nothing fails."""
    pool, reactor = _Pool(busy=True), _Reactor()
    wire = _wire(Site().application, pool, reactor)
    wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wire.protocol.connectionLost(Failure(ConnectionDone()))
    reactor.advance(_DEADLINE)

    assert [] == wire.answers()


def test_environ_has_what_wsgi_demands() -> None:
    """PEP 3333 names these; Werkzeug reads them."""
    seen: list[PageRequest] = []

    _wire(_echo(seen), _Pool(), _Reactor()).ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    demanded = {"REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"}
    assert demanded < set(seen[0].environ)
    assert make_environ.__doc__ is not None
