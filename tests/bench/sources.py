"""Identifiers that the authority does not know, each of which another kind of source resolves to somebody whom it does.

All three kinds are sources of one home organisation, and every question is answered by one of them alone: a directory that is asked for
eduPersonUniqueId, and for persistent identifiers the computed ones before the stored ones, which have another length.
What a query costs here beyond one by a known identifier is the price of asking; how much of it the source itself takes, in its own
process, tells whether it is worth while to make ours faster.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from attribute_authority.domain.identifiers import Identifier, IdentifierKind, parse_identifier
from connectors._pairwise import PairwiseHash
from tests.bench.peers import DIRECTORY_PEOPLE, directory, directory_person, shibpid, stored_id_of, unique_id_of
from tests.bench.population import PEOPLE, eppn_of
from tests.bench.queries import Asked, uri_of
from tests.peers.lab import Federation, NameId, persistent
from tests.peers.slapd import BIND_DN
from tests.peers.slapd import PEOPLE as BRANCH

_SALT = b"a salt of the home organisation's"
_UNIQUE_ID = "urn:oid:1.3.6.1.4.1.5923.1.1.1.13"
_TABLES = """
[[organisation]]
identity_provider = "{home}"
sources_asked = "until-found"

[[organisation.source]]
kind = "computed-id"
salt_file = "bench.salt"
"""
_REST = """
[[organisation.source]]
kind = "stored-id"
url = "{shibpid}"

[[organisation.source]]
kind = "ldap"
urls = ["{ldap}"]
tls_ca = "{tls_ca}"
bind_dn = "{bind_dn}"
password_file = "{password_file}"
base = "{branch}"
filters = {{ unique-id = "(eduPersonUniqueId={{value}})" }}
identifiers = {{ eduPersonPrincipalName = "eppn" }}
"""


@dataclass(frozen=True, slots=True)
class Foreign:
    """One kind of foreign identifier: `name` for the figures, the `kind` of source that resolves it, and the root of that one's processes.

    `process` is None where the source is part of the authority. `name_id` makes the identifier of somebody whom `choose` chooses.
    """

    name: str
    kind: str
    process: int | None
    choose: Callable[[Random], int]
    name_id: Callable[[int], NameId]

    def anybody(self, random: Random, count: int) -> list[Asked]:
        """Return so many people, each by such an identifier."""
        people = [self.choose(random) for _ in range(count)]
        return [Asked(self.name_id(person), uri_of(person)) for person in people]


@dataclass(frozen=True, slots=True)
class Sources:
    """What is running: the lines that configure it, and what to ask it about.

    `computed_lines` configure the computed ids alone, which every authority has: one without would drop their index from the database
    that all of them share.
    """

    computed_lines: str
    further_lines: str
    foreign: tuple[Foreign, ...]


def digest_towards(federation: Federation) -> Callable[[str], bytes]:
    """Return what computes the digests towards the service provider that asks."""
    return PairwiseHash(_SALT, "SHA-1", "whole").towards(federation.released.entity_id)


def to_identifier(name_id: NameId) -> Identifier:
    """Return what a source is asked about."""
    kind = IdentifierKind.UNIQUE_ID if name_id.format == _UNIQUE_ID else IdentifierKind.PERSISTENT
    return parse_identifier(kind, name_id.value, name_id.name_qualifier, name_id.sp_name_qualifier)


@contextmanager
def running_sources(federation: Federation, configuration: Path) -> Iterator[Sources]:
    """Run a directory and a database beside the authority of that configuration."""
    (configuration.parent / "bench.salt").write_bytes(_SALT)
    with directory() as slapd, shibpid(federation) as (postgres, url):
        further = _REST.format(
            shibpid=url,
            ldap=slapd.ldaps_url,
            tls_ca=slapd.certificate,
            bind_dn=BIND_DN,
            password_file=slapd.password_file,
            branch=BRANCH,
        )
        slapd_process = int((slapd.directory / "slapd.pid").read_text(encoding="utf-8"))
        computed = _TABLES.format(home=federation.home.entity_id)
        yield Sources(computed, further, (_computed(federation), _in_directory(slapd_process), _stored(federation, postgres)))


def _computed(federation: Federation) -> Foreign:
    digest_of = digest_towards(federation)

    def name_id(person: int) -> NameId:
        return persistent(b64encode(digest_of(eppn_of(person))).decode(), federation.home, federation.released)

    return Foreign("computed", "computed-id", None, _anybody, name_id)


def _in_directory(process: int) -> Foreign:
    def choose(random: Random) -> int:
        return directory_person(random.randint(1, DIRECTORY_PEOPLE))

    return Foreign("ldap", "ldap", process, choose, lambda person: NameId(unique_id_of(person), _UNIQUE_ID))


def _stored(federation: Federation, process: int) -> Foreign:
    def name_id(person: int) -> NameId:
        return persistent(stored_id_of(person), federation.home, federation.released)

    return Foreign("stored", "stored-id", process, _anybody, name_id)


def _anybody(random: Random) -> int:
    return random.randint(1, PEOPLE)
