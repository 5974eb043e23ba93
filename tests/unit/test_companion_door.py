"""The companion page on Twisted: what a request becomes, and an answer within the deadline."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from werkzeug import Request as PageRequest
from werkzeug import Response

from attribute_authority.web.companion.door import make_environ
from tests.factories.companion import Site
from tests.factories.companion_doors import DEADLINE, Pool, ThreadlessReactor, wire


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
    answer = wire(Site().application).ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert 200 == answer.status
    assert b"Link your ORCID iD" in answer.body
    assert "server" not in answer.headers
    assert str(len(answer.body)) == answer.headers["content-length"]


def test_a_request_arrives_whole() -> None:
    """Method, path, query, form, cookies and peer come through."""
    seen: list[PageRequest] = []
    line = wire(_echo(seen))

    line.ask(
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nCookie: one=1\r\nCookie: two=2\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\ne=f"
    )

    (request,) = seen
    assert ("POST", "/a b", "d", "f") == (request.method, request.path, request.args["c"], request.form["e"])
    assert ("1", "2", "127.0.0.1") == (request.cookies["one"], request.cookies["two"], request.remote_addr)


def test_a_host_header_decides_nothing() -> None:
    """What the application knows of its own address is the configured one."""
    seen: list[PageRequest] = []

    wire(_echo(seen)).ask(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")

    assert ("https", "orcid.example.org") == (seen[0].environ["wsgi.url_scheme"], seen[0].environ["SERVER_NAME"])


def test_a_header_with_an_underscore_passes_for_no_other() -> None:
    """Shib_Identity_Provider, which a browser may send, is not Shib-Identity-Provider, which only the web server may."""
    seen: list[PageRequest] = []

    wire(_echo(seen)).ask(b"GET / HTTP/1.1\r\nHost: x\r\nShib_Identity_Provider: evil\r\n\r\n")

    assert seen[0].headers.get("Shib-Identity-Provider") is None


def test_a_page_that_takes_too_long_is_answered_at_the_deadline() -> None:
    """The browser gets a page that says so, in its language; the log has a line."""
    site, pool, reactor = Site(), Pool(busy=True), ThreadlessReactor()
    line = wire(site.application, pool, reactor)
    line.send(b"GET /orcid/callback?code=a&state=b HTTP/1.1\r\nHost: x\r\nAccept-Language: sv\r\n\r\n")
    reactor.advance(DEADLINE)

    (answer,) = line.answers()
    assert 503 == answer.status
    assert b'<html lang="sv">' in answer.body
    assert "page-too-slow" in site.events()


def test_a_browser_that_has_gone_is_not_answered() -> None:
    """Nothing fails where nobody waits any more."""
    pool, reactor = Pool(busy=True), ThreadlessReactor()
    line = wire(Site().application, pool, reactor)
    line.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    line.protocol.connectionLost(Failure(ConnectionDone()))
    reactor.advance(DEADLINE)

    assert [] == line.answers()


def test_environ_has_what_wsgi_demands() -> None:
    """PEP 3333 names these; Werkzeug reads them."""
    seen: list[PageRequest] = []

    wire(_echo(seen)).ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    demanded = {"REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"}
    assert demanded < set(seen[0].environ)
    assert make_environ.__doc__ is not None
