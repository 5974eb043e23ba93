"""A query door over stores in memory, with a clock that stands still and ids that are counted, and what it tells.

lab().ask(envelope(signed(attribute_query(), SP_KEYS))).values
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from io import StringIO
from itertools import count
from typing import Any

from lxml import etree

from attribute_authority.core.answering import Answering
from attribute_authority.core.asking import Organisation
from attribute_authority.core.deciding import Deciding
from attribute_authority.domain.entity import AttributeName, Entity, Role
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.domain.query import RequesterProfile
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.events import EventLog, Pseudonyms
from attribute_authority.ports import EntityDirectory, ReplayGuard, RequesterGuard, SubjectFinder
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.answer import AnswerWriter
from attribute_authority.saml.decryption import Decryption
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.saml.signature import AllowedAlgorithms
from attribute_authority.saml.signing import Signer, load_signer
from attribute_authority.saml.verification import Verification, accepted_destinations
from attribute_authority.storage.memory import MemoryLinkStore, MemoryReplayGuard
from attribute_authority.web.query_door import Delivery, QueryDoor, Reply
from attribute_authority.web.running import Later
from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.queries import NOW, PERSON, SP
from tests.factories.sources import FreeGuard, Unwatched, asking

AUTHORITY = "https://aa.example.org/orcid"
QUERY_URL = "https://aa.example.org/saml/attribute-query"
OTHER_SP = "https://wiki.example.org/sp"
UNRULED_SP = "https://unruled.example.org/sp"
IDP = "https://idp.uni.example/idp"
OTHER_IDP = "https://idp.other.example/idp"
AFFILIATION = "https://affiliation.example.org"
ORCID = "0000-0002-1825-0097"
WITHDRAWN_PERSON = "withdrawn@uni.example"
OTHER_PERSON = "mary@other.example"
PERSISTENT_VALUE = "Pid/42+abc="
WINDOW = timedelta(minutes=3)
PATHS = {"S": ns.SOAP11, "samlp": ns.SAMLP, "saml": ns.SAML, "ds": ns.DS}


@lru_cache
def sp_keys() -> KeyPair:
    """The keys of the service provider that has a release rule."""
    return rsa_pair("sp")


@lru_cache
def encryption_keys() -> KeyPair:
    """The keys to which identifiers are encrypted for the authority."""
    return rsa_pair("encryption")


@lru_cache
def signer_of(pair: KeyPair) -> Signer:
    """Return a signer with these keys."""
    return load_signer(pair.key_pem, pair.certificate_pem)


def service_provider(entity_id: str = SP, *pairs: KeyPair, **changes: Any) -> Entity:
    """Make a service provider with these keys, by default those of `sp_keys`."""
    entity = Entity(EntityId(entity_id), frozenset({Role.SERVICE_PROVIDER}), tuple(pair.public_key for pair in pairs or (sp_keys(),)))
    return replace(entity, **changes)


def identity_provider(entity_id: str = IDP) -> Entity:
    """Make an identity provider."""
    return service_provider(entity_id, rsa_pair("idp"), roles=frozenset({Role.IDENTITY_PROVIDER}))


@lru_cache
def federation() -> tuple[Entity, ...]:
    """Return everybody whom the authority trusts; the first belongs to an affiliation."""
    requested = frozenset({AttributeName(ns.EDU_PERSON_ORCID, ns.NAME_FORMAT_URI)})
    return (
        service_provider(affiliations=frozenset({EntityId(AFFILIATION)})),
        service_provider(OTHER_SP, rsa_pair("other"), requested_attributes=requested),
        service_provider(UNRULED_SP, rsa_pair("unruled")),
        identity_provider(),
        identity_provider(OTHER_IDP),
    )


def rule(*requesters: str) -> ReleaseRule:
    """Make a rule that lists requesters."""
    return ReleaseRule(frozenset(map(EntityId, requesters)))


def persistent(value: str = PERSISTENT_VALUE, audience: str = SP) -> Identifier:
    """Make a persistent identifier of our identity provider."""
    return parse_identifier(IdentifierKind.PERSISTENT, value, IDP, audience)


def link(orcid: str, *identifiers: Identifier, home: str = IDP, environment: Environment = Environment.PRODUCTION) -> NewLink:
    """Make a link to store."""
    return NewLink(EntityId(home), identifiers, OrcidId(orcid), environment, LinkSource.MANUAL, NOW)


def eppn(text: str = PERSON) -> Identifier:
    """Make an ePPN."""
    return parse_identifier(IdentifierKind.EPPN, text)


def stocked_store() -> MemoryLinkStore:
    """Return a store with the person whom all ask about, one whose link was withdrawn, and one of another home organisation."""
    store = MemoryLinkStore()
    known = [
        parse_identifier(kind, f"josiah1@{PERSON.partition('@')[2]}") for kind in (IdentifierKind.SUBJECT_ID, IdentifierKind.UNIQUE_ID)
    ]
    pairwise = parse_identifier(IdentifierKind.PAIRWISE_ID, "pw1@uni.example", None, SP)
    store.add_link(link(ORCID, eppn(), persistent(), persistent("shared", AFFILIATION), pairwise, *known))
    withdrawn = store.add_link(link("0000-0001-5109-3700", eppn(WITHDRAWN_PERSON)))
    store.withdraw_link(withdrawn.link_id, NOW)
    store.add_link(link("0000-0002-1694-233X", eppn(OTHER_PERSON), home=OTHER_IDP))
    return store


@dataclass(frozen=True, slots=True)
class Told:
    """What a query was answered with, and the event that was written of it."""

    reply: Reply
    event: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The whole answer."""
        return self.reply.body.decode()

    @property
    def entry(self) -> etree._Element:
        """The one element in the Body."""
        (body,) = etree.fromstring(self.reply.body).findall("S:Body", PATHS)
        (entry,) = body
        return entry

    @property
    def codes(self) -> tuple[str, ...]:
        """The last parts of the status codes, or the code of the fault."""
        fault = self.entry.findtext("faultcode")
        found = self.entry.iterfind("samlp:Status//samlp:StatusCode", PATHS)
        return tuple(str(code.get("Value")).rpartition(":")[2] for code in found) if fault is None else (fault,)

    @property
    def values(self) -> tuple[str, ...]:
        """The values of eduPersonOrcid."""
        found = self.entry.iterfind("saml:Assertion/saml:AttributeStatement/saml:Attribute/saml:AttributeValue", PATHS)
        return tuple(value.text or "" for value in found)

    def one(self, path: str) -> etree._Element:
        """Return the one element at a path below the entry."""
        (found,) = self.entry.findall(path, PATHS)
        return found


