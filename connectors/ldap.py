"""An LDAP directory, OpenLDAP or Active Directory, as a source: one search from the asked identifier to one entry (RFC 4511).

    [[organisation.source]]
    kind = "ldap"
    urls = ["ldaps://ldap1.uni.example", "ldaps://ldap2.uni.example"]
    bind_dn = "cn=orcid,ou=services,dc=uni,dc=example"
    password_file = "ldap.password"
    base = "ou=people,dc=uni,dc=example"
    filters = { eppn = "(eduPersonPrincipalName={value})" }
    identifiers = { eduPersonUniqueId = "unique-id" }
    orcid_attribute = "eduPersonOrcid"

Referrals and search continuations are never followed: who is not under `base` on these very servers is absent.
"""

import ssl
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.dn import parse_dn
from pydantic import AfterValidator, Field, model_validator

from attribute_authority.domain.identifiers import Identifier, IdentifierKind
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, OperatorError, SourceUnavailable
from attribute_authority.setting_values import FilePath, KeyPair, SourceTable, integer
from connectors import SourceKind, Surroundings
from connectors._ldap_condition import is_attribute_name
from connectors._ldap_entry import EntryReading
from connectors._ldap_filter import FilterTemplate, OwnPeople, parse_template
from connectors._ldap_servers import Servers
from connectors._ldap_session import (
    INVALID_DN_SYNTAX,
    NO_SUCH_OBJECT,
    RETRY_SECONDS,
    SIZE_LIMIT_EXCEEDED,
    SUCCESS,
    Access,
    Scope,
    Search,
    SearchAnswer,
    ServerAddress,
)
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


class LdapSettings(SourceTable):
    """`[[organisation.source]]` with kind "ldap"; `connections` is how many each process has at most.

    `local_part_scope` is the scope that local parts in the directory belong to, where a filter compares nothing but those.
    """

    kind: Literal["ldap"]
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
    identifiers: dict[AttributeName, Kind] = Field({})
    orcid_attribute: AttributeName | None = None
    connections: Annotated[int, integer(1, 64)] = 4

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if not self.start_tls and not all(_is_safe(address) for address in self.addresses()):
            raise ValueError("start_tls = false is for ldap:// on this very machine: passwords and people do not travel in clear")
        if (self.bind_dn is None) != (self.password_file is None):
            raise ValueError("bind_dn and password_file belong together: expected both or neither")
        if not self.identifiers and self.orcid_attribute is None:
            raise ValueError("expected identifiers or orcid_attribute: otherwise nothing is learnt from an entry")
        if any(template.needs_scope for template in self.templates().values()) and self.local_part_scope is None:
            raise ValueError("a filter that compares {local_part} without {scope} needs local_part_scope: otherwise any scope fits")
        return self

    def addresses(self) -> tuple[ServerAddress, ...]:
        """Return where the servers are, in the order of `urls`."""
        return tuple(_address(url, self.start_tls) for url in self.urls)

    def templates(self) -> dict[IdentifierKind, FilterTemplate]:
        """Return the filters by kind. Raises ValueError naming a kind whose filter cannot be used."""
        return {kind: _template(kind, text) for kind, text in self.filters.items()}


class LdapSource:
    """A directory as `ports.IdentifierSource` wants it."""

    def __init__(self, settings: LdapSettings, surroundings: Surroundings, servers: Servers) -> None:
        self._settings = settings
        self._templates = settings.templates()
        self._servers = servers
        self._own = OwnPeople(surroundings.home_organisation, settings.local_part_scope)
        self._reading = EntryReading(settings.identifiers, settings.orcid_attribute, surroundings.environment)

    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        """The kinds that there is a filter for."""
        return frozenset(self._templates)

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Search for the one entry that has the identifier.

        Raises SourceUnavailable where that one cannot be answered for: several entries, or values that cannot be read; CouldNotAsk where
        no server answers, or none as it should.
        """
        template = self._templates.get(identifier.kind)
        question = None if template is None else template.ask(identifier, self._own)
        if question is None:
            return None
        settings = self._settings
        # Two entries are as many as it takes to see that one cannot be told from another.
        search = Search(settings.base, _SCOPES[settings.scope], question.filter, self._reading.attributes(question), 2)
        answer = self._servers.search(search, settings.timeout)
        if answer.code == SIZE_LIMIT_EXCEEDED or len(answer.entries) > 1:
            raise SourceUnavailable(f"{answer.server}: several entries for one {identifier.kind}", RETRY_SECONDS)
        _require_success(answer)
        return self._reading.read(answer.entries[0], question, answer.server) if answer.entries else None

    def check(self) -> None:
        """Connect, bind, and look whether `base` is there. Raises OperatorError where it is not; CouldNotAsk."""
        base = self._settings.base
        answer = self._servers.search(Search(base, "BASE", "(objectClass=*)", (_NO_ATTRIBUTES,), 1), self._settings.timeout)
        if answer.code in {NO_SUCH_OBJECT, INVALID_DN_SYNTAX} or (answer.code == SUCCESS and not answer.entries):
            raise OperatorError(f"{answer.result}: base {base!r} is not there, or may not be read")
        _require_success(answer)

    def close(self) -> None:
        """Give up every connection."""
        self._servers.close()


def _require_success(answer: SearchAnswer) -> None:
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


def _open(settings: LdapSettings, surroundings: Surroundings) -> LdapSource:
    access = Access(_trust(settings), settings.bind_dn, _password(settings))
    return LdapSource(settings, surroundings, Servers(settings.addresses(), access, settings.connections))


def _password(settings: LdapSettings) -> str | None:
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


def _trust(settings: LdapSettings) -> ssl.SSLContext:
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


LDAP: Final = SourceKind(LdapSettings, _open)
