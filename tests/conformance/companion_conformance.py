"""What every database does for the companion page beyond the ports: threads, workers and faults in the middle.

A back end proves itself with a subclass and a fixture `url` of a fresh database.
"""

from datetime import timedelta

import pytest
from sqlalchemy import select

from attribute_authority.errors import CouldNotAsk, FormOver
from attribute_authority.ports import LinkStore
from attribute_authority.storage.companion import SqlCompanionStore
from attribute_authority.storage.engine import Patience, make_working_engine, parse_url
from attribute_authority.storage.sql import SqlStore
from attribute_authority.storage.tables import orcid_grant
from tests.conformance.changes_conformance import SpellingConformance
from tests.conformance.concurrency_conformance import ConcurrencyConformance, execute, row_counts
from tests.conformance.conftest import Opening, OpeningCompanion
from tests.conformance.linking_conformance import LinkingStoreConformance
from tests.conformance.linking_samples import LATER, LEASE, MUCH_LATER, link_with_grant
from tests.conformance.replay_conformance import ReplayGuardConformance
from tests.conformance.samples import (
    CARBERRY,
    GRANT,
    HELD_UNTIL,
    NOW,
    OTHER_ORCID,
    PRODUCTION,
    SERVICE,
    TEPPO,
    completion,
    eppn,
    held_grant,
    new_link,
    persistent,
)
from tests.conformance.states_conformance import SOON, AttemptCounterConformance, StateKeeperConformance


class FaultConformance:
    """What is left where something fails in the middle."""

    @pytest.mark.parametrize("table", ["consent", "identifier", "link"])
    def test_fault_while_storing_leaves_nothing(self, store: SqlCompanionStore, url: str, table: str) -> None:
        """Where any of it cannot be written, none of it is, and the grant waits on."""
        store.hold_grant(held_grant())
        execute(url, f"ALTER TABLE {table} RENAME TO {table}_elsewhere")
        with pytest.raises(CouldNotAsk):
            store.complete(completion(new_link(TEPPO, persistent("AbC="))))
        execute(url, f"ALTER TABLE {table}_elsewhere RENAME TO {table}")

        assert [0, 0, 0, 0] == row_counts(url)
        assert store.complete(completion(new_link(TEPPO, persistent("AbC=")))).orcid == CARBERRY

    def test_missing_grant_leaves_nothing(self, store: SqlCompanionStore, url: str) -> None:
        """Not even the person is stored where the grant is missing."""
        with pytest.raises(FormOver):
            store.complete(completion(new_link(TEPPO, persistent("AbC="))))

        assert [0, 0, 0, 0] == row_counts(url)

    def test_failed_replacement_leaves_what_was(self, store: SqlCompanionStore, url: str, links: LinkStore) -> None:
        """Where the new link cannot be stored, the earlier one is in force and its permission in use."""
        present = link_with_grant(store, new_link(TEPPO))
        store.hold_grant(held_grant("grant-2"))
        execute(url, "ALTER TABLE consent RENAME TO elsewhere")
        with pytest.raises(CouldNotAsk):
            store.complete(completion(new_link(TEPPO, orcid=OTHER_ORCID, linked_at=LATER), "grant-2", replaces=present.link_id))
        execute(url, "ALTER TABLE elsewhere RENAME TO consent")

        assert [present] == list(links.find_links(withdrawn=True))
        assert ["grant-2"] == [due.grant_id for due in store.claim_revocations(MUCH_LATER, LEASE, 5)]

    def test_failed_withdrawal_leaves_link_and_grant(self, store: SqlCompanionStore, url: str, links: LinkStore) -> None:
        """A link is not withdrawn where its permission cannot be let go, by the researcher or by the operator."""
        present = link_with_grant(store, new_link(TEPPO))
        execute(url, "ALTER TABLE orcid_grant RENAME TO elsewhere")
        for withdraw in (store.withdraw, links.withdraw_link):
            with pytest.raises(CouldNotAsk):
                withdraw(present.link_id, LATER)
        execute(url, "ALTER TABLE elsewhere RENAME TO orcid_grant")

        assert [present] == list(links.find_links())

    def test_revoked_grant_holds_no_token(self, store: SqlCompanionStore, url: str) -> None:
        """What was revoked is erased."""
        store.hold_grant(held_grant())
        store.claim_revocations(HELD_UNTIL, LEASE, 5)
        store.record_revoked(GRANT, HELD_UNTIL + timedelta(seconds=1))
        with make_working_engine(parse_url(url), Patience()).connect() as connection:
            sealed = connection.execute(select(orcid_grant.c.sealed)).scalars().all()

        assert [None] == sealed

    def test_grant_is_held_once(self, store: SqlCompanionStore) -> None:
        """A second grant of the same name is not stored, and does not take the place of the first."""
        store.hold_grant(held_grant())
        with pytest.raises(CouldNotAsk):
            store.hold_grant(held_grant(revoke_at=MUCH_LATER))

        assert [GRANT] == [due.grant_id for due in store.claim_revocations(HELD_UNTIL, LEASE, 5)]


