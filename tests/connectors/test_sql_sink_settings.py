"""The tables that configure SQL sinks: what is refused, and in which words."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from attribute_authority.errors import OperatorError
from connectors import find_sink_kind
from connectors.sql import SQL, SqlSettings
from tests.connectors.sql_sink_databases import LINK, WITHDRAW
from tests.factories.sink_deliveries import sink_surroundings

_STATEMENTS: dict[str, object] = {"link": LINK, "withdraw": WITHDRAW}
_COLUMNS: dict[str, object] = {"table": "person", "columns": {"eppn": "eppn", "orcid": "orcid"}, "key": "eppn"}
_URL = "postgresql+psycopg://orcid@127.0.0.1/idm"


def _settings(**keys: object) -> SqlSettings:
    return SqlSettings.model_validate({"kind": "sql", "url": _URL, **keys})


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds it by its name."""
    assert find_sink_kind("sql") is SQL


def test_either_way_to_write_is_enough() -> None:
    """Everything else has a default."""
    assert (_settings(**_STATEMENTS).rows, _settings(**_STATEMENTS).value) == ("one", "uri")
    assert (_settings(**_COLUMNS).mode, _settings(**_COLUMNS).on_withdrawal, _settings(**_COLUMNS).overwrite) == ("upsert", "null", False)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "either link and withdraw, or table, columns and key"),
        ({**_STATEMENTS, **_COLUMNS}, "either link and withdraw, or table, columns and key"),
        ({**_STATEMENTS, "mode": "update"}, "either link and withdraw, or table, columns and key"),
        ({**_COLUMNS, "rows": "any"}, "either link and withdraw, or table, columns and key"),
        ({"link": LINK}, "expected withdraw beside link"),
        ({"table": "person"}, "expected columns and key beside table"),
        ({**_STATEMENTS, "rows": "two"}, "'one' or 'any'"),
        ({**_STATEMENTS, "value": "URN"}, "'uri' or 'bare'"),
        ({**_COLUMNS, "columns": {"eppn": "eppn"}}, "expected those of eppn, the key, and of orcid"),
        ({**_COLUMNS, "columns": {"orcid": "orcid"}}, "expected those of eppn, the key, and of orcid"),
        ({**_COLUMNS, "columns": {"eppn": "a", "orcid": "a"}}, "one stands there twice"),
        ({**_COLUMNS, "columns": {"eppn": "a b", "orcid": "a"}}, "expected the name of a column"),
        ({**_COLUMNS, "columns": {"eppn": "a", "orcid": "b", "name": "c"}}, "'orcid_bare'"),
        ({**_COLUMNS, "table": "person; DROP TABLE person"}, "expected the name of a table"),
        ({**_COLUMNS, "key": "orcid"}, "'eppn'"),
        ({**_STATEMENTS, "url": "postgresql+psycopg://me:secret@127.0.0.1/idm"}, "without a password"),
        ({**_STATEMENTS, "url": "postgresql+psycopg://idm.uni.example/idm"}, "verified TLS"),
        ({**_STATEMENTS, "url": "postgresql+psycopg://orcid@/idm?host=idm.uni.example"}, "absolute path of a local socket"),
        ({**_STATEMENTS, "url": "postgresql+psycopg://orcid@/idm?host=/run/a,idm.uni.example"}, "absolute path of a local socket"),
        ({**_STATEMENTS, "url": "postgresql+psycopg://orcid@/idm?host=/run/a&host=idm.uni.example"}, "absolute path of a local socket"),
        ({**_STATEMENTS, "connections": 0}, "from 1 to 64"),
        ({**_STATEMENTS, "statement": LINK}, "Extra inputs"),
    ],
)
def test_a_table_that_cannot_work_is_refused_without_its_secrets(keys: dict[str, object], expected: str) -> None:
    """What does not fit is told when the configuration is read."""
    with pytest.raises(ValidationError, match=expected) as refused:
        _settings(**keys)

    assert "secret" not in " ".join(str(fault["msg"]) for fault in refused.value.errors())


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("", "begins with INSERT, UPDATE, DELETE, REPLACE, MERGE"),
        ("SELECT :orcid FROM person WHERE eppn = :eppn", "begins with INSERT"),
        ("DROP TABLE person", "begins with INSERT"),
        ("/* :orcid */ DROP TABLE person", "begins with INSERT"),
        (f"{LINK};", "without a semicolon"),
        (f"{LINK}; DROP TABLE person", "without a semicolon"),
        (f"{LINK}\0", "without a semicolon"),
        ("UPDATE person SET orcid = :orcid, name = :name WHERE eppn = :eppn", ":name: expected none but the parameters :orcid"),
        ("UPDATE person SET orcid = :orcid", "about one person, by :eppn"),
        ("UPDATE person SET orcid = 'x' WHERE eppn = :eppn", "a statement that writes :orcid"),
    ],
)
def test_a_statement_that_cannot_link_is_refused(statement: str, expected: str) -> None:
    """One statement, about one person, with the parameters that there are."""
    with pytest.raises(ValidationError, match=expected):
        _settings(link=statement, withdraw=WITHDRAW)


def test_a_statement_that_compares_with_no_id_is_refused_for_withdrawals() -> None:
    """Of a withdrawal there is no :orcid, which would be NULL and equal nothing."""
    with pytest.raises(ValidationError, match="the one that was is :former"):
        _settings(link=LINK, withdraw="UPDATE person SET orcid = NULL WHERE eppn = :eppn AND orcid = :orcid")


def test_colons_that_are_no_parameters_stay() -> None:
    """Casts and instants are SQL's own; statements may have several lines."""
    statement = "UPDATE person\n SET orcid = :orcid::text, since = '12:30:00'\n WHERE eppn = :eppn"

    assert _settings(link=statement, withdraw=WITHDRAW).link == statement


@pytest.mark.parametrize(
    ("key", "content", "expected"),
    [
        ("password_file", None, "cannot be read: No such file"),
        ("password_file", b"\n", "is empty"),
        ("password_file", b"\xe4", "cannot be read: expected UTF-8"),
        ("tls_ca", None, "cannot be read as PEM certificates"),
        ("tls_ca", b"no certificate", "cannot be read as PEM certificates"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, key: str, content: bytes | None, expected: str) -> None:
    """The sink does not open, and the sentence says which file is at fault."""
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    settings = _settings(**_STATEMENTS, url="mysql+pymysql://orcid@127.0.0.1/idm", **{key: str(tmp_path / "file")})

    with pytest.raises(OperatorError, match=f"{key}: .*file: {expected}"):
        SQL.open(settings, sink_surroundings())
