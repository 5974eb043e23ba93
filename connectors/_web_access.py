"""How a web service of a home organisation is reached: its address, whom TLS trusts, and by what it knows us."""

import re
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import quote_plus, urlsplit

from pydantic import AfterValidator, Field, model_validator

from attribute_authority.errors import OperatorError
from attribute_authority.setting_values import FilePath, KeyPair, SinkTable, Table, is_loopback_http

_SCOPES: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_FOREIGN_SIGNS: Final = frozenset(' "#<>@[\\]^`{|}')
"""What stands in no URL that has neither a password nor a fragment (RFC 3986 appendix A); brackets only around an IPv6 address."""


def parse_service_url(text: str) -> str:
    """Check the address of a web service, which may have a query. Raises ValueError."""
    try:
        parts = urlsplit(text)
        usable = (parts.scheme == "https" or is_loopback_http(text)) and bool(parts.hostname) and parts.port != 0
        rest = text.replace(f"[{parts.hostname}]", "", 1)
    except ValueError:
        usable, rest = False, text
    if not usable or not _FOREIGN_SIGNS.isdisjoint(rest) or not text.isascii() or not text.isprintable():
        raise ValueError("expected an absolute https URL in ASCII without fragment and password, or http on this very machine")
    return text


def _client_id(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected the name of a client on one line")
    return text


def _username(text: str) -> str:
    if ":" in text or not text.isprintable():
        raise ValueError("expected a name on one line and without a colon (RFC 7617)")
    return text


def _scopes(text: str) -> str:
    if not _SCOPES.fullmatch(text):
        raise ValueError("expected OAuth scopes with one space between them (RFC 6749 section 3.3)")
    return text


HttpsOrLoopbackUrl = Annotated[str, AfterValidator(parse_service_url)]


class OauthClient(Table):
    """`oauth`: our registration at the authorization server of a web service (RFC 6749 section 4.4, client credentials).

    Our name and secret are sent as RFC 6749 section 2.3.1 has it, in the header. `scope` are several with spaces between them.
    """

    token_url: HttpsOrLoopbackUrl
    client_id: Annotated[str, Field(min_length=1), AfterValidator(_client_id)]
    client_secret_file: FilePath
    scope: Annotated[str, AfterValidator(_scopes)] | None = None


class WebSinkTable(SinkTable):
    """What every sink has that is a web service.

    It knows us by a name and password, or a bearer token, or a token that is fetched, or none of them; a certificate may stand beside any.
    """

    url: HttpsOrLoopbackUrl
    tls_ca: FilePath | None = None
    client_certificate: KeyPair | None = None
    username: Annotated[str, Field(min_length=1), AfterValidator(_username)] | None = None
    password_file: FilePath | None = None
    token_file: FilePath | None = None
    oauth: OauthClient | None = None

    @model_validator(mode="after")
    def _has_one_way_in(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together: expected both or neither")
        if sum(one is not None for one in (self.username, self.token_file, self.oauth)) > 1:
            raise ValueError("expected at most one of username with password_file, token_file, and oauth")
        return self


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """How an access token is asked for: where, with which Authorization, and for which scope."""

    url: str
    authorization: str = field(repr=False)
    scope: str | None


@dataclass(frozen=True, slots=True)
class WebAccess:
    """What is sent along to be let in: a header Authorization, or one with a token that has to be fetched first, or none."""

    trust: ssl.SSLContext = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    oauth: TokenRequest | None = None


def open_web_access(table: WebSinkTable) -> WebAccess:
    """Read certificates and secrets. Raises OperatorError naming the file."""
    return WebAccess(_trust(table), _authorization(table), None if table.oauth is None else _token_request(table.oauth))


def read_secret(file: Path) -> str:
    """Return the secret that a file holds on its one line. Raises OperatorError naming the file."""
    try:
        secret = file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise OperatorError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise OperatorError(f"{file}: expected a secret in UTF-8") from None
    if not secret or not secret.isprintable():
        raise OperatorError(f"{file}: expected a secret on one line")
    return secret


def _authorization(table: WebSinkTable) -> str | None:
    if table.username is not None and table.password_file is not None:
        return _basic(table.username, read_secret(table.password_file))
    if table.token_file is None:
        return None
    token = read_secret(table.token_file)
    if not token.isascii() or " " in token:
        raise OperatorError(f"{table.token_file}: expected a bearer token, in ASCII and without spaces (RFC 6750 section 2.1)")
    return f"Bearer {token}"


def _token_request(oauth: OauthClient) -> TokenRequest:
    secret = read_secret(oauth.client_secret_file)
    # RFC 6749 section 2.3.1: both are form-encoded before they become Basic.
    return TokenRequest(oauth.token_url, _basic(quote_plus(oauth.client_id), quote_plus(secret)), oauth.scope)


def _basic(name: str, password: str) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def _trust(table: WebSinkTable) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=table.tls_ca)
    except OSError as error:
        raise OperatorError(f"{table.tls_ca}: expected certificates of authorities in PEM: {error.strerror}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    pair = table.client_certificate
    if pair is not None:
        try:
            # OpenSSL would ask the terminal for the pass phrase of a key that has one.
            context.load_cert_chain(pair.certificate, pair.key, password="")
        except OSError as error:
            raise OperatorError(f"{pair.certificate}, {pair.key}: expected a certificate and its key in PEM, not encrypted") from error
    return context
