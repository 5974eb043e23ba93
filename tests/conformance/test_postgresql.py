"""PostgreSQL conforms, and an outage of it is told as one and passes by itself."""

import random
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from attribute_authority.domain.delivery import DeliveryState, Outcome
from attribute_authority.errors import Conflict, CouldNotAsk
from attribute_authority.storage.deliveries import SqlDeliveryStore, open_delivery_store
from attribute_authority.storage.engine import Patience
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.sql_posting import Posting
from tests.conformance.conftest import Opening, OpeningDeliveries
from tests.conformance.database_conformance import DatabaseConformance
from tests.conformance.deliveries_conformance import DatabaseDeliveriesConformance
from tests.conformance.delivery_samples import EVERYTHING, LDAP, LEASE, SINKS, SetClock, claim, link_teppo
from tests.conformance.outages_conformance import OUTAGE, TOKEN, new_client
from tests.conformance.pairwise_conformance import NAME, digest_of
from tests.conformance.replay_conformance import LATER
from tests.conformance.samples import HOME, NOW, PRODUCTION, SERVICE, TEPPO, eppn, new_link, people, persistent, stored
from tests.peers.postgresql import PostgresqlServer

WRITERS = "SELECT pg_advisory_xact_lock(1869767529)"


@pytest.fixture
def url(postgresql_url: str) -> str:
    """The URL of the fresh database."""
    return postgresql_url


def connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    """Connect as an administrator would."""
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True)


class TestPostgresql(DatabaseConformance):
    """Links and message ids in PostgreSQL."""

    def test_is_not_local(self, store: SqlStore) -> None:
        """A lookup is a round trip, and may not run where it is called."""
        assert not store.is_local

    def test_link_that_the_database_refuses_leaves_the_others_alone(self, store: SqlStore) -> None:
        """An identifier that is too long for an index of PostgreSQL is a conflict of its own."""
        incompressible = "".join(random.Random(0).choices([chr(code) for code in range(0x1F300, 0x1F600)], k=1000))
        too_long = new_link(persistent("AbC=", home=f"urn:{incompressible}"))
        outcomes = list(store.add_links([*people(2), too_long, new_link(TEPPO)]))

        assert [False, False, True, False] == [isinstance(outcome, Conflict) for outcome in outcomes]
        assert store.count_links() == 3


class TestPostgresqlDeliveries(DatabaseDeliveriesConformance):
    """Deliveries in PostgreSQL."""

    def test_claiming_waits_for_nobody(self, links: SqlStore, books: SqlDeliveryStore, url: str) -> None:
        """While a writer of links has a person's deliveries, a worker gets those of all others."""
        links.use_sinks(SINKS)
        list(links.add_links(people(2)))
        with connect(url) as administrator, administrator.transaction():
            administrator.execute(WRITERS)
            administrator.execute("SELECT id FROM delivery WHERE id = 1 FOR UPDATE")
            meanwhile = claim(books)
        after = claim(books)

        assert ([eppn("person1")], [eppn("person0")]) == tuple([due.delivery.identifiers[0] for due in dues] for dues in (meanwhile, after))


class TestDeliveriesOutage:
    """The server goes away and comes back while there is something to deliver."""

    @pytest.fixture
    def stopped(
        self, postgresql: PostgresqlServer, url: str, opening: Opening, opening_deliveries: OpeningDeliveries
    ) -> Iterator[SqlDeliveryStore]:
        """Books that were used before, and whose server was then stopped."""
        link_teppo(opening(url, posting=Posting(clock=SetClock())))
        books = opening_deliveries(url)
        books.read_backlogs(PRODUCTION)
        postgresql.stop()
        try:
            yield books
        finally:
            if not postgresql.is_running:
                postgresql.start()

    def test_everything_says_that_it_could_not_ask(self, stopped: SqlDeliveryStore) -> None:
        """No call takes an outage for "nothing due"."""
        for call in (
            lambda: claim(stopped),
            lambda: stopped.release_leases("node-1", NOW),
            lambda: stopped.record_outcomes([Outcome("reference", "lease", DeliveryState.DELIVERED)], NOW),
            lambda: stopped.read_backlogs(PRODUCTION),
            lambda: next(stopped.list_deliveries(EVERYTHING)),
            lambda: stopped.retry_deliveries(EVERYTHING, NOW),
            lambda: stopped.cancel_deliveries(EVERYTHING, NOW),
            lambda: stopped.replay_deliveries(LDAP, PRODUCTION, 0, 10, NOW),
            lambda: stopped.count_replay(HOME, PRODUCTION),
            lambda: next(stopped.preview_deliveries(EVERYTHING)),
            lambda: next(stopped.preview_replay(LDAP, PRODUCTION)),
            lambda: stopped.read_deliveries(1, PRODUCTION, [LDAP]),
            lambda: stopped.claim_untold(HOME, NOW, LEASE, 10, LEASE),
            lambda: stopped.record_told(["reference"], NOW),
            stopped.ping,
        ):
            with pytest.raises(CouldNotAsk, match="could not be asked"):
                call()

    def test_books_cannot_be_opened(self, stopped: SqlDeliveryStore, url: str) -> None:
        """Where no server listens, opening says which server, without the name of a password."""
        with pytest.raises(CouldNotAsk, match=r"postgresql\+psycopg://name:\*\*\*@127\.0\.0\.1"):
            open_delivery_store(url.replace("postgres@", "name:hunter2@"))

    def test_restart_is_not_noticed(self, stopped: SqlDeliveryStore, postgresql: PostgresqlServer) -> None:
        """What was written before is delivered after, without a failed call."""
        postgresql.start()

        assert 1 == len(claim(stopped))


