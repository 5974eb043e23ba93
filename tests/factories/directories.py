"""Directory sources for tests: tables with defaults, and servers that speak just enough LDAP, or too little."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier
from attribute_authority.errors import CouldNotAsk
from connectors import Surroundings
from connectors.ldap import LDAP, LdapSettings, LdapSource
from tests.peers.slapd import BIND_DN, PEOPLE, Slapd

HOME_ORGANISATION = EntityId("https://idp.uni.example/metadata")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

BIND_REQUEST, SEARCH_REQUEST, EXTENDED_REQUEST = 0x60, 0x63, 0x77
BIND_RESPONSE, SEARCH_ENTRY, SEARCH_DONE, EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x78
"""Tags of operations (RFC 4511, appendix B)."""

Talk = Callable[[socket.socket], None]
Answering = Callable[[int, int], bytes]
"""Returns what is sent in answer to an operation, given its tag and the number of the message."""


class NoIndex:
    """Stands where computed identifiers would be; a directory has none."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a directory asks for no index: {name}")


def table(**keys: object) -> LdapSettings:
    """Make the table of a directory: with nothing given but `urls`, one that finds people by ePPN."""
    defaults: dict[str, object] = {
        "kind": "ldap",
        "timeout": 10.0,
        "base": PEOPLE,
        "filters": {"eppn": "(eduPersonPrincipalName={value})"},
        "identifiers": {"eduPersonUniqueId": "unique-id"},
    }
    return LdapSettings.model_validate(defaults | keys)


def table_for(slapd: Slapd, **keys: object) -> LdapSettings:
    """Make the table of a directory on a server of the suite, over LDAPS."""
    access = {
        "urls": [slapd.ldaps_url],
        "tls_ca": str(slapd.certificate),
        "bind_dn": BIND_DN,
        "password_file": str(slapd.password_file),
    }
    return table(**(access | keys))


def open_source(settings: LdapSettings) -> LdapSource:
    """Open a source for the one home organisation, in production."""
    opened = LDAP.open(settings, Surroundings(HOME_ORGANISATION, Environment.PRODUCTION, NoIndex(), lambda: _NOW))
    assert isinstance(opened, LdapSource)
    return opened


@contextmanager
def source(settings: LdapSettings) -> Iterator[LdapSource]:
    """Open a source for the time of the block."""
    opened = open_source(settings)
    try:
        yield opened
    finally:
        opened.close()


def refusal(asked: LdapSource, identifier: Identifier) -> CouldNotAsk:
    """Ask, and return the failure; there has to be one."""
    with pytest.raises(CouldNotAsk) as caught:
        asked.resolve(identifier)
    return caught.value


@contextmanager
def scripted_server(talk: Talk) -> Iterator[str]:
    """Listen on a free port of 127.0.0.1 and have `talk` speak on each connection; the URL is for plain LDAP."""
    listening = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connections.append(connection)
                Thread(target=_speak, args=(talk, connection), daemon=True).start()

    accepting = Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"ldap://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        # Closing alone would not wake who accepts.
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()
        for connection in connections:
            connection.close()


def _speak(talk: Talk, connection: socket.socket) -> None:
    with suppress(OSError), connection:
        talk(connection)


def answering(answer: Answering) -> Talk:
    """Make a server that answers each request, one after the other."""

    def talk(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            connection.sendall(answer(*read_request(request)))

    return talk


def greeted(connection: socket.socket, response: int = BIND_RESPONSE) -> int:
    """Answer the first request with success, take the second, and return its number."""
    _, number = read_request(connection.recv(65536))
    connection.sendall(result(number, response))
    return read_request(connection.recv(65536))[1]


def welcoming(answer: Callable[[int], bytes]) -> Talk:
    """Make a server that lets everybody bind, and answers searches with what `answer` makes for the number of the message."""
    return answering(lambda tag, number: result(number, BIND_RESPONSE) if tag == BIND_REQUEST else answer(number))


def result(number: int, tag: int, code: int = 0) -> bytes:
    """Write a message with an LDAPResult."""
    return message(number, tlv(tag, tlv(0x0A, bytes([code])), tlv(0x04), tlv(0x04)))


def entry(number: int, attributes: dict[bytes, list[bytes]]) -> bytes:
    """Write a SearchResultEntry."""
    listed = [tlv(0x30, tlv(0x04, name), tlv(0x31, *(tlv(0x04, value) for value in values))) for name, values in attributes.items()]
    return message(number, tlv(SEARCH_ENTRY, tlv(0x04, b"uid=x"), tlv(0x30, *listed)))


def message(number: int, operation: bytes) -> bytes:
    """Write an LDAPMessage."""
    return tlv(0x30, tlv(0x02, number.to_bytes(4)), operation)


def tlv(tag: int, *contents: bytes) -> bytes:
    """Write a value in BER (X.690), its length in four octets."""
    content = b"".join(contents)
    return bytes([tag, 0x84]) + len(content).to_bytes(4) + content


def read_request(request: bytes) -> tuple[int, int]:
    """Return the tag of the operation and the number of a message. Raises ConnectionError where it is none, such as a handshake."""
    start = 2 if request[1] < 0x80 else 2 + request[1] - 0x80
    if request[0] != 0x30 or request[start] != 0x02:
        raise ConnectionError("no LDAP")
    end = start + 2 + request[start + 1]
    return request[end], int.from_bytes(request[start + 2 : end])
