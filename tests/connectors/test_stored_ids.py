"""Stored identifiers in a real PostgreSQL and a real MariaDB: what is found there, what is not, and what cannot be said."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from attribute_authority.domain.identifiers import Identifier, IdentifierKind, parse_identifier
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, OperatorError, SourceUnavailable
from connectors import find_source_kind
from connectors.conformance import CHECKS, Check, Specimen
from connectors.stored_ids import STORED_ID, StoredIds, StoredIdSettings
from tests.connectors.conftest import SHIBPID, IdDatabase
from tests.connectors.surroundings import HOME, SERVICE, eppn, pairwise, persistent, surroundings
from tests.peers.mariadb import PASSWORD

_ID = "vGwQVzMkvQbYLciMvs9cR0E0IL4="
_UUID = "0b1d9a0e-5a7c-4c3e-9f43-2f6d6a1be6a7"
_BASE32 = "XRWBAVZTES6QNWBNZCGL5T24I5ATIIF6"


@contextmanager
def _opened(ids: IdDatabase, **keys: object) -> Iterator[StoredIds]:
    source = STORED_ID.open(StoredIdSettings.model_validate(ids.keys(**keys)), surroundings())
    assert isinstance(source, StoredIds)

    with closing(source):
        yield source


def _resolve(ids: IdDatabase, asked: Identifier, /, **keys: object) -> Finding | None:
    with _opened(ids, **keys) as source:
        return source.resolve(asked)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", [IdentifierKind.PERSISTENT, IdentifierKind.PAIRWISE_ID])
def test_stored_ids_do_what_every_source_must(ids: IdDatabase, kind: IdentifierKind, check: Check) -> None:
    """The checks for third parties hold here, those of outages too: stopped and held still."""
    ids.add(HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi")
    ids.add(HOME, SERVICE, _BASE32, "teppo", "teppo@yliopisto.fi")
    scoped = kind is IdentifierKind.PAIRWISE_ID
    settings = StoredIdSettings.model_validate(
        ids.keys(timeout=0.7, pool_size=3, table="SHIBPID" if ids.is_postgresql else "shibpid", pairwise_scope="yliopisto.fi")
    )

    check(
        Specimen(
            open_source=lambda: STORED_ID.open(settings, surroundings()),
            known=pairwise(f"{_BASE32}@yliopisto.fi") if scoped else persistent(_ID),
            expected=Finding((eppn("teppo@yliopisto.fi"),)),
            unknown=pairwise("AAAA@yliopisto.fi") if scoped else persistent("Vl6z6K70iLc4AuBoNeb59Dj1rGw="),
            secrets=(PASSWORD,),
            # A pairwise-id goes the same way.
            outages=() if scoped else ids.outages,
            timeout=0.7,
        )
    )


def test_a_deactivated_identifier_is_nobodys(ids: IdDatabase) -> None:
    """What the identity provider has taken back finds nobody, and what it issued instead finds the person."""
    ids.add(HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi", deactivated=True)
    ids.add(HOME, SERVICE, _UUID, "teppo", "teppo@yliopisto.fi")

    assert _resolve(ids, persistent(_ID)) is None
    assert _resolve(ids, persistent(_UUID)) == Finding((eppn("teppo@yliopisto.fi"),))


def test_sql_in_an_identifier_is_compared_and_never_run(ids: IdDatabase) -> None:
    """SQL injection: whatever part of an identifier holds SQL, nobody is found, and the table is still there."""
    ids.add(HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi")
    attacks = ("'OR'1'='1", "'/**/OR/**/1=1#", "';DROP/**/TABLE/**/shibpid;--", "\\'OR/**/1=1;--", f"{_ID}'--", "%", "_" * len(_ID))
    with _opened(ids) as source:
        for attack in attacks:
            assert source.resolve(persistent(attack)) is None
            assert source.resolve(persistent(_ID, f"https:{attack}")) is None
            assert source.resolve(persistent(_ID, name_qualifier=f"https:{attack}")) is None

        assert source.resolve(persistent(_ID)) == Finding((eppn("teppo@yliopisto.fi"),))


def test_sql_in_a_configured_name_is_a_name(ids: IdDatabase) -> None:
    """A quoted name may hold anything and stays a name; what could be more than a name is refused."""
    with (
        _opened(ids, table='"shibpid WHERE 1=1; DROP TABLE shibpid; --"') as source,
        pytest.raises(OperatorError, match="DROP TABLE"),
    ):
        source.check()

    for name in ("shibpid; DROP TABLE x", 'shib"pid', "a.b.c", "", '""', "shibpid\0", "1shibpid"):
        with pytest.raises(ValueError, match="expected the name of a table"):
            StoredIdSettings.model_validate(ids.keys(table=name))


def test_two_identifiers_that_differ_in_case_are_two_identifiers(ids: IdDatabase) -> None:
    """However the columns compare, nobody is found under the identifier, service or identity provider of another spelling."""
    ids.add(HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi")
    for other in (_ID.upper(), _ID.lower(), f"{_ID}\u0301", f"{_ID} "):
        assert _resolve(ids, Identifier(IdentifierKind.PERSISTENT, other, HOME, SERVICE)) is None

    assert _resolve(ids, persistent(_ID, SERVICE.upper())) is None


def test_the_right_one_of_two_that_differ_in_case_is_found(ids: IdDatabase) -> None:
    """Where the table has no key that keeps them apart, the comparison does."""
    ids.forget_key()
    for name, value in (("liisa", "AAaa="), ("matti", "aaAA="), ("teppo", "aaaa=")):
        ids.add(HOME, SERVICE, value, name, f"{name}@yliopisto.fi")

    assert _resolve(ids, persistent("aaaa=")) == Finding((eppn("teppo@yliopisto.fi"),))


def test_two_people_under_one_identifier_are_nobody_and_not_absent(ids: IdDatabase) -> None:
    """A table that contradicts itself can not say who it is; the same person twice is the person."""
    ids.forget_key()
    for name in ("teppo", "teppo", "liisa"):
        ids.add(HOME, SERVICE, _ID, name, f"{name}@yliopisto.fi")
    ids.add(HOME, SERVICE, _UUID, "teppo", "teppo@yliopisto.fi")
    ids.add(HOME, SERVICE, _UUID, "teppo2", "teppo@yliopisto.fi")

    with pytest.raises(SourceUnavailable, match="column localId: names several people"):
        _resolve(ids, persistent(_ID))
    assert _resolve(ids, persistent(_UUID)) == Finding((eppn("teppo@yliopisto.fi"),))


def test_the_login_name_is_read_and_scoped_where_configured(ids: IdDatabase) -> None:
    """A login name without a scope becomes an ePPN of the configured scope; a value with one keeps it."""
    ids.add(HOME, SERVICE, _ID, "Teppo", "17")
    ids.add(HOME, SERVICE, _UUID, "liisa@vieras.fi", "18")
    found = _resolve(ids, persistent(_ID), read="principal-name", scope="Yliopisto.fi")

    assert found == Finding((eppn("teppo@yliopisto.fi"),))
    assert found is not None
    assert found.identifiers[0].spelling == "Teppo@yliopisto.fi"
    assert _resolve(ids, persistent(_UUID), read="principal-name", scope="yliopisto.fi") == Finding((eppn("liisa@vieras.fi"),))


def test_other_identifiers_are_told_as_such(ids: IdDatabase) -> None:
    """What the column holds may be a subject-id."""
    ids.add(HOME, SERVICE, _ID, "teppo", "t17")
    subject_id = parse_identifier(IdentifierKind.SUBJECT_ID, "t17@yliopisto.fi")

    assert _resolve(ids, persistent(_ID), identifier="subject-id", scope="yliopisto.fi") == Finding((subject_id,))


@pytest.mark.parametrize("stored", [_BASE32, _UUID])
def test_a_pairwise_id_is_stored_without_its_scope(ids: IdDatabase, stored: str) -> None:
    """Computed unique parts are stored in upper case and random ones in lower case; the scope must be the configured one."""
    ids.add(HOME, SERVICE, stored, "teppo", "teppo@yliopisto.fi")
    with _opened(ids, pairwise_scope="yliopisto.fi") as source:
        assert source.resolve(pairwise(f"{stored.upper()}@Yliopisto.fi")) == Finding((eppn("teppo@yliopisto.fi"),))
        assert source.resolve(pairwise(f"{stored}@aalto.fi")) is None
        assert source.resolve(pairwise(f"{stored}@yliopisto.fi", None)) is None


@pytest.mark.parametrize("value", ["", "teppo", "te ppo@yliopisto.fi", "a@b@c", "teppo@"])
def test_a_value_that_is_no_identifier_is_neither_absent_nor_an_outage(ids: IdDatabase, value: str) -> None:
    """The cause names the column and not the value, and the source itself is not at fault."""
    ids.add(HOME, SERVICE, _ID, "teppo", value)

    with pytest.raises(SourceUnavailable, match="column localId: holds what is no eppn") as refused:
        _resolve(ids, persistent(_ID))

    assert "teppo" not in refused.value.cause
    assert refused.value.__suppress_context__


def test_a_missing_value_is_not_absence(ids: IdDatabase) -> None:
    """NULL in the column that is read says nothing about the person."""
    nullable = "ALTER COLUMN localId DROP NOT NULL" if ids.is_postgresql else "MODIFY localId VARCHAR(50) NULL"
    ids.execute(f"ALTER TABLE shibpid {nullable}")
    ids.add(HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi")
    ids.execute("UPDATE shibpid SET localId = NULL")

    with pytest.raises(SourceUnavailable, match="holds no text"):
        _resolve(ids, persistent(_ID))


def test_an_oversized_value_is_read_only_as_far_as_an_identifier_goes(ids: IdDatabase) -> None:
    """A row with megabytes in it is a row at fault, and costs no more than another."""
    ids.change_type("localId", "TEXT", "LONGTEXT")
    ids.add(HOME, SERVICE, _ID, "teppo", "x")
    ids.execute("UPDATE shibpid SET localId = repeat('a', 4000000)")
    with _opened(ids) as source:
        with pytest.raises(SourceUnavailable, match="holds what is no eppn"):
            source.resolve(persistent(_ID))

        rows = source.database.ask(source.statement, {"local": HOME, "peer": SERVICE, "first": _ID, "second": _ID})

        assert [len(row[3]) for row in rows] == [257]


def test_non_utf_8_octets_are_a_row_at_fault(ids: IdDatabase) -> None:
    """Octets that are no text are neither absence nor somebody; the next question over the same connection gets its own answer."""
    ids.add(HOME, SERVICE, _ID, "teppo", "x")
    ids.add(HOME, SERVICE, _UUID, "liisa", "liisa@yliopisto.fi")
    ids.change_type("localId", "bytea USING localId::bytea", "VARBINARY(50)")
    ids.execute(
        r"UPDATE shibpid SET localId = '\xe4ff' WHERE principalName = 'teppo'"
        if ids.is_postgresql
        else "UPDATE shibpid SET localId = x'e4ff' WHERE principalName = 'teppo'"
    )
    with _opened(ids) as source:
        with pytest.raises(SourceUnavailable, match="holds no text in UTF-8"):
            source.resolve(persistent(_ID))

        assert source.resolve(persistent(_UUID)) == Finding((eppn("liisa@yliopisto.fi"),))


def test_columns_of_fixed_width_are_read_without_their_filling(ids: IdDatabase) -> None:
    """CHAR columns fill values up with spaces, which belong to no identifier."""
    ids.add(HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi")
    for name in ("persistentId", "localId"):
        ids.change_type(name, "CHAR(60)", "CHAR(60)")

    assert _resolve(ids, persistent(_ID)) == Finding((eppn("teppo@yliopisto.fi"),))


def test_other_names_of_table_and_columns_are_asked_for(ids: IdDatabase) -> None:
    """Plain names mean what they mean in SQL; quoted ones are exact."""
    for statement in (
        'CREATE TABLE "Persistent Ids" (IDP VARCHAR(99), "Sp" VARCHAR(99), pid VARCHAR(50), uid VARCHAR(50), ended INT)',
        "INSERT INTO \"Persistent Ids\" VALUES (%s, %s, %s, 'teppo', NULL)",
    ):
        ids.execute(statement if ids.is_postgresql else statement.replace('"', "`"), (HOME, SERVICE, _ID) if "%s" in statement else ())
    names = {"local_entity": "Idp", "peer_entity": '"Sp"', "persistent_id": "PID", "principal_name": "uid", "deactivation_time": "ended"}
    keys = {f"{name}_column": value for name, value in names.items()}
    found = _resolve(ids, persistent(_ID), table='"Persistent Ids"', read="principal-name", scope="yliopisto.fi", **keys)

    assert found == Finding((eppn("teppo@yliopisto.fi"),))


@pytest.mark.parametrize("fault", [{"table": "nothing_there"}, {"source_id_column": "nothing_there"}])
def test_names_that_are_not_there_are_the_operators_business(ids: IdDatabase, fault: dict[str, object]) -> None:
    """The check says what is not there; a question, whose parameters name a person, does not repeat the server's words."""
    with _opened(ids, **fault) as source:
        with pytest.raises(OperatorError, match="nothing_there"):
            source.check()
        with pytest.raises(CouldNotAsk) as refused:
            source.resolve(persistent(_ID))

    assert "nothing_there" not in refused.value.cause
    assert _ID not in refused.value.cause


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds it by its name."""
    assert find_source_kind("stored-id") is STORED_ID


def test_a_file_is_asked_read_only(tmp_path: Path) -> None:
    """An SQLite file is never made: a mistyped name is an outage."""
    ids = IdDatabase(f"sqlite:///{tmp_path}/missing.db", None, lambda *_: None)

    with pytest.raises(CouldNotAsk):
        _resolve(ids, persistent(_ID))

    assert list(tmp_path.iterdir()) == []


def test_a_file_is_a_database_too(tmp_path: Path) -> None:
    """For demonstrations the table may be in an SQLite file, relative to the configuration."""
    with closing(sqlite3.connect(tmp_path / "ids.db", isolation_level=None)) as file:
        file.execute(SHIBPID)
        row = (HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi")
        file.execute("INSERT INTO shibpid (localEntity, peerEntity, persistentId, principalName, localId) VALUES (?, ?, ?, ?, ?)", row)
    table = {"kind": "stored-id", "url": "sqlite:///ids.db"}
    settings = StoredIdSettings.model_validate(table, context={"directory": tmp_path})
    with closing(STORED_ID.open(settings, surroundings())) as source:
        source.check()

        assert source.resolve(persistent(_ID)) == Finding((eppn("teppo@yliopisto.fi"),))


def test_mariadb_may_be_called_by_its_own_name(mariadb_ids: IdDatabase) -> None:
    """SQLAlchemy has two names for the dialect, and the statement is right under both."""
    mariadb_ids.execute(SHIBPID)
    mariadb_ids.add(HOME, SERVICE, _ID, "teppo", "teppo@yliopisto.fi")
    renamed = mariadb_ids.url.replace("mysql+pymysql", "mariadb+pymysql")

    assert _resolve(mariadb_ids, persistent(_ID), url=renamed) == Finding((eppn("teppo@yliopisto.fi"),))