class CompanionConformance(
    StateKeeperConformance,
    AttemptCounterConformance,
    ReplayGuardConformance,
    LinkingStoreConformance,
    ConcurrencyConformance,
    FaultConformance,
    SpellingConformance,
):
    """Everything that a database does for the companion page."""

    @pytest.fixture
    def store(self, opening_companion: OpeningCompanion, url: str) -> SqlCompanionStore:
        """An empty store."""
        return opening_companion(url)

    @pytest.fixture
    def states(self, store: SqlCompanionStore) -> SqlCompanionStore:
        """An empty store."""
        return store

    @pytest.fixture
    def attempts(self, store: SqlCompanionStore) -> SqlCompanionStore:
        """An empty store."""
        return store

    @pytest.fixture
    def replay(self, store: SqlCompanionStore) -> SqlCompanionStore:
        """An empty store."""
        return store

    @pytest.fixture
    def linking(self, store: SqlCompanionStore) -> SqlCompanionStore:
        """An empty store."""
        return store

    @pytest.fixture
    def links(self, opening: Opening, url: str) -> SqlStore:
        """What the command line and the back channel open."""
        return opening(url)

    @pytest.fixture
    def feed(self, links: SqlStore) -> SqlStore:
        """The same store, as a subscriber reads it."""
        return links

    def test_back_channel_releases_what_was_linked(self, store: SqlCompanionStore, links: LinkStore) -> None:
        """From the moment that a linking returns, a worker that serves already finds the iD, and from an unlinking on not any more."""
        links.find_subject(TEPPO, PRODUCTION)
        stored = link_with_grant(store, new_link(TEPPO, eppn("second")))
        found = links.find_subject(eppn("second"), PRODUCTION)
        store.withdraw(stored.link_id, LATER)
        after = links.find_subject(TEPPO, PRODUCTION)

        assert found is not None
        assert after is not None
        assert (CARBERRY, None) == (found.orcid, after.orcid)

    def test_replay_guard_is_that_of_the_back_channel(self, store: SqlCompanionStore, opening: Opening, url: str) -> None:
        """One record of messages serves both."""
        store.is_first(SERVICE, "_a1", SOON)

        assert not opening(url).is_first(SERVICE, "_a1", SOON)

    def test_store_outlives_a_restart(self, opening_companion: OpeningCompanion, url: str) -> None:
        """No worker keeps anything in memory: another one goes on."""
        before = opening_companion(url)
        before.keep("key", b"sealed", SOON)
        before.hold_grant(held_grant())
        before.close()
        after = opening_companion(url)

        assert after.take("key", NOW) == b"sealed"
        assert after.complete(completion(new_link(TEPPO))).orcid == CARBERRY
