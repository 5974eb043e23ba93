"""A mail server, aiosmtpd, on a free port of 127.0.0.1: with STARTTLS, TLS from the beginning, or neither; with or without a password."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from attribute_authority.keys import FreshKey, make_key
from tests.peers.postgresql import free_port

HOST = "127.0.0.1"
NAME = "orcid-mailer"
PASSWORD = "hunter2 with spaces"
Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A letter that the server has accepted, with its envelope, and who had signed in."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes
    signed_in: str | None
    is_encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """The letter as a mail program reads it."""
        return message_from_bytes(self.octets, policy=SMTP_POLICY)

    @property
    def text(self) -> str:
        """What stands in it."""
        return str(self.message.get_content()).replace("\r\n", "\n")


@dataclass(slots=True)
class MailServer:
    """A running server. `refusals` are what it answers instead of 250, by command."""

    port: int
    certificate: Path
    refusals: Mapping[str, str]
    with_password: bool = False
    accepted: list[Accepted] = field(default_factory=list)
    offered: list[tuple[str, str]] = field(default_factory=list)
    """Names and passwords that were tried."""

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Take the sender, who has signed in where that is demanded."""
        if self.with_password and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return self.refusals.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Take a recipient."""
        if "RCPT" not in self.refusals:
            envelope.rcpt_tos.append(address)
        return self.refusals.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a letter."""
        if "DATA" in self.refusals:
            return self.refusals["DATA"]
        octets, transport = envelope.original_content, server.transport
        assert octets is not None
        assert transport is not None
        signed_in = str(session.auth_data) if session.authenticated else None
        self.accepted.append(
            Accepted(envelope.mail_from or "", tuple(envelope.rcpt_tos), octets, signed_in, transport.get_extra_info("cipher") is not None)
        )
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword) -> AuthResult:
        """Check a name and a password."""
        name, password = login.login.decode(), login.password.decode()
        self.offered.append((name, password))
        return AuthResult(success=(name, password) == (NAME, PASSWORD), handled=False, auth_data=name)


@contextmanager
def running_mail_server(
    directory: Path,
    security: Security = "starttls",
    *,
    key: FreshKey | None = None,
    with_password: bool = False,
    refusals: Mapping[str, str] | None = None,
) -> Iterator[MailServer]:
    """Run a server with a certificate of its own for 127.0.0.1, unless `key` is given."""
    own = key or make_key("mail", datetime.now(UTC), (HOST, "localhost"), bits=2048)
    pem = directory / "mail.pem"
    pem.write_bytes(own.key + own.certificate)
    certificate = directory / "mail.crt"
    certificate.write_bytes(own.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = MailServer(free_port(), certificate, refusals or {}, with_password)
    controller = Controller(
        server,
        hostname=HOST,
        port=server.port,
        ssl_context=context if security == "tls" else None,
        tls_context=context if security == "starttls" else None,
        require_starttls=security == "starttls",
        authenticator=server.authenticate,
        # It does not count TLS from the beginning as TLS.
        auth_require_tls=security == "starttls",
        server_hostname="mail.uni.example",
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
