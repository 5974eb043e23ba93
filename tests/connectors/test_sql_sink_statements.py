"""Deliveries by configured statements, to a real PostgreSQL, a real MariaDB and an SQLite file."""

from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from attribute_authority.domain.delivery import Receipt
from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.errors import DeliveryRefused, OperatorError, SinkUnavailable
from tests.connectors.conftest import IdDatabase
from tests.connectors.sql_sink_databases import LINK, PERSON, SinkDatabase, eppn, of_file, of_ids
from tests.factories.sink_deliveries import AUTHORITY, FORMER, HOME, NOW, ORCID, handed, person
from tests.peers.mariadb import MariadbServer
from tests.peers.postgresql import PostgresqlServer

_URI = f"https://orcid.org/{ORCID}"
_FORMER_URI = f"https://orcid.org/{FORMER}"


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> SinkDatabase:
    """Each of the three, with an empty table of people."""
    if request.param == "sqlite":
        return of_file(tmp_path / "people.db")
    return of_ids(request.getfixturevalue(f"{request.param}_ids"))


def test_an_id_is_linked_replaced_and_withdrawn(database: SinkDatabase) -> None:
    """Each delivery brings the person to its state, as often as it is made, and touches nobody else."""
    database.add("teppo@uni.example")
    database.add("liisa@uni.example", "something")
    with database.by_statements() as sink:
        for delivery, expected in (
            (handed(orcid=FORMER), _FORMER_URI),
            (handed(former=(FORMER,)), _URI),
            (handed(orcid=None, former=(ORCID, FORMER)), None),
        ):
            for _ in range(2):
                assert sink.deliver(delivery) == Receipt()
                assert database.people == {"teppo@uni.example": expected, "liisa@uni.example": "something"}


def test_the_form_of_ids_is_configured(database: SinkDatabase) -> None:
    """`value` says how :orcid and :former are written; the other two parameters have their form by name."""
    database.run("CREATE TABLE forms (eppn VARCHAR(99), a VARCHAR(40), b VARCHAR(40), c VARCHAR(40))")
    database.run("INSERT INTO forms VALUES ('teppo@uni.example', NULL, NULL, NULL)")
    link = "UPDATE forms SET a = :orcid, b = :orcid_bare, c = :orcid_uri WHERE eppn = :eppn"
    for value, written in (("bare", ORCID), ("uri", _URI)):
        with database.by_statements(link, "UPDATE forms SET a = NULL WHERE eppn = :eppn AND a = :former", value=value) as sink:
            sink.deliver(handed())

            assert database.run("SELECT a, b, c FROM forms") == [(written, ORCID, _URI)]

            sink.deliver(handed(orcid=None, former=(ORCID,)))

            assert database.run("SELECT a FROM forms") == [(None,)]


def test_every_parameter_has_its_value(database: SinkDatabase) -> None:
    """Whose it is by every kind, since when, under which reference, and of which home organisation."""
    columns = ("eppn", "unique_id", "subject_id", "pairwise_id", "reference", "home_organisation")
    database.run(f"CREATE TABLE log ({' VARCHAR(200), '.join(columns)} VARCHAR(200), changed_at TIMESTAMP NULL, orcid VARCHAR(40))")
    link = """\
INSERT INTO log (eppn, unique_id, subject_id, pairwise_id, reference, home_organisation, changed_at, orcid)
 VALUES (:eppn, :unique_id, :subject_id, :pairwise_id, :reference, :home_organisation, :changed_at, :orcid)"""
    people = (
        *person("Teppo@uni.example", "t17@uni.example", "t-17@uni.example"),
        parse_identifier(IdentifierKind.PAIRWISE_ID, "theirs@uni.example", None, "https://sp.example.org/shibboleth"),
        parse_identifier(IdentifierKind.PAIRWISE_ID, "ours@uni.example", None, AUTHORITY),
    )
    with database.by_statements(link, "DELETE FROM log WHERE eppn = :eppn AND orcid = :former") as sink:
        sink.deliver(handed(*people))

    row = ("Teppo@uni.example", "t17@uni.example", "t-17@uni.example", "ours@uni.example", "7KQ2-MZ4D", HOME)
    assert database.run("SELECT eppn, unique_id, subject_id, pairwise_id, reference, home_organisation FROM log") == [row]
    assert str(database.run("SELECT changed_at FROM log")[0][0]).startswith(NOW.strftime("%Y-%m-%d %H:%M:%S"))


