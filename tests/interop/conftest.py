"""One federation and one authority for all tests of a session; a second authority publishes an encryption key."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.service import prepare, running
from tests.peers.lab import Federation, TrustedAuthority, make_federation
from tests.peers.postgresql import postgresql, postgresql_url

__all__ = ["authority", "encrypting_authority", "federation", "postgresql", "postgresql_url", "prepared"]


@pytest.fixture(scope="session")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """The lab federation, with fresh keys."""
    return make_federation(tmp_path_factory.mktemp("federation"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, federation: Federation) -> Path:
    """The configuration of an authority that is not started."""
    return prepare(tmp_path_factory.mktemp("prepared") / "aa", federation)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[TrustedAuthority]:
    """A running authority with the defaults that `init` writes."""
    with running(prepared, tmp_path_factory.mktemp("authority") / "aa") as trusted:
        yield trusted


@pytest.fixture(scope="session")
def encrypting_authority(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[TrustedAuthority]:
    """A running authority to which NameIDs can be encrypted."""
    with running(prepared, tmp_path_factory.mktemp("encrypting") / "aa", with_encryption=True) as trusted:
        yield trusted
