"""The reference back end conforms."""

import pytest

from attribute_authority.storage.memory import MemoryLinkStore, MemoryReplayGuard
from attribute_authority.storage.memory_companion import MemoryAttemptCounter, MemoryLinkingStore, MemoryStateKeeper
from attribute_authority.storage.memory_deliveries import MemoryDeliveryStore
from attribute_authority.storage.memory_posting import MemoryPosting
from attribute_authority.storage.memory_sources import MemoryClientStore, MemoryOutageBoard, MemoryPairwiseIndex
from tests.conformance.batch_conformance import BatchSubjectFinderConformance
from tests.conformance.changes_conformance import ChangeFeedConformance, SpellingConformance
from tests.conformance.deliveries_conformance import DeliveriesConformance
from tests.conformance.delivery_posting_conformance import LinkingPostingConformance
from tests.conformance.delivery_samples import SetClock
from tests.conformance.linking_conformance import LinkingStoreConformance
from tests.conformance.outages_conformance import ClientStoreConformance, OutageBoardConformance
from tests.conformance.pairwise_conformance import PairwiseConformance
from tests.conformance.replay_conformance import ReplayGuardConformance
from tests.conformance.states_conformance import AttemptCounterConformance, StateKeeperConformance
from tests.conformance.store_conformance import LinkStoreConformance
from tests.conformance.withdrawn_conformance import WithdrawnConformance


class TestMemoryLinkStore(
    LinkStoreConformance, WithdrawnConformance, BatchSubjectFinderConformance, ChangeFeedConformance, PairwiseConformance
):
    """Links in memory, and what is read from them."""

    @pytest.fixture
    def links(self) -> MemoryLinkStore:
        """An empty store."""
        return MemoryLinkStore()

    @pytest.fixture
    def finder(self, links: MemoryLinkStore) -> MemoryLinkStore:
        """The same store."""
        return links

    @pytest.fixture
    def feed(self, links: MemoryLinkStore) -> MemoryLinkStore:
        """The same store."""
        return links

    @pytest.fixture
    def index(self, links: MemoryLinkStore) -> MemoryPairwiseIndex:
        """No index yet."""
        return MemoryPairwiseIndex(links)


class TestMemoryDeliveries(DeliveriesConformance, LinkingPostingConformance):
    """Deliveries in memory."""

    @pytest.fixture
    def linking(self, clock: SetClock) -> MemoryLinkingStore:
        """An empty store."""
        return MemoryLinkingStore(MemoryPosting(clock=clock))

    @pytest.fixture
    def links(self, linking: MemoryLinkingStore) -> MemoryLinkingStore:
        """The same store, as the operator sees it."""
        return linking

    @pytest.fixture
    def books(self, linking: MemoryLinkingStore) -> MemoryDeliveryStore:
        """The books of the same store."""
        return MemoryDeliveryStore(linking)


class TestMemoryOutageBoard(OutageBoardConformance):
    """Outages in memory."""

    @pytest.fixture
    def board(self) -> MemoryOutageBoard:
        """An empty board."""
        return MemoryOutageBoard()


class TestMemoryClientStore(ClientStoreConformance):
    """Clients in memory."""

    @pytest.fixture
    def clients(self) -> MemoryClientStore:
        """An empty store."""
        return MemoryClientStore()


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


class TestMemoryLinkingStore(LinkingStoreConformance, ChangeFeedConformance, SpellingConformance):
    """Linkings in memory."""

    @pytest.fixture
    def linking(self) -> MemoryLinkingStore:
        """An empty store."""
        return MemoryLinkingStore()

    @pytest.fixture
    def links(self, linking: MemoryLinkingStore) -> MemoryLinkingStore:
        """The same store, as the operator sees it."""
        return linking

    @pytest.fixture
    def feed(self, linking: MemoryLinkingStore) -> MemoryLinkingStore:
        """The same store, as a subscriber reads it."""
        return linking
