"""What the network between us and a directory could do, and a server that is not what it should be."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.errors import CouldNotAsk
from attribute_authority.keys import make_key
from connectors.ldap import LdapSource
from tests.factories.directories import (
    BIND_REQUEST,
    BIND_RESPONSE,
    EXTENDED_REQUEST,
    EXTENDED_RESPONSE,
    SEARCH_DONE,
    Talk,
    answering,
    entry,
    greeted,
    message,
    read_request,
    refusal,
    result,
    scripted_server,
    source,
    table,
    table_for,
    tlv,
    welcoming,
)
from tests.peers.slapd import BIND_DN, PASSWORD, Slapd, running_slapd

TEPPO = parse_identifier(IdentifierKind.EPPN, "teppo@uni.example")
SHORT = 0.3
"""Seconds that a question may take where it is meant to run out of time."""


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    """A server of the suite; nobody is in it."""
    with running_slapd() as slapd:
        yield slapd


@pytest.mark.parametrize("transport", ["ldap", "ldaps"])
def test_a_certificate_of_another_host_is_refused(transport: str) -> None:
    """A certificate that is trusted, but for another name, is no proof, and the password is not sent."""
    with running_slapd(make_key("other.example", datetime.now(UTC), ("other.example",), bits=2048)) as slapd:
        url = slapd.url if transport == "ldap" else slapd.ldaps_url
        with source(table_for(slapd, urls=[url])) as opened:
            failure = refusal(opened, TEPPO)
        binds = slapd.count_binds()

    assert failure.cause.startswith(f"{url}: its certificate is refused: IP address mismatch")
    assert 0 == binds


@pytest.mark.parametrize("transport", ["ldap", "ldaps"])
def test_a_certificate_of_an_unknown_authority_is_refused(directory: Slapd, transport: str) -> None:
    """A certificate for the right name that nobody vouches for is no proof; without tls_ca the system's authorities count."""
    url = directory.url if transport == "ldap" else directory.ldaps_url
    with source(table_for(directory, urls=[url], tls_ca=None)) as opened:
        failure = refusal(opened, TEPPO)

    assert failure.cause.startswith(f"{url}: its certificate is refused: self-signed certificate")


def stripping(code: int, heard: list[bytes]) -> Talk:
    """Make a server in the middle that refuses StartTLS and takes down what it hears after that."""

    def talk(connection: socket.socket) -> None:
        _, number = read_request(connection.recv(65536))
        connection.sendall(result(number, EXTENDED_RESPONSE, code))
        while octets := connection.recv(65536):
            heard.append(octets)

    return talk


@pytest.mark.parametrize("code", [1, 2, 8, 13, 52, 53])
def test_a_server_without_start_tls_is_told_nothing(directory: Slapd, code: int) -> None:
    """Whoever strips StartTLS from the conversation gets neither the password nor the question."""
    heard: list[bytes] = []
    with scripted_server(stripping(code, heard)) as url, source(table_for(directory, urls=[url])) as opened:
        failure = refusal(opened, TEPPO)

    assert failure.cause.startswith(f"{url}: StartTLS: result code {code} (")
    assert [] == heard


def test_a_server_that_says_start_tls_and_goes_on_in_the_clear_is_told_nothing(directory: Slapd) -> None:
    """Success for StartTLS without TLS after it ends the conversation; what comes is a handshake, and no password."""
    heard: list[bytes] = []
    with scripted_server(stripping(0, heard)) as url, source(table_for(directory, urls=[url], timeout=SHORT)) as opened:
        refusal(opened, TEPPO)

    assert not any(PASSWORD.encode() in octets or BIND_DN.encode() in octets for octets in heard)


def test_answers_slipped_in_before_tls_are_not_taken_for_answers_within_it(directory: Slapd) -> None:
    """A bind response that somebody appends in the clear to the answer to StartTLS ends the conversation (RFC 4513, 3.1.1)."""

    def talk(connection: socket.socket) -> None:
        _, number = read_request(connection.recv(65536))
        connection.sendall(result(number, EXTENDED_RESPONSE) + result(number + 1, BIND_RESPONSE) + result(number + 2, SEARCH_DONE))
        connection.recv(65536)

    with scripted_server(talk) as url, source(table_for(directory, urls=[url])) as opened:
        failure = refusal(opened, TEPPO)

    assert f"{url}: the connection ended" == failure.cause or "cannot be read" in failure.cause


def test_plain_ldap_where_ldaps_is_configured_gets_nothing(directory: Slapd) -> None:
    """A server that does not speak TLS is not spoken to otherwise."""
    plain = directory.url.replace("ldap:", "ldaps:")
    with source(table_for(directory, urls=[plain], timeout=SHORT * 10)) as opened:
        refusal(opened, TEPPO)

    assert 0 == directory.count_binds()


