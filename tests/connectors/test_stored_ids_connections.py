"""Connections to the databases of identity providers: TLS that is verified, limits that hold, nothing that could be written."""

import os
import pwd
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from threading import Thread
from time import monotonic

import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy import make_url, text

from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.keys import make_key
from connectors._asked_database import AskedDatabase
from connectors._database_drivers import DatabaseAddress
from connectors.stored_ids import STORED_ID, StoredIdSettings
from tests.connectors.conftest import IdDatabase
from tests.connectors.surroundings import surroundings
from tests.peers.mariadb import PASSWORD, MariadbServer
from tests.peers.postgresql import PostgresqlServer, find_binaries

_NOTHING: dict[str, str] = {}


def _database(url: str, tls_ca: Path | None = None, *, timeout: float = 5.0, pool_size: int = 2) -> AskedDatabase:
    password = PASSWORD if url.startswith("mysql") else None
    return AskedDatabase(DatabaseAddress(make_url(url), password, tls_ca, timeout), pool_size)


@pytest.fixture(scope="module")
def encrypted_postgresql() -> Iterator[tuple[PostgresqlServer, Path]]:
    """A PostgreSQL with TLS, and its certificate, for localhost and no other name."""
    directory = Path(tempfile.mkdtemp(prefix="attribute-authority-postgresql-tls-"))
    made = make_key("localhost", datetime.now(UTC), ("localhost",), bits=2048)
    (directory / "tls.key").write_bytes(made.key)
    (directory / "tls.crt").write_bytes(made.certificate)
    (directory / "tls.key").chmod(0o600)
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        for path in (directory, *directory.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    server = PostgresqlServer(find_binaries(), directory)
    try:
        server.prepare()
        with psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET ssl_cert_file = '{directory}/tls.crt'".encode())
            connection.execute(f"ALTER SYSTEM SET ssl_key_file = '{directory}/tls.key'".encode())
            connection.execute(b"ALTER SYSTEM SET ssl = on")
        server.stop()
        server.start()
        yield server, directory / "tls.crt"
    finally:
        server.stop()
        rmtree(directory)


@pytest.fixture
def another_ca(tmp_path: Path) -> Path:
    """A certificate that nobody uses."""
    file = tmp_path / "another.crt"
    file.write_bytes(make_key("localhost", datetime.now(UTC), ("localhost",), bits=2048).certificate)
    return file


def test_postgresql_is_asked_over_verified_tls(encrypted_postgresql: tuple[PostgresqlServer, Path], another_ca: Path) -> None:
    """With the CA the connection is encrypted; another CA, or another name than the certificate's, is no connection."""
    server, certificate = encrypted_postgresql
    url = f"postgresql+psycopg://postgres@localhost:{server.port}/postgres"
    with closing(_database(url, certificate)) as database:
        rows = database.ask(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), _NOTHING)

        assert [tuple(row) for row in rows] == [(True,)]

    for wrong, ca in ((url, another_ca), (url.replace("localhost", "127.0.0.1"), certificate)):
        with closing(_database(wrong, ca)) as database, pytest.raises(CouldNotAsk, match="no connection"):
            database.ask(text("SELECT 1"), _NOTHING)


def test_mariadb_is_asked_over_verified_tls(mariadb: MariadbServer, another_ca: Path) -> None:
    """With the CA the connection is encrypted; another CA, or another name than the certificate's, is no connection."""
    name = mariadb.make_database()
    with closing(_database(mariadb.url(name, "localhost"), mariadb.certificate)) as database:
        rows = database.ask(text("SHOW SESSION STATUS LIKE 'Ssl_version'"), _NOTHING)

        assert [row[1] for row in rows] == ["TLSv1.3"]

    for host, ca in (("localhost", another_ca), ("127.0.0.1", mariadb.certificate)):
        with closing(_database(mariadb.url(name, host), ca)) as database, pytest.raises(CouldNotAsk, match="no connection"):
            database.ask(text("SELECT 1"), _NOTHING)


def test_a_server_that_offers_no_tls_is_not_asked_without(mariadb: MariadbServer, postgresql: PostgresqlServer, another_ca: Path) -> None:
    """TLS that was taken away on the line is no reason to go on without it."""
    name = mariadb.make_database()
    mariadb.stop()
    mariadb.start("--skip-ssl")
    try:
        for url in (mariadb.url(name, "localhost"), postgresql.url("postgres").replace("127.0.0.1", "localhost")):
            with closing(_database(url, another_ca)) as database, pytest.raises(CouldNotAsk, match="no connection"):
                database.ask(text("SELECT 1"), _NOTHING)
    finally:
        mariadb.stop()
        mariadb.start()


def test_nothing_can_be_written(ids: IdDatabase) -> None:
    """Whatever the rights of the account, its sessions are read-only."""
    with closing(_database(ids.url)) as database, pytest.raises(CouldNotAsk, match="25006"):
        database.ask(text("DELETE FROM shibpid"), _NOTHING)


