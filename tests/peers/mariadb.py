"""A private MariaDB on a free port of 127.0.0.1, one for each worker of the suite that asks for it, with fresh databases by number.

Nothing of an installed server is touched: only its programs are used. It stops and comes back, and can be held still.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pymysql
import pytest

from attribute_authority.keys import make_key
from tests.peers import require
from tests.peers.postgresql import free_port
from tests.peers.processes import Server

_OPTIONS = (
    *("--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--performance-schema=OFF", "--max-connections=40"),
    *("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=2", "--innodb-fast-shutdown=2"),
    *(
        "--innodb-doublewrite=OFF",
        "--innodb-use-native-aio=OFF",
        "--skip-innodb-buffer-pool-load-at-startup",
        "--aria-pagecache-buffer-size=1M",
    ),
)
PASSWORD = "saippuakauppias ß"
"""Of the account `authority`."""


@dataclass(slots=True)
class MariadbServer:
    """A server in a directory of its own; it knows how to stop and come back. `certificate` is the one to trust, PEM."""

    binary: Path
    directory: Path
    port: int
    _running: subprocess.Popen[str] | None = None
    _said: Server | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def certificate(self) -> Path:
        """The certificate of the server, for localhost and no other name."""
        return self.directory / "tls.crt"

    def prepare(self) -> None:
        """Make the system tables and a key for TLS, start the server, and make the account `authority`."""
        made = make_key("localhost", datetime.now(UTC), ("localhost",), bits=2048)
        (self.directory / "tls.key").write_bytes(made.key)
        self.certificate.write_bytes(made.certificate)
        self._give_away()
        install = require("mariadb-install-db", "mariadb-server")
        options = ("--skip-test-db", "--auth-root-authentication-method=normal", "--skip-name-resolve", *self._person())
        done = subprocess.run(
            [install, "--no-defaults", *options, f"--datadir={self.directory / 'files'}"],
            cwd=self.directory,
            env={"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"mariadb-install-db: {done.stdout}{done.stderr}")
        self.start()
        self.execute(f"CREATE USER authority@127.0.0.1 IDENTIFIED BY '{PASSWORD}'")
        self.execute("GRANT ALL ON `shib%`.* TO authority@127.0.0.1")

    def start(self, *options: str) -> None:
        """Start the server, with more options where given, and return when it accepts connections."""
        command: list[str | Path] = [self.binary, "--no-defaults", *_OPTIONS, *self._person(), *self._places(), *options]
        self._running = subprocess.Popen(
            command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._said = Server(self._running)
        self._said.wait_until_it_says("ready for connections")

    def stop(self) -> None:
        """Stop the server at once, as a crash would, and return when it is gone; nothing happens where it is stopped already."""
        if self._running is None or self._said is None:
            return
        self._running.kill()
        self._running.wait()
        self._said.end()
        if self._running.stderr is not None:
            self._running.stderr.close()
        self._running = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have the server gone for the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the server still for the block: connections stand, and nothing answers on them."""
        assert self._running is not None
        self._running.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._running.send_signal(signal.SIGCONT)

    def make_database(self) -> str:
        """Make a database for `authority`, and return its name."""
        name = f"shib{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def url(self, database: str, host: str = "127.0.0.1") -> str:
        """Return the URL of a database, for `authority`, without the password."""
        return f"mysql+pymysql://authority@{host}:{self.port}/{database}"

    def execute(self, statement: str, values: tuple[str, ...] = (), database: str | None = None) -> None:
        """Run a statement as root."""
        with (
            pymysql.connect(unix_socket=str(self._socket), user="root", database=database, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)

    @property
    def _socket(self) -> Path:
        return self.directory / "socket"

    def _places(self) -> tuple[str, ...]:
        files = (f"--datadir={self.directory / 'files'}", f"--pid-file={self.directory / 'pid'}", f"--tmpdir={self.directory}")
        tls = (f"--ssl-cert={self.certificate}", f"--ssl-key={self.directory / 'tls.key'}")
        return (*files, *tls, f"--socket={self._socket}", f"--port={self.port}")

    def _person(self) -> tuple[str, ...]:
        # The server refuses to run as root.
        return ("--user=mysql",) if os.geteuid() == 0 else ()

    def _give_away(self) -> None:
        if os.geteuid() == 0:
            account = pwd.getpwnam("mysql")
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    """A running server for all tests of this worker."""
    binary = require("mariadbd", "mariadb-server")
    # The name of a local socket has little room, which is why this is not in the directory of the test.
    directory = Path(tempfile.mkdtemp(prefix="attribute-authority-mariadb-"))
    server = MariadbServer(binary, directory, free_port())
    try:
        try:
            server.prepare()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)
