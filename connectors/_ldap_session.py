"""One bound connection to one directory server (RFC 4511), over ldap3.

ldap3 encodes and decodes; sockets, TLS and time are ours, because its own check of host names is not OpenSSL's and its time-outs leave
holes. It keeps no log and reads no schema.
"""

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, Literal

from ldap3 import NONE, SYNC, Connection, Server
from ldap3.core.exceptions import LDAPExceptionError, LDAPSessionTerminatedByServerError
from pyasn1.error import PyAsn1Error

from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from connectors._deadline import Deadline
from connectors._ldap_line import AnswerTooLarge, Line, connect

SUCCESS: Final = 0
SIZE_LIMIT_EXCEEDED: Final = 4
NO_SUCH_OBJECT: Final = 32
INVALID_DN_SYNTAX: Final = 34
BUSY: Final = 51
UNAVAILABLE: Final = 52
"""Result codes (RFC 4511, appendix A)."""

RETRY_SECONDS: Final = 60.0
"""When a question makes sense again whose answer cannot be used; nothing is wrong with the server."""

_START_TLS: Final = "1.3.6.1.4.1.1466.20037"

# What decoding may raise for octets that are no LDAP: ldap3 takes them apart without looking.
_NOT_LDAP: Final = (LDAPExceptionError, PyAsn1Error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Scope = Literal["BASE", "LEVEL", "SUBTREE"]
Entry = Mapping[str, tuple[bytes, ...]]
"""The attributes of an entry with their values, undecoded. Names are as the server spells them."""


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
class SearchAnswer:
    """What a server answered: the result code and its name, and the entries. Search continuations are left out and never followed."""

    server: ServerAddress
    code: int
    name: str
    entries: tuple[Entry, ...] = field(repr=False)

    @property
    def result(self) -> str:
        """The server and its result, for a cause."""
        return f"{self.server}: result code {self.code} ({self.name})"


class Session:
    """A bound connection; open one with `open_session`. Used by one thread at a time."""

    def __init__(self, server: ServerAddress, line: Line, access: Access) -> None:
        self.server = server
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
        _attach(self._connection, line)

    @property
    def is_usable(self) -> bool:
        """Whether the server has not hung up while nothing was asked."""
        return self._line.is_quiet

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Have the server change to TLS, or leave it: nothing goes on in the clear. Raises CouldNotAsk."""
        with _failures(self.server, self._line):
            self._connection.extended(_START_TLS)
            self._require_success("StartTLS")
            self._line.secure(context, self.server.host)

    def bind(self) -> None:
        """Bind. Raises CouldNotAsk."""
        with _failures(self.server, self._line):
            self._connection.bind(read_server_info=False)
            self._require_success("bind")

    def search(self, search: Search, deadline: Deadline) -> SearchAnswer:
        """Search; whatever the result code is, it is returned. Raises SourceUnavailable for an answer that is too large; CouldNotAsk."""
        with _failures(self.server, self._line):
            self._line.begin(deadline)
            self._connection.search(
                search.base,
                search.filter,
                search.scope,
                "NEVER",
                attributes=list(search.attributes),
                size_limit=search.size_limit,
                time_limit=ceil(deadline.remaining()),
            )
            return self._read_answer()

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _read_answer(self) -> SearchAnswer:
        result = self._connection.result
        if result["type"] != "searchResDone":
            raise ValueError("another response than to a search")
        entries = tuple(
            {name: tuple(values or ()) for name, values in response["raw_attributes"].items()}
            for response in self._connection.response or ()
            if response["type"] == "searchResEntry"
        )
        return SearchAnswer(self.server, result["result"], result["description"], entries)

    def _require_success(self, operation: str) -> None:
        result = self._connection.result
        if result["result"] != SUCCESS:
            raise CouldNotAsk(f"{self.server}: {operation}: result code {result['result']} ({result['description']})")


def open_session(server: ServerAddress, access: Access, deadline: Deadline) -> Session:
    """Connect, make sure of the server's identity, and bind. Raises CouldNotAsk."""
    with _failures(server):
        line = connect(server.host, server.port, deadline)
    try:
        return _bound(server, line, access)
    except CouldNotAsk:
        line.close()
        raise


def _bound(server: ServerAddress, line: Line, access: Access) -> Session:
    if server.ldaps:
        with _failures(server):
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


@contextmanager
def _failures(server: ServerAddress, line: Line | None = None) -> Iterator[None]:
    """Turn everything that goes wrong with a server into CouldNotAsk, in words that hold nothing of what was asked or answered."""
    try:
        yield
    except (OSError, *_NOT_LDAP) as error:
        failure = line.failure if line is not None and line.failure is not None else error
    else:
        return
    # What was raised may hold values of a person, which a log with its context would show.
    cause = f"{server}: {_describe(failure)}"
    raise SourceUnavailable(cause, RETRY_SECONDS) if isinstance(failure, AnswerTooLarge) else CouldNotAsk(cause)


def _describe(failure: Exception) -> str:
    match failure:
        case LDAPSessionTerminatedByServerError():
            return "the connection ended"
        case OSError() if not isinstance(failure, LDAPExceptionError):
            return _describe_connection(failure)
        case _:
            return "its answer cannot be read as LDAP"


def _describe_connection(failure: OSError) -> str:
    match failure:
        case AnswerTooLarge():
            return "its answer is too large"
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused: {failure.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {failure.reason}"
        case socket.gaierror():
            return "its name cannot be resolved"
        case _:
            return failure.strerror or "no connection"
