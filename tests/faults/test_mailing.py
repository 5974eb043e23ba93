"""Mail to organisations: a real mail server in every way that can be configured, and servers that are not what they should be."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_authority.domain.letter import Letter
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.keys import FreshKey, make_key
from attribute_authority.mailing import SmtpCourier, open_courier, parse_contact
from attribute_authority.organisation_settings import MailSettings
from tests.factories.directories import scripted_server
from tests.peers.smtp import HOST, NAME, PASSWORD, MailServer, Security, running_mail_server

SENDER = "orcid@csc.example"
RECIPIENT = "idm@uni.example"
TEXT = "Järjestelmä ldap: 1 toimitus – “ä”\n\n.\n.dot\nFrom here\n" + "x" * 2_000 + "\n"
LETTER = Letter(RECIPIENT, "fi", "1 toimitus odottaa toimenpiteitä", TEXT, datetime(2026, 3, 1, 12, tzinfo=UTC))
SHORT = 0.5
"""Seconds that a letter may take where it is meant to run out of time."""


@pytest.fixture(scope="module")
def key() -> FreshKey:
    """The key of every mail server here that is what it should be."""
    return make_key("mail", datetime.now(UTC), (HOST, "localhost"), bits=2048)


def _settings(port: int, directory: Path, **changes: Any) -> MailSettings:
    keys = {"host": HOST, "port": port, "sender": SENDER, **changes}
    return MailSettings.model_validate(keys, context={"directory": str(directory)})


def _courier(server: MailServer, directory: Path, **changes: Any) -> SmtpCourier:
    return open_courier(_settings(server.port, directory, tls_ca="mail.crt", **changes))


def _signing_in(directory: Path, password: str = PASSWORD) -> dict[str, str]:
    (directory / "password").write_text(f"{password}\n", encoding="utf-8")
    return {"username": NAME, "password_file": "password"}


def _cause(courier: SmtpCourier, letter: Letter = LETTER) -> str:
    with pytest.raises(CouldNotAsk) as raised:
        courier.send(letter)
    return raised.value.cause


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
@pytest.mark.parametrize("with_password", [True, False], ids=["password", "no password"])
def test_a_letter_arrives(tmp_path: Path, key: FreshKey, security: Security, with_password: bool) -> None:
    """With STARTTLS, with TLS from the beginning, and without on this very machine; with a password where there is TLS."""
    with_password = with_password and security != "none"
    with running_mail_server(tmp_path, security, key=key, with_password=with_password) as server:
        proof = _signing_in(tmp_path) if with_password else {}
        _courier(server, tmp_path, security=security, **proof).send(LETTER)
    (accepted,) = server.accepted

    assert (SENDER, (RECIPIENT,)) == (accepted.sender, accepted.recipients)
    assert (NAME if with_password else None, security != "none") == (accepted.signed_in, accepted.is_encrypted)
    assert TEXT == accepted.text


def test_its_headers_say_that_no_person_wrote_it(tmp_path: Path, key: FreshKey) -> None:
    """Nobody's answering machine answers it, and every letter has a name of its own in the sender's domain."""
    with running_mail_server(tmp_path, key=key) as server:
        courier = _courier(server, tmp_path)
        courier.send(LETTER)
        courier.send(LETTER)
    first, second = (accepted.message for accepted in server.accepted)

    assert ("auto-generated", "All", "fi") == (first["Auto-Submitted"], first["X-Auto-Response-Suppress"], first["Content-Language"])
    assert (SENDER, RECIPIENT, LETTER.subject) == (first["From"], first["To"], first["Subject"])
    assert (LETTER.written_at, "utf-8", None) == (first["Date"].datetime, first.get_content_charset(), first["Reply-To"])
    assert first["Message-ID"] != second["Message-ID"]
    assert str(first["Message-ID"]).endswith("@csc.example>")


def test_a_letter_is_ascii_on_the_way(tmp_path: Path, key: FreshKey) -> None:
    """No server needs 8BITMIME or SMTPUTF8 for it, and no line is longer than a server must take (RFC 5321, 4.5.3.1.6)."""
    with running_mail_server(tmp_path, key=key) as server:
        _courier(server, tmp_path).send(LETTER)
    octets = server.accepted[0].octets

    assert octets.isascii()
    assert 998 >= max(map(len, octets.split(b"\r\n")))


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("MAIL", "550 5.7.1 orcid@csc.example may not", "refuses the sender, with 550"),
        ("RCPT", "550 5.1.1 idm@uni.example is unknown", "refuses the recipient, with 550"),
        ("RCPT", "451 4.7.1 greylisted idm@uni.example", "refuses the recipient, with 451"),
        ("DATA", "554 5.6.0 I do not like josiah", "refuses the letter, with 554"),
        ("DATA", "452 4.3.1 full", "refuses the letter, with 452"),
    ],
)
def test_a_refusal_is_told_without_the_words_of_the_server(
    tmp_path: Path, key: FreshKey, *, command: str, answer: str, expected: str
) -> None:
    """The code tells what it is; the words may quote addresses."""
    with running_mail_server(tmp_path, key=key, refusals={command: answer}) as server:
        cause = _cause(_courier(server, tmp_path))

    assert f"mail server {HOST}:{server.port}: {expected}" == cause
    assert [] == server.accepted


def test_a_wrong_password_is_told_without_the_password(tmp_path: Path, key: FreshKey) -> None:
    """No letter goes without the proof that was configured."""
    with running_mail_server(tmp_path, key=key, with_password=True) as server:
        courier = _courier(server, tmp_path, **_signing_in(tmp_path, "wrong-password"))
        cause = _cause(courier)

    assert f"mail server {HOST}:{server.port}: refuses our password, with 535" == cause
    assert "wrong-password" not in repr(vars(courier)["_settings"]) + cause
    assert [] == server.accepted


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_ends_it(tmp_path: Path, key: FreshKey, security: Security) -> None:
    """Without tls_ca the system's authorities count; the password is not sent."""
    with running_mail_server(tmp_path, security, key=key, with_password=True) as server:
        cause = _cause(open_courier(_settings(server.port, tmp_path, security=security, **_signing_in(tmp_path))))

    assert f"mail server {HOST}:{server.port}: its certificate is refused: self-signed certificate" == cause
    assert ([], []) == (server.accepted, server.offered)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_another_name_ends_it(tmp_path: Path, security: Security) -> None:
    """A certificate that is trusted, but not for that server, is no proof; the password is not sent."""
    other = make_key("other.example", datetime.now(UTC), ("other.example",), bits=2048)
    with running_mail_server(tmp_path, security, key=other, with_password=True) as server:
        cause = _cause(_courier(server, tmp_path, security=security, **_signing_in(tmp_path)))

    assert "its certificate is refused: IP address mismatch" in cause
    assert ([], []) == (server.accepted, server.offered)


