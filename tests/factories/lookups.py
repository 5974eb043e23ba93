"""A lookup door over stores in memory, with a clock that stands still, behind HTTP without sockets.

lookup_lab().get("orcid?eppn=josiah%40uni.example", BEARER).body

Run as a program it serves such a door on the listening socket whose file descriptor is its argument.
"""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from io import StringIO
from socket import AF_INET
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.task import Clock
from twisted.web.server import Request

from attribute_authority.core.asking import Organisation
from attribute_authority.core.deciding import Deciding
from attribute_authority.domain.change import ChangeKind, ChangePage, LinkChange
from attribute_authority.domain.client import Bearer, Client, NewClient
from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.errors import Conflict, CouldNotAsk
from attribute_authority.events import EventLog, Pseudonyms
from attribute_authority.ports import BatchSubjectFinder, ChangeFeed, ClientStore, EntityDirectory, QueryWatch, RequesterGuard
from attribute_authority.storage.memory import MemoryLinkStore
from attribute_authority.web.back_channel import back_channel_root
from attribute_authority.web.client_key import ClientKeys
from attribute_authority.web.http import BoundedSite, NothingHere
from attribute_authority.web.lookup.door import LookupDoor
from attribute_authority.web.lookup.resources import lookup_root
from attribute_authority.web.running import Inline, Runner
from tests.factories.doors import (
    AFFILIATION,
    IDP,
    ORCID,
    OTHER_IDP,
    OTHER_PERSON,
    OTHER_SP,
    UNRULED_SP,
    counted,
    eppn,
    persistent,
    rule,
    stocked_store,
)
from tests.factories.queries import NOW, SP
from tests.factories.sources import FreeGuard, Unwatched, asking
from tests.factories.wires import TIMEOUT, Http, Wire, on_the_spot, read_answers

CRIS: Final = "https://cris.uni.example"
PROXY: Final = "https://proxy.example.org"
TWIN: Final = "https://twin.example.org"
TOKEN: Final = "aa_" + "t" * 43
OTHER_TOKEN: Final = "aa_" + "o" * 43
EXPIRED_TOKEN: Final = "aa_" + "e" * 43
REVOKED_TOKEN: Final = "aa_" + "r" * 43
BEARER: Final = f"Authorization: Bearer {TOKEN}"
MAX_BODY: Final = 262_144
PERSON_QUERY: Final = "orcid?eppn=josiah%40uni.example"
FOUND: Final = b'{"eduPersonOrcid": ["https://orcid.org/0000-0002-1825-0097"]}'
EMPTY: Final = b'{"eduPersonOrcid": []}'
_KEY_HEADER: Final = "X-Test-Client-Key"


def key(name: str) -> str:
    """Return the header by which a test holds the TLS key of an entity."""
    return f"{_KEY_HEADER}: {name}"


class TestKeys(ClientKeys):
    """Takes the TLS client key from a header of the test's."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__(None)

    def of(self, request: Request) -> bytes | None:
        """Return the key that the test says it holds."""
        return request.getHeader(_KEY_HEADER.encode())


def federation() -> tuple[Entity, ...]:
    """Return service and identity providers; the proxy is both, and shares its key with its twin."""
    sp, idp = Role.SERVICE_PROVIDER, Role.IDENTITY_PROVIDER
    return (
        Entity(EntityId(SP), frozenset({sp}), (b"sp",), affiliations=frozenset({EntityId(AFFILIATION)})),
        Entity(EntityId(OTHER_SP), frozenset({sp}), (b"other-sp",)),
        Entity(EntityId(UNRULED_SP), frozenset({sp}), (b"unruled",)),
        Entity(EntityId(IDP), frozenset({idp}), (b"idp",)),
        Entity(EntityId(OTHER_IDP), frozenset({idp}), (b"other-idp",)),
        Entity(EntityId(PROXY), frozenset({sp, idp}), (b"proxy",)),
        Entity(EntityId(TWIN), frozenset({sp}), (b"proxy",)),
        Entity(EntityId("https://unnamed.example/idp"), frozenset({idp}), (b"unnamed",)),
    )


@dataclass(frozen=True, slots=True)
class Directory:
    """Trusted metadata of a few entities; away where `is_away`."""

    entities: Sequence[Entity]
    is_away: bool = False

    def find_entity(self, entity_id: str, now: datetime) -> Entity | None:
        """Find by entityID."""
        return next((entity for entity in self._valid(now) if entity.entity_id == entity_id), None)

    def find_entities_by_key(self, public_key: bytes, now: datetime) -> tuple[Entity, ...]:
        """Find by key."""
        return tuple(entity for entity in self._valid(now) if public_key in entity.querying_keys)

    def _valid(self, now: datetime) -> Iterable[Entity]:
        if self.is_away:
            raise CouldNotAsk("the metadata is away")
        return (entity for entity in self.entities if entity.valid_until is None or now < entity.valid_until)


@dataclass(slots=True)
class People:
    """The people of `stocked_store`, found one by one or together; away where `is_away`."""

    is_away: bool = False
    batches: list[int] = field(default_factory=list)
    links: MemoryLinkStore = field(default_factory=stocked_store)

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Find one."""
        if self.is_away:
            raise CouldNotAsk("the database is away")
        return self.links.find_subject(identifier, environment)

    def is_withdrawn(self, orcid: OrcidId, home_organisation: EntityId, environment: Environment) -> bool:
        """Tell of a withdrawal."""
        return self.links.is_withdrawn(orcid, home_organisation, environment)

    def find_subjects(self, identifiers: Collection[Identifier], environment: Environment) -> dict[Identifier, KnownSubject]:
        """Find many."""
        self.batches.append(len(identifiers))
        found = ((identifier, self.find_subject(identifier, environment)) for identifier in identifiers)
        return {identifier: subject for identifier, subject in found if subject is not None}


