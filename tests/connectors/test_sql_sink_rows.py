"""Deliveries into a table with mapped columns, in a real PostgreSQL, a real MariaDB and an SQLite file."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from attribute_authority.domain.delivery import Receipt
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, OperatorError
from connectors._sql_transactions import Transaction, Values
from tests.connectors.conftest import IdDatabase
from tests.connectors.sql_sink_databases import SinkDatabase, eppn, of_file, of_ids
from tests.factories.sink_deliveries import FORMER, HOME, ORCID, handed, person

_URI = f"https://orcid.org/{ORCID}"
_FORMER_URI = f"https://orcid.org/{FORMER}"
_FOREIGN_URI = "https://orcid.org/0000-0002-9079-593X"
_TEPPO = "teppo@uni.example"


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> SinkDatabase:
    """Each of the three, with an empty table of people."""
    if request.param == "sqlite":
        return of_file(tmp_path / "people.db")
    return of_ids(request.getfixturevalue(f"{request.param}_ids"))


def test_a_row_is_made_replaced_and_emptied(database: SinkDatabase) -> None:
    """Each delivery brings the row to its state, as often as it is made, with whatever else is mapped."""
    with database.by_columns() as sink:
        for delivery, expected in (
            (handed(orcid=FORMER), _FORMER_URI),
            (handed(former=(FORMER,)), _URI),
            (handed(orcid=None, former=(ORCID, FORMER)), None),
        ):
            sink.deliver(delivery)
            sink.deliver(replace(delivery, attempt=2, may_be_ours=True))

            assert database.people == {_TEPPO: expected}
            assert database.run("SELECT delivery, organisation FROM person") == [("7KQ2-MZ4D", HOME)]
            assert str(database.run("SELECT updated FROM person")[0][0]).startswith("2026-11-21 07:30:00")


def test_an_id_that_stood_there_before_is_found_and_left(database: SinkDatabase) -> None:
    """Nothing is written where the iD stands already and is not ours, in whichever form; ours is written in the form configured."""
    with database.by_columns() as sink:
        for stored in (_URI, ORCID, f"http://orcid.org/{ORCID}"):
            database.run("DELETE FROM person")
            database.add(_TEPPO, stored)

            assert sink.deliver(handed()) == Receipt(found=True)
            assert database.run("SELECT orcid, delivery FROM person") == [(stored, None)]

        assert sink.deliver(replace(handed(), may_be_ours=True)) == Receipt()
        assert database.run("SELECT orcid, delivery FROM person") == [(_URI, "7KQ2-MZ4D")]


@pytest.mark.parametrize("stored", [_FOREIGN_URI, f"https://sandbox.orcid.org/{FORMER}", "to be told"])
def test_what_is_not_ours_stays(database: SinkDatabase, stored: str) -> None:
    """A link is refused and a withdrawal leaves it, unless overwriting is configured, which is for links alone."""
    database.add(_TEPPO, stored)
    with database.by_columns() as sink:
        with pytest.raises(DeliveryRefused, match="another iD stands there"):
            sink.deliver(handed(former=(FORMER,)))
        sink.deliver(handed(orcid=None, former=(FORMER, ORCID)))

    assert database.people == {_TEPPO: stored}

    with database.by_columns(overwrite=True) as sink:
        sink.deliver(handed(orcid=None, former=(FORMER, ORCID)))

        assert database.people == {_TEPPO: stored}

        sink.deliver(handed())

        assert database.people == {_TEPPO: _URI}


def test_an_empty_text_is_no_id(database: SinkDatabase) -> None:
    """Many tables have it for NULL."""
    database.add(_TEPPO, "")
    with database.by_columns(mode="update") as sink:
        sink.deliver(handed())

    assert database.people == {_TEPPO: _URI}


def test_only_people_who_have_a_row_where_configured(database: SinkDatabase) -> None:
    """With mode update nobody is added."""
    with database.by_columns(mode="update") as sink:
        with pytest.raises(DeliveryRefused, match="nobody of that identifier"):
            sink.deliver(handed())

        assert sink.deliver(handed(orcid=None, former=(ORCID,))) == Receipt()

    assert database.people == {}


def test_a_row_of_ours_goes_where_configured(database: SinkDatabase) -> None:
    """With on_withdrawal delete it is the row that is withdrawn, and no row of somebody else's."""
    database.add("liisa@uni.example", _FOREIGN_URI)
    with database.by_columns(on_withdrawal="delete") as sink:
        sink.deliver(handed())
        sink.deliver(handed(orcid=None, former=(ORCID,)))
        sink.deliver(handed(eppn("liisa@uni.example"), orcid=None, former=(ORCID,)))

    assert database.people == {"liisa@uni.example": _FOREIGN_URI}