def test_a_server_without_starttls_gets_nothing(tmp_path: Path, key: FreshKey) -> None:
    """Whoever strips STARTTLS from the conversation gets neither the password nor the letter."""
    with running_mail_server(tmp_path, "none", key=key) as server:
        cause = _cause(_courier(server, tmp_path, **_signing_in(tmp_path)))

    assert cause.endswith("does not offer what is configured, STARTTLS or a way to sign in")
    assert ([], []) == (server.accepted, server.offered)


def test_a_server_without_passwords_gets_no_letter(tmp_path: Path) -> None:
    """A server that is to be signed in at, and offers no way to, is another server than the one that was meant."""
    with _scripted([b"220 mail\r\n", b"250 mail\r\n"]) as port:
        cause = _cause(open_courier(_settings(port, tmp_path, security="none", **_signing_in(tmp_path))))

    assert cause.endswith("does not offer what is configured, STARTTLS or a way to sign in")


def test_nobody_listening_is_told(tmp_path: Path, key: FreshKey) -> None:
    """The server was stopped."""
    with running_mail_server(tmp_path, key=key) as server:
        courier = _courier(server, tmp_path)

    assert f"mail server {HOST}:{server.port}: no connection: Connection refused" == _cause(courier)


def _scripted(answers: list[bytes]) -> Any:
    """Listen and give these answers, the first unasked, each further one to whatever is sent; then say nothing more."""

    def talk(connection: socket.socket) -> None:
        for answer in answers:
            connection.sendall(answer)
            connection.recv(65_536)
        while connection.recv(65_536):
            pass

    return _port_of(talk)


