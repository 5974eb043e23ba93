"""The reference back end conforms."""

import pytest

from attribute_authority.storage.memory import MemoryLinkStore, MemoryReplayGuard
from tests.conformance.replay_conformance import ReplayGuardConformance
from tests.conformance.store_conformance import LinkStoreConformance


class TestMemoryLinkStore(LinkStoreConformance):
    """Links in memory."""

    @pytest.fixture
    def links(self) -> MemoryLinkStore:
        """An empty store."""
        return MemoryLinkStore()


class TestMemoryReplayGuard(ReplayGuardConformance):
    """Message ids in memory."""

    @pytest.fixture
    def replay(self) -> MemoryReplayGuard:
        """An empty guard."""
        return MemoryReplayGuard()
