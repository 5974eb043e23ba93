"""Databases that go away, hang, are locked or refuse: what a sink says of it, in time, and that nothing is written late."""

import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection, text

from attribute_authority.domain.delivery import Receipt
from attribute_authority.errors import CouldNotAsk, DeliveryDeferred, DeliveryRefused, OperatorError, SinkUnavailable
from connectors._sql_transactions import Transaction
from connectors.sql import SqlSink
from tests.connectors.conftest import IdDatabase
from tests.connectors.sql_sink_databases import LINK, SinkDatabase, eppn, of_file, of_ids
from tests.factories.sink_deliveries import FORMER, ORCID, handed
from tests.peers.mariadb import PASSWORD, MariadbServer

_URI = f"https://orcid.org/{ORCID}"
_TEPPO = "teppo@uni.example"
_REFUSING_TRIGGERS = {
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not for guests'; END $$",
        "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON person DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
    "mysql": ("CREATE TRIGGER early BEFORE UPDATE ON person FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not for guests'",),
}


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> SinkDatabase:
    """Each of the two servers, with one person."""
    database = of_ids(request.getfixturevalue(f"{request.param}_ids"))
    database.add(_TEPPO)
    return database


@pytest.fixture
def file(tmp_path: Path) -> SinkDatabase:
    """An SQLite file with one person."""
    database = of_file(tmp_path / "people.db")
    database.add(_TEPPO)
    return database


@pytest.mark.parametrize("outage", [0, 1], ids=["stopped", "paused"])
def test_an_outage_is_told_in_time_and_over_when_it_is_over(server: SinkDatabase, outage: int) -> None:
    """Whether a connection stood or not, everything ends in SinkUnavailable, which names nobody; afterwards deliveries are made."""
    with server.by_statements(timeout=1.5) as used, server.by_columns(timeout=1.5) as unused:
        used.deliver(handed())
        with server.outages[outage]():
            for sink in (used, unused):
                for attempt in (lambda one=sink: one.deliver(handed(orcid=FORMER)), lambda one=sink: one.rehearse(handed()), sink.check):
                    with pytest.raises(CouldNotAsk) as failed:
                        attempt()

                    assert isinstance(failed.value, SinkUnavailable)
                    assert not any(secret in failed.value.cause for secret in ("teppo", FORMER, PASSWORD))
        for sink in (used, unused):
            _delivered_at_last(sink)

    assert server.people == {_TEPPO: f"https://orcid.org/{FORMER}"}


def _delivered_at_last(sink: SqlSink) -> None:
    for _ in range(20):
        try:
            sink.deliver(handed(orcid=FORMER, former=(ORCID,)))
        except SinkUnavailable:
            continue
        return
    pytest.fail("the sink did not come back")


def test_a_connection_that_went_away_meanwhile_is_made_afresh(server: SinkDatabase) -> None:
    """An outage between two deliveries is noticed by nobody."""
    with server.by_statements() as sink:
        sink.deliver(handed(orcid=FORMER))
        with server.outages[0]():
            pass

        assert sink.deliver(handed(former=(FORMER,))) == Receipt()

    assert server.people == {_TEPPO: _URI}


def test_one_connection_serves_many_deliveries(server: SinkDatabase) -> None:
    """Neither a delivery nor a refusal nor a rehearsal costs a connection."""
    number = text("SELECT pg_backend_pid()" if server.backend == "postgresql" else "SELECT connection_id()")
    with server.by_statements(connections=1) as sink:
        numbers = set()
        for _ in range(3):
            sink.deliver(handed())
            sink.rehearse(handed(orcid=FORMER))
            with pytest.raises(DeliveryRefused):
                sink.deliver(handed(eppn("matti@uni.example")))
            numbers.add(sink.database.undo(lambda transaction: transaction.read(number, {})[0][0]))

        assert len(numbers) == 1


def test_nothing_is_committed_after_the_time_is_up(server: SinkDatabase) -> None:
    """Work that took all the time stays undone, though the database would still take it."""

    def late(transaction: Transaction) -> None:
        transaction.change(text("UPDATE person SET orcid = :orcid"), {"orcid": _URI})
        transaction.question.until = 0.0

    with server.by_statements() as sink, pytest.raises(SinkUnavailable, match="no answer within"):
        sink.database.commit(late)

    assert server.people == {_TEPPO: None}