def test_nobody_of_that_identifier_is_refused_for_a_link_alone(database: SinkDatabase) -> None:
    """A link needs somebody to write it to; there is nothing to take away from nobody."""
    with database.by_statements() as sink:
        with pytest.raises(DeliveryRefused, match="nobody of that identifier"):
            sink.deliver(handed())

        assert sink.deliver(handed(orcid=None, former=(ORCID,))) == Receipt()

    with database.by_statements(rows="any") as sink:
        assert sink.deliver(handed()) == Receipt()


def test_an_id_that_is_not_ours_is_not_withdrawn(database: SinkDatabase) -> None:
    """With nothing former there is nothing to withdraw, whatever the statement would do; another iD than the former stays too."""
    database.add("teppo@uni.example", _URI)
    with database.by_statements(withdraw="UPDATE person SET orcid = NULL WHERE eppn = :eppn") as sink:
        sink.deliver(handed(orcid=None))
    with database.by_statements() as sink:
        sink.deliver(handed(orcid=None, former=(FORMER,)))

    assert database.people == {"teppo@uni.example": _URI}


def test_more_rows_than_one_are_rolled_back(database: SinkDatabase) -> None:
    """A statement that finds several people changes none of them, unless any number is right."""
    for name in ("teppo", "liisa"):
        database.add(f"{name}@uni.example")
    link = "UPDATE person SET delivery = :orcid WHERE eppn LIKE '%@uni.example' AND eppn <> :eppn"
    withdraw = "UPDATE person SET delivery = NULL WHERE delivery = :former AND eppn <> :eppn"
    stranger = handed(eppn("matti@uni.example"))
    with database.by_statements(link, withdraw) as sink:
        with pytest.raises(DeliveryRefused, match="2 rows would have been changed where one was expected"):
            sink.deliver(stranger)

        assert database.run("SELECT DISTINCT delivery FROM person") == [(None,)]

    with database.by_statements(link, withdraw, rows="any") as sink:
        sink.deliver(stranger)

        assert database.run("SELECT DISTINCT delivery FROM person") == [(_URI,)]


def test_identifiers_are_tried_the_newest_first(database: SinkDatabase) -> None:
    """The first identifier that somebody has there is the one; a withdrawal leaves the iD under none of them."""
    for name in ("older", "oldest"):
        database.add(f"{name}@uni.example")
    identifiers = tuple(eppn(f"{name}@uni.example") for name in ("newest", "older", "oldest"))
    with database.by_statements() as sink:
        sink.deliver(handed(*identifiers))

        assert database.people == {"older@uni.example": _URI, "oldest@uni.example": None}

        database.run("UPDATE person SET orcid = NULL WHERE eppn = 'older@uni.example'")
        database.run("UPDATE person SET orcid = :orcid WHERE eppn = 'oldest@uni.example'", orcid=_URI)
        sink.deliver(handed(*identifiers, orcid=None, former=(ORCID,)))

        assert database.people == {"older@uni.example": None, "oldest@uni.example": None}


def test_a_person_without_an_identifier_of_the_kind_is_refused(database: SinkDatabase) -> None:
    """There is nothing to name the person by; where nothing of ours stands, a withdrawal has nothing to do all the same."""
    nameless = person(None, "t17@uni.example")
    with database.by_statements() as sink:
        for delivery in (handed(*nameless), handed(*nameless, orcid=None, former=(ORCID,))):
            with pytest.raises(DeliveryRefused, match="no identifier of the configured kinds: eppn"):
                sink.deliver(delivery)

        assert sink.deliver(handed(*nameless, orcid=None)) == Receipt()


def test_former_ids_leave_a_table_of_many_rows_too(database: SinkDatabase) -> None:
    """Where an iD is a row, former ones are withdrawn before the new one is written, and a link that names them is run for each."""
    database.run("CREATE TABLE orcids (eppn VARCHAR(99), orcid VARCHAR(40), PRIMARY KEY (eppn, orcid))")
    for stored in (_FORMER_URI, "https://orcid.org/0000-0002-9079-593X"):
        database.run("INSERT INTO orcids VALUES ('teppo@uni.example', :stored)", stored=stored)
    with database.by_statements(
        "INSERT INTO orcids (eppn, orcid) VALUES (:eppn, :orcid)", "DELETE FROM orcids WHERE eppn = :eppn AND orcid = :former"
    ) as sink:
        sink.deliver(handed(former=(FORMER, "0000-0002-9079-593X")))

    assert database.run("SELECT orcid FROM orcids") == [(_URI,)]


