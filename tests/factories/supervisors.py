"""A whole authority in a directory, run as an operator runs it: `serve` in a process of its own, on free ports, without TLS."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from attribute_authority.storage.sql import open_store
from attribute_authority.storage.upgrading import upgrade
from attribute_authority.web.query_door import Reply
from tests.factories import metadata as make
from tests.factories.doors import ORCID, QUERY_URL, Told, eppn, link, sp_keys
from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.queries import SP
from tests.factories.wires import PATH

DEADLINE = 60.0
_PAUSE = 0.01


@dataclass(frozen=True, slots=True)
class Directory:
    """The files of an authority; the person whom all ask about is in its database."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.path / "authority.toml"

    @property
    def database(self) -> str:
        """The address of the database."""
        return f"sqlite:///{self.path / 'links.db'}"

    def configure(self, *, requesters: Sequence[str] = (SP,), extra: str = "", database: str = "sqlite:///links.db") -> None:
        """Write the configuration; `extra` stands at its beginning."""
        self.config.write_text(
            f"""{extra}
[authority]
entity_id = "https://aa.example.org/orcid"
base_url = "{QUERY_URL.removesuffix(PATH)}"
signing = [{{ key = "signing.key", certificate = "signing.crt" }}]

[back_channel]
host = "127.0.0.1"
port = 0

[operations]
port = 0

[database]
url = "{database}"
timeout = 1.0

[[metadata]]
file = "federation.xml"

[[release]]
requesters = {json.dumps(list(requesters))}
"""
        )

    def trust(self, pair: KeyPair) -> None:
        """Write metadata that give the service provider this key."""
        (self.path / "federation.xml").write_text(make.entity(SP, make.service_provider(make.key_descriptor(pair))))

    def sign_with(self, pair: KeyPair) -> None:
        """Write the authority's own key."""
        (self.path / "signing.key").write_bytes(pair.key_pem)
        (self.path / "signing.crt").write_bytes(pair.certificate_pem)


def make_directory(path: Path) -> Directory:
    """Write an authority."""
    directory = Directory(path)
    directory.configure()
    directory.trust(sp_keys())
    directory.sign_with(rsa_pair("authority"))
    upgrade(directory.database)
    store = open_store(directory.database)
    store.add_link(link(ORCID, eppn()))
    store.close()
    return directory


class Supervised:
    """A supervisor with its workers; its log is a file, so that it never waits for a reader."""

    def __init__(self, directory: Directory, module: str, *arguments: str) -> None:
        self.directory = directory
        self._log = directory.path / f"serve-{monotonic()}.log"
        command = [sys.executable, "-m", module, "--config", str(directory.config), "serve", *arguments]
        with self._log.open("wb") as stream:
            self.process = subprocess.Popen(command, stderr=stream)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of that name so far."""
        lines = self.log().splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]
        return [event for event in events if event["event"] == name]

    def log(self) -> str:
        """Return the log so far."""
        return self._log.read_text()

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        return self.process.wait(DEADLINE)


class Running(Supervised):
    """An authority that answers queries, with companion pages where they are configured."""

    def __init__(self, directory: Directory, workers: int, page_workers: int = 0) -> None:
        super().__init__(directory, "attribute_authority", "--workers", str(workers))
        until(lambda: len(self.events("listening")) == (3 if page_workers else 2), self)
        ports = {event["door"]: int(event["url"].rpartition(":")[2]) for event in self.events("listening")}
        self.back_channel, self.operations, self.companion = ports["back_channel"], ports["operations"], ports.get("companion", 0)
        until(lambda: len(self.workers()) == workers + page_workers, self)
        until(lambda: self.get("/health/ready") == 200, self)
        until(lambda: len(self.events("pages-ready")) == page_workers, self)

    def get(self, path: str) -> int:
        """Ask the operations door, and return the HTTP status."""
        connection = HTTPConnection("127.0.0.1", self.operations, timeout=DEADLINE)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def connect(self) -> HTTPConnection:
        """Connect to the back channel."""
        connection = HTTPConnection("127.0.0.1", self.back_channel, timeout=DEADLINE)
        connection.connect()
        return connection

    def ask(self, body: bytes) -> Told:
        """Send a message over a new connection."""
        connection = self.connect()
        send(connection, body)
        told = answer(connection)
        connection.close()
        return told


def send(connection: HTTPConnection, body: bytes) -> None:
    """Send a message."""
    connection.request("POST", PATH, body, {"Content-Type": "text/xml"})


def answer(connection: HTTPConnection) -> Told:
    """Read the answer."""
    response = connection.getresponse()
    return Told(Reply(response.status, response.read()), {})


@contextmanager
def running(directory: Directory, workers: int = 1, page_workers: int = 0) -> Iterator[Running]:
    """Run an authority, with companion pages where they are configured; afterwards nothing of it is left."""
    server = Running(directory, workers, page_workers)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
        server.wait()


def until(condition: Callable[[], bool], server: Supervised) -> None:
    """Wait for something that will be so; fails with the log where it is not in time, or where the server has ended."""
    end = monotonic() + DEADLINE
    while not condition():
        assert monotonic() < end, server.log()
        assert server.process.poll() is None, server.log()
        sleep(_PAUSE)


def ended(process: int) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], DEADLINE)[0])
    finally:
        os.close(descriptor)