class _port_of:  # noqa: N801 - a context manager, named as it is read
    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._server = scripted_server(talk)

    def __enter__(self) -> int:
        return urlsplit(self._server.__enter__()).port or 0

    def __exit__(self, *failure: Any) -> None:
        self._server.__exit__(*failure)


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [b"220 mail\r\n"],
        [b"220 mail\r\n", b"250 mail\r\n"],
        [b"220 mail\r\n", b"250 mail\r\n", b"250 OK\r\n", b"250 OK\r\n"],
        [b"220 mail\r\n", b"250 mail\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n"],
    ],
    ids=["greeting", "EHLO", "MAIL", "DATA", "end of DATA"],
)
def test_a_server_that_hangs_holds_nobody(tmp_path: Path, answers: list[bytes]) -> None:
    """Wherever it stops to answer, the letter ends with its time, and was not sent."""
    with _scripted(answers) as port:
        cause = _cause(open_courier(_settings(port, tmp_path, security="none", timeout=SHORT)))

    assert f"mail server {HOST}:{port}: took too long" == cause


def test_a_server_that_drips_holds_nobody(tmp_path: Path) -> None:
    """Octet after octet, each in time, is not in time altogether."""

    def drip(connection: socket.socket) -> None:
        connection.settimeout(SHORT / 10)
        while True:
            connection.sendall(b"2")
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    with _port_of(drip) as port:
        cause = _cause(open_courier(_settings(port, tmp_path, security="none", timeout=SHORT)))

    assert f"mail server {HOST}:{port}: took too long" == cause


def test_a_server_that_hangs_in_the_handshake_holds_nobody(tmp_path: Path) -> None:
    """TLS is bounded as everything else is."""
    with _scripted([b"220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go on\r\n"]) as port:
        cause = _cause(open_courier(_settings(port, tmp_path, timeout=SHORT)))

    assert f"mail server {HOST}:{port}: took too long" == cause


def test_a_server_that_floods_is_left(tmp_path: Path) -> None:
    """It is read no further than a conversation can be long."""

    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"220-more\r\n" * 100)

    with _port_of(flood) as port:
        cause = _cause(open_courier(_settings(port, tmp_path, security="none")))

    assert f"mail server {HOST}:{port}: broke off" == cause


def test_what_was_said_before_tls_counts_for_nothing(tmp_path: Path, key: FreshKey) -> None:
    """Answers that somebody pushed in behind STARTTLS are not taken for those of the server (CVE-2011-0411)."""
    (tmp_path / "mail.crt").write_bytes(key.certificate)
    (tmp_path / "mail.pem").write_bytes(key.key + key.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "mail.pem")

    def inject(connection: socket.socket) -> None:
        connection.sendall(b"220 mail\r\n")
        connection.recv(65_536)
        connection.sendall(b"250-mail\r\n250 STARTTLS\r\n")
        connection.recv(65_536)
        # The last answers come with the first one in clear, as an attacker on the way would add them.
        connection.sendall(b"220 go on\r\n250 mail\r\n250 OK\r\n250 OK\r\n354 go on\r\n250 OK\r\n")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(65_536)

    with _port_of(inject) as port:
        courier = open_courier(_settings(port, tmp_path, tls_ca="mail.crt"))
        cause = _cause(courier)

    assert cause.startswith(f"mail server {HOST}:{port}: ")


@pytest.mark.parametrize("farewell", [b"421 no\r\n", b"\xff\r\n", b""])
def test_an_accepted_letter_is_accepted_however_the_server_leaves(tmp_path: Path, farewell: bytes) -> None:
    """Only the answer to the letter counts."""
    answers = [b"220 mail\r\n", b"250 mail\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n", b"250 OK\r\n", farewell]

    def talk(connection: socket.socket) -> None:
        for answer in answers:
            connection.sendall(answer)
            while not connection.recv(65_536).endswith(b"\r\n"):
                pass

    with _port_of(talk) as port:
        open_courier(_settings(port, tmp_path, security="none", timeout=SHORT)).send(LETTER)


