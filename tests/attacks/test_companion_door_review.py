"""Attacks on the door of the companion page: octets that are no text, odd framing, requests that pile up, values of other audiences."""

from ipaddress import ip_network
from typing import Any

import pytest
from lxml.html import document_fromstring
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, parse_identifier_text
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.web.companion import door
from attribute_authority.web.companion.app import Companion
from attribute_authority.web.companion.signing_in import HeaderWay
from attribute_authority.web.companion.trusted_headers import TrustedHeaders
from tests.factories import responses
from tests.factories.companion import Site
from tests.factories.companion_doors import DEADLINE, Pool, ThreadlessReactor, companion_site, wire
from tests.factories.wires import Http, Wire

_GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def _ask(site: Site, first_line: bytes, *headers: bytes, body: bytes = b"") -> Http:
    return wire(site.application).ask(b"\r\n".join((first_line, b"Host: x", *headers, b"", body)))


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: \xff\xfe",
        b'Content-Type: multipart/form-data; boundary="\xff"',
        b"Content-Type: application/x-www-form-urlencoded; charset=utf-7",
        b"Content-Type: ;;;=",
        b"Cookie: __Host-session=\xff\xfe; \xff=\xfe; language=\xc3",
        b'Cookie: __Host-session="\\377\\376"',
        b"Accept-Language: \xff;q=\xb2, fi;q=nan, *;q=-1, sv;q*=utf-8''%FF",
        b"X-Forwarded-For: \xff, ::1%, 127.0.0.1:80",
        b"Authorization: Basic \xff",
        b"Forwarded: \xff",
    ],
)
def test_headers_that_are_no_text(header: bytes) -> None:
    """Whatever octets a header holds, a page answers, with everything that an answer carries, and no defect is logged."""
    site = Site()

    answer = _ask(site, b"POST /saml/acs HTTP/1.1", header, b"Content-Length: 14", body=b"SAMLResponse=x")

    assert (403, "no-referrer") == (answer.status, answer.headers.get("referrer-policy"))
    assert "server" not in answer.headers
    assert "defect" not in site.events()


@pytest.mark.parametrize(
    "target",
    [
        b"/confirm/%ED%A0%80%00",
        b"/%FF%FE",
        b"/login?to=%FF&entityID=%ED%A0%80&lang=%00",
        b"/?done=%F0%28%8C%BC",
        b"//evil",
        b"/problem/%0d%0a",
    ],
)
def test_addresses_that_are_no_text(target: bytes) -> None:
    """Broken percent-encoding, line ends and NUL end on a page, and nothing of them gets into a header."""
    site = Site()

    answer = _ask(site, b"GET " + target + b" HTTP/1.1")

    assert answer.status in {200, 303, 403, 404}
    assert "no-referrer" == answer.headers["referrer-policy"]
    assert "defect" not in site.events()


@pytest.mark.parametrize("target", [b"//evil.example", b"//evil.example/%2e%2e", b"/%2F/evil.example", b"evil.example:443"])
def test_language_links_of_odd_addresses(target: bytes) -> None:
    """The switch of language leads to an address of this site, never to the host that an address of two slashes would name."""
    page = document_fromstring(_ask(Site(), b"GET " + target + b" HTTP/1.1").body)

    links = {str(link.get("href")).partition("?")[0] for link in page.iter("a") if link.get("hreflang")}

    assert {"/problem/not-found"} == links


@pytest.mark.parametrize(
    "headers",
    [
        (b"Transfer-Encoding: chunked", b"Content-Length: 3"),
        (b"Content-Length: 3", b"Content-Length: 0"),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Content-Length: +3",),
        (b"Content-Length : 3",),
    ],
)
def test_framing_that_may_be_read_in_two_ways(headers: tuple[bytes, ...]) -> None:
    """A request that a proxy may end elsewhere than we do is refused (request smuggling)."""
    assert 400 == _ask(Site(), b"POST /saml/acs HTTP/1.1", *headers, body=b"0\r\n\r\n").status


def test_a_form_in_chunks_is_read() -> None:
    """A Response that a proxy passes on in chunks is not taken for an empty one."""
    site, seen = Site(), []
    browser = site.browser()
    message = browser.response(browser.begin_sign_in())

    def look(visit: Any) -> Any:
        seen.append(visit.request.form.get("SAMLResponse"))
        return visit.go("/")

    application = Companion(site.application.parts, {"acs": look})
    form = b"SAMLResponse=" + message.replace("+", "%2B").replace("=", "%3D").encode()
    wire(application).ask(
        b"POST /saml/acs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(form), form)
    )

    assert [message] == seen