def test_a_link_that_guards_what_stands_there_knows_the_former_ids(database: SinkDatabase) -> None:
    """A statement may name :former in linking as well: it is run for each, and once without where there is none."""
    guarded = f"{LINK} AND (orcid IS NULL OR orcid = :orcid OR orcid = :former)"
    database.add("teppo@uni.example", _FORMER_URI)
    with database.by_statements(guarded) as sink:
        with pytest.raises(DeliveryRefused):
            sink.deliver(handed())

        sink.deliver(handed(former=("0000-0002-9079-593X", FORMER)))
        sink.deliver(handed())

    assert database.people == {"teppo@uni.example": _URI}


def test_what_the_database_does_not_take_is_refused_with_its_words(database: SinkDatabase) -> None:
    """Constraints and values that do not fit are somebody's business; the cause quotes nothing, the answer does."""
    database.add("teppo@uni.example")
    database.add("liisa@uni.example", _URI)
    with database.by_statements() as sink, pytest.raises(DeliveryRefused) as refused:
        sink.deliver(handed())

    assert ORCID not in refused.value.cause
    assert "orcid" in str(refused.value.answer)
    assert refused.value.__suppress_context__
    assert database.people["teppo@uni.example"] is None


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_value_that_is_too_long_is_refused_and_not_cut(database: SinkDatabase) -> None:
    """However lenient the server is for others, an iD is stored whole or not at all; SQLite knows no lengths."""
    database.run("CREATE TABLE narrow (eppn VARCHAR(99), orcid VARCHAR(10))")
    database.run("INSERT INTO narrow VALUES ('teppo@uni.example', NULL)")
    link, withdraw = LINK.replace("person", "narrow"), "DELETE FROM narrow WHERE eppn = :eppn"
    with database.by_statements(link, withdraw) as sink, pytest.raises(DeliveryRefused) as refused:
        sink.deliver(handed())

    assert refused.value.answer is not None
    assert database.run("SELECT orcid FROM narrow") == [(None,)]


def test_sql_in_an_identifier_is_a_value(database: SinkDatabase) -> None:
    """SQL injection: whatever an identifier holds, it is compared and never run."""
    database.add("teppo@uni.example")
    attacks = (
        "'OR'1'='1@x",
        "';DROP/**/TABLE/**/person;--@x",
        "\\'OR/**/1=1;--@x",
        "%@%",
        "teppo@uni.example'--",
        ":orcid@x",
        "%(orcid)s@x",
    )
    with database.by_statements() as sink:
        for attack in attacks:
            with pytest.raises(DeliveryRefused, match="nobody"):
                sink.deliver(handed(eppn(attack)))
        sink.deliver(replace(handed(), reference="'); DROP TABLE person; --"))
        for attack in attacks:
            database.add(attack)
            database.run("UPDATE person SET orcid = NULL")
            sink.deliver(handed(eppn(attack)))

            assert [name for name, orcid in database.people.items() if orcid is not None] == [attack]


def test_a_rehearsal_tells_and_changes_nothing(database: SinkDatabase) -> None:
    """It says how many rows would be changed, and refuses what delivering would refuse."""
    database.add("teppo@uni.example")
    with database.by_statements() as sink:
        assert sink.rehearse(handed()) == "1 row would be changed"
        assert sink.rehearse(handed(orcid=None, former=(ORCID,))) == "no rows would be changed"
        with pytest.raises(DeliveryRefused, match="nobody"):
            sink.rehearse(handed(eppn("matti@uni.example")))

    assert database.people == {"teppo@uni.example": None}