@given(st.binary(max_size=200))
def test_an_answer_that_is_no_smtp_is_a_failure(octets: bytes) -> None:
    """Whatever stands there: nothing is accepted, and nothing else is raised."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(octets)

    with _port_of(talk) as port:
        courier = open_courier(MailSettings(host=HOST, port=port, security="none", sender=SENDER, timeout=5.0))
        assert _cause(courier).startswith(f"mail server {HOST}:{port}: ")


@pytest.mark.parametrize("field", ["recipient", "subject", "language"])
@pytest.mark.parametrize(
    "added", ["\r\nBcc: eve@evil.example", "\nBcc: eve@evil.example", "\rBcc: eve@evil.example", "\0", " , eve@evil.example"]
)
def test_no_header_can_be_added(tmp_path: Path, key: FreshKey, field: str, added: str) -> None:
    """Whatever the fields of a letter hold: it is refused, or arrives with no header and no recipient more."""
    values = {name: getattr(LETTER, name) for name in ("recipient", "language", "subject", "text", "written_at")}
    with running_mail_server(tmp_path, key=key) as server:
        courier = _courier(server, tmp_path)
        with suppress(ValueError, OperatorError):
            courier.send(Letter(**{**values, field: values[field] + added}))

    assert all((RECIPIENT,) == accepted.recipients and accepted.message["Bcc"] is None for accepted in server.accepted)
    assert field != "recipient" or server.accepted == []


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ("mailto:idm@uni.example", "idm@uni.example"),
        ("mailto:idm+orcid@uni.example?subject=ORCID%20iD", "idm+orcid@uni.example"),
        ("mailto:gorby%25kremvax@example.com", "gorby%kremvax@example.com"),
    ],
)
def test_the_address_of_a_contact(contact: str, address: str) -> None:
    """What a mail program would make of the URI (RFC 6068), without the header fields it may have."""
    assert address == parse_contact(contact)


@pytest.mark.parametrize(
    "contact",
    [
        "mailto:",
        "mailto:idm",
        "mailto:idm@",
        "mailto:a@uni.example,b@uni.example",
        "mailto:a@uni.example%0d%0aBcc:eve@evil.example",
        "mailto:a@uni.example%00",
        "mailto:j%C3%B6rg@uni.example",
        "mailto:<a@uni.example>",
        'mailto:"a b"@uni.example',
        "mailto:" + "a" * 250 + "@uni.example",
    ],
)
def test_a_contact_that_is_no_address_is_the_operators_fault(contact: str) -> None:
    """It is told when the configuration is read, not when something is to be sent."""
    with pytest.raises(OperatorError, match="expected one e-mail address"):
        parse_contact(contact)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\n", "lösenord\n".encode()])
def test_a_password_that_is_none_is_the_operators_fault(tmp_path: Path, content: bytes) -> None:
    """The sentence names the file, and quotes nothing of it."""
    settings = _settings(25, tmp_path, **_signing_in(tmp_path))
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(OperatorError) as raised:
        open_courier(settings)

    assert raised.value.cause.startswith(f"mail: {tmp_path / 'password'}: expected a password")
    assert "sword" not in str(raised.value.__cause__).partition(": ")[2].replace("a password", "")


@pytest.mark.parametrize("name", ["password_file", "tls_ca"])
def test_a_file_that_is_not_there_is_the_operators_fault(tmp_path: Path, name: str) -> None:
    """It is named."""
    settings = _settings(25, tmp_path, **{**_signing_in(tmp_path), name: "nowhere"})
    with pytest.raises(OperatorError, match=r"mail: .*nowhere: "):
        open_courier(settings)


def test_a_sender_that_is_no_address_is_the_operators_fault(tmp_path: Path) -> None:
    """An address that some server would refuse is refused at once."""
    with pytest.raises(OperatorError, match=r"^mail: 'örcid@csc.example': expected one e-mail address"):
        open_courier(_settings(25, tmp_path, sender="örcid@csc.example"))