def test_a_commit_without_an_answer_is_an_outage(server: SinkDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether it was made; the same delivery again ends up right."""
    commit = Connection.commit
    outage = server.outages[1]

    def unanswered(connection: Connection) -> None:
        with outage():
            commit(connection)

    with server.by_statements(timeout=1.5) as sink:
        sink.deliver(handed(orcid=FORMER))
        monkeypatch.setattr(Connection, "commit", unanswered)
        with pytest.raises(SinkUnavailable, match="whether it was committed is not known"):
            sink.deliver(handed())
        monkeypatch.undo()
        sink.deliver(replace(handed(), attempt=2, may_be_ours=True))

    assert server.people == {_TEPPO: _URI}


def test_a_row_that_is_in_use_is_tried_later(server: SinkDatabase) -> None:
    """Waiting for somebody else's lock ends before the time is up, and is about this person alone."""
    server.add("liisa@uni.example")
    with server.by_statements(timeout=6.0) as sink, server.by_statements() as other:

        def meanwhile(transaction: Transaction) -> None:
            transaction.change(text("UPDATE person SET orcid = NULL WHERE eppn = :eppn"), {"eppn": _TEPPO})
            with pytest.raises(DeliveryDeferred):
                sink.deliver(handed())
            sink.deliver(handed(eppn("liisa@uni.example")))

        other.database.undo(meanwhile)


def test_a_deadlock_is_tried_later(server: SinkDatabase) -> None:
    """Of two transactions that wait for one another the database ends one, and the other is made."""
    server.add("liisa@uni.example")
    ready = {name: Event() for name in ("teppo", "liisa")}

    def work(first: str, second: str, transaction: Transaction) -> None:
        statement = text("UPDATE person SET delivery = 'x' WHERE eppn = :eppn")
        transaction.change(statement, {"eppn": f"{first}@uni.example"})
        ready[first].set()
        ready[second].wait(30)
        transaction.change(statement, {"eppn": f"{second}@uni.example"})

    def outcome(sink: SqlSink, first: str, second: str) -> str:
        try:
            sink.database.commit(lambda transaction: work(first, second, transaction))
        except DeliveryDeferred:
            return "deferred"
        return "made"

    with server.by_statements(timeout=60.0) as sink, ThreadPoolExecutor(2) as threads:
        outcomes = [threads.submit(outcome, sink, *names) for names in (("teppo", "liisa"), ("liisa", "teppo"))]

        assert sorted(one.result() for one in outcomes) == ["deferred", "made"]


def test_threads_share_a_sink(server: SinkDatabase) -> None:
    """More threads than connections deliver, each to its own person."""
    people = [f"person{number}@uni.example" for number in range(12)]
    with server.by_columns(connections=2, columns={"eppn": "eppn", "reference": "delivery", "orcid": "organisation"}, timeout=60.0) as sink:
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda name: sink.deliver(handed(eppn(name), reference=name)), people))

        assert sorted(server.run("SELECT delivery FROM person WHERE eppn LIKE 'person%'")) == sorted((name,) for name in people)


def test_too_few_connections_are_told_in_time(server: SinkDatabase) -> None:
    """Whoever finds no connection free is told so, and nothing is wrong with the delivery."""
    held, over = Event(), Event()

    def hold(_: Transaction) -> None:
        held.set()
        over.wait(30)

    with server.by_statements(connections=1, timeout=0.3) as sink, ThreadPoolExecutor(1) as thread:
        holding = thread.submit(sink.database.undo, hold)
        held.wait(30)
        with pytest.raises(SinkUnavailable, match="every connection is in use"):
            sink.deliver(handed())
        over.set()
        holding.result()


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_accepts_and_says_nothing_is_given_up(scheme: str) -> None:
    """Connecting ends within the time-out too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = SinkDatabase(f"{scheme}://authority@127.0.0.1:{silent.getsockname()[1]}/people", None)
        with database.by_statements(timeout=0.2) as sink:
            for attempt in (lambda: sink.deliver(handed()), sink.check):
                with pytest.raises(SinkUnavailable, match=r"no connection within 0\.2 s"):
                    attempt()


def test_a_wrong_password_is_an_outage_without_it(mariadb: MariadbServer, tmp_path: Path) -> None:
    """Nobody's delivery can be made, and neither the cause nor the sink shows what stands in the file."""
    password_file = tmp_path / "password"
    password_file.write_text("väärä salasana\n", encoding="utf-8")
    database = SinkDatabase(mariadb.url(mariadb.make_database()), password_file)
    with database.by_statements() as sink:
        with pytest.raises(SinkUnavailable, match="Access denied") as refused:
            sink.deliver(handed())

        assert "salasana" not in f"{refused.value.cause} {sink!r} {sink.database!r}"


def test_missing_rights_are_an_outage_and_the_operators_business(postgresql_ids: IdDatabase) -> None:
    """Who may not write at all writes to nobody; the check says what is missing."""
    database = of_ids(postgresql_ids)
    name = database.url.rpartition("/")[2]
    database.run(f"CREATE ROLE reader_{name} LOGIN")
    database.run(f"GRANT SELECT ON person TO reader_{name}")
    reader = replace(database, url=database.url.replace("postgres@", f"reader_{name}@"))
    for opened in (reader.by_statements, reader.by_columns):
        with opened() as sink:
            with pytest.raises(SinkUnavailable, match="InsufficientPrivilege 42501"):
                sink.deliver(handed())
            with pytest.raises(OperatorError, match="permission denied for table person"):
                sink.check()


