"""A stock Shibboleth service provider that releases nothing but its own persistent NameID, which the authority has never seen.

The authority knows the linked person by ePPN alone; the home organisation's way of making identifiers is configured as a source.
"""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.interop.cases import ORCID
from tests.interop.service import LINKED, WITHDRAWN, prepare, running
from tests.peers.lab import Federation, Member, NameId, TrustedAuthority, persistent
from tests.peers.postgresql import PostgresqlServer
from tests.peers.shibboleth import Mode, configure, query

_SALT = b"a salt of the home organisation's"
_STORED = "5f3f6a2e-stored-once"
_SHIBPID = """
CREATE TABLE shibpid (localEntity VARCHAR(255) NOT NULL, peerEntity VARCHAR(255) NOT NULL, persistentId VARCHAR(50) NOT NULL,
 principalName VARCHAR(50) NOT NULL, localId VARCHAR(50) NOT NULL, peerProvidedId VARCHAR(50) NULL, creationDate TIMESTAMP NOT NULL,
 deactivationDate TIMESTAMP NULL, PRIMARY KEY (localEntity, peerEntity, persistentId))
"""


def computed(federation: Federation, member: Member, eppn: str) -> NameId:
    """Compute the persistent NameID as a Shibboleth identity provider does."""
    digest = sha1(b"!".join((member.entity_id.encode(), eppn.encode(), _SALT))).digest()  # noqa: S324 - what the identity provider uses
    return persistent(b64encode(digest).decode(), federation.home, member)


@pytest.fixture(scope="module")
def knowing_by_eppn(tmp_path_factory: pytest.TempPathFactory, federation: Federation, shibpid: str) -> Iterator[TrustedAuthority]:
    """A running authority with both kinds of Shibboleth source."""
    directory = tmp_path_factory.mktemp("sources")
    configuration = prepare(directory / "prepared", federation)
    (configuration.parent / "uni.salt").write_bytes(_SALT)
    with configuration.open("a") as lines:
        lines.write(
            f"""
[[organisation]]
identity_provider = "{federation.home.entity_id}"

[[organisation.source]]
kind = "computed-id"
salt_file = "uni.salt"

[[organisation.source]]
kind = "stored-id"
url = "{shibpid}"
"""
        )
    with running(configuration, directory / "aa") as trusted:
        yield trusted


@pytest.fixture(scope="module")
def shibpid(module_database: str, federation: Federation) -> str:
    """The identity provider's table in a real PostgreSQL, with one identifier in use and one deactivated."""
    engine = create_engine(module_database)
    rows = [(_STORED, LINKED.eppn, None), (f"{_STORED}-no-more", LINKED.eppn, "2026-01-01")]
    with engine.begin() as connection:
        connection.execute(text(_SHIBPID))
        for value, eppn, ended in rows:
            connection.execute(
                text("INSERT INTO shibpid VALUES (:home, :peer, :value, 'josiah', :eppn, NULL, '2020-01-01', :ended)"),
                {"home": federation.home.entity_id, "peer": federation.released.entity_id, "value": value, "eppn": eppn, "ended": ended},
            )
    engine.dispose()
    return module_database


@pytest.fixture(scope="module")
def module_database(postgresql: PostgresqlServer) -> Iterator[str]:
    """A database for the whole module."""
    url = postgresql.make_database("template0")
    yield url
    postgresql.drop_database(url)


def login(
    directory: Path, federation: Federation, authority: TrustedAuthority, name_id: NameId
) -> tuple[tuple[str, ...] | None, str | None]:
    """Log in at the service provider, and return what its session has of the iD, and the complaints of its log."""
    answer = query(configure(directory, federation, federation.released, authority, Mode.TLS), name_id)
    return answer.attributes.get("eduPersonOrcid"), answer.failure


def test_computed_persistent_name_id(tmp_path: Path, federation: Federation, knowing_by_eppn: TrustedAuthority) -> None:
    """A persistent NameID that the identity provider computed for this service provider brings the iD."""
    asked = computed(federation, federation.released, LINKED.eppn)

    assert ((ORCID,), None) == login(tmp_path, federation, knowing_by_eppn, asked)


def test_stored_persistent_name_id(tmp_path: Path, federation: Federation, knowing_by_eppn: TrustedAuthority) -> None:
    """A persistent NameID that the identity provider keeps in its table brings the iD."""
    assert ((ORCID,), None) == login(tmp_path, federation, knowing_by_eppn, persistent(_STORED, federation.home, federation.released))


@pytest.mark.parametrize("whose", ["withdrawn", "neighbour", "deactivated"])
def test_nobody_for_this_service_provider(tmp_path: Path, federation: Federation, knowing_by_eppn: TrustedAuthority, whose: str) -> None:
    """Who withdrew, what was computed for another service provider, and what was deactivated bring nothing, and no complaint."""
    asked = {
        "withdrawn": computed(federation, federation.released, WITHDRAWN.eppn),
        "neighbour": persistent(computed(federation, federation.neighbour, LINKED.eppn).value, federation.home, federation.released),
        "deactivated": persistent(f"{_STORED}-no-more", federation.home, federation.released),
    }[whose]

    assert (None, None) == login(tmp_path, federation, knowing_by_eppn, asked)