def test_the_row_of_the_newest_identifier_is_the_one(database: SinkDatabase) -> None:
    """An older row is written where there is no newer one, and former iDs leave every row."""
    identifiers = tuple(eppn(f"{name}@uni.example") for name in ("newest", "older", "oldest"))
    database.add("older@uni.example")
    database.add("oldest@uni.example", _FORMER_URI)
    with database.by_columns() as sink:
        sink.deliver(handed(*identifiers, former=(FORMER,)))

        assert database.people == {"older@uni.example": _URI, "oldest@uni.example": None}

        database.run("DELETE FROM person")
        sink.deliver(handed(*identifiers))

        assert database.people == {"newest@uni.example": _URI}


def test_other_identifiers_are_written_with_a_new_row(database: SinkDatabase) -> None:
    """Whoever has a row keeps what it says of whose it is."""
    database.run("CREATE TABLE ids (uid VARCHAR(99) PRIMARY KEY, eppn VARCHAR(99), sid VARCHAR(99), bare VARCHAR(40), uri VARCHAR(99))")
    columns = {"unique_id": "uid", "eppn": "eppn", "subject_id": "sid", "orcid": "bare", "orcid_uri": "uri"}
    keys = {"table": "ids", "key": "unique_id", "columns": columns, "value": "bare"}
    with database.by_columns(**keys) as sink:
        sink.deliver(handed(*person(unique_id="t17@uni.example"), orcid=FORMER))
        sink.deliver(handed(*person("married@uni.example", "t17@uni.example"), former=(FORMER,)))

        assert database.run("SELECT * FROM ids") == [("t17@uni.example", _TEPPO, None, ORCID, _URI)]

        sink.deliver(handed(*person("married@uni.example", "t17@uni.example"), orcid=None, former=(ORCID,)))

        assert database.run("SELECT bare, uri FROM ids") == [(None, None)]


def test_an_id_that_somebody_else_has_is_refused_and_theirs_stays(database: SinkDatabase) -> None:
    """Where the iD is unique too, inserting never becomes an update of the row that has it."""
    database.add("liisa@uni.example", _URI)
    with database.by_columns() as sink:
        with pytest.raises(DeliveryRefused) as refused:
            sink.deliver(handed())
        assert ORCID not in refused.value.cause
        assert "orcid" in str(refused.value.answer)

    assert database.people == {"liisa@uni.example": _URI}


def test_several_rows_of_one_identifier_are_refused(database: SinkDatabase) -> None:
    """Nobody can tell which of them is the person's."""
    database.run("CREATE TABLE loose (eppn VARCHAR(99), orcid VARCHAR(40))")
    for _ in range(2):
        database.run("INSERT INTO loose VALUES ('teppo@uni.example', NULL)")
    columns = {"eppn": "eppn", "orcid": "orcid"}
    with database.by_columns(table="loose", columns=columns, mode="update") as sink, pytest.raises(DeliveryRefused, match="several rows"):
        sink.deliver(handed())


