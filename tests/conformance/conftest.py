"""Fixtures of the conformance suite."""

from collections.abc import Callable, Iterator

import pytest

from attribute_authority.storage.companion import SqlCompanionStore, open_companion_store
from attribute_authority.storage.deliveries import SqlDeliveryStore, open_delivery_store
from attribute_authority.storage.engine import Patience
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.sql_posting import Posting
from tests.peers.postgresql import empty_postgresql_url, postgresql, postgresql_url

pytest.register_assert_rewrite(
    "tests.conformance.store_conformance",
    "tests.conformance.replay_conformance",
    "tests.conformance.database_conformance",
    "tests.conformance.states_conformance",
    "tests.conformance.linking_conformance",
    "tests.conformance.unlinking_conformance",
    "tests.conformance.companion_conformance",
    "tests.conformance.concurrency_conformance",
    "tests.conformance.batch_conformance",
    "tests.conformance.changes_conformance",
    "tests.conformance.outages_conformance",
    "tests.conformance.pairwise_conformance",
    "tests.conformance.sources_conformance",
    "tests.conformance.deliveries_conformance",
    "tests.conformance.delivery_books_conformance",
    "tests.conformance.delivery_claiming_conformance",
    "tests.conformance.delivery_posting_conformance",
    "tests.conformance.delivery_recording_conformance",
    "tests.conformance.delivery_telling_conformance",
)

__all__ = ["empty_postgresql_url", "opening", "opening_companion", "opening_deliveries", "postgresql", "postgresql_url"]

Opening = Callable[..., SqlStore]
OpeningCompanion = Callable[..., SqlCompanionStore]
OpeningDeliveries = Callable[..., SqlDeliveryStore]


@pytest.fixture
def opening() -> Iterator[Opening]:
    """Open stores that are closed at the end of the test."""
    opened: list[SqlStore] = []

    def open_and_remember(url: str, patience: Patience | None = None, posting: Posting | None = None) -> SqlStore:
        opened.append(open_store(url, patience, posting))
        return opened[-1]

    yield open_and_remember
    for store in opened:
        store.close()


@pytest.fixture
def opening_companion() -> Iterator[OpeningCompanion]:
    """Open stores of companion workers that are closed at the end of the test."""
    opened: list[SqlCompanionStore] = []

    def open_and_remember(url: str, patience: Patience | None = None, pool_size: int = 16) -> SqlCompanionStore:
        opened.append(open_companion_store(url, patience, pool_size))
        return opened[-1]

    yield open_and_remember
    for store in opened:
        store.close()


@pytest.fixture
def opening_deliveries() -> Iterator[OpeningDeliveries]:
    """Open books of deliveries that are closed at the end of the test."""
    opened: list[SqlDeliveryStore] = []

    def open_and_remember(url: str, patience: Patience | None = None, pool_size: int = 4) -> SqlDeliveryStore:
        opened.append(open_delivery_store(url, patience, pool_size))
        return opened[-1]

    yield open_and_remember
    for store in opened:
        store.close()
