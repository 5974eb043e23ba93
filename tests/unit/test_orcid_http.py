"""One request, one deadline, one bounded answer: against peers that are slow, endless, cut off, or not who they say they are."""

import gzip
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
import requests

from attribute_authority.demo.sites import listen
from attribute_authority.keys import make_key
from connectors._deadline import Deadline
from connectors._http import AnswerTooLarge, bind
from tests.factories.registries import PATIENCE

IMPATIENCE = 0.3
LIMIT = 1_000
OK = b"HTTP/1.1 200 OK\r\n"

Behaviour = Callable[[socket.socket, Event], None]


@contextmanager
def peer(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run a peer that behaves so on every connection, until the context ends; gives its authority (host and port)."""
    over = Event()
    with listen() as listener:

        def accept() -> None:
            while not over.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection if tls is None else tls.wrap_socket(connection, server_side=True) as ours:
                        behave(ours, over)

        thread = Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"localhost:{listener.getsockname()[1]}"
        finally:
            over.set()
            with suppress(OSError):
                socket.create_connection(listener.getsockname()).close()
            thread.join()


def says(*octets: bytes) -> Behaviour:
    """Read a request and say all this."""

    def behave(connection: socket.socket, _over: Event) -> None:
        connection.recv(65_536)
        for some in octets:
            connection.sendall(some)

    return behave


def drips(start: bytes, drop: bytes) -> Behaviour:
    """Read a request, begin an answer, and go on drop by drop, each well before a reader would give up."""

    def behave(connection: socket.socket, over: Event) -> None:
        connection.recv(65_536)
        connection.sendall(start)
        while not over.wait(IMPATIENCE / 10):
            connection.sendall(drop)

    return behave


def says_nothing(_connection: socket.socket, over: Event) -> None:
    """Keep the connection and say nothing."""
    over.wait(PATIENCE)


def get(url: str, timeout: float = PATIENCE, verify: str | bool = True) -> requests.Response:
    """Ask once, bound."""
    with requests.Session() as session:
        bind(session, timeout, LIMIT)
        return session.get(url, allow_redirects=False, verify=verify)


def answer(body: bytes, *headers: bytes) -> bytes:
    """Return an answer with a body."""
    return b"\r\n".join((OK.strip(), b"Content-Length: %d" % len(body), *headers, b"", body))


@pytest.mark.parametrize("length", [0, 1, LIMIT])
def test_answer(length: int) -> None:
    """An answer up to the limit is read whole."""
    with peer(says(answer(b"x" * length))) as authority:
        response = get(f"http://{authority}/")

    assert (200, b"x" * length) == (response.status_code, response.content)


@pytest.mark.parametrize(
    "octets",
    [
        answer(b"x" * (LIMIT + 1)),
        OK + b"\r\n" + b"x" * 100_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n",
        answer(gzip.compress(b"x" * 10_000_000), b"Content-Encoding: gzip"),
    ],
    ids=["longer", "without length", "chunked", "compressed"],
)
def test_answer_too_large(octets: bytes) -> None:
    """An answer beyond the limit is refused, however it is wrapped."""
    with peer(says(octets)) as authority, pytest.raises(AnswerTooLarge):
        get(f"http://{authority}/")


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"H"),
        (OK, b"X-Drop: x\r\n"),
        (OK + b"X-Drop: ", b"x"),
        (OK + b"\r\n", b"x"),
        (OK + b"Content-Length: 900\r\n\r\n", b"x"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status line", "headers", "header", "body", "body of known length", "chunks", "interim answers"],
)
def test_dripping_peer(start: bytes, drop: bytes) -> None:
    """A peer that never ends and never pauses for long holds a thread no longer than the deadline."""
    with peer(drips(start, drop)) as authority, pytest.raises(requests.RequestException):
        get(f"http://{authority}/", IMPATIENCE)


def test_silent_peer() -> None:
    """A peer that takes the request and says nothing is given up."""
    with peer(says_nothing) as authority, pytest.raises(requests.Timeout):
        get(f"http://{authority}/", IMPATIENCE)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"nonsense\r\n\r\n",
        OK + b"Content-Length: 10\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        answer(b"abc", b"Content-Encoding: gzip"),
        OK + b"X: y\r\n" * 200 + b"\r\n",
        OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "nonsense", "cut off", "bad chunks", "bad compression", "many headers", "long header"],
)
def test_broken_answer(octets: bytes) -> None:
    """Whatever is wrong with an answer, it is a failure of the request and no other exception."""
    with peer(says(octets)) as authority, pytest.raises(requests.RequestException):
        get(f"http://{authority}/")


def test_nothing_is_sent_twice() -> None:
    """A request whose connection breaks was sent once."""
    requested: list[bytes] = []

    def behave(connection: socket.socket, _over: Event) -> None:
        requested.append(connection.recv(65_536))

    with peer(behave) as authority, requests.Session() as session:
        bind(session, PATIENCE)
        with pytest.raises(requests.RequestException):
            session.post(f"http://{authority}/", {"a": "b"}, allow_redirects=False)

    assert 1 == len([request for request in requested if request])


def test_unknown_name() -> None:
    """A name that does not exist is a failure of the request."""
    with pytest.raises(requests.RequestException):
        get("http://registry.invalid/")


def test_tls(tmp_path: Path) -> None:
    """TLS is verified: a certificate is trusted that the bundle knows, and no other."""
    context, certificate = server_side(tmp_path, "localhost")
    with peer(says(answer(b"well")), context) as authority:
        response = get(f"https://{authority}/", verify=str(certificate))
        with pytest.raises(requests.exceptions.SSLError):
            get(f"https://{authority}/")

    assert b"well" == response.content


def test_certificate_of_another_host(tmp_path: Path) -> None:
    """A trusted certificate of another host is of no use."""
    context, certificate = server_side(tmp_path, "elsewhere.example")
    with peer(says(answer(b"well")), context) as authority, pytest.raises(requests.exceptions.SSLError):
        get(f"https://{authority}/", verify=str(certificate))


def test_dripping_peer_behind_tls(tmp_path: Path) -> None:
    """The deadline holds for what comes through TLS too."""
    context, certificate = server_side(tmp_path, "localhost")
    with peer(drips(OK, b"X-Drop: x\r\n"), context) as authority, pytest.raises(requests.RequestException):
        get(f"https://{authority}/", IMPATIENCE, str(certificate))


def test_handshake_that_never_ends() -> None:
    """A peer that never answers the TLS handshake is given up."""
    with (
        peer(says_nothing) as authority,
        pytest.raises(requests.RequestException),
    ):
        get(f"https://{authority}/", IMPATIENCE)


def test_bundle_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom TLS trusts is not for the environment to say."""
    context, certificate = server_side(tmp_path, "localhost")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with peer(says(answer(b"well")), context) as authority, pytest.raises(requests.exceptions.SSLError):
        get(f"https://{authority}/")


def test_each_request_has_its_own_deadline() -> None:
    """A session that is used again starts to count again."""
    with peer(says(answer(b"well"))) as authority, requests.Session() as session:
        bind(session, PATIENCE)
        answers = [session.get(f"http://{authority}/", allow_redirects=False).content for _ in range(2)]

    assert [b"well", b"well"] == answers


def test_deadline() -> None:
    """A deadline tells what is left, and that nothing is."""
    instants = iter((100.0, 101.0, 105.0))
    deadline = Deadline(5.0, lambda: next(instants))

    assert 4.0 == deadline.remaining()
    with pytest.raises(TimeoutError):
        deadline.remaining()


def server_side(directory: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """Return how a server of that name does TLS, and its certificate."""
    fresh = make_key(host, datetime.now(UTC) - timedelta(days=1), (host,))
    key, certificate = directory / "server.key", directory / "server.crt"
    key.write_bytes(fresh.key)
    certificate.write_bytes(fresh.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