def whole(begun: Reply | Later[Reply]) -> Reply:
    """Return an answer, made here and now where it has to wait for a source."""
    return begun.finish() if isinstance(begun, Later) else begun


@dataclass(frozen=True, slots=True)
class Lab:
    """A door, and the log that it writes."""

    door: QueryDoor
    log: StringIO

    def ask(self, body: bytes, *, client: KeyPair | None = None, content_type: str = "text/xml") -> Told:
        """Send a message; `client` is who holds the TLS connection."""
        delivery = Delivery(body, content_type, None if client is None else client.public_key, "192.0.2.1")
        return Told(whole(self.door.begin(delivery)), self.events()[-1])

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def at(self, moment: datetime) -> "Lab":
        """Return the same lab at another instant."""
        return replace(self, door=replace(self.door, clock=lambda: moment))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a lab is made of."""

    entities: Iterable[Entity] = field(default_factory=federation)
    rules: tuple[ReleaseRule, ...] = (rule(SP, OTHER_SP),)
    profiles: Mapping[str, RequesterProfile] = field(default_factory=dict)
    decryption_keys: tuple[KeyPair, ...] = ()
    signing: KeyPair | None = None
    accept_sha1: bool = False
    environment: Environment = Environment.PRODUCTION
    entity_id: str = AUTHORITY
    url: str = QUERY_URL
    store: SubjectFinder | None = None
    replays: ReplayGuard | None = None
    directory: EntityDirectory | None = None
    organisations: Sequence[Organisation] = ()
    guard: RequesterGuard = field(default_factory=FreeGuard)


def lab(**parts: Any) -> Lab:
    """Make a lab; the parts are those of `Parts`."""
    given = Parts(**parts)
    log = StringIO()
    directory = given.directory or MemoryEntityDirectory(given.entities)
    door = QueryDoor(
        Verification(
            directory,
            given.replays or MemoryReplayGuard(),
            accepted_destinations(given.url),
            WINDOW,
            Decryption([pair.key_pem for pair in given.decryption_keys]),
            AllowedAlgorithms.with_sha1() if given.accept_sha1 else AllowedAlgorithms(),
        ),
        _answering(given, directory),
        AnswerWriter(given.entity_id, signer_of(given.signing or rsa_pair("authority")), counted("_answer")),
        given.guard,
        EventLog(log),
        Unwatched(),
        Pseudonyms(b"a key of sixteen"),
        lambda: NOW,
        counted("correlation"),
    )
    return Lab(door, log)


def counted(prefix: str) -> Callable[[], str]:
    """Return a maker of ids that counts."""
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


def _answering(given: Parts, directory: EntityDirectory) -> Answering:
    profiles = {EntityId(name): profile for name, profile in given.profiles.items()}
    store = given.store or stocked_store()
    sources = asking(given.organisations, directory, store, environment=given.environment)
    return Answering(Deciding(store, sources, given.rules, given.environment), profiles)
