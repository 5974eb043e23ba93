"""The processes of `serve`: what becomes of them at signals and deaths; with real processes."""

import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import xmlsec

from attribute_authority.assembly import new_saml_id, present
from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.serving import Address, bind, listening_url
from tests.factories.doors import ORCID, OTHER_SP, Told, sp_keys
from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.queries import attribute_query, envelope, instant, signed
from tests.factories.supervisors import Directory, Running, answer, ended, make_directory, running, send, until

RELEASED = (f"https://orcid.org/{ORCID}",)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """Write an authority."""
    return make_directory(tmp_path)


def query(pair: KeyPair | None = None) -> bytes:
    """Write a fresh signed query."""
    return envelope(signed(attribute_query(message_id=new_saml_id(), issued=instant(present())), pair or sp_keys()))


def is_signed_by(told: Told, pair: KeyPair) -> bool:
    """Whether an answer verifies with that key."""
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pair.certificate_pem, xmlsec.constants.KeyDataFormatCertPem)
    entry = told.entry
    context.register_id(entry, "ID")
    try:
        context.verify(next(entry.iter(f"{{{ns.DS}}}Signature")))
    except xmlsec.Error:
        return False
    return True


def reloaded(server: Running, change: Callable[[], object], event: str = "reloaded") -> None:
    """Change something, tell the server, and wait for what it says of it."""
    before = len(server.events(event))
    change()
    server.signal(signal.SIGHUP)
    until(lambda: len(server.events(event)) > before, server)


def is_taken_in(server: Running, connection: HTTPConnection) -> bool:
    """Whether everything that was sent over a connection has been read by the server; both ends' queues are empty."""
    own = connection.sock.getsockname()[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {(int(row[1].partition(":")[2], 16), int(row[2].partition(":")[2], 16)): row[4] for row in rows}
    queues = (ports[own, server.back_channel], ports[server.back_channel, own])
    return {"00000000:00000000"} == set(queues)


def test_workers_answer_and_end(directory: Directory) -> None:
    """Two workers answer, each what no other has answered before, and end at SIGTERM with exit status 0 and no traceback."""
    with running(directory, workers=2) as server:
        message = query()
        codes = [server.ask(message).codes for _ in range(6)]

        assert [("Success",)] + [("Requester", "RequestDenied")] * 5 == codes
        assert [RELEASED] * 4 == [server.ask(query()).values for _ in range(4)]
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert len(server.events("stopped")) == 1
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /saml/attribute-query HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 10485760\r\n\r\n",
        b"POST /saml/attribute-query HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"40001\r\n" + b"x" * 0x40001,
    ],
    ids=["announced", "in chunks"],
)
def test_too_large_over_a_socket(directory: Directory, request_: bytes) -> None:
    """A body beyond 256 KiB, announced or not, is answered with 413 and the end of the connection."""
    with running(directory) as server, socket.create_connection(("127.0.0.1", server.back_channel)) as connection:
        connection.sendall(request_)
        received = b"".join(iter(lambda: connection.recv(65536), b""))

        assert received.startswith(b"HTTP/1.1 413 ")
        assert RELEASED == server.ask(query()).values


def test_dead_worker_is_replaced(directory: Directory) -> None:
    """A worker that dies is noticed and replaced; the other goes on meanwhile."""
    with running(directory, workers=2) as server:
        victim, survivor = server.workers()
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(server.events("worker-ended")) == 1, server)
        until(lambda: len(server.workers()) == 2, server)

        assert survivor in server.workers()
        assert victim not in server.workers()
        assert [RELEASED] * 4 == [server.ask(query()).values for _ in range(4)]
        assert -signal.SIGKILL == server.events("worker-ended")[0]["status"]


def test_query_in_hand_is_finished_at_sigterm(directory: Directory) -> None:
    """A query that waits for the database when SIGTERM comes is answered before the worker ends."""
    with running(directory) as server, closing(server.connect()) as connection:
        with closing(sqlite3.connect(directory.path / "links.db", isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            send(connection, query())
            until(lambda: is_taken_in(server, connection), server)
            server.signal(signal.SIGTERM)
            lock.execute("ROLLBACK")

        assert RELEASED == answer(connection).values
        assert 0 == server.wait()


def test_idle_connection_does_not_delay_the_end(directory: Directory) -> None:
    """Connections without a query in hand are closed at SIGTERM."""
    with running(directory) as server, closing(server.connect()) as connection:
        send(connection, query())
        answer(connection)
        server.signal(signal.SIGTERM)

        assert 0 == server.wait()
        assert b"" == connection.sock.recv(1)


def test_workers_end_with_their_supervisor(directory: Directory) -> None:
    """When the supervisor is killed its workers end by themselves, so that none is left behind."""
    with running(directory, workers=2) as server:
        workers = server.workers()
        server.signal(signal.SIGKILL)
        server.wait()

        assert [True, True] == [ended(worker) for worker in workers]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.back_channel))


def test_reload_of_rules_keys_and_metadata(directory: Directory) -> None:
    """SIGHUP takes new release rules, a new signing key, and new metadata, without a new process."""

    def renew() -> None:
        directory.configure()
        directory.sign_with(rsa_pair("next-authority"))
        directory.trust(rsa_pair("next-sp"))

    with running(directory) as server:
        workers = server.workers()
        reloaded(server, lambda: directory.configure(requesters=(OTHER_SP,)))
        assert () == server.ask(query()).values

        reloaded(server, renew)
        told = server.ask(query(rsa_pair("next-sp")))
        assert RELEASED == told.values
        assert [False, True] == [is_signed_by(told, rsa_pair(name)) for name in ("authority", "next-authority")]
        assert ("Requester", "RequestDenied") == server.ask(query()).codes
        assert workers == server.workers()


def test_faulty_configuration_leaves_the_old_in_force(directory: Directory) -> None:
    """What cannot be used is told by name, without a traceback, and everything stays as it was."""

    def spoil_key() -> None:
        directory.configure()
        (directory.path / "signing.key").write_text("x")

    flaws: dict[str, Callable[[], object]] = {
        "surplus": lambda: directory.configure(extra="[surplus]"),
        "authority.toml": lambda: directory.config.write_text("= ="),
        "signing.key": spoil_key,
        "federation.xml": lambda: (directory.path / "federation.xml").write_text("<x/>"),
    }
    with running(directory) as server:
        for named, spoil in flaws.items():
            reloaded(server, spoil, event="reload-failed")

            assert named in server.events("reload-failed")[-1]["cause"]
            assert RELEASED == server.ask(query()).values
        assert "Traceback" not in server.log()


def test_busy_port() -> None:
    """A port that somebody else has is told with its address, once, and nothing is left open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(OperatorError, match=f"cannot listen at 127.0.0.1:{port}"):
            bind(Address("127.0.0.1", port), 2)


def test_one_address_for_every_worker() -> None:
    """All workers listen at one port, also where the system chose it, each with a socket of its own."""
    sockets = bind(Address("127.0.0.1", 0), 3)
    try:
        assert 1 == len({opened.getsockname() for opened in sockets})
        assert 3 == len({opened.fileno() for opened in sockets})
        assert f"http://127.0.0.1:{sockets[0].getsockname()[1]}" == listening_url(sockets[0], "http")
    finally:
        for opened in sockets:
            opened.close()


def test_address_of_version_6() -> None:
    """An IPv6 address stands in brackets."""
    (opened,) = bind(Address("::1", 0), 1)
    with opened:
        assert f"http://[::1]:{opened.getsockname()[1]}" == listening_url(opened, "http")
