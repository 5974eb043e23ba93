"""Fixtures of the conformance suite."""

from collections.abc import Callable, Iterator

import pytest

from attribute_authority.storage.engine import Patience
from attribute_authority.storage.sql import SqlStore, open_store
from tests.peers.postgresql import empty_postgresql_url, postgresql, postgresql_url

pytest.register_assert_rewrite(
    "tests.conformance.store_conformance",
    "tests.conformance.replay_conformance",
    "tests.conformance.database_conformance",
)

__all__ = ["empty_postgresql_url", "opening", "postgresql", "postgresql_url"]

Opening = Callable[..., SqlStore]


@pytest.fixture
def opening() -> Iterator[Opening]:
    """Open stores that are closed at the end of the test."""
    opened: list[SqlStore] = []

    def open_and_remember(url: str, patience: Patience | None = None) -> SqlStore:
        opened.append(open_store(url, patience))
        return opened[-1]

    yield open_and_remember
    for store in opened:
        store.close()
