"""Ending: what is in hand is finished, what is idle is closed."""

import ssl
from pathlib import Path

from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from attribute_authority.web.health import Standing, operations_root
from attribute_authority.web.http import BoundedSite
from attribute_authority.web.tls import tls_server
from tests.factories.doors import lab, sp_keys
from tests.factories.metadata import rsa_pair
from tests.factories.queries import attribute_query, envelope
from tests.factories.wires import TIMEOUT, Held, Served, TlsWire, Wire, post, request, served


def hang_up(wire: Wire) -> None:
    """Close a connection from the other side."""
    wire.protocol.connectionLost(Failure(ConnectionDone()))


def busy() -> tuple[Served, Held, Wire]:
    """Make a site with one query in hand."""
    runner = Held()
    server = served(lab(), runner=runner)
    wire = server.wire()
    wire.send(post(envelope(attribute_query())))
    return server, runner, wire


def test_idle_connections_are_closed_at_once() -> None:
    """A connection without request does not keep the process."""
    server = served(lab())
    wire = server.wire()
    drained = server.site.drain()

    assert wire.line.closed
    hang_up(wire)
    assert drained.called


def over_tls(server: Served, directory: Path) -> TlsWire:
    """Connect with TLS, believing every server."""
    pair, key, certificate = rsa_pair("tls"), directory / "tls.key", directory / "tls.crt"
    key.write_bytes(pair.key_pem)
    certificate.write_bytes(pair.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return TlsWire(server, tls_server(str(key), str(certificate)), context)


def test_tls_client_at_rest_is_not_waited_for(tmp_path: Path) -> None:
    """An idle TLS connection is closed at once, though its client does not say farewell, as one in a pool never does."""
    server = served(lab())
    wire = over_tls(server, tmp_path)
    server.site.drain()

    assert wire.line.closed


def test_tls_client_is_not_waited_for_after_its_answer(tmp_path: Path) -> None:
    """Nor is that of a client whose query was in hand: it gets its answer, and the connection is closed."""
    runner = Held()
    server = served(lab(), runner=runner)
    wire = over_tls(server, tmp_path)
    wire.send(post(envelope(attribute_query())))
    server.site.drain()

    assert not wire.line.closed
    runner.release()
    assert 200 == wire.ask(b"").status
    assert wire.line.closed


def test_query_on_its_way_is_finished() -> None:
    """A query of which only a part has arrived is taken in and answered, and the connection closed."""
    server = served(lab())
    wire, query = server.wire(), post(envelope(attribute_query()))
    wire.send(query[:100])
    server.site.drain()
    wire.send(query[100:])

    assert [200] == [answer.status for answer in wire.answers()]
    assert wire.line.closed


def test_query_in_hand_is_finished() -> None:
    """A connection with a query in hand is answered, and closed then."""
    server, runner, wire = busy()
    drained = server.site.drain()

    assert (False, False) == (wire.line.closed, drained.called)
    runner.release()
    assert [200] == [answer.status for answer in wire.answers()]
    assert wire.line.closed
    hang_up(wire)
    assert drained.called


def test_pipelined_query_is_not_begun() -> None:
    """What was sent behind the query in hand is not begun any more: its client sends it again elsewhere."""
    server, runner, wire = busy()
    wire.send(post(envelope(attribute_query(message_id="_second"))))
    server.site.drain()
    runner.release()

    assert (1, []) == (len(wire.answers()), runner.waiting)


def test_nothing_open() -> None:
    """Without connections there is nothing to wait for."""
    assert served(lab()).site.drain().called


def test_slow_answer_is_not_cut_off() -> None:
    """The time-out is for requests; an answer may take longer."""
    server, runner, wire = busy()
    server.clock.advance(10 * TIMEOUT)

    assert not wire.line.closed
    runner.release()
    assert [200] == [answer.status for answer in wire.answers()]


def test_connection_is_kept_between_queries() -> None:
    """One connection serves many queries."""
    server = served(lab())
    wire = server.wire()

    assert sp_keys() is not None
    assert [200] * 3 == [wire.ask(post(envelope(attribute_query()))).status for _ in range(3)]
    assert not wire.line.closed


def test_health() -> None:
    """The operations door tells that the process lives, and what an answer lacks."""
    missing: list[str] = []
    site = BoundedSite(operations_root(lambda: succeed(Standing(tuple(missing)))), Clock(), timeout=TIMEOUT, max_body_bytes=0)
    live, ready = (request("GET", content_type=None, path=f"/health/{name}") for name in ("live", "ready"))

    assert (200, 200) == (Wire(site).ask(live).status, Wire(site).ask(ready).status)
    missing.append("database: cannot be reached")
    answer = Wire(site).ask(ready)
    assert (200, 503) == (Wire(site).ask(live).status, answer.status)
    assert b"database: cannot be reached" in answer.body
