"""Directory sinks for tests: tables with defaults, deliveries, and servers that answer modifications as they are told."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.errors import AuthorityError, DeliveryRefused, SinkUnavailable
from connectors import SinkSurroundings
from connectors.ldap_entries import LDAP_ENTRIES, LdapEntries, LdapEntriesSettings
from tests.factories.directories import (
    BIND_REQUEST,
    BIND_RESPONSE,
    HOME_ORGANISATION,
    SEARCH_DONE,
    SEARCH_REQUEST,
    entry,
    message,
    read_request,
    result,
    scripted_server,
    tlv,
)
from tests.peers.slapd import PEOPLE, WRITER_DN, Slapd

F = TypeVar("F", bound=AuthorityError)

AUTHORITY = EntityId("https://aa.example.org/saml")
TEPPO = parse_identifier(IdentifierKind.EPPN, "teppo@uni.example")
ORCID = OrcidId("0000-0002-1825-0097")
FORMER = OrcidId("0000-0001-5109-3700")
FOREIGN = OrcidId("0000-0002-1694-233X")
MODIFY_REQUEST, MODIFY_RESPONSE = 0x66, 0x67
HANG_UP = -1
"""Stands among result codes for no answer."""

DIAGNOSTIC = "constraint 7 of uid=teppo"
"""What scripted directories say besides the result code."""

_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def uri(orcid: OrcidId) -> str:
    """Write an iD as a production URI."""
    return orcid.uri(Environment.PRODUCTION)


def sink_table(**keys: object) -> LdapEntriesSettings:
    """Make the table of a directory: with nothing given but `urls`, one that finds people by ePPN."""
    defaults: dict[str, object] = {"kind": "ldap", "base": PEOPLE, "filters": {"eppn": "(eduPersonPrincipalName={value})"}}
    return LdapEntriesSettings.model_validate(defaults | keys)


def sink_table_for(slapd: Slapd, **keys: object) -> LdapEntriesSettings:
    """Make the table of a directory on a server of the suite, over LDAPS, as somebody who may write there."""
    access = {
        "urls": [slapd.ldaps_url],
        "tls_ca": str(slapd.certificate),
        "bind_dn": WRITER_DN,
        "password_file": str(slapd.password_file),
    }
    return sink_table(**(access | keys))


def open_sink(settings: LdapEntriesSettings, environment: Environment = Environment.PRODUCTION) -> LdapEntries:
    """Open a sink for the one home organisation."""
    opened = LDAP_ENTRIES.open(settings, SinkSurroundings(HOME_ORGANISATION, environment, AUTHORITY, lambda: _WHEN))
    assert isinstance(opened, LdapEntries)
    return opened


@contextmanager
def sink(settings: LdapEntriesSettings, environment: Environment = Environment.PRODUCTION) -> Iterator[LdapEntries]:
    """Open a sink for the time of the block."""
    opened = open_sink(settings, environment)
    try:
        yield opened
    finally:
        opened.close()


def delivery(
    orcid: OrcidId | None,
    *former: OrcidId,
    identifiers: tuple[Identifier, ...] = (TEPPO,),
    may_be_ours: bool = False,
    environment: Environment = Environment.PRODUCTION,
) -> Delivery:
    """Make a delivery about Teppo."""
    return Delivery("0123456789abcdef", HOME_ORGANISATION, identifiers, orcid, former, environment, _WHEN, 1, may_be_ours)


def unavailable(asked: LdapEntries, delivered: Delivery) -> SinkUnavailable:
    """Deliver, and return the failure; there has to be one."""
    return _failure(asked, delivered, SinkUnavailable)


def refused(asked: LdapEntries, delivered: Delivery) -> DeliveryRefused:
    """Deliver, and return the refusal; there has to be one."""
    return _failure(asked, delivered, DeliveryRefused)


def _failure(asked: LdapEntries, delivered: Delivery, kind: type[F]) -> F:
    with pytest.raises(kind) as caught:
        asked.deliver(delivered)
    return caught.value


@dataclass
class ScriptedDirectory:
    """Lets everybody bind, finds Teppo, and answers each modification with the next of the codes; `heard` are the modifications.

    `before_entry` is called whenever the search was heard and before it is answered.
    """

    url: str
    codes: list[int]
    values: dict[bytes, list[bytes]]
    before_entry: Callable[[], None]
    heard: list[bytes] = field(default_factory=list)

    def talk(self, connection: socket.socket) -> None:
        """Answer one connection, until there is a modification without a code."""
        while request := connection.recv(65536):
            tag, number = read_request(request)
            if tag == BIND_REQUEST:
                connection.sendall(result(number, BIND_RESPONSE))
            elif tag == SEARCH_REQUEST:
                self.before_entry()
                connection.sendall(entry(number, self.values) + result(number, SEARCH_DONE))
            else:
                self.heard.append(request)
                code = self.codes.pop(0) if tag == MODIFY_REQUEST and self.codes else HANG_UP
                if code == HANG_UP:
                    return
                words = tlv(0x0A, bytes([code])), tlv(0x04), tlv(0x04, DIAGNOSTIC.encode())
                connection.sendall(message(number, tlv(MODIFY_RESPONSE, *words)))


@contextmanager
def scripted_directory(
    *codes: int, values: Mapping[str, list[bytes]] | None = None, before_entry: Callable[[], None] = lambda: None
) -> Iterator[ScriptedDirectory]:
    """Run a scripted directory whose entry has `values`; every code has to be used, and no modification may come beyond."""
    held = {name.encode(): listed for name, listed in ({"eduPersonPrincipalName": [b"teppo@uni.example"]} | dict(values or {})).items()}
    directory = ScriptedDirectory("", list(codes), held, before_entry)
    with scripted_server(directory.talk) as url:
        directory.url = url
        yield directory
    assert ([], len(codes)) == (directory.codes, len(directory.heard))
