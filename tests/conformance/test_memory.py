"""The reference back end conforms."""

import pytest

from attribute_authority.storage.memory import MemoryLinkStore, MemoryReplayGuard
from attribute_authority.storage.memory_companion import MemoryAttemptCounter, MemoryLinkingStore, MemoryStateKeeper
from tests.conformance.linking_conformance import LinkingStoreConformance
from tests.conformance.replay_conformance import ReplayGuardConformance
from tests.conformance.states_conformance import AttemptCounterConformance, StateKeeperConformance
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


class TestMemoryStateKeeper(StateKeeperConformance):
    """States in memory."""

    @pytest.fixture
    def states(self) -> MemoryStateKeeper:
        """An empty keeper."""
        return MemoryStateKeeper()


class TestMemoryAttemptCounter(AttemptCounterConformance):
    """Attempts in memory."""

    @pytest.fixture
    def attempts(self) -> MemoryAttemptCounter:
        """An empty counter."""
        return MemoryAttemptCounter()


class TestLinksOfMemoryLinkingStore(LinkStoreConformance):
    """The store of linkings is a store of links."""

    @pytest.fixture
    def links(self) -> MemoryLinkingStore:
        """An empty store."""
        return MemoryLinkingStore()


class TestMemoryLinkingStore(LinkingStoreConformance):
    """Linkings in memory."""

    @pytest.fixture
    def linking(self) -> MemoryLinkingStore:
        """An empty store."""
        return MemoryLinkingStore()

    @pytest.fixture
    def links(self, linking: MemoryLinkingStore) -> MemoryLinkingStore:
        """The same store, as the operator sees it."""
        return linking