def test_a_check_changes_nothing_and_names_what_is_not_there(database: SinkDatabase) -> None:
    """Statements are planned, not carried out; a table or column that is missing is the operator's business, and takes no delivery."""
    insertion = "INSERT INTO person (eppn, orcid) VALUES (:eppn, :orcid)"
    with database.by_statements(insertion) as sink:
        sink.check()
        sink.check()

        assert database.people == {}

    for link in (LINK.replace("person", "nothing_there"), LINK.replace("SET orcid", "SET nothing_there")):
        with database.by_statements(link) as sink:
            with pytest.raises(OperatorError, match="nothing_there"):
                sink.check()
            with pytest.raises(SinkUnavailable) as failed:
                sink.deliver(handed())

            assert "teppo" not in failed.value.cause
            assert ORCID not in failed.value.cause


def test_a_repeated_insertion_that_updates_touches_one_row(database: SinkDatabase) -> None:
    """MySQL counts a row that was updated instead as two, and one that was so already as one."""
    insertion = "INSERT INTO person (eppn, orcid) VALUES (:eppn, :orcid) ON CONFLICT (eppn) DO UPDATE SET orcid = :orcid"
    if database.backend == "mysql":
        insertion = insertion.replace("CONFLICT (eppn) DO UPDATE SET", "DUPLICATE KEY UPDATE")
    with database.by_statements(insertion) as sink:
        for delivery in (handed(orcid=FORMER), handed(), handed()):
            sink.deliver(delivery)

    assert database.people == {"teppo@uni.example": _URI}


def test_a_statement_may_return_what_it_wrote(database: SinkDatabase) -> None:
    """What comes back counts as what was touched."""
    database.add("teppo@uni.example")
    link = "INSERT INTO person (eppn, orcid) VALUES (:reference, :orcid) RETURNING :eppn"
    withdraw = "DELETE FROM person WHERE eppn = :eppn RETURNING eppn"
    with database.by_statements(link.replace(":eppn", "eppn || :eppn") if database.backend == "postgresql" else link, withdraw) as sink:
        sink.deliver(handed())
        sink.deliver(handed(orcid=None, former=(ORCID,)))

    assert database.people == {"7KQ2-MZ4D": _URI}


def test_a_lenient_server_cuts_nothing(mariadb: MariadbServer, mariadb_ids: IdDatabase) -> None:
    """Where others have values cut, an iD is stored whole or not at all."""
    database = of_ids(mariadb_ids)
    database.run("CREATE TABLE narrow (eppn VARCHAR(99), orcid VARCHAR(10))")
    database.run("INSERT INTO narrow VALUES ('teppo@uni.example', NULL)")
    mariadb.execute("SET @@GLOBAL.sql_mode = ''")
    try:
        with database.by_statements(LINK.replace("person", "narrow")) as sink, pytest.raises(DeliveryRefused):
            sink.deliver(handed())
    finally:
        mariadb.execute("SET @@GLOBAL.sql_mode = DEFAULT")

    assert database.run("SELECT orcid FROM narrow") == [(None,)]


def test_instants_are_in_utc_wherever_the_server_is(postgresql_ids: IdDatabase) -> None:
    """A column without a zone gets the instant in UTC; a cast after a parameter is SQL's own."""
    database = of_ids(postgresql_ids)
    database.add("teppo@uni.example")
    database.run(f"ALTER DATABASE {database.url.rpartition('/')[2]} SET timezone = 'Europe/Helsinki'")
    link = "UPDATE person SET orcid = :orcid::text, updated = :changed_at WHERE eppn = :eppn::varchar"
    with database.by_statements(link) as sink:
        sink.check()
        sink.deliver(replace(handed(), changed_at=NOW.astimezone(timezone(timedelta(hours=2)))))

    assert database.run("SELECT updated FROM person") == [(NOW.replace(tzinfo=None),)]


def test_a_name_that_the_database_cannot_spell_is_refused_alone(postgresql: PostgresqlServer) -> None:
    """Where the database holds Latin-1, who is not spelt with it is unknown there, and the others are delivered."""
    url = make_url(postgresql.url("latin"))
    with psycopg.connect(host=url.host, port=url.port, user=url.username, dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    database = SinkDatabase(postgresql.url("latin"), None)
    database.run(PERSON)
    database.add("jörn@uni.example")
    with database.by_statements() as sink:
        with pytest.raises(DeliveryRefused) as refused:
            sink.deliver(handed(eppn("łukasz@uni.example")))
        assert "ukasz" not in refused.value.cause
        sink.deliver(handed(eppn("jörn@uni.example")))

    assert database.people == {"jörn@uni.example": _URI}
    postgresql.drop_database(database.url)