def silent(connection: socket.socket) -> None:
    """Take what comes and never answer."""
    while connection.recv(65536):
        pass


def dripping(connection: socket.socket) -> None:
    """Let everybody bind, and answer the search with an octet at a time of an entry that never ends."""
    greeted(connection)
    connection.sendall(b"\x30\x84\x00\x01\x00\x00")
    # Until the other side has had enough.
    while True:
        connection.sendall(b"\x04")
        _pause(connection)


def _pause(connection: socket.socket) -> None:
    connection.settimeout(0.02)
    try:
        connection.recv(1)
    except TimeoutError:
        return


def ask_script(talk: Talk, **keys: object) -> CouldNotAsk:
    """Ask a scripted server in the clear, and return the failure."""
    with scripted_server(talk) as url, source(table(**{"urls": [url], "start_tls": False, "timeout": SHORT} | keys)) as opened:
        return refusal(opened, TEPPO)


@pytest.mark.parametrize("talk", [silent, dripping])
def test_servers_that_take_their_time_do_not_keep_a_thread(talk: Talk) -> None:
    """A server that says nothing, or an octet now and then, is left when time is over."""
    failure = ask_script(talk)

    assert failure.cause.endswith(": no answer in time")


@pytest.mark.parametrize("urls", ["ldaps", "ldap"])
def test_a_server_that_never_ends_its_handshake_does_not_keep_a_thread(directory: Slapd, urls: str) -> None:
    """The time-out counts for TLS, too, whether it comes at once or by StartTLS."""

    def talk(connection: socket.socket) -> None:
        if urls == "ldap":
            _, number = read_request(connection.recv(65536))
            connection.sendall(result(number, EXTENDED_RESPONSE))
        # The beginning of a record of the handshake, and then an octet now and then.
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while True:
            connection.sendall(b"\x00")
            _pause(connection)

    with scripted_server(talk) as url:
        chosen = url if urls == "ldap" else url.replace("ldap:", "ldaps:")
        with source(table_for(directory, urls=[chosen], timeout=SHORT)) as opened:
            failure = refusal(opened, TEPPO)

    assert f"{chosen}: no answer in time" == failure.cause


def test_an_answer_without_end_is_given_up() -> None:
    """A server that sends more than any answer holds is not read to the end, however fast it is."""

    def talk(connection: socket.socket) -> None:
        greeted(connection)
        connection.sendall(b"\x30\x84\x7f\xff\xff\xff")
        while True:
            connection.sendall(bytes(65536))

    failure = ask_script(talk, timeout=10.0)

    assert failure.cause.endswith(": its answer is too large")


DISCONNECTION = b"1.3.6.1.4.1.1466.20036"
NO_ANSWERS: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    ("HTTP", lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("nothing", lambda _: b"\x30\x00\x00"),
    ("indefinite length", lambda _: b"\x30\x80\x00\x00"),
    ("number alone", lambda _: b"\x30\x03\x02\x01\x02"),
    ("empty result", lambda number: message(number, tlv(SEARCH_DONE))),
    ("half a result", lambda number: message(number, tlv(SEARCH_DONE, tlv(0x0A, b"\x00")))),
    ("unknown operation", lambda number: message(number, tlv(0x7F))),
    ("end of a bind", lambda number: result(number, BIND_RESPONSE)),
    ("end of something extended", lambda number: result(number, EXTENDED_RESPONSE)),
    ("unknown code", lambda number: result(number, SEARCH_DONE, 99)),
    ("answer to somebody else", lambda number: result(number + 1, SEARCH_DONE)),
    ("unsolicited", lambda _: result(0, EXTENDED_RESPONSE)),
    ("notice of disconnection", lambda _: message(0, tlv(0x78, tlv(0x0A, b"\x34"), tlv(0x04), tlv(0x04), tlv(0x8A, DISCONNECTION)))),
    ("entry after the end", lambda number: result(number, SEARCH_DONE) + entry(number, {b"uid": [b"teppo"]})),
    ("half an entry", lambda number: message(number, tlv(0x64, tlv(0x04, b"\xff"), tlv(0x30, tlv(0x30, tlv(0x04, b"a")))))),
    ("sequence as operation", lambda number: message(number, tlv(0x30))),
    ("nested without end", lambda _: b"\x30\x84\x00\x00\x9c\x40" + b"\x30\x80" * 20_000),
    ("nested to the limit", lambda number: nested(number, 8_000)),
    ("many parts", lambda number: tlv(0x30, tlv(0x02, bytes([number % 128])), *[tlv(0x30)] * 1000)),
    ("huge number", lambda _: tlv(0x30, tlv(0x02, b"\x7f" * 20_000), tlv(SEARCH_DONE))),
)


