"""One federation and one authority for all tests of a session; a second authority publishes an encryption key."""

from collections.abc import Iterator

import pytest

from tests.interop.service import running
from tests.peers.lab import Federation, TrustedAuthority, make_federation


@pytest.fixture(scope="session")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """The lab federation, with fresh keys."""
    return make_federation(tmp_path_factory.mktemp("federation"))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory, federation: Federation) -> Iterator[TrustedAuthority]:
    """A running authority with the defaults that `init` writes."""
    with running(tmp_path_factory.mktemp("authority") / "aa", federation) as trusted:
        yield trusted


@pytest.fixture(scope="session")
def encrypting_authority(tmp_path_factory: pytest.TempPathFactory, federation: Federation) -> Iterator[TrustedAuthority]:
    """A running authority to which NameIDs can be encrypted."""
    with running(tmp_path_factory.mktemp("encrypting") / "aa", federation, with_encryption=True) as trusted:
        yield trusted
