"""How a directory is reached and people are found there: what the tables of its source and of its sink have in common."""

import ssl
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.dn import parse_dn
from pydantic import AfterValidator, Field, model_validator

from attribute_authority.domain.identifiers import IdentifierKind
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.setting_values import FilePath, KeyPair, Table
from connectors._ldap_condition import is_attribute_name
from connectors._ldap_filter import FilterTemplate, parse_template
from connectors._ldap_results import INVALID_DN_SYNTAX, NO_SUCH_OBJECT, SUCCESS
from connectors._ldap_servers import Servers
from connectors._ldap_session import Access, Answer, Scope, Search, SearchAnswer, ServerAddress
from connectors._scopes import ScopeText

_PORTS: Final = {"ldap": 389, "ldaps": 636}
_SCOPES: Final[dict[str, Scope]] = {"subtree": "SUBTREE", "one": "LEVEL"}
_NO_ATTRIBUTES: Final = "1.1"

_BINARY: Final = frozenset(
    {
        "objectguid",
        "objectsid",
        "sidhistory",
        "ms-ds-consistencyguid",
        "msexchmailboxguid",
        "jpegphoto",
        "thumbnailphoto",
        "usercertificate",
    }
)
"""Attributes whose values are octets, not text, by which no service provider can ask."""


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.path not in {"", "/"} or any(sign in text for sign in "?#@ ") or not text.isascii() or not text.isprintable():
        raise ValueError("expected ldaps://host or ldap://host, with a port where it is not the usual one, and nothing else")
    return text


def _dn(text: str) -> str:
    try:
        parse_dn(text)
    except (LDAPInvalidDnError, LookupError) as error:
        raise ValueError("expected a distinguished name such as ou=people,dc=uni,dc=example") from error
    return text


def _attribute(name: str) -> str:
    if not is_attribute_name(name):
        raise ValueError("expected the name of an attribute, without options")
    if name.lower() in _BINARY:
        raise ValueError("the values of this attribute are octets and no text: expected one such as eduPersonUniqueId")
    return name


DistinguishedName = Annotated[str, Field(min_length=1), AfterValidator(_dn)]
AttributeName = Annotated[str, AfterValidator(_attribute)]
Kind = Annotated[IdentifierKind, Field(strict=False)]


class DirectoryTable(Table):
    """What both kinds of table have.

    `local_part_scope` is the scope that local parts in the directory belong to, where a filter compares nothing but those.
    """

    urls: Annotated[tuple[Annotated[str, AfterValidator(_url)], ...], Field(strict=False, min_length=1, max_length=8)]
    start_tls: bool = True
    tls_ca: FilePath | None = None
    client_certificate: KeyPair | None = None
    bind_dn: DistinguishedName | None = None
    password_file: FilePath | None = None
    base: DistinguishedName
    scope: Literal["subtree", "one"] = "subtree"
    filters: Annotated[dict[Kind, str], Field(min_length=1)]
    local_part_scope: ScopeText | None = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if not self.start_tls and not all(_is_safe(address) for address in self.addresses()):
            raise ValueError("start_tls = false is for ldap:// on this very machine: passwords and people do not travel in clear")
        if (self.bind_dn is None) != (self.password_file is None):
            raise ValueError("bind_dn and password_file belong together: expected both or neither")
        if any(template.needs_scope for template in self.templates().values()) and self.local_part_scope is None:
            raise ValueError("a filter that compares {local_part} without {scope} needs local_part_scope: otherwise any scope fits")
        return self

    def addresses(self) -> tuple[ServerAddress, ...]:
        """Return where the servers are, in the order of `urls`."""
        return tuple(_address(url, self.start_tls) for url in self.urls)

    def templates(self) -> dict[IdentifierKind, FilterTemplate]:
        """Return the filters by kind, in the order of the configuration. Raises ValueError naming a kind whose filter cannot be used."""
        return {kind: _template(kind, text) for kind, text in self.filters.items()}

    def search(self, filled: str, attributes: tuple[str, ...]) -> Search:
        """Return the search for the person whom a filter, filled in, names."""
        # Two entries are as many as it takes to see that one cannot be told from another.
        return Search(self.base, _SCOPES[self.scope], filled, attributes, 2)

    def base_search(self) -> Search:
        """Return the search for `base` itself."""
        return Search(self.base, "BASE", "(objectClass=*)", (_NO_ATTRIBUTES,), 1)


def open_servers(settings: DirectoryTable, connections: int) -> Servers:
    """Read the secrets and make the pool of connections; nobody is contacted. Raises OperatorError naming the file."""
    access = Access(_trust(settings), settings.bind_dn, _password(settings))
    return Servers(settings.addresses(), access, connections)


def require_base(answer: SearchAnswer, base: str) -> None:
    """Look whether a search for `base` found it. Raises OperatorError where it is not there; CouldNotAsk for other results."""
    if answer.code in {NO_SUCH_OBJECT, INVALID_DN_SYNTAX} or (answer.code == SUCCESS and not answer.entries):
        raise OperatorError(f"{answer.result}: base {base!r} is not there, or may not be read")
    require_success(answer)


def require_success(answer: Answer) -> None:
    """Raise CouldNotAsk with the result where it is another."""
    if answer.code != SUCCESS:
        raise CouldNotAsk(answer.result)


def _address(url: str, start_tls: bool) -> ServerAddress:
    parts = urlsplit(url)
    ldaps = parts.scheme == "ldaps"
    return ServerAddress(parts.hostname or "", parts.port or _PORTS[parts.scheme], ldaps, start_tls and not ldaps)


def _is_safe(address: ServerAddress) -> bool:
    if address.ldaps or address.host == "localhost":
        return True
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return False


def _template(kind: IdentifierKind, text: str) -> FilterTemplate:
    try:
        return parse_template(kind, text)
    except ValueError as error:
        raise ValueError(f"filters.{kind}: {error}") from error


def _password(settings: DirectoryTable) -> str | None:
    file = settings.password_file
    if file is None:
        return None
    try:
        password = file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise OperatorError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise OperatorError(f"{file}: expected a password in UTF-8") from None
    # A bind with an empty password is anonymous, and succeeds (RFC 4513, 5.1.2).
    if not password or not password.isprintable():
        raise OperatorError(f"{file}: expected a password on one line")
    return password


def _trust(settings: DirectoryTable) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except OSError as error:
        raise OperatorError(f"{settings.tls_ca}: expected certificates of authorities in PEM: {error.strerror}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    pair = settings.client_certificate
    if pair is not None:
        try:
            # OpenSSL would ask the terminal for the pass phrase of a key that has one.
            context.load_cert_chain(pair.certificate, pair.key, password="")
        except OSError as error:
            raise OperatorError(f"{pair.certificate}, {pair.key}: expected a certificate and its key in PEM, not encrypted") from error
    return context