def nested(number: int, depth: int) -> bytes:
    """Write a message with sequences within sequences."""
    content = b""
    for _ in range(depth):
        content = tlv(0x30, content)
    return message(number, content)


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in NO_ANSWERS])
def test_what_is_no_answer_is_no_absence(answer: Callable[[int], bytes]) -> None:
    """Octets that are not the end of a search in LDAP end in CouldNotAsk, whatever they are."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(answer(greeted(connection)))

    failure = ask_script(talk, timeout=5.0)

    assert failure.cause.startswith("ldap://127.0.0.1:")


class Noise:
    """A server that answers searches with whatever it is given, bare or within a message of the right number."""

    def __init__(self) -> None:
        self.octets = b""
        self.framed = False

    def talk(self, connection: socket.socket) -> None:
        """Speak on one connection, and hang up."""
        number = greeted(connection)
        connection.sendall(message(number, self.octets) if self.framed else self.octets)


@pytest.fixture(scope="module")
def noise() -> Iterator[tuple[Noise, LdapSource]]:
    """A server that makes noise, and who asks it."""
    made = Noise()
    with scripted_server(made.talk) as url, source(table(urls=[url], start_tls=False)) as opened:
        yield made, opened


@given(st.binary(max_size=200), st.booleans())
def test_random_octets_are_no_absence(noise: tuple[Noise, LdapSource], octets: bytes, framed: bool) -> None:
    """A server that answers noise is not believed."""
    server, opened = noise
    server.octets, server.framed = octets, framed

    failure = refusal(opened, TEPPO)

    assert failure.cause.startswith("ldap://127.0.0.1:")


def test_ranges_of_values_are_not_taken_for_all_of_them() -> None:
    """An attribute of which Active Directory sends a part (`;range=0-1499`) cannot be read."""
    attributes = {
        b"eduPersonPrincipalName": [b"teppo@uni.example"],
        b"eduPersonUniqueId;range=0-1": [b"a@uni.example", b"b@uni.example"],
        b"eduPersonUniqueId": [],
    }
    failure = ask_script(welcoming(lambda number: entry(number, attributes) + result(number, SEARCH_DONE)), timeout=5.0)

    assert failure.cause.endswith("eduPersonUniqueId came with options, as part of a range or in another form")


OTHER_RESULTS = {1: "operationsError", 3: "timeLimitExceeded", 11: "adminLimitExceeded", 50: "insufficientAccessRights"}
OTHER_RESULTS |= {51: "busy", 52: "unavailable", 53: "unwillingToPerform", 80: "other"}


@pytest.mark.parametrize(("code", "name"), OTHER_RESULTS.items())
def test_results_other_than_success_are_no_absence(code: int, name: str) -> None:
    """Whatever keeps a server from answering ends in CouldNotAsk with the result code."""
    failure = ask_script(welcoming(lambda number: result(number, SEARCH_DONE, code)), timeout=5.0)

    assert failure.cause.endswith(f": result code {code} ({name})")


def test_a_size_limit_that_is_exceeded_is_a_contradiction() -> None:
    """More entries than were asked for are several, even if the server sends none of them."""
    failure = ask_script(welcoming(lambda number: result(number, SEARCH_DONE, 4)), timeout=5.0)

    assert failure.cause.endswith(": several entries for one eppn")


def test_an_entry_that_was_not_asked_for_is_nobody() -> None:
    """A directory that compares more loosely than eduPerson does, or cheats, finds nobody."""
    attributes = {b"eduPersonPrincipalName": [b"maija@uni.example"], b"eduPersonUniqueId": [b"m1@uni.example"]}
    with (
        scripted_server(welcoming(lambda number: entry(number, attributes) + result(number, SEARCH_DONE))) as url,
        source(table(urls=[url], start_tls=False)) as opened,
    ):
        found = opened.resolve(TEPPO)

    assert found is None


def test_an_entry_that_hides_what_was_compared_is_not_believed() -> None:
    """Where the attribute that was searched by may not be read, it cannot be told whose the entry is."""
    attributes = {b"eduPersonUniqueId": [b"t17@uni.example"]}
    failure = ask_script(welcoming(lambda number: entry(number, attributes) + result(number, SEARCH_DONE)), timeout=5.0)

    assert failure.cause.endswith(": edupersonprincipalname cannot be read in the entry that was found")


def test_an_old_version_of_tls_is_not_spoken() -> None:
    """TLS 1.2 is the least (RFC 9325)."""
    with running_slapd(extra="TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.1") as slapd, source(table_for(slapd)) as opened:
        failure = refusal(opened, TEPPO)

    assert failure.cause.startswith(f"{slapd.ldaps_url}: TLS failed")


def test_a_server_that_answers_the_bind_with_another_operation_is_left() -> None:
    """Only a bind response says who we are."""
    talk = answering(lambda tag, number: result(number, SEARCH_DONE if tag == BIND_REQUEST else EXTENDED_REQUEST))

    failure = ask_script(talk, timeout=5.0)

    assert failure.cause.startswith("ldap://127.0.0.1:")
