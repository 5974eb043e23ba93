"""Home organisations with one linked person each, and a real server that tells who it is: a directory, and two tables of stored ids.

We know everybody by ePPN alone; services ask by an identifier that only the home organisation's server can resolve.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from attribute_authority.core.resolving import PERSISTENT_FORMAT
from attribute_authority.domain.link import NewLink
from tests.factories.doors import OTHER_SP, eppn, link
from tests.factories.queries import SP, name_id
from tests.peers.mariadb import PASSWORD, MariadbServer
from tests.peers.postgresql import PostgresqlServer
from tests.peers.slapd import BIND_DN, PEOPLE, Slapd

ORCIDS = {"ldap": "0000-0001-5109-3700", "postgresql": "0000-0002-1694-233X", "mariadb": "0000-0002-9079-593X"}
KINDS = tuple(ORCIDS)
"""The kinds of server."""

SECONDS = 2
"""What one question to a server may take."""

_UNIQUE_ID = "urn:oid:1.3.6.1.4.1.5923.1.1.1.13"
_STORED = "5f3f6a2e-stored-{kind}"
_TABLE = (
    "CREATE TABLE shibpid (localEntity VARCHAR(255), peerEntity VARCHAR(255), persistentId VARCHAR(50), principalName VARCHAR(50),"
    " localId VARCHAR(50), deactivationDate TIMESTAMP NULL)"
)
_ROW = "INSERT INTO shibpid VALUES (%s, %s, %s, 'josiah', %s, NULL)"

Fault = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Home:
    """A home organisation; `table` configures its source, `about` is the NameID that only its server can resolve.

    `faults` are the ways in which the server goes away for a block: stopped, paused.
    """

    kind: str
    table: str
    about: str
    faults: Mapping[str, Fault]
    port: int

    @property
    def identity_provider(self) -> str:
        """The entityID."""
        return _identity_provider(self.kind)

    @property
    def source(self) -> str:
        """How log, health and metrics name the source."""
        return f"{self.identity_provider} {'ldap' if self.kind == 'ldap' else 'stored-id'}"

    @property
    def orcid(self) -> str:
        """The iD of its person, as a service gets it."""
        return f"https://orcid.org/{ORCIDS[self.kind]}"

    @property
    def link(self) -> NewLink:
        """The link of its person."""
        return link(ORCIDS[self.kind], eppn(_eppn(self.kind)), home=self.identity_provider)

    @property
    def configuration(self) -> str:
        """Its tables in the configuration."""
        return f"""
[[organisation]]
identity_provider = "{self.identity_provider}"
scopes = ["{_scope(self.kind)}"]

[[organisation.source]]
timeout = {SECONDS}
{self.table}
"""


def private_words() -> tuple[str, ...]:
    """Return what must never stand in a log: everybody's identifiers and iDs, and our passwords."""
    people = [word for kind in KINDS for word in (_eppn(kind), _asked(kind), _STORED.format(kind=kind), ORCIDS[kind])]
    return (*people, PASSWORD)


def directory_home(slapd: Slapd) -> Home:
    """Make a home organisation with a directory."""
    slapd.add_person("josiah", {"eduPersonPrincipalName": _eppn("ldap"), "eduPersonUniqueId": _asked("ldap")})
    table = f"""
kind = "ldap"
urls = ["{slapd.ldaps_url}"]
tls_ca = "{slapd.certificate}"
bind_dn = "{BIND_DN}"
password_file = "{slapd.password_file}"
base = "{PEOPLE}"
filters = {{ unique-id = "(eduPersonUniqueId={{value}})" }}
identifiers = {{ eduPersonPrincipalName = "eppn" }}
"""
    faults = {"stopped": slapd.stopped, "paused": slapd.paused}
    return Home("ldap", table, name_id(_asked("ldap"), format=_UNIQUE_ID), faults, slapd.tls_port)


def postgresql_home(server: PostgresqlServer, url: str) -> Home:
    """Make a home organisation with a table of stored ids, in an empty database."""
    address = make_url(url)
    with psycopg.connect(host=address.host, port=address.port, user=address.username, dbname=address.database, autocommit=True) as opened:
        opened.execute(_TABLE)
        for values in _rows("postgresql"):
            opened.execute(_ROW, values)
    return _stored_home("postgresql", f'url = "{url}"', {"stopped": lambda: _stopped(server), "paused": server.paused}, server.port)


def mariadb_home(server: MariadbServer, directory: Path) -> Home:
    """Make a home organisation with a table of stored ids, in a database of its own; the password goes to the directory."""
    database = server.make_database()
    server.execute(_TABLE, (), database)
    for values in _rows("mariadb"):
        server.execute(_ROW, values, database)
    password_file = directory / "mariadb.password"
    password_file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    access = f'url = "{server.url(database)}"\npassword_file = "{password_file}"'
    return _stored_home("mariadb", access, {"stopped": server.stopped, "paused": server.paused}, server.port)


def _stored_home(kind: str, access: str, faults: Mapping[str, Fault], port: int) -> Home:
    asked = name_id(_STORED.format(kind=kind), format=PERSISTENT_FORMAT, name_qualifier=_identity_provider(kind))
    return Home(kind, f'kind = "stored-id"\n{access}', asked, faults, port)


def _rows(kind: str) -> list[tuple[str, ...]]:
    return [(_identity_provider(kind), service, _STORED.format(kind=kind), _eppn(kind)) for service in (SP, OTHER_SP)]


@contextmanager
def _stopped(server: PostgresqlServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


def _identity_provider(kind: str) -> str:
    return f"https://idp.{kind}.example/idp"


def _scope(kind: str) -> str:
    return f"{kind}.example"


def _eppn(kind: str) -> str:
    return f"josiah@{_scope(kind)}"


def _asked(kind: str) -> str:
    return f"unique42@{_scope(kind)}"