def test_a_statement_that_takes_too_long_is_ended_by_the_server(ids: IdDatabase) -> None:
    """The server stops working on it, and the connection is good for the next question."""
    sleeping, number = (
        ("SELECT pg_sleep(60)", "pg_backend_pid()") if ids.is_postgresql else ("SELECT sleep(60) FROM DUAL", "connection_id()")
    )
    with closing(_database(ids.url, timeout=2.0, pool_size=1)) as database:
        before = database.ask(text(f"SELECT {number}"), _NOTHING)
        with pytest.raises(CouldNotAsk, match=r"57014|70100"):
            database.ask(text(sleeping), _NOTHING)

        assert before == database.ask(text(f"SELECT {number}"), _NOTHING)


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_accepts_and_says_nothing_is_given_up(scheme: str) -> None:
    """Connecting ends within the time-out too, even where the driver would wait longer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with closing(_database(f"{scheme}://authority@127.0.0.1:{port}/shib", timeout=0.2)) as database:
            for _ in range(3):
                with pytest.raises(CouldNotAsk, match=r"no connection within 0\.2 s"):
                    database.ask(text("SELECT 1"), _NOTHING)


def test_a_wrong_password_is_told_without_it(mariadb: MariadbServer, tmp_path: Path) -> None:
    """The cause says that access was denied, and to whom, and holds no password."""
    password_file = tmp_path / "password"
    password_file.write_text("väärä salasana\n", encoding="utf-8")
    keys = {"kind": "stored-id", "url": mariadb.url(mariadb.make_database()), "password_file": str(password_file)}
    source = STORED_ID.open(StoredIdSettings.model_validate(keys), surroundings())
    with closing(source), pytest.raises(CouldNotAsk, match="Access denied for user 'authority'") as refused:
        source.check()

    assert "salasana" not in refused.value.cause


def test_a_connection_that_is_in_use_when_the_source_is_closed_ends_after_its_question(postgresql_ids: IdDatabase) -> None:
    """Closing interrupts nobody, and leaves no connection behind."""
    answers: list[object] = []
    database = _database(postgresql_ids.url, timeout=20.0)
    question = text("SELECT 1 FROM pg_sleep(0.5)")
    asking = Thread(target=lambda: answers.extend(database.ask(question, _NOTHING)))
    asking.start()
    _wait_for(postgresql_ids, connections=1)
    database.close()
    asking.join()

    assert len(answers) == 1

    _wait_for(postgresql_ids, connections=0)


def _wait_for(ids: IdDatabase, connections: int) -> None:
    url = make_url(ids.url)
    given_up_at = monotonic() + 30
    active = b"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'attribute-authority' AND datname = current_database()"
    with psycopg.connect(host=url.host, port=url.port, user=url.username, dbname=url.database, autocommit=True) as connection:
        while (found := connection.execute(active).fetchone()) != (connections,):
            assert monotonic() < given_up_at, f"{found} connections instead of {connections}"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"url": "postgresql+psycopg://me:secret@127.0.0.1/shib"}, "without a password"),
        ({"url": "oracle://127.0.0.1/shib"}, "expected a database URL of postgresql"),
        ({"url": "no url"}, "expected a database URL of postgresql"),
        ({"url": "postgresql+psycopg://127.0.0.1:port/shib"}, "expected a database URL of postgresql"),
        ({"url": "postgresql+psycopg://127.0.0.1"}, "with the name of the database"),
        ({"url": "postgresql+psycopg://127.0.0.1/shib?sslmode=disable"}, "no options"),
        ({"url": "mysql+pymysql://127.0.0.1/shib?read_default_file=/etc/passwd"}, "no options"),
        ({"url": "postgresql+psycopg://idp.yliopisto.fi/shib"}, "verified TLS"),
        ({"pool_size": 0}, "from 1 to 64"),
        ({"scope": "no scope"}, "expected a scope"),
        ({"local_entity_column": "a, b"}, "expected the name of a column"),
        ({"identifier": "persistent"}, "eppn"),
    ],
)
def test_a_table_that_cannot_work_is_refused_without_its_secrets(keys: dict[str, object], expected: str) -> None:
    """What does not fit is told when the configuration is read."""
    table = {"kind": "stored-id", "url": "postgresql+psycopg://authority@127.0.0.1/shib", **keys}

    with pytest.raises(ValidationError, match=expected) as refused:
        StoredIdSettings.model_validate(table)

    assert "secret" not in " ".join(str(fault["msg"]) for fault in refused.value.errors())


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
    """The source does not open, and the sentence says which file is at fault."""
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    table = {"kind": "stored-id", "url": "mysql+pymysql://authority@127.0.0.1/shib", key: str(tmp_path / "file")}

    with pytest.raises(OperatorError, match=f"{key}: .*file: {expected}"):
        STORED_ID.open(StoredIdSettings.model_validate(table), surroundings())


def test_local_sockets_are_places_too(mariadb: MariadbServer) -> None:
    """A server on this machine may be asked over its local socket."""
    name = mariadb.make_database()
    mariadb.execute(f"CREATE USER IF NOT EXISTS authority@localhost IDENTIFIED BY '{PASSWORD}'")
    url = f"mysql+pymysql://authority@/{name}?unix_socket={mariadb.directory}/socket"
    with closing(_database(url)) as database:
        with pytest.raises(CouldNotAsk, match="Access denied"):
            database.ask(text("SELECT 1"), _NOTHING)

        mariadb.execute("GRANT ALL ON `shib%`.* TO authority@localhost")

        assert [tuple(row) for row in database.ask(text("SELECT 1"), _NOTHING)] == [(1,)]