@dataclass(slots=True)
class Clients:
    """Registered clients, by the digests of their tokens."""

    known: dict[bytes, Client] = field(default_factory=dict)

    def register(self, token: str, *organisations: str, entity_id: str = CRIS, **changes: Any) -> None:
        """Register a client."""
        names = frozenset(map(EntityId, organisations))
        number = len(self.known) + 1
        client = Client(number, f"client{number}", EntityId(entity_id), names, NOW, None, None)
        self.known[sha256(token.encode()).digest()] = replace(client, **changes)

    def find_bearer(self, token_digest: bytes, now: datetime) -> Bearer | None:
        """Find a client whose token counts."""
        client = self.known.get(token_digest)
        if client is None or client.revoked_at is not None:
            return None
        return client.bearer if client.expires_at is None or now < client.expires_at else None

    def add_client(self, new: NewClient) -> Client:
        """Take no client."""
        raise Conflict("no client is added here")

    def revoke_client(self, name: str, now: datetime) -> Client | None:
        """Revoke the client of that name."""
        for digest, client in self.known.items():
            if client.name == name and client.revoked_at is None:
                self.known[digest] = replace(client, revoked_at=now)
                return self.known[digest]
        return None

    def list_clients(self) -> tuple[Client, ...]:
        """Return all."""
        return tuple(self.known.values())


@dataclass(slots=True)
class Changes:
    """Changes that a test has noted."""

    noted: list[LinkChange] = field(default_factory=list)

    def note(self, kind: ChangeKind, *identifiers: Identifier, home: str = IDP, orcid: str = ORCID) -> None:
        """Note the next change."""
        told = OrcidId(orcid) if kind is ChangeKind.LINKED else None
        number = 10 * (len(self.noted) + 1)
        self.noted.append(LinkChange(number, kind, EntityId(home), identifiers, told, Environment.PRODUCTION, NOW))

    def read_changes(self, home_organisations: Collection[EntityId], environment: Environment, after: int, limit: int) -> ChangePage:
        """Read on."""
        mine = [
            change
            for change in self.noted
            if change.number > after and change.home_organisation in home_organisations and change.environment is environment
        ]
        page = tuple(mine[:limit])
        return ChangePage(page, page[-1].number if page else after, len(mine) > limit)


def clients() -> Clients:
    """Return one client in force, one of another home organisation, one whose token has expired, and one that was revoked."""
    made = Clients()
    made.register(TOKEN, IDP)
    made.register(OTHER_TOKEN, OTHER_IDP)
    made.register(EXPIRED_TOKEN, IDP, expires_at=NOW)
    made.register(REVOKED_TOKEN, IDP, revoked_at=NOW)
    return made


def changes() -> Changes:
    """Return three changes of one home organisation, and one of another."""
    made = Changes()
    made.note(ChangeKind.LINKED, eppn(), persistent())
    made.note(ChangeKind.LINKED, eppn(OTHER_PERSON), home=OTHER_IDP, orcid="0000-0002-1694-233X")
    made.note(ChangeKind.LINKED, eppn("anna@uni.example"), orcid="0000-0001-5109-3700")
    made.note(ChangeKind.WITHDRAWN, eppn("anna@uni.example"))
    return made


