"""An authority with sources, as `serve` runs it, and everything that an operator can see of it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from attribute_authority.assembly import new_saml_id, present
from attribute_authority.storage.sql import open_store
from tests.factories import metadata as make
from tests.factories.doors import ORCID, OTHER_SP, PATHS, Told, eppn, link, sp_keys
from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.queries import SP, attribute_query, envelope, instant, ordinary, signed
from tests.factories.supervisors import DEADLINE, Directory, Running, answer, make_directory, running, send, until
from tests.faults.homes import Home

ANSWER_SECONDS = 4
"""The deadline of a query that waits for sources: far more than the question to one may take."""

_CONNECTED = "01"


def sources_tables(homes: Sequence[Home], *, deadline: float = ANSWER_SECONDS) -> str:
    """Write the tables of home organisations, and how they are asked: a pause never lasts long, and questions are not rationed."""
    organisations = "".join(home.configuration for home in homes)
    return f"[sources]\ndeadline = {deadline}\nlongest_pause = 2\n\n[limits]\nqueries_per_minute = 0\n{organisations}"


def make_site(path: Path, homes: Sequence[Home], tables: str | None = None, database: str | None = None) -> Directory:
    """Write an authority that two service providers may ask about the people of these home organisations; `database` has the tables."""
    directory = make_directory(path)
    services = ((SP, sp_keys()), (OTHER_SP, rsa_pair("other")))
    entities = (make.entity(entity_id, make.service_provider(make.key_descriptor(pair))) for entity_id, pair in services)
    (path / "federation.xml").write_text(make.aggregate(*entities))
    configure(directory, sources_tables(homes) if tables is None else tables, database)
    store = open_store(database or directory.database)
    for new in (link(ORCID, eppn()), *(home.link for home in homes)):
        store.add_link(new)
    store.close()
    return directory


def configure(directory: Directory, tables: str, database: str | None = None) -> None:
    """Write the configuration of such an authority."""
    directory.configure(requesters=(SP, OTHER_SP), extra=tables, database=database or "sqlite:///links.db")


@dataclass(frozen=True, slots=True)
class Site:
    """A running authority."""

    server: Running

    def ask(self, about: str, *, requester: str = SP, over: HTTPConnection | None = None) -> Told:
        """Ask about a NameID, over a new connection unless one is given, and find the event that was written of it."""
        message_id = new_saml_id()
        message = _query(message_id, about, requester)
        if over is None:
            told = self.server.ask(message)
        else:
            send(over, message)
            told = answer(over)
        # An error names its event itself; where nobody waited for the reading of the query, that knows no message.
        sentence = told.entry.find("samlp:Status/samlp:StatusMessage", PATHS)
        return Told(told.reply, self.event_of(message_id if sentence is None else str(sentence.text).rpartition("(")[2].rstrip(")")))

    def send(self, connection: HTTPConnection, about: str) -> str:
        """Ask over a connection without waiting for the answer, and return the id of the message."""
        message_id = new_saml_id()
        send(connection, _query(message_id, about, SP))
        return message_id

    def event_of(self, name: str) -> dict[str, Any]:
        """Return the one event of a query, which is written before its answer, by the id of the message or of the event."""
        (line,) = [line for line in self.server.log().splitlines() if name in line]
        event: dict[str, Any] = json.loads(line)
        return event

    def degraded(self, over: HTTPConnection | None = None) -> list[str]:
        """Return what /health/ready calls degraded, while it says that the authority is ready; fails where it does not."""
        with ExitStack() as opened:
            connection = over or opened.enter_context(closing(HTTPConnection("127.0.0.1", self.server.operations, timeout=DEADLINE)))
            connection.request("GET", "/health/ready")
            response = connection.getresponse()
            told = json.loads(response.read())
        if response.status != 200 or not told["ready"]:
            raise RuntimeError(f"not ready: {told}")
        return [str(sentence) for sentence in told["degraded"]]

    def paused(self, source: str) -> float | None:
        """Return what /metrics says about a source being left alone, None where nothing."""
        return self.metric(f'attribute_authority_sources_paused{{source="{source}"}}')

    def metric(self, name: str) -> float | None:
        """Return a number of /metrics, by its name with its labels."""
        with closing(HTTPConnection("127.0.0.1", self.server.operations, timeout=DEADLINE)) as connection:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(f"{name} ")), None)

    def is_asking(self, home: Home) -> bool:
        """Whether it has a connection to the server of a home organisation."""
        ours = {inode for worker in self.server.workers() for inode in _sockets(worker)}
        return any(row.remote == home.port and row.state == _CONNECTED and row.inode in ours for row in _rows())

    @contextmanager
    def line_to_each_worker(self, port: int, path: str) -> Iterator[tuple[HTTPConnection, ...]]:
        """Hold a connection to each worker, over which it has answered a GET already."""
        lines: dict[int, HTTPConnection] = {}
        with ExitStack() as opened:

            def all_reached() -> bool:
                connection = opened.enter_context(closing(HTTPConnection("127.0.0.1", port, timeout=DEADLINE)))
                connection.request("GET", path)
                connection.getresponse().read()
                lines.setdefault(self._worker_of(connection), connection)
                return len(lines) == len(self.server.workers())

            until(all_reached, self.server)
            yield tuple(lines.values())

    def _worker_of(self, connection: HTTPConnection) -> int:
        own, theirs = connection.sock.getsockname()[1], connection.sock.getpeername()[1]
        (inode,) = [row.inode for row in _rows() if (row.local, row.remote) == (theirs, own)]
        (worker,) = [worker for worker in self.server.workers() if inode in _sockets(worker)]
        return worker


@contextmanager
def serving(directory: Directory, workers: int = 1) -> Iterator[Site]:
    """Serve an authority."""
    with running(directory, workers) as server:
        yield Site(server)


def query_of(about: str, requester: str) -> bytes:
    """Write a fresh signed query."""
    return _query(new_saml_id(), about, requester)


def _query(message_id: str, about: str, requester: str) -> bytes:
    children = ordinary(requester=requester, about=about)
    return envelope(signed(attribute_query(*children, message_id=message_id, issued=instant(present())), _keys(requester)))


def _keys(requester: str) -> KeyPair:
    return sp_keys() if requester == SP else rsa_pair("other")


@dataclass(frozen=True, slots=True)
class _Connection:
    local: int
    remote: int
    state: str
    inode: str


def _rows() -> list[_Connection]:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return [_Connection(_port(line[1]), _port(line[2]), line[3], line[9]) for line in lines]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _sockets(process: int) -> set[str]:
    links = {str(descriptor.readlink()) for descriptor in Path(f"/proc/{process}/fd").iterdir()}
    return {target.removeprefix("socket:[").removesuffix("]") for target in links if target.startswith("socket:")}