class TestOutage:
    """The server goes away and comes back."""

    @pytest.fixture
    def stopped(self, postgresql: PostgresqlServer, url: str, opening: Opening) -> Iterator[SqlStore]:
        """A store that has answered before, and whose server was then stopped."""
        store = opening(url)
        store.add_link(new_link(TEPPO))
        store.find_subject(TEPPO, PRODUCTION)
        store.is_first(SERVICE, "_a1", LATER)
        postgresql.stop()
        try:
            yield store
        finally:
            if not postgresql.is_running:
                postgresql.start()

    def test_everything_says_that_it_could_not_ask(self, stopped: SqlStore) -> None:
        """No call takes an outage for "no iD", "no link" or "not a replay"."""
        for call in (
            lambda: stopped.find_subject(TEPPO, PRODUCTION),
            lambda: stopped.is_first(SERVICE, "_a2", LATER),
            lambda: stopped.forget_expired(NOW),
            lambda: stopped.add_link(new_link(TEPPO)),
            lambda: next(stopped.add_links(people(1))),
            lambda: stopped.withdraw_link(1, NOW),
            lambda: next(stopped.find_links()),
            stopped.count_links,
            lambda: stopped.find_subjects([TEPPO], PRODUCTION),
            lambda: stopped.count_attempts("sp", 1, LATER),
            lambda: stopped.count_attempts("sp", 0, LATER),
            lambda: stopped.forget_expired_attempts(NOW),
            lambda: stopped.read_changes((HOME,), PRODUCTION, 0, 10),
            lambda: stopped.find_sources(NAME, digest_of("teppo")),
            lambda: stopped.build(NAME, digest_of, NOW),
            lambda: stopped.follow(NAME, digest_of),
            lambda: stopped.names(HOME),
            lambda: stopped.drop(NAME),
            lambda: stopped.read_outage("directory"),
            lambda: stopped.claim_trial(OUTAGE, LATER),
            lambda: stopped.record_outage(OUTAGE),
            lambda: stopped.clear_outage("directory"),
            stopped.list_outages,
            lambda: stopped.add_client(new_client()),
            lambda: stopped.find_bearer(TOKEN, NOW),
            lambda: stopped.revoke_client("ida", NOW),
            stopped.list_clients,
            stopped.ping,
        ):
            with pytest.raises(CouldNotAsk, match="could not be asked"):
                call()

    def test_store_cannot_be_opened(self, stopped: SqlStore, url: str) -> None:
        """Where no server listens, opening says which server, without the name of a password."""
        assert not stopped.is_local
        with pytest.raises(CouldNotAsk, match=r"postgresql\+psycopg://name:\*\*\*@127\.0\.0\.1"):
            open_store(url.replace("postgres@", "name:hunter2@"))

    def test_service_returns_by_itself(self, stopped: SqlStore, postgresql: PostgresqlServer) -> None:
        """After a failed call the next one succeeds as soon as the server is back."""
        with pytest.raises(CouldNotAsk):
            stopped.find_subject(TEPPO, PRODUCTION)
        postgresql.start()

        assert stopped.find_subject(TEPPO, PRODUCTION) is not None
        assert stopped.is_first(SERVICE, "_a2", LATER)

    def test_restart_between_two_calls_is_not_noticed(self, stopped: SqlStore, postgresql: PostgresqlServer) -> None:
        """A kept connection that the restart broke is made again without a failed call."""
        postgresql.start()

        assert stopped.is_first(SERVICE, "_a2", LATER)
        assert stopped.find_subject(TEPPO, PRODUCTION) is not None


class TestConnections:
    """What may happen to one connection."""

    def test_ended_connections_are_made_again(self, opening: Opening, url: str) -> None:
        """An administrator or a firewall may end idle connections; nobody notices."""
        store = opening(url)
        store.add_link(new_link(TEPPO))
        store.find_subject(TEPPO, PRODUCTION)
        with connect(url) as administrator:
            ended = administrator.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'attribute-authority'"
            ).fetchall()

        assert [(True,)] == ended
        assert store.find_subject(TEPPO, PRODUCTION) is not None

    def test_query_does_not_wait_for_ever(self, opening: Opening, url: str) -> None:
        """A statement that is held up is given up after the configured time, and the next one succeeds."""
        store = opening(url, Patience(answering=100))
        with connect(url) as administrator, administrator.transaction():
            administrator.execute("LOCK TABLE seen_message IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(CouldNotAsk, match="statement timeout"):
                store.is_first(SERVICE, "_a1", LATER)

        assert store.is_first(SERVICE, "_a1", LATER)

    def test_failure_does_not_quote_what_was_stored(self, opening: Opening, url: str) -> None:
        """Log lines hold no personal data, even where the message of the server does."""
        store = opening(url)
        with connect(url) as administrator:
            administrator.execute("ALTER TABLE identifier ADD CONSTRAINT ck_forged CHECK (value <> 'teppo@yliopisto.example')")
        with pytest.raises(Conflict) as refused:
            store.add_link(new_link(persistent("AbC="), TEPPO))

        assert "teppo" not in str(refused.value)
        assert store.count_links() == 0

    def test_each_thread_has_one_kept_connection(self, opening: Opening, url: str) -> None:
        """A hundred queries of one thread use one connection, so none waits for a new one."""
        store = opening(url)
        stored(store.add_link(new_link(TEPPO)))
        for number in range(100):
            store.find_subject(TEPPO, PRODUCTION)
            store.is_first(SERVICE, f"_{number}", LATER)
        with connect(url) as administrator:
            rows = administrator.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'attribute-authority'").fetchall()

        assert [(1,)] == rows