def test_a_row_that_changes_while_it_is_read_is_left(database: SinkDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes between our reading and our writing is not overwritten; the delivery is made later."""
    database.add(_TEPPO)
    change = Transaction.change

    def after_somebody_else(transaction: Transaction, statement: object, values: Values) -> int:
        transaction.connection.execute(text("UPDATE person SET orcid = :orcid"), {"orcid": _FOREIGN_URI})
        return change(transaction, statement, values)  # type: ignore[arg-type]

    monkeypatch.setattr(Transaction, "change", after_somebody_else)
    with database.by_columns() as sink, pytest.raises(DeliveryDeferred, match="changed by somebody else meanwhile"):
        sink.deliver(handed())


def test_a_row_that_comes_while_it_is_looked_for_is_left(database: SinkDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever inserts the person's row between our reading and our writing is not overwritten; the delivery is made later."""
    change = Transaction.change

    def after_somebody_else(transaction: Transaction, statement: object, values: Values) -> int:
        transaction.connection.execute(text("INSERT INTO person (eppn, orcid) VALUES (:eppn, NULL)"), {"eppn": _TEPPO})
        return change(transaction, statement, values)  # type: ignore[arg-type]

    monkeypatch.setattr(Transaction, "change", after_somebody_else)
    with database.by_columns() as sink, pytest.raises(DeliveryDeferred, match="changed by somebody else meanwhile"):
        sink.deliver(handed())

    assert database.people == {}


def test_a_column_that_takes_two_spellings_for_one_names_nobody(mariadb_ids: IdDatabase) -> None:
    """Collations that ignore accents find somebody else's row, which stays as it is."""
    database = of_ids(mariadb_ids)
    database.add("téppo@uni.example", _URI)
    with database.by_columns() as sink:
        with pytest.raises(DeliveryRefused, match="column eppn: it takes somebody else's row"):
            sink.deliver(handed())
        sink.deliver(handed(orcid=None, former=(ORCID,)))

    assert database.people == {"téppo@uni.example": _URI}


def test_sql_in_a_value_or_a_name_is_neither(database: SinkDatabase) -> None:
    """SQL injection: identifiers are values, and configured names stay names, reserved words and quotes among them."""
    with database.by_columns() as sink:
        for attack in ("'OR'1'='1@x", "');DROP/**/TABLE/**/person;--@x", "\\'OR/**/1=1;--@x", "%@%", ":orcid@x", "%(orcid)s@x"):
            database.run("DELETE FROM person")
            sink.deliver(handed(eppn(attack)))

            assert database.people == {attack: _URI}
    quoted = '"order; DROP TABLE person"'
    name = quoted.replace('"', "`") if database.backend == "mysql" else quoted
    database.run(f"CREATE TABLE {name} (eppn VARCHAR(99) PRIMARY KEY, val TEXT)")
    with database.by_columns(table=quoted, columns={"eppn": "eppn", "orcid": "val"}) as sink:
        sink.check()
        sink.deliver(handed())

    assert len(database.people) == 1


def test_a_rehearsal_tells_and_changes_nothing(database: SinkDatabase) -> None:
    """It says what would be done, and refuses what delivering would refuse."""
    with database.by_columns() as sink:
        assert sink.rehearse(handed()) == "1 row would be changed"

        database.add(_TEPPO, _URI)

        assert sink.rehearse(handed()) == "nothing would be changed: the iD stands there already"
        with pytest.raises(DeliveryRefused, match="another iD"):
            sink.rehearse(handed(orcid=FORMER))

    assert database.people == {_TEPPO: _URI}


@pytest.mark.parametrize(
    "keys",
    [
        {"table": "nothing_there"},
        {"columns": {"eppn": "nothing_there", "orcid": "orcid"}},
        {"columns": {"eppn": "eppn", "orcid": "nothing_there"}},
        {"columns": {"eppn": "eppn", "orcid": "orcid", "reference": "nothing_there"}},
    ],
)
def test_a_check_changes_nothing_and_names_what_is_not_there(database: SinkDatabase, keys: dict[str, object]) -> None:
    """Every kind of statement is planned, and none carried out."""
    with database.by_columns(on_withdrawal="delete") as sink:
        sink.check()

        assert database.people == {}

    with database.by_columns(**keys) as sink, pytest.raises(OperatorError, match="nothing_there"):
        sink.check()


def test_a_key_that_is_not_unique_cannot_be_inserted_by(postgresql_ids: IdDatabase, tmp_path: Path) -> None:
    """Where the database can tell, the check does."""
    for database in (of_ids(postgresql_ids), of_file(tmp_path / "people.db")):
        database.run("CREATE TABLE loose (eppn VARCHAR(99), orcid VARCHAR(40))")
        keys = {"table": "loose", "columns": {"eppn": "eppn", "orcid": "orcid"}}
        with database.by_columns(**keys) as sink, pytest.raises(OperatorError, match=r"(?i)unique"):
            sink.check()
        with database.by_columns(**keys, mode="update") as sink:
            sink.check()
