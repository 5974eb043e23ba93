"""A private PostgreSQL on a free port of 127.0.0.1, one for each worker of the suite, with a fresh database for each test.

Nothing of an installed server is touched: only its programs are used.
"""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from attribute_authority.storage.upgrading import upgrade
from tests.peers import require

_OPTIONS = "-c fsync=off -c full_page_writes=off -c max_connections=60 -c shared_buffers=16MB -c listen_addresses=127.0.0.1"
_PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections, so that a port is still free when a stopped server starts again."""


class PostgresqlServer:
    """A server in a directory of its own; it knows how to stop and come back."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._numbers = count(1)
        self.port = free_port()

    @property
    def _cluster(self) -> Path:
        return self._directory / "cluster"

    @property
    def is_running(self) -> bool:
        """Whether the server has not been stopped."""
        return (self._cluster / "postmaster.pid").exists()

    def prepare(self) -> None:
        """Make the cluster, start it, and make the template that fresh databases are copied from."""
        self._run("initdb", "--pgdata", self._cluster, "--encoding=UTF8", "--locale=C", "--auth=trust", "--username=postgres", "--no-sync")
        self.start()
        self._execute("CREATE DATABASE prepared")
        upgrade(self.url("prepared"))

    def start(self) -> None:
        """Start the server and return when it accepts connections."""
        options = f"{_OPTIONS} -c port={self.port} -c unix_socket_directories=''"
        self._run("pg_ctl", "start", "--wait", "--pgdata", self._cluster, "--log", self._directory / "log", "--options", options)

    def stop(self) -> None:
        """Stop the server at once, as a crash would, and return when it is gone; nothing happens where it is stopped already."""
        if self.is_running:
            self._run("pg_ctl", "stop", "--wait", "--mode", "immediate", "--pgdata", self._cluster)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold every process of the server still: connections stand, and nothing answers on them."""
        postmaster, children = self._postmaster(), []
        try:
            _hold(postmaster)
            # It starts nobody and takes nobody away meanwhile, not even those whose connection has just ended.
            children = _children(postmaster)
            for child in children:
                _hold(child)
            yield
        finally:
            for process in (*children, postmaster):
                os.kill(process, signal.SIGCONT)

    def _postmaster(self) -> int:
        return int((self._cluster / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    def url(self, database: str) -> str:
        """Return the URL of a database of this server."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def make_database(self, template: str = "prepared") -> str:
        """Make a database, empty where the template is template0, and return its URL."""
        name = f"fresh_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database with whatever connections it has."""
        self._execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str | Path) -> None:
        # The server refuses to run as root.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        command = [self._binaries / program, *arguments]
        # The server refuses to run as root.
        person, groups = ("postgres", ()) if os.geteuid() == 0 else (None, None)
        done = subprocess.run(
            command,
            cwd=self._directory,
            env=environment,
            user=person,
            group=person,
            extra_groups=groups,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


def _hold(process: int) -> None:
    os.kill(process, signal.SIGSTOP)
    # A signal is sent before it has arrived.
    while Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "TZ":
        os.sched_yield()


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name of the program stands in brackets and may hold spaces; the parent comes second after it.
            if int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def free_port() -> int:
    """Return a port on which nothing listens."""
    for port in random.sample(_PORTS, k=100):
        with socket.socket() as candidate:
            if candidate.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port was found")


def find_binaries() -> Path:
    """Return the directory of the newest PostgreSQL that is installed; Debian keeps each version in a directory of its own."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[4]))
    server = debian[-1] if debian else require("postgres", "postgresql")
    return server.parent


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running server for all tests of this worker."""
    binaries = find_binaries()
    directory = Path(tempfile.mkdtemp(prefix="attribute-authority-postgresql-"))
    try:
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(directory, account.pw_uid, account.pw_gid)
        server = PostgresqlServer(binaries, directory)
        try:
            server.prepare()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """The URL of a fresh database with the tables of this release."""
    url = postgresql.make_database()
    yield url
    postgresql.drop_database(url)


@pytest.fixture
def empty_postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """The URL of a fresh database without any table."""
    url = postgresql.make_database("template0")
    yield url
    postgresql.drop_database(url)