@pytest.mark.parametrize("authority", [b"https://orcid.example.org", b"HTTP://evil.example:80", b"http://"])
def test_a_whole_address_in_the_request_line(authority: bytes) -> None:
    """The absolute form leads to the same page (RFC 9112 section 3.2.2), and its host decides nothing."""
    answer = _ask(Site(), b"GET " + authority + b"/login?to=connect HTTP/1.1")

    assert 303 == answer.status
    assert answer.headers["location"].startswith("https://idp.uni.example/")


def _crowd(site: Site, pool: Pool, reactor: ThreadlessReactor, count: int) -> list[Wire]:
    served = companion_site(site.application, pool, reactor)
    lines = [Wire(served, "127.0.0.1") for _ in range(count)]
    for line in lines:
        line.send(_GET)
    return lines


def test_requests_do_not_pile_up_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """When everything that may wait waits, whoever comes next is told at once, and nothing more is kept in memory."""
    monkeypatch.setattr(door, "_PLACES", 3)
    site, pool = Site(), Pool(busy=True)
    lines = _crowd(site, pool, ThreadlessReactor(), 4)

    told = [[answer.status for answer in line.answers()] for line in lines]

    assert [[], [], [], [503]] == told
    assert '"page": "front"' in site.events()


def test_places_come_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is kept for as long as its step takes, and no longer."""
    monkeypatch.setattr(door, "_PLACES", 2)
    pool = Pool(busy=True)
    served = companion_site(Site().application, pool)
    for _ in range(3):
        lines = [Wire(served, "127.0.0.1") for _ in range(2)]
        for line in lines:
            line.send(_GET)
        pool.work_off()

        assert [200, 200] == [line.answers()[0].status for line in lines]


def test_steps_that_nobody_waits_for_are_not_begun() -> None:
    """What has waited beyond its deadline, or whose browser has gone, costs nothing when its turn comes."""
    site, pool, reactor = Site(), Pool(busy=True), ThreadlessReactor()
    waited, gone = _crowd(site, pool, reactor, 2)
    gone.protocol.connectionLost(Failure(ConnectionLost()))
    reactor.advance(DEADLINE)

    pool.work_off()

    assert [503] == [answer.status for answer in waited.answers()]
    assert '"event": "page"' not in site.events()


def test_a_slow_page_does_not_log_what_stood_in_its_address() -> None:
    """The log names the page, not the address, in which a browser may send anything."""
    site, reactor = Site(), ThreadlessReactor()
    line = wire(site.application, Pool(busy=True), reactor)
    line.send(b"GET /confirm/josiah@uni.example HTTP/1.1\r\nHost: x\r\n\r\n")

    reactor.advance(DEADLINE)

    assert '"page": "confirm-page"' in site.events()
    assert "josiah" not in site.events()


def _header_site() -> Site:
    headers = TrustedHeaders(
        (ip_network("127.0.0.1/32"),),
        "Shib-Identity-Provider",
        {IdentifierKind.EPPN: "X-Eppn", IdentifierKind.PAIRWISE_ID: "X-Pairwise-Id"},
        None,
        None,
        MemoryEntityDirectory((responses.home(),)),
        Environment.PRODUCTION,
        EntityId(responses.SP),
        lambda: responses.NOW,
    )
    return Site(way=HeaderWay(headers))


def test_a_pairwise_id_from_a_header_is_for_its_audience_alone() -> None:
    """The value that was made for us does not answer another service, where it may be somebody else's."""
    site = _header_site()
    browser = site.browser(address="127.0.0.1")
    browser.get("/login", headers={"Shib-Identity-Provider": responses.IDP, "X-Pairwise-Id": "1001@uni.example"})
    browser.link()

    (link,) = site.store.find_links()

    assert (parse_identifier_text(f"pairwise-id={responses.SP}!1001@uni.example"),) == link.identifiers


@pytest.mark.parametrize("first", [b"X-Eppn: victim@uni.example", b"X-Eppn: "])
def test_a_trusted_header_that_comes_twice(first: bytes) -> None:
    """Where a browser's own header slipped past the proxy beside the real one, neither is believed."""
    answer = _ask(
        _header_site(), b"GET /login HTTP/1.1", b"Shib-Identity-Provider: " + responses.IDP.encode(), first, b"X-Eppn: mallory@uni.example"
    )

    assert 403 == answer.status
