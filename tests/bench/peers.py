"""Somebody else's systems that resolve identifiers: a real OpenLDAP and a real PostgreSQL, filled with people of the population."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from tests.bench.population import PEOPLE, eppn_of
from tests.peers import require
from tests.peers.lab import Federation
from tests.peers.postgresql import PostgresqlServer, find_binaries
from tests.peers.slapd import PEOPLE as BRANCH
from tests.peers.slapd import Slapd, running_slapd

DIRECTORY_PEOPLE = 5_000
"""How many the directory holds, spread over the population; what it finds by an index costs the same among more."""

_INDEX = "\nindex eduPersonUniqueId eq\n"
_ENTRY = """dn: uid=person{person},{branch}
objectClass: inetOrgPerson
objectClass: eduPerson
uid: person{person}
cn: Person {person}
sn: {person}
eduPersonPrincipalName: {eppn}
eduPersonUniqueId: {unique_id}

"""
_SHIBPID = """
CREATE TABLE shibpid (localEntity VARCHAR(255) NOT NULL, peerEntity VARCHAR(255) NOT NULL, persistentId VARCHAR(50) NOT NULL,
 principalName VARCHAR(50) NOT NULL, localId VARCHAR(50) NOT NULL, peerProvidedId VARCHAR(50) NULL, creationDate TIMESTAMP NOT NULL,
 deactivationDate TIMESTAMP NULL, PRIMARY KEY (localEntity, peerEntity, persistentId))
"""
_FILL = """
INSERT INTO shibpid
SELECT %(local)s, %(peer)s, left(encode(sha256(person::text::bytea), 'hex'), 32), 'person' || person,
 'person' || lpad(person::text, 7, '0') || '@uni.example', NULL, '2026-01-01', NULL
FROM generate_series(1, %(people)s) AS person
"""


def directory_person(number: int) -> int:
    """Return the person of the population who is so and so many in the directory, from 1 to DIRECTORY_PEOPLE."""
    return number * (PEOPLE // DIRECTORY_PEOPLE)


def unique_id_of(person: int) -> str:
    """Return the eduPersonUniqueId of a person in the directory, which the authority does not know."""
    return f"u{person:07d}@uni.example"


def stored_id_of(person: int) -> str:
    """Return the persistent identifier of a person in the table shibpid."""
    return sha256(str(person).encode()).hexdigest()[:32]


@contextmanager
def directory() -> Iterator[Slapd]:
    """Run a directory that finds people by eduPersonUniqueId."""
    with running_slapd() as slapd:
        with slapd.stopped():
            _fill_directory(slapd)
        yield slapd


@contextmanager
def shibpid(federation: Federation) -> Iterator[tuple[int, str]]:
    """Run a database with a stored identifier of everybody towards a service provider; yields its process and its URL."""
    with postgresql() as (place, server):
        url = server.make_database("template0")
        _fill_shibpid(url, federation)
        yield int((place / "cluster" / "postmaster.pid").read_text(encoding="utf-8").split()[0]), url


@contextmanager
def postgresql(kind: type[PostgresqlServer] = PostgresqlServer) -> Iterator[tuple[Path, PostgresqlServer]]:
    """Run a database server of that kind; yields its directory too."""
    place = Path(tempfile.mkdtemp(prefix="attribute-authority-bench-"))
    try:
        if os.geteuid() == 0:
            person = pwd.getpwnam("postgres")
            os.chown(place, person.pw_uid, person.pw_gid)
        server = kind(find_binaries(), place)
        try:
            server.prepare()
            yield place, server
        finally:
            server.stop()
    finally:
        shutil.rmtree(place)


def load_entries(slapd: Slapd, entries: Iterable[str]) -> None:
    """Add entries, in LDIF, to a directory that is stopped."""
    people = slapd.directory / "people.ldif"
    people.write_text("".join(entries), encoding="utf-8")
    owner = "openldap" if os.geteuid() == 0 else None
    command: list[str | Path] = [require("slapadd", "slapd"), "-q", "-f", slapd.directory / "slapd.conf", "-l", people]
    subprocess.run(command, check=True, capture_output=True, user=owner, group=owner, extra_groups=None if owner is None else ())


def _fill_directory(slapd: Slapd) -> None:
    with (slapd.directory / "slapd.conf").open("a", encoding="utf-8") as lines:
        lines.write(_INDEX)
    load_entries(slapd, map(_entry, range(1, DIRECTORY_PEOPLE + 1)))


def _entry(number: int) -> str:
    person = directory_person(number)
    return _ENTRY.format(person=person, branch=BRANCH, eppn=eppn_of(person), unique_id=unique_id_of(person))


def _fill_shibpid(url: str, federation: Federation) -> None:
    parts = make_url(url)
    with psycopg.connect(host=parts.host, port=parts.port, user=parts.username, dbname=parts.database, autocommit=True) as connection:
        connection.execute(_SHIBPID)
        values = {"local": federation.home.entity_id, "peer": federation.released.entity_id, "people": PEOPLE}
        connection.execute(_FILL, values)
        connection.execute("VACUUM ANALYZE shibpid")
