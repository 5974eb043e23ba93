"""Requests to web services: kept connections, one deadline, bounded answers, and whom they are for."""

import json
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from attribute_authority.errors import SinkUnavailable
from connectors._deadline import Deadline
from connectors._web_access import WebAccess, WebSinkTable, open_web_access
from connectors._web_service import Answer, WebService
from tests.factories.registries import PATIENCE, HandClock
from tests.factories.web_servers import (
    Behaviour,
    Drip,
    Octets,
    Received,
    Reply,
    Silence,
    StrictServer,
    pem_pair,
    server_tls,
    strict_server,
)

_IMPATIENCE = 0.3
_LIMIT = 1_000
_KEY = {"Idempotency-Key": '"7KQ2-MZ4D"'}


@contextmanager
def _service(server: StrictServer, connections: int = 2, clock: HandClock | None = None, **keys: Any) -> Iterator[WebService]:
    table = WebSinkTable.model_validate({"kind": "any", "url": server.url, **keys})
    service = WebService(open_web_access(table), PATIENCE, connections, clock or HandClock())
    try:
        yield service
    finally:
        service.close()


def _post(service: WebService, server: StrictServer, patience: float = PATIENCE, headers: dict[str, str] = _KEY) -> Answer:
    return service.send("POST", f"{server.url}/people?x=1", headers, b"{}", Deadline(patience), limit=_LIMIT)


@contextmanager
def _asked(behaviour: Behaviour, tls: ssl.SSLContext | None = None, **keys: Any) -> Iterator[tuple[StrictServer, WebService]]:
    with strict_server(tls) as server, _service(server, **keys) as service:
        server.expect("POST", "/people?x=1", behaviour)
        yield server, service


def test_request_and_answer() -> None:
    """Method, path, query, headers and body arrive, and status, headers and body come back."""
    with _asked(Reply(201, b"made", {"X-Made": "yes"})) as (server, service):
        answer = _post(service, server)

    assert (201, "yes", b"made") == (answer.status, answer.headers["x-made"], answer.body)
    (request,) = server.received
    assert ('"7KQ2-MZ4D"', b"{}", "identity") == (request.headers["idempotency-key"], request.body, request.headers["accept-encoding"])
    assert "authorization" not in request.headers