def test_a_server_that_only_reads_is_an_outage(postgresql_ids: IdDatabase) -> None:
    """A replica takes no deliveries, whoever's."""
    database = of_ids(postgresql_ids)
    database.run(f"ALTER DATABASE {database.url.rpartition('/')[2]} SET default_transaction_read_only = on")
    with database.by_statements() as sink, pytest.raises(SinkUnavailable, match="25006"):
        sink.deliver(handed())


def test_what_a_trigger_refuses_is_refused_with_its_words(server: SinkDatabase) -> None:
    """A rule of the other system is as good as a constraint, at the end of the transaction too."""
    for statement in _REFUSING_TRIGGERS[server.backend]:
        server.run(statement)
    with server.by_statements() as sink:
        with pytest.raises(DeliveryRefused) as refused:
            sink.deliver(handed())

        assert refused.value.answer == "not for guests"
        assert "guests" not in refused.value.cause


def test_a_table_without_transactions_takes_no_delivery(mariadb_ids: IdDatabase) -> None:
    """Where nothing can be undone, nothing is rehearsed either; other tables of that engine are nobody's business."""
    database = of_ids(mariadb_ids)
    database.add(_TEPPO)
    database.run("CREATE TABLE other (id INT) ENGINE = MyISAM")
    for opened in (database.by_statements, database.by_columns):
        with opened() as sink:
            sink.check()
            sink.rehearse(handed())
    database.run("ALTER TABLE person ENGINE = MyISAM")
    for opened in (database.by_statements, database.by_columns):
        with opened() as sink:
            with pytest.raises(OperatorError, match="has no transactions: expected InnoDB"):
                sink.check()
            with pytest.raises(SinkUnavailable, match="has no transactions"):
                sink.rehearse(handed())

    assert database.people == {_TEPPO: None}


def test_a_closed_sink_delivers_nothing(server: SinkDatabase) -> None:
    """Closing twice is closing once."""
    with server.by_statements() as sink:
        sink.deliver(handed())
        sink.close()
        sink.close()
        with pytest.raises(SinkUnavailable, match="closed"):
            sink.deliver(handed(orcid=FORMER))

    assert server.people == {_TEPPO: _URI}


def test_a_file_that_somebody_else_holds_is_an_outage(file: SinkDatabase) -> None:
    """Nobody's delivery can be made meanwhile."""
    path = file.url.removeprefix("sqlite:///")
    with (
        file.by_statements(timeout=0.3) as sink,
        closing(sqlite3.connect(path, isolation_level=None)) as held,
    ):
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkUnavailable):
            sink.deliver(handed())
        held.execute("COMMIT")
        sink.deliver(handed())

    assert file.people == {_TEPPO: _URI}


def test_a_file_that_takes_too_long_is_given_up(file: SinkDatabase) -> None:
    """SQLite stops by itself when time is up."""
    endless = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"
    link = LINK.replace(":orcid", f"{endless} || :orcid")
    with file.by_statements(link, timeout=0.3) as sink, pytest.raises(SinkUnavailable, match=r"no answer within 0\.3 s"):
        sink.deliver(handed())

    assert file.people == {_TEPPO: None}


def test_a_file_is_never_made(tmp_path: Path) -> None:
    """A mistyped name is an outage, and stays one."""
    with (
        SinkDatabase(f"sqlite:///{tmp_path}/missing.db", None).by_statements() as sink,
        pytest.raises(SinkUnavailable, match="no connection"),
    ):
        sink.deliver(handed())

    assert list(tmp_path.iterdir()) == []


def test_mariadb_is_written_to_over_verified_tls(mariadb: MariadbServer, mariadb_ids: IdDatabase) -> None:
    """With the CA the connection is encrypted; another name than the certificate's is no connection."""
    database = of_ids(mariadb_ids)
    database.add(_TEPPO)
    local = replace(database, url=database.url.replace("127.0.0.1", "localhost"))
    with local.by_statements(tls_ca=str(mariadb.certificate)) as sink:
        sink.deliver(handed())
        shown = sink.database.undo(lambda transaction: transaction.read(text("SHOW SESSION STATUS LIKE 'Ssl_version'"), {}))

        assert [row[1] for row in shown] == ["TLSv1.3"]

    with database.by_statements(tls_ca=str(mariadb.certificate)) as sink, pytest.raises(SinkUnavailable, match="no connection"):
        sink.deliver(handed(orcid=None, former=(ORCID,)))

    assert database.people == {_TEPPO: _URI}