@dataclass(frozen=True, slots=True)
class Parts:
    """What a lab is made of."""

    entities: Sequence[Entity] = field(default_factory=federation)
    rules: Sequence[ReleaseRule] = (rule(SP, OTHER_SP, IDP, OTHER_IDP, PROXY, CRIS),)
    people: People = field(default_factory=People)
    clients: Clients = field(default_factory=clients)
    changes: Changes = field(default_factory=changes)
    organisations: Sequence[Organisation] = ()
    guard: RequesterGuard = field(default_factory=FreeGuard)
    watch: QueryWatch = field(default_factory=Unwatched)
    directory: EntityDirectory | None = None
    client_keys: ClientKeys = field(default_factory=TestKeys)
    runner: Runner | None = None
    log: StringIO = field(default_factory=StringIO)


@dataclass(frozen=True, slots=True)
class LookupLab:
    """A door behind HTTP, the log that it writes, and what it is made of."""

    door: LookupDoor
    site: BoundedSite
    parts: Parts

    def wire(self) -> Wire:
        """Connect."""
        return Wire(self.site)

    def get(self, path: str, *headers: str, method: str = "GET") -> Http:
        """Ask, with a path below /api/v1."""
        return self.send(_head(method, path, *headers))

    def post(self, body: object, *headers: str, path: str = "orcid:lookup", media_type: str = "application/json") -> Http:
        """Post octets, or anything else as JSON."""
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(_head("POST", path, f"Content-Type: {media_type}", f"Content-Length: {len(octets)}", *headers) + octets)

    def send(self, octets: bytes) -> Http:
        """Send a request over a new connection and read the one answer, which may have no body."""
        wire = self.wire()
        wire.send(octets)
        received = wire.line.value()
        if octets.startswith(b"HEAD") or received.startswith(b"HTTP/1.1 304"):
            head, _, rest = received.partition(b"\r\n\r\n")

            assert b"" == rest
            (answer,) = read_answers(head.replace(b"ontent-Length", b"ontent-Length-Of-Get") + b"\r\n\r\n")
            return answer
        (answer,) = read_answers(received)
        return answer

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far."""
        return [json.loads(line) for line in self.parts.log.getvalue().splitlines()]


def lookup_lab(**parts: Any) -> LookupLab:
    """Make a lab; the parts are those of `Parts`."""
    given = Parts(**parts)
    directory = given.directory or Directory(given.entities)
    door = LookupDoor(
        deciding=Deciding(given.people, asking(given.organisations, directory, given.people), given.rules, Environment.PRODUCTION),
        subjects=given.people,
        clients=given.clients,
        changes=given.changes,
        directory=directory,
        guard=given.guard,
        events=EventLog(given.log),
        watch=given.watch,
        pseudonyms=Pseudonyms(b"a key of sixteen"),
        clock=lambda: NOW,
        new_correlation_id=counted("correlation"),
    )
    root = lookup_root(lambda: door, given.client_keys, given.runner or Inline(on_the_spot()))
    site = BoundedSite(back_channel_root(NothingHere(), NothingHere(), root), Clock(), timeout=TIMEOUT, max_body_bytes=MAX_BODY)
    return LookupLab(door, site, given)


def read(answer: Http) -> Any:
    """Read an answer as JSON."""
    return json.loads(answer.body)


def serve(descriptor: int) -> None:
    """Serve a lab on a listening socket until the process is ended."""
    from twisted.internet import reactor  # only here, for a process that serves

    running: Any = reactor
    root = lookup_root(lambda: door, TestKeys(), Inline(on_the_spot()))
    door = lookup_lab().door
    running.adoptStreamPort(
        descriptor,
        AF_INET,
        BoundedSite(back_channel_root(NothingHere(), NothingHere(), root), running, timeout=TIMEOUT, max_body_bytes=MAX_BODY),
    )
    running.run()


def _head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join((f"{method} /api/v1/{path} HTTP/1.1", "Host: aa.example.org", *headers, "", "")).encode("utf-8")


if TYPE_CHECKING:
    _directory: type[EntityDirectory] = Directory
    _people: type[BatchSubjectFinder] = People
    _clients: type[ClientStore] = Clients
    _changes: type[ChangeFeed] = Changes

if __name__ == "__main__":
    serve(int(sys.argv[1]))