@pytest.mark.parametrize("status", [200, 204, 301, 307, 400, 403, 404, 408, 409, 422, 500, 502, 504])
def test_statuses_are_for_the_caller(status: int) -> None:
    """Any other status is returned as it is; redirects are not followed."""
    with _asked(Reply(status, headers={"Location": "/elsewhere"})) as (server, service):
        assert status == _post(service, server).status


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9999999", 86_400.0),
        ("Sat, 21 Nov 2026 12:02:00 GMT", 120.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Saturday, 21-Nov-26 12:02:00 GMT", 120.0),
        ("soon", None),
        ("-5", None),
        ("1" * 400, None),
        (None, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_too_much_to_do(status: int, told: str | None, seconds: float | None) -> None:
    """A server that takes nothing at the moment may say for how long, in seconds or with a date."""
    with (
        _asked(Reply(status, headers={} if told is None else {"Retry-After": told})) as (server, service),
        pytest.raises(SinkUnavailable, match=f"takes nothing at the moment: HTTP status {status}") as caught,
    ):
        _post(service, server)

    assert seconds == caught.value.retry_after


@pytest.mark.parametrize("status", [401, 407])
def test_not_let_in(status: int) -> None:
    """Credentials that are not accepted concern everybody."""
    with _asked(Reply(status)) as (server, service), pytest.raises(SinkUnavailable, match="our credentials are not accepted"):
        _post(service, server)


@pytest.mark.parametrize(
    "behaviour",
    [
        Silence(),
        Drip(b"", b"H"),
        Drip(b"HTTP/1.1 200 OK\r\n", b"X-Drop: x\r\n"),
        Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        Drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        Drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "status line", "headers", "body", "chunks", "interim answers"],
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_slow_peer(tmp_path: Path, behaviour: Behaviour, encrypted: bool) -> None:
    """A peer that says nothing, or never ends, is given up when the deadline has passed."""
    own = pem_pair(tmp_path, "localhost")
    with (
        _asked(behaviour, server_tls(own) if encrypted else None, tls_ca=str(own.certificate)) as (server, service),
        pytest.raises(SinkUnavailable, match="no answer in time"),
    ):
        _post(service, server, _IMPATIENCE)


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (Octets(), "the connection was closed without an answer"),
        (Octets(b"nonsense\r\n\r\n"), "what it answered is no HTTP"),
        (Octets(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "what it answered is no HTTP"),
        (Octets(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "what it answered is no HTTP"),
        (Octets(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"), "what it answered is no HTTP"),
        (Reply(200, b"x" * (_LIMIT + 1)), "larger than what is read of it"),
        (Octets(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000), "larger than what is read of it"),
    ],
    ids=["nothing", "nonsense", "cut off", "bad chunks", "many headers", "too large", "without length"],
)
def test_answers_of_no_use(behaviour: Behaviour, cause: str) -> None:
    """Whatever is wrong with an answer, it is the same failure, and the request was sent once."""
    with _asked(behaviour) as (server, service), pytest.raises(SinkUnavailable, match=cause):
        _post(service, server)

    assert 1 == len(server.received)


def test_largest_answer() -> None:
    """An answer up to the limit is read whole."""
    with _asked(Reply(200, b"x" * _LIMIT)) as (server, service):
        assert _LIMIT == len(_post(service, server).body)


def test_long_page_of_a_failure() -> None:
    """Of a failure's page the beginning is enough, and the connection is given up."""
    with _asked(Reply(404, b"x" * 100_000)) as (server, service):
        server.expect("POST", "/people?x=1")
        assert (404, _LIMIT) == ((answer := _post(service, server)).status, len(answer.body))
        assert 200 == _post(service, server).status
        assert 2 == server.connections


def test_nothing_is_sent_after_the_deadline() -> None:
    """Whoever has no time left sends nothing."""
    instants = iter((0.0, 10.0))
    with strict_server() as server, _service(server) as service, pytest.raises(SinkUnavailable, match="no answer in time"):
        service.send("POST", f"{server.url}/people", _KEY, b"{}", Deadline(1.0, lambda: next(instants)))


def test_name_that_does_not_resolve_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the resolver hangs a request ends with its own deadline, and not with the resolver's."""
    resumed = Event()

    def hang(*_: object, **__: object) -> list[Any]:
        resumed.wait(PATIENCE)
        return []

    with strict_server() as server, _service(server) as service:
        monkeypatch.setattr(socket, "getaddrinfo", hang)
        try:
            with pytest.raises(SinkUnavailable, match="no answer in time"):
                _post(service, server, patience=0.05)
            assert not resumed.is_set()
        finally:
            resumed.set()


@pytest.mark.parametrize("encrypted", [False, True])
def test_connections_are_kept(tmp_path: Path, encrypted: bool) -> None:
    """One delivery after the other takes one connection."""
    own = pem_pair(tmp_path, "localhost")
    with strict_server(server_tls(own) if encrypted else None) as server, _service(server, tls_ca=str(own.certificate)) as service:
        server.expect("POST", "/people?x=1", times=5)
        for _ in range(5):
            _post(service, server)

        assert 1 == server.connections


def test_no_more_connections_than_allowed() -> None:
    """Threads share as many connections as there may be, and the others wait."""
    together = Barrier(2, timeout=PATIENCE)

    def meet(_request: Received) -> Reply:
        together.wait()
        return Reply()

    with strict_server() as server, _service(server, connections=2) as service:
        server.expect("POST", "/people?x=1", meet, times=8)
        threads = [Thread(target=_post, args=(service, server)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 2 == server.connections


def test_waiting_for_a_connection_ends() -> None:
    """Whoever waits for a connection in vain waits no longer than the deadline."""
    with strict_server() as server, _service(server, connections=1) as service:
        begun, over = Barrier(2, timeout=PATIENCE), Event()

        def linger(_request: Received) -> Reply:
            begun.wait()
            over.wait(PATIENCE)
            return Reply()

        server.expect("POST", "/people?x=1", linger)
        lingering = Thread(target=_post, args=(service, server))
        lingering.start()
        begun.wait()
        with pytest.raises(SinkUnavailable, match="no answer in time"):
            _post(service, server, _IMPATIENCE)
        over.set()
        lingering.join()


def test_room_for_another_server() -> None:
    """A kept connection makes room where one to another server is wanted."""
    with strict_server() as server, strict_server() as other, _service(server, connections=1) as service:
        for one in (server, other, server):
            one.expect("POST", "/people?x=1")
            _post(service, one)

        assert (2, 1) == (server.connections, other.connections)


def test_kept_connection_that_was_closed() -> None:
    """A connection that the peer has closed meanwhile is made anew, and nobody notices."""
    with strict_server() as server, _service(server) as service:
        server.expect("POST", "/people?x=1", times=2)
        _post(service, server)
        server.close_connections()

        assert 200 == _post(service, server).status


def test_kept_connection_that_is_closed_under_the_request() -> None:
    """What a kept connection did not take is sent once more, on a fresh one, where that does no harm."""
    with strict_server() as server, _service(server) as service:
        for behaviour in (Reply(), Octets(), Reply(201)):
            server.expect("POST", "/people?x=1", behaviour)
        _post(service, server)

        assert 201 == _post(service, server).status
        assert (3, 2) == (len(server.received), server.connections)


def test_request_that_must_not_be_repeated() -> None:
    """A POST without a key is not sent again, whatever has become of the connection."""
    with strict_server() as server, _service(server) as service:
        for behaviour in (Reply(), Octets()):
            server.expect("POST", "/people?x=1", behaviour)
        _post(service, server)
        with pytest.raises(SinkUnavailable, match="closed without an answer"):
            _post(service, server, headers={})


def test_answer_that_breaks_off_is_not_asked_for_again() -> None:
    """Once an answer has begun, the request was taken."""
    with strict_server() as server, _service(server) as service:
        for behaviour in (Reply(), Octets(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")):
            server.expect("POST", "/people?x=1", behaviour)
        _post(service, server)
        with pytest.raises(SinkUnavailable, match="what it answered is no HTTP"):
            _post(service, server)


def test_answer_before_the_end_of_the_request() -> None:
    """A server that has seen enough answers and closes, and what it said is the answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")

        thread = Thread(target=refuse)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/people"
        service = WebService(WebAccess(ssl.create_default_context()), PATIENCE, 1, HandClock())
        answer = service.send("POST", url, _KEY, b"x" * 50_000_000, Deadline(PATIENCE))
        service.close()
        thread.join()

    assert (413, b"big") == (answer.status, answer.body)


def test_connection_that_is_reset_in_the_handshake() -> None:
    """A server that resets the connection before TLS is spoken is one that cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset() -> None:
            connection, _ = listener.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        thread = Thread(target=reset)
        thread.start()
        service = WebService(WebAccess(ssl.create_default_context()), PATIENCE, 1, HandClock())
        with pytest.raises(SinkUnavailable, match="cannot be reached: Connection reset by peer"):
            service.send("POST", f"https://localhost:{listener.getsockname()[1]}/people", _KEY, b"{}", Deadline(PATIENCE))
        service.close()
        thread.join()


def test_closed_service() -> None:
    """Nothing is sent after it was closed."""
    with strict_server() as server, _service(server) as service:
        service.close()
        with pytest.raises(SinkUnavailable, match="no connections are made any more"):
            _post(service, server)


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither proxies nor passwords are taken from the environment."""
    (tmp_path / "netrc").write_text("machine localhost login a password b\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with _asked(Reply()) as (server, service):
        _post(service, server)

    assert "authorization" not in server.received[0].headers


def test_nobody_there() -> None:
    """A server that is away is told of as such."""
    with strict_server() as server:
        pass
    with _service(server) as service, pytest.raises(SinkUnavailable, match="cannot be reached: Connection refused"):
        _post(service, server)


def test_unknown_name() -> None:
    """A name that does not exist is a server that is away."""
    with strict_server() as server, _service(server) as service, pytest.raises(SinkUnavailable, match="cannot be reached"):
        service.send("GET", "https://idm.invalid/", {}, None, Deadline(PATIENCE))


def test_tls(tmp_path: Path) -> None:
    """TLS is verified: the certificate must be of the authority that is configured, and of this host."""
    own, elsewhere = pem_pair(tmp_path, "localhost"), pem_pair(tmp_path, "elsewhere.example")
    with _asked(Reply(), server_tls(own), tls_ca=str(own.certificate)) as (server, service):
        assert 200 == _post(service, server).status
        with _service(server) as trusting_others, pytest.raises(SinkUnavailable, match="certificate cannot be verified"):
            _post(trusting_others, server)
    with (
        strict_server(server_tls(elsewhere)) as server,
        _service(server, tls_ca=str(elsewhere.certificate)) as service,
        pytest.raises(SinkUnavailable, match="certificate cannot be verified: Hostname mismatch"),
    ):
        _post(service, server)


def test_old_tls(tmp_path: Path) -> None:
    """Nothing below TLS 1.2 is spoken."""
    own = pem_pair(tmp_path, "localhost")
    context = server_tls(own)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        strict_server(context) as server,
        _service(server, tls_ca=str(own.certificate)) as service,
        pytest.raises(SinkUnavailable, match="TLS failed"),
    ):
        _post(service, server)


def test_client_certificate(tmp_path: Path) -> None:
    """A server that asks for a certificate gets ours, and without one nothing is delivered."""
    own, client = pem_pair(tmp_path, "localhost"), pem_pair(tmp_path, "client")
    tls = server_tls(own, client.certificate)
    with _asked(Reply(), tls, tls_ca=str(own.certificate), client_certificate=client.table) as (server, service):
        assert 200 == _post(service, server).status
        with _service(server, tls_ca=str(own.certificate)) as nameless, pytest.raises(SinkUnavailable):
            _post(nameless, server)


def test_basic_and_bearer(tmp_path: Path) -> None:
    """Whatever lets us in stands in every request."""
    (tmp_path / "secret").write_text("open-sesame\n", encoding="utf-8")
    secret = str(tmp_path / "secret")
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({"username": "orcid", "password_file": secret}, "Basic b3JjaWQ6b3Blbi1zZXNhbWU="),
        ({"token_file": secret}, "Bearer open-sesame"),
    )
    for keys, expected in ways:
        with _asked(Reply(), **keys) as (server, service):
            _post(service, server)
        assert expected == server.received[0].headers["authorization"]


def test_connecting_asks_nothing(tmp_path: Path) -> None:
    """Whether a server is there can be tried without a request."""
    own = pem_pair(tmp_path, "localhost")
    with strict_server(server_tls(own)) as server, _service(server, tls_ca=str(own.certificate)) as service:
        service.connect(server.url, Deadline(PATIENCE))
    with pytest.raises(SinkUnavailable, match="Connection refused"), _service(server) as service:
        service.connect(server.url, Deadline(PATIENCE))


class _Tokens:
    """An authorization server and a web service in one, and what it hands out."""

    def __init__(self, server: StrictServer, directory: Path) -> None:
        self.server = server
        (directory / "secret").write_text("open-sesame\n", encoding="utf-8")
        self.oauth = {
            "token_url": f"{server.url}/token",
            "client_id": "orcid",
            "client_secret_file": str(directory / "secret"),
            "scope": "people write",
        }

    def hand_out(self, number: int = 1, **changes: Any) -> None:
        told = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600, **changes}
        self.server.expect("POST", "/token", Reply(200, json.dumps(told).encode()))

    def used(self) -> list[str]:
        return [one.headers["authorization"] for one in self.server.received if one.target != "/token"]


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[_Tokens]:
    """A server that hands out tokens."""
    with strict_server() as server:
        yield _Tokens(server, tmp_path)


def test_token(tokens: _Tokens) -> None:
    """A token is fetched once, as RFC 6749 section 4.4 has it, and used until shortly before it ends."""
    server, clock = tokens.server, HandClock()
    with _service(server, clock=clock, oauth=tokens.oauth) as service:
        tokens.hand_out()
        tokens.hand_out(2)
        server.expect("POST", "/people?x=1", times=3)
        _post(service, server)
        clock.turn(timedelta(seconds=3500))
        _post(service, server)
        clock.turn(timedelta(seconds=80))
        _post(service, server)

    assert ["Bearer token-1", "Bearer token-1", "Bearer token-2"] == tokens.used()
    asked = server.received[0]
    assert {"grant_type": ["client_credentials"], "scope": ["people write"]} == parse_qs(asked.body.decode())
    assert ("Basic b3JjaWQ6b3Blbi1zZXNhbWU=", "application/x-www-form-urlencoded") == (
        asked.headers["authorization"],
        asked.headers["content-type"],
    )


def test_token_that_is_not_accepted_any_more(tokens: _Tokens) -> None:
    """A token that is refused is replaced once, and the request sent again."""
    server = tokens.server
    with _service(server, oauth=tokens.oauth) as service:
        tokens.hand_out()
        tokens.hand_out(2)
        server.expect("POST", "/people?x=1", Reply(401))
        server.expect("POST", "/people?x=1", Reply(201))

        assert 201 == _post(service, server).status
    assert ["Bearer token-1", "Bearer token-2"] == tokens.used()


def test_tokens_that_are_never_accepted(tokens: _Tokens) -> None:
    """A second refusal is one."""
    server = tokens.server
    with _service(server, oauth=tokens.oauth) as service:
        tokens.hand_out()
        tokens.hand_out(2)
        server.expect("POST", "/people?x=1", Reply(401), times=2)
        with pytest.raises(SinkUnavailable, match="our credentials are not accepted"):
            _post(service, server)


def test_threads_fetch_one_token(tokens: _Tokens) -> None:
    """Threads that all need a token have it fetched once."""
    server = tokens.server
    with _service(server, connections=4, oauth=tokens.oauth) as service:
        tokens.hand_out()
        server.expect("POST", "/people?x=1", times=8)
        threads = [Thread(target=_post, args=(service, server)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert ["Bearer token-1"] * 8 == tokens.used()


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Reply(401, b'{"error": "invalid_client", "error_description": "open-sesame"}'), r"no token: HTTP status 401 \(invalid_client\)$"),
        (Reply(400, b'{"error": "open-sesame"}'), "no token: HTTP status 400$"),
        (Reply(302, headers={"Location": "/elsewhere"}), "no token: HTTP status 302$"),
        (Reply(503, b"[]"), "no token: HTTP status 503$"),
        (Reply(200, b"open-sesame"), "holds no bearer token"),
        (Reply(200, b'{"access_token": "a b", "token_type": "Bearer"}'), "holds no bearer token"),
        (Reply(200, b'{"access_token": "a\\r\\nX: y", "token_type": "Bearer"}'), "holds no bearer token"),
        (Reply(200, b'{"access_token": "a", "token_type": "mac"}'), "holds no bearer token"),
        (Reply(200, b'{"access_token": 7, "token_type": "Bearer"}'), "holds no bearer token"),
        (Reply(200, b"[" * 60_000), "holds no bearer token"),
        (Octets(), "closed without an answer"),
    ],
)
def test_no_token(tokens: _Tokens, answer: Behaviour, cause: str) -> None:
    """Without a token nothing is sent, and the cause repeats nothing but the words of the standard."""
    tokens.server.expect("POST", "/token", answer)
    with _service(tokens.server, oauth=tokens.oauth) as service, pytest.raises(SinkUnavailable, match=cause) as caught:
        _post(service, tokens.server)

    assert "open-sesame" not in caught.value.cause


@pytest.mark.parametrize("lifetime", [None, "3600", 10**12, -1, True, "soon", 3600.5])
def test_odd_lifetimes(tokens: _Tokens, lifetime: object) -> None:
    """A lifetime that is told oddly, or not at all, is no reason to fail."""
    tokens.hand_out(expires_in=lifetime)
    tokens.server.expect("POST", "/people?x=1", times=2)
    with _service(tokens.server, oauth=tokens.oauth) as service:
        for _ in range(2):
            assert 200 == _post(service, tokens.server).status


def test_token_that_comes_too_late(tokens: _Tokens) -> None:
    """The time that a token takes is part of the same deadline."""
    tokens.server.expect("POST", "/token", Drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"))
    with _service(tokens.server, oauth=tokens.oauth) as service, pytest.raises(SinkUnavailable, match="no answer in time"):
        _post(service, tokens.server, _IMPATIENCE)


def test_check_fetches_a_token(tokens: _Tokens) -> None:
    """Trying whether a server is there fetches a token too."""
    tokens.hand_out()
    with _service(tokens.server, oauth=tokens.oauth) as service:
        service.connect(tokens.server.url, Deadline(PATIENCE))
