"""One bound connection to one directory server (RFC 4511), over ldap3.

ldap3 encodes and decodes; sockets, TLS and time are ours, because its own check of host names is not OpenSSL's and its time-outs leave
holes. It keeps no log and reads no schema.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, Literal

from ldap3 import MODIFY_ADD, MODIFY_DELETE, NONE, SYNC, Connection, Server

from attribute_authority.errors import CouldNotAsk
from connectors._deadline import Deadline
from connectors._ldap_failures import told_failures
from connectors._ldap_line import Line, open_line
from connectors._ldap_results import ABOUT_THE_REQUEST, SUCCESS

_START_TLS: Final = "1.3.6.1.4.1.1466.20037"

Scope = Literal["BASE", "LEVEL", "SUBTREE"]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is. With `ldaps` TLS comes first; otherwise by StartTLS (RFC 4511, 4.14), or not at all."""

    host: str
    port: int
    ldaps: bool
    start_tls: bool

    def __str__(self) -> str:
        """Write the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.ldaps else 'ldap'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are spoken to: what TLS trusts and shows, and whom we bind as, where not anonymously (RFC 4513, 5.1)."""

    tls: ssl.SSLContext
    bind_dn: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Search:
    """A SearchRequest (RFC 4511, 4.5.1). Aliases are not dereferenced."""

    base: str
    scope: Scope
    filter: str
    attributes: tuple[str, ...]
    size_limit: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that was found: its name, and its attributes with their values, undecoded. Names are as the server spells them."""

    dn: bytes = field(repr=False)
    attributes: Mapping[str, tuple[bytes, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Modification:
    """A part of a ModifyRequest (RFC 4511, 4.6): values of one attribute that go and, after that, values that come."""

    attribute: str
    delete: tuple[bytes, ...] = field(default=(), repr=False)
    add: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: the result code and its name, and the server's own words. Referrals are never followed."""

    server: ServerAddress
    code: int
    name: str
    message: str = field(repr=False)

    @property
    def result(self) -> str:
        """The server and its result, for a cause."""
        return f"{self.server}: result code {self.code} ({self.name})"


@dataclass(frozen=True, slots=True)
class SearchAnswer(Answer):
    """What a server answered to a search, with the entries. Search continuations are left out and never followed."""

    entries: tuple[Entry, ...] = field(repr=False)


class Session:
    """A bound connection; open one with `open_session`. Used by one thread at a time.

    `is_sound` tells that the latest request was answered, and with nothing that speaks against asking again.
    """

    def __init__(self, server: ServerAddress, line: Line, access: Access) -> None:
        self.server = server
        self.is_sound = False
        self._line = line
        self._connection = Connection(
            Server(server.host, port=server.port, get_info=NONE),
            user=access.bind_dn,
            password=access.password,
            client_strategy=SYNC,
            auto_referrals=False,
            auto_range=False,
            auto_escape=False,
            check_names=False,
            return_empty_attributes=False,
        )
        # ldap3 declares no types for these.
        self._modify: Callable[..., object] = self._connection.modify
        self._compare: Callable[..., object] = self._connection.compare
        _attach(self._connection, line)

    @property
    def is_usable(self) -> bool:
        """Whether the server has not hung up while nothing was asked."""
        return self._line.is_quiet

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Have the server change to TLS, or leave it: nothing goes on in the clear. Raises CouldNotAsk."""
        with told_failures(self.server, self._line):
            self._connection.extended(_START_TLS)
            self._require_success("StartTLS")
            self._line.secure(context, self.server.host)

    def bind(self) -> None:
        """Bind. Raises CouldNotAsk."""
        with told_failures(self.server, self._line):
            self._connection.bind(read_server_info=False)
            self._require_success("bind")

    def search(self, search: Search, deadline: Deadline) -> SearchAnswer:
        """Search; whatever the result code is, it is returned. Raises SourceUnavailable for an answer that is too large; CouldNotAsk."""
        with self._request(deadline):
            self._connection.search(
                search.base,
                search.filter,
                search.scope,
                "NEVER",
                attributes=list(search.attributes),
                size_limit=search.size_limit,
                time_limit=ceil(deadline.remaining()),
            )
            answer = self._read_answer("searchResDone")
            return SearchAnswer(answer.server, answer.code, answer.name, answer.message, self._read_entries())

    def modify(self, dn: bytes, modifications: Sequence[Modification], deadline: Deadline) -> Answer:
        """Modify an entry, all or nothing; whatever the result code is, it is returned. Raises CouldNotAsk.

        Nothing is sent once the deadline has passed; where no answer comes, nobody knows whether the entry was modified.
        """
        changes = {
            one.attribute: [(MODIFY_DELETE, one.delete)] * bool(one.delete) + [(MODIFY_ADD, one.add)] * bool(one.add)
            for one in modifications
        }
        with self._request(deadline):
            self._modify(dn, changes)
            return self._read_answer("modifyResponse")

    def compare(self, dn: str, attribute: str, value: str, deadline: Deadline) -> Answer:
        """Have the server compare (RFC 4511, 4.10); whatever the result code is, it is returned. Raises CouldNotAsk."""
        with self._request(deadline):
            self._compare(dn, attribute, value)
            return self._read_answer("compareResponse")

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    @contextmanager
    def _request(self, deadline: Deadline) -> Iterator[None]:
        self.is_sound = False
        with told_failures(self.server, self._line):
            self._line.begin(deadline)
            yield

    def _read_answer(self, kind: str) -> Answer:
        result = self._connection.result
        if result["type"] != kind:
            raise ValueError("another response than to this request")
        answer = Answer(self.server, result["result"], result["description"], result["message"])
        self.is_sound = answer.code in ABOUT_THE_REQUEST
        return answer

    def _read_entries(self) -> tuple[Entry, ...]:
        return tuple(
            Entry(response["raw_dn"], {name: tuple(values or ()) for name, values in response["raw_attributes"].items()})
            for response in self._connection.response or ()
            if response["type"] == "searchResEntry"
        )

    def _require_success(self, operation: str) -> None:
        result = self._connection.result
        if result["result"] != SUCCESS:
            raise CouldNotAsk(f"{self.server}: {operation}: result code {result['result']} ({result['description']})")


def open_session(server: ServerAddress, access: Access, deadline: Deadline) -> Session:
    """Connect, make sure of the server's identity, and bind. Raises CouldNotAsk."""
    with told_failures(server):
        line = open_line(server.host, server.port, deadline)
    try:
        return _bound(server, line, access)
    except CouldNotAsk:
        line.close()
        raise


def _bound(server: ServerAddress, line: Line, access: Access) -> Session:
    if server.ldaps:
        with told_failures(server):
            line.secure(access.tls, server.host)
    session = Session(server, line, access)
    if server.start_tls:
        session.start_tls(access.tls)
    session.bind()
    return session


def _attach(connection: Any, line: Line) -> None:
    """Give a connection of ldap3 a socket that is open."""
    connection.socket = line
    connection.strategy._outstanding = {}
    connection.closed = False
    connection.listening = True
