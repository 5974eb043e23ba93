"""PostgreSQL conforms for the companion page, and an outage of it is told as one and passes by itself."""

import random
from collections.abc import Iterator
from functools import partial

import pytest

from attribute_authority.errors import Conflict, CouldNotAsk
from attribute_authority.storage.companion import SqlCompanionStore, open_companion_store
from attribute_authority.storage.engine import Patience
from tests.conformance.companion_conformance import CompanionConformance
from tests.conformance.concurrency_conformance import row_counts
from tests.conformance.conftest import Opening, OpeningCompanion
from tests.conformance.samples import HOME, NOW, PRODUCTION, SERVICE, TEPPO, completion, held_grant, new_link, persistent
from tests.conformance.states_conformance import SOON
from tests.conformance.test_postgresql import WRITERS, connect
from tests.conformance.together import at_once
from tests.peers.postgresql import PostgresqlServer

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'attribute-authority'"


@pytest.fixture
def url(postgresql_url: str) -> str:
    """The URL of the fresh database."""
    return postgresql_url


class TestPostgresql(CompanionConformance):
    """The companion page on PostgreSQL."""

    def test_is_not_local(self, store: SqlCompanionStore) -> None:
        """The database is somewhere on a network."""
        assert not store.is_local

    def test_identifier_that_the_database_refuses_stores_nothing(self, store: SqlCompanionStore, opening: Opening, url: str) -> None:
        """An identifier that is too long for an index of PostgreSQL is a conflict, which trying again would not help."""
        incompressible = "".join(random.Random(0).choices([chr(code) for code in range(0x1F300, 0x1F600)], k=1000))
        too_long = persistent("AbC=", home=f"urn:{incompressible}")
        store.hold_grant(held_grant())
        with pytest.raises(Conflict, match="refuses"):
            store.complete(completion(new_link(TEPPO, too_long)))
        counts = row_counts(url)
        opening(url).add_link(new_link(TEPPO))

        assert [0, 0, 0, 0] == counts
        with pytest.raises(Conflict, match="refuses"):
            store.recognise(HOME, (TEPPO, too_long), PRODUCTION, NOW)


class TestOutage:
    """The server goes away and comes back."""

    @pytest.fixture
    def stopped(self, postgresql: PostgresqlServer, url: str, opening_companion: OpeningCompanion) -> Iterator[SqlCompanionStore]:
        """A store that has worked before on several connections, and whose server was then stopped."""
        store = opening_companion(url, pool_size=4)
        at_once([partial(store.keep, f"key-{number}", b"sealed", SOON) for number in range(8)])
        store.hold_grant(held_grant())
        postgresql.stop()
        try:
            yield store
        finally:
            if not postgresql.is_running:
                postgresql.start()

    def test_everything_says_that_it_could_not_ask(self, stopped: SqlCompanionStore) -> None:
        """No call takes an outage for "nothing there"."""
        for call in (
            lambda: stopped.keep("key", b"sealed", SOON),
            lambda: stopped.read("key-1", NOW),
            lambda: stopped.take("key-1", NOW),
            lambda: stopped.forget_expired_states(NOW),
            lambda: stopped.count_attempt("192.0.2.1", SOON),
            lambda: stopped.forget_expired_attempts(NOW),
            lambda: stopped.is_first(SERVICE, "_a1", SOON),
            lambda: stopped.forget_expired(NOW),
            lambda: stopped.recognise(HOME, (TEPPO,), PRODUCTION, NOW),
            lambda: stopped.check_completion(new_link(TEPPO), None),
            lambda: stopped.hold_grant(held_grant("grant-2")),
            lambda: stopped.complete(completion(new_link(TEPPO))),
            lambda: stopped.withdraw(1, NOW),
            lambda: stopped.give_up_grant("grant-1", NOW),
            lambda: stopped.claim_revocations(SOON, SOON - NOW, 5),
            lambda: stopped.record_revoked("grant-1", NOW),
            lambda: stopped.record_revocation_failure("grant-1", SOON),
            stopped.ping,
        ):
            with pytest.raises(CouldNotAsk, match="could not be asked"):
                call()

    def test_store_cannot_be_opened(self, stopped: SqlCompanionStore, url: str) -> None:
        """Where no server listens, opening says which server, without the name of a password."""
        assert not stopped.is_local
        with pytest.raises(CouldNotAsk, match=r"postgresql\+psycopg://name:\*\*\*@127\.0\.0\.1"):
            open_companion_store(url.replace("postgres@", "name:hunter2@"))

    def test_restart_is_not_noticed_by_any_thread(self, stopped: SqlCompanionStore, postgresql: PostgresqlServer) -> None:
        """Connections that the restart broke are made again without a failed call, and nothing committed is lost."""
        postgresql.start()

        assert [b"sealed"] * 8 == at_once([partial(stopped.take, f"key-{number}", NOW) for number in range(8)])
        assert stopped.complete(completion(new_link(TEPPO))).identifiers == (TEPPO,)


class TestConnections:
    """What the pool of a worker does."""

    def test_worker_has_no_more_connections_than_it_may(self, opening_companion: OpeningCompanion, url: str) -> None:
        """However many threads ask, the server sees the size of the pool at most."""
        store = opening_companion(url, pool_size=3)
        at_once([partial(store.keep, f"key-{number}", b"sealed", SOON) for number in range(20)])
        with connect(url) as administrator:
            seen = administrator.execute(CONNECTIONS).fetchone()

        assert seen is not None
        assert seen[0] in (1, 2, 3)

    def test_statement_that_is_held_up_is_given_up(self, opening_companion: OpeningCompanion, url: str) -> None:
        """A page does not wait for a lock for ever, and the next call succeeds."""
        store = opening_companion(url, Patience(answering=100))
        with connect(url) as administrator, administrator.transaction():
            administrator.execute("LOCK TABLE browser_state IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(CouldNotAsk, match="statement timeout"):
                store.keep("key", b"sealed", SOON)
        store.keep("key", b"sealed", SOON)

        assert store.read("key", NOW) == b"sealed"

    def test_pool_that_is_in_use_is_told(self, opening_companion: OpeningCompanion, url: str) -> None:
        """Where no connection comes free in time, the page says "try again" instead of waiting on."""
        store = opening_companion(url, Patience(answering=100), pool_size=1)
        with store._pool.connection(), pytest.raises(CouldNotAsk, match="QueuePool limit"):
            store.ping()

        store.ping()

    def test_person_who_brings_nothing_new_is_recognised_while_links_are_written(
        self, opening_companion: OpeningCompanion, opening: Opening, url: str
    ) -> None:
        """A sign-in waits for no writer of links, unless it has an identifier to store."""
        store = opening_companion(url, Patience(answering=200))
        link = opening(url).add_link(new_link(TEPPO))
        with connect(url) as administrator, administrator.transaction():
            administrator.execute(WRITERS)
            standing = store.recognise(HOME, (TEPPO,), PRODUCTION, NOW)
            store.check_completion(new_link(TEPPO), None)
            with pytest.raises(CouldNotAsk, match="statement timeout"):
                store.recognise(HOME, (TEPPO, persistent("AbC=")), PRODUCTION, NOW)

        assert standing is not None
        assert link == standing.link
