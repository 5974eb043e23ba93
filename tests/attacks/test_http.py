"""HTTP that is too large, too slow, of another kind, or sent to be misunderstood."""

import gzip
import json

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from attribute_authority.web.query_door import Reply
from tests.attacks.refusals import assert_no_orcid
from tests.factories.doors import Told, lab, sp_keys
from tests.factories.queries import attribute_query, envelope, signed
from tests.factories.wires import MAX_BODY, METADATA, PATH, TIMEOUT, Held, Http, Served, post, request, served

TEN_MEGABYTES = 10 * 1024 * 1024


def query(message_id: str = "_query") -> bytes:
    """Write a query that is answered with the iD."""
    return envelope(signed(attribute_query(message_id=message_id), sp_keys()))


def told(answer: Http) -> Told:
    """Read an answer as SOAP."""
    return Told(Reply(answer.status, answer.body), {})


def is_answered(server: Served) -> bool:
    """Whether an ordinary query over a new connection is answered."""
    return bool(told(server.wire().ask(post(query("_afterwards")))).values)


def test_ordinary_query() -> None:
    """An ordinary query is answered on HTTP 200 as text/xml that may not be kept (bindings 3.2.3)."""
    answer = served(lab()).wire().ask(post(query()))

    assert (200, "text/xml; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert {"no-cache", "no-store", "must-revalidate", "private"} == set(answer.headers["cache-control"].split(", "))
    assert ("no-cache", "nosniff") == (answer.headers["pragma"], answer.headers["x-content-type-options"])
    assert 1 == len(told(answer).values)


def test_ten_megabytes_announced() -> None:
    """A body that is announced as too large is refused before it is sent, and the connection closed."""
    wire = (server := served(lab())).wire()
    answer = wire.ask(request("POST", f"Content-Length: {TEN_MEGABYTES}"))

    assert (413, True) == (answer.status, wire.line.closed)
    assert is_answered(server)


def test_ten_megabytes_in_chunks() -> None:
    """A body without length is refused as soon as it is too large, and nothing of it is kept."""
    wire = (server := served(lab())).wire()
    wire.send(request("POST", "Transfer-Encoding: chunked"))
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    sent = 0
    while not wire.line.closed and sent < TEN_MEGABYTES:
        wire.send(chunk)
        sent += 4096

    assert [413] == [answer.status for answer in wire.answers()]
    assert MAX_BODY < sent <= MAX_BODY + 4096
    assert is_answered(server)


def test_ten_megabytes_in_one_chunk() -> None:
    """So is a single large chunk, of which only the size was said."""
    wire = served(lab()).wire()
    wire.send(request("POST", "Transfer-Encoding: chunked") + b"a00000\r\n" + b"x" * (MAX_BODY + 1))

    assert ([413], True) == ([answer.status for answer in wire.answers()], wire.line.closed)


def test_largest_body() -> None:
    """A body of exactly the largest size is read, one octet more is not."""
    for size, status in ((MAX_BODY, 200), (MAX_BODY + 1, 413)):
        body = query()
        padded = body + b" " * (size - len(body))

        assert status == served(lab()).wire().ask(post(padded)).status


@pytest.mark.parametrize("line", ["x" * 70_000, "Content-Length: 1\r\nX: " + "y" * 70_000])
def test_endless_header(line: str) -> None:
    """A header line without end closes the connection."""
    wire = (server := served(lab())).wire()
    wire.send(f"POST {PATH} HTTP/1.1\r\n{line}".encode())

    assert wire.line.closed
    assert is_answered(server)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP", "gzip, gzip", "identity, gzip"])
def test_compressed_body(coding: str) -> None:
    """A compressed body is refused, not inflated."""
    answer = served(lab()).wire().ask(post(gzip.compress(query()), f"Content-Encoding: {coding}"))

    assert 415 == answer.status


def test_body_that_says_that_it_is_not_compressed() -> None:
    """`identity` means no coding at all."""
    assert 200 == served(lab()).wire().ask(post(query(), "Content-Encoding: identity")).status


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "X" * 100])
def test_other_method(method: str) -> None:
    """Only POST is answered; everything else is 405 with Allow (RFC 9110 section 15.5.6)."""
    answer = served(lab()).wire().ask(request(method, "Content-Length: 0"))

    assert (405, "POST") == (answer.status, answer.headers.get("allow"))
    assert_no_orcid(answer.body.decode())


@pytest.mark.parametrize(
    "content_type",
    [
        None, "", "text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xmlx",
        "text/xml, text/plain", "text/xml; charset=utf-16", "text/xml; charset=iso-8859-1", 'text/xml; charset="utf-16"',
        "application/soap+xml; charset=utf-7", "text/xml\xff", "\xff", "text/xml; charset=\xe4",
    ],
)  # fmt: skip
def test_wrong_content_type(content_type: str | None) -> None:
    """What is not SOAP 1.1 in UTF-8 is refused with 415."""
    assert 415 == served(lab()).wire().ask(post(query(), content_type=content_type)).status


def test_content_type_twice() -> None:
    """A media type that is said twice may be read as the one or the other."""
    assert 415 == served(lab()).wire().ask(post(query(), "Content-Type: text/xml")).status


@pytest.mark.parametrize(
    "content_type",
    ["text/xml", "TEXT/XML", "text/xml; charset=utf-8", 'text/xml;charset="UTF-8"', "application/soap+xml", "application/xml",
     "text/xml; charset=us-ascii"],
)  # fmt: skip
def test_content_types_of_clients(content_type: str) -> None:
    """What clients really send is taken; pysaml2 uses the media type of SOAP 1.2."""
    assert 200 == served(lab()).wire().ask(post(query(), content_type=content_type)).status


