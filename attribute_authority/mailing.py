"""Mail through one SMTP server (RFC 5321), with TLS (RFC 3207, RFC 8314) and a password (RFC 4954): one letter, one connection.

One deadline bounds all of it, and the server's words are neither kept nor logged, for they may quote addresses.
"""

import re
import secrets
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from time import monotonic
from typing import Final
from urllib.parse import unquote

from attribute_authority.domain.letter import Letter
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.mailing_session import MailDeadline, MailSession
from attribute_authority.organisation_settings import MailSettings

# Domains and local parts as most mail systems have them (RFC 5321, 4.1.2: Dot-string); no quoted ones.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_LONGEST_ADDRESS: Final = 254
_ID_OCTETS: Final = 16
_REFUSALS: Final[dict[type[Exception], str]] = {
    smtplib.SMTPAuthenticationError: "refuses our password",
    smtplib.SMTPSenderRefused: "refuses the sender",
    smtplib.SMTPDataError: "refuses the letter",
}


class SmtpCourier:
    """Hands letters to a mail server; threads may share it. `new_id` returns what no other letter has, for the Message-ID."""

    def __init__(self, settings: MailSettings, password: str | None, trust: ssl.SSLContext, new_id: Callable[[], str]) -> None:
        self._settings = settings
        self._password = password
        self._trust = trust
        self._new_id = new_id
        self._sender = parse_address(settings.sender)
        self._server = f"mail server {settings.host}:{settings.port}"

    def send(self, letter: Letter) -> None:
        """Hand a letter to the mail server, and return when that one has accepted it. Raises CouldNotAsk."""
        message = self._message(letter)
        with MailDeadline(self._settings.timeout, monotonic) as deadline, self._telling_failures(deadline):
            session = self._begin(deadline)
            try:
                self._prove(session)
                session.sendmail(self._sender, [letter.recipient], message.as_bytes())
                with suppress(OSError):
                    # It is accepted; how the server takes its leave changes nothing.
                    session.quit()
            finally:
                session.close()

    def _begin(self, deadline: MailDeadline) -> MailSession:
        settings = self._settings
        return MailSession(settings.host, settings.port, self._trust if settings.security == "tls" else None, deadline)

    def _prove(self, session: MailSession) -> None:
        settings = self._settings
        session.ehlo_or_helo_if_needed()
        if settings.security == "starttls":
            session.starttls(context=self._trust)
            session.ehlo_or_helo_if_needed()
        if settings.username is not None and self._password is not None:
            session.login(settings.username, self._password)

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage(SMTP)
        message["From"] = Address(addr_spec=self._sender)
        message["To"] = Address(addr_spec=parse_address(letter.recipient))
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(letter.written_at)
        message["Message-ID"] = f"<{self._new_id()}@{self._sender.rpartition('@')[2]}>"
        # So that no answering machine answers (RFC 3834, 5), and those of Microsoft neither, which do not know that header.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(letter.text, cte="quoted-printable")
        message["Content-Language"] = letter.language
        return message

    @contextmanager
    def _telling_failures(self, deadline: MailDeadline) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as failure:  # as which smtplib and ssl raise theirs
            reason = "took too long" if deadline.is_over() else _reason(failure)
        else:
            return
        # Without the failure itself, which quotes the server and may hold the letter's recipient.
        raise CouldNotAsk(f"{self._server}: {reason}") from None


def open_courier(settings: MailSettings) -> SmtpCourier:
    """Make a courier; it reads its password and asks nobody yet. Raises OperatorError naming the file or key."""
    try:
        return SmtpCourier(settings, _password(settings), _trust(settings), lambda: secrets.token_hex(_ID_OCTETS))
    except OperatorError as fault:
        raise OperatorError(f"mail: {fault.cause}") from fault


def parse_contact(contact: str) -> str:
    """Return the e-mail address of a contact, such as mailto:idm@uni.example (RFC 6068). Raises OperatorError.

    The header fields that such a URI may have are for the mail programs of people.
    """
    return parse_address(unquote(contact.removeprefix("mailto:").partition("?")[0]))


def parse_address(text: str) -> str:
    """Check an e-mail address to which every server delivers. Raises OperatorError."""
    if len(text) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(text):
        raise OperatorError(f"{text!r}: expected one e-mail address in ASCII, an internationalised domain as xn--")
    return text


def _password(settings: MailSettings) -> str | None:
    file = settings.password_file
    if file is None:
        return None
    try:
        password = file.read_text(encoding="ascii").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise OperatorError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise OperatorError(f"{file}: expected a password in ASCII") from None
    if not password or not password.isprintable():
        raise OperatorError(f"{file}: expected a password on one line")
    if not (settings.username or "").isascii():
        raise OperatorError("username: expected ASCII")
    return password


def _trust(settings: MailSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except OSError as error:
        raise OperatorError(f"{settings.tls_ca}: expected certificates of authorities in PEM: {error.strerror}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _reason(failure: Exception) -> str:
    match failure:
        case smtplib.SMTPResponseException():
            return f"{_REFUSALS.get(type(failure), 'refuses')}, with {failure.smtp_code}"
        case smtplib.SMTPRecipientsRefused():
            return f"refuses the recipient, with {', '.join(sorted({str(code) for code, _ in failure.recipients.values()}))}"
        case smtplib.SMTPServerDisconnected():
            return "broke off"
        case smtplib.SMTPException():
            return "does not offer what is configured, STARTTLS or a way to sign in"
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused: {failure.verify_message}"
        case ssl.SSLError():
            return f"no TLS: {failure.reason or type(failure).__name__}"
        case OSError():
            return f"no connection: {failure.strerror or type(failure).__name__}"
        case _:
            return "answers something that is no SMTP"