def test_trickling_client() -> None:
    """A request must be complete within its time; octets that trickle in buy none."""
    wire = (server := served(lab())).wire()
    message = post(query())
    for octet in range(int(TIMEOUT)):
        wire.send(message[octet : octet + 1])
        server.clock.advance(1)

    assert wire.line.closed
    assert is_answered(server)


def test_trickling_body() -> None:
    """So must its body, behind a head that came at once."""
    wire = (server := served(lab())).wire()
    wire.send(request("POST", "Content-Length: 10000"))
    for _ in range(int(TIMEOUT)):
        assert not wire.line.closed
        wire.send(b"x")
        server.clock.advance(1)

    assert wire.line.closed


def test_half_open_connection() -> None:
    """A connection over which nothing comes is closed."""
    wire = (server := served(lab())).wire()
    server.clock.advance(TIMEOUT - 1)
    assert not wire.line.closed
    server.clock.advance(1)

    assert wire.line.closed


def test_client_that_does_not_hang_up() -> None:
    """A connection that the other side does not close is torn down."""
    wire = (server := served(lab())).wire()
    server.clock.advance(TIMEOUT)
    server.clock.advance(TIMEOUT)

    assert wire.line.aborted


def test_time_begins_anew_with_every_answer() -> None:
    """Keep-alive lasts as long as complete requests come in time."""
    wire = (server := served(lab())).wire()
    for number in range(5):
        server.clock.advance(TIMEOUT - 1)

        assert 200 == wire.ask(post(query(f"_query{number}"))).status
        assert not wire.line.closed


def test_pipelined_requests() -> None:
    """Requests that come together are answered one after the other, in their order."""
    wire = served(lab()).wire()
    wire.send(b"".join(post(query(f"_query{number}")) for number in range(3)))

    assert ["_query0", "_query1", "_query2"] == [told(answer).entry.get("InResponseTo") for answer in wire.answers()]


def test_pipelined_requests_wait_for_each_other() -> None:
    """The second of two is not begun before the first is answered, so that nobody makes one connection do the work of many."""
    runner = Held()
    wire = served(lab(), runner=runner).wire()
    wire.send(post(query("_first")) + post(query("_second")))

    assert ([], 1) == (wire.answers(), len(runner.waiting))
    runner.release()
    runner.release()
    assert ["_first", "_second"] == [told(answer).entry.get("InResponseTo") for answer in wire.answers()]


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 10", "Content-Length: 20"),
        ("Content-Length: 10", "Transfer-Encoding: chunked"),
        ("Content-Length: -1",),
        ("Content-Length: +1",),
        ("Content-Length: x",),
        ("Transfer-Encoding: gzip",),
    ],
)
def test_ambiguous_length(headers: tuple[str, ...]) -> None:
    """A request whose end could be read in two ways is refused, and the connection closed (RFC 9112 section 6.3)."""
    wire = served(lab()).wire()
    wire.send(request("POST", *headers) + query())

    assert wire.line.closed
    assert all(answer.status >= 400 for answer in wire.answers())


def test_client_that_is_gone_before_the_answer() -> None:
    """Somebody who hangs up while the answer is made does no harm."""
    runner = Held()
    wire = (server := served(lab(), runner=runner)).wire()
    wire.send(post(query()))
    wire.protocol.connectionLost(Failure(ConnectionLost()))
    runner.release()

    assert [] == wire.answers()
    assert [] == [event for event in server.lab.events() if event["event"] == "defect"]


@pytest.mark.parametrize("path", ["/", "/saml", "/saml/attribute-query%00", "/../etc/passwd", "/x" * 1000, "/<script>", "//"])
def test_other_address(path: str) -> None:
    """Nothing else is there, and what was asked for is not written into the answer as it came."""
    answer = served(lab()).wire().ask(request("GET", content_type=None, path=path))

    assert 404 == answer.status
    assert b"<script>" not in answer.body


def test_metadata() -> None:
    """Our metadata is there for everybody."""
    answer = served(lab()).wire().ask(request("GET", content_type=None, path="/metadata"))

    assert (200, METADATA, "application/samlmetadata+xml") == (answer.status, answer.body, answer.headers["content-type"])


def test_faults_are_soap_on_500() -> None:
    """A SOAP fault goes out on HTTP 500, a SAML error on 200 (bindings 3.2.3.3)."""
    wire = served(lab()).wire()

    assert (500, ("S:Client",)) == ((answer := wire.ask(post(b"<x/>"))).status, told(answer).codes)
    assert (200, ("Requester", "RequestDenied")) == ((answer := wire.ask(post(envelope(attribute_query())))).status, told(answer).codes)


def test_log_is_json_lines() -> None:
    """Whatever came in, the log is one line of JSON for each query."""
    server = served(lab())
    for body in (b"\n\r\x00", query(), '{"a": 1}\n\u2028'.encode()):
        server.wire().ask(post(body))

    assert ["query"] * 3 == [json.loads(line)["event"] for line in server.lab.log.getvalue().splitlines()]


def test_answers_that_nobody_reads() -> None:
    """A client that sends requests and reads no answers is not read any further, or its answers would fill the memory."""
    runner = Held()
    wire = served(lab(), runner=runner).wire()
    wire.send(post(query()))
    wire.protocol.pauseProducing()

    assert "paused" == wire.line.producerState
    runner.release()
    assert "paused" == wire.line.producerState
    wire.protocol.resumeProducing()
    assert "producing" == wire.line.producerState
    wire.line.clear()
    wire.send(post(query("_next")))
    runner.release()
    assert [200] == [answer.status for answer in wire.answers()]
