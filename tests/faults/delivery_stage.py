"""The stage of the faults: a database, a loader, nodes that deliver, a web service and a directory that take iDs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from tests.factories.supervisors import Directory, ended, make_directory, until
from tests.faults.delivery_journal import CONFIRMED, FAILED
from tests.faults.delivery_judge import Books, Evidence, Figures
from tests.faults.delivery_nodes import LoaderProcess, Node
from tests.faults.delivery_people import HOME, PEOPLE, eppn, foreign, uri
from tests.faults.delivery_target import Target
from tests.peers.slapd import PEOPLE as BRANCH
from tests.peers.slapd import WRITER_DN, Slapd

_TIMEOUT = 2
"""Seconds that one delivery may take."""

_WEB_SERVICE = """
[[organisation.sink]]
kind = "rest"
url = "{url}"
method = "PUT"
body = "mapping"
mapping = {{ orcid = "orcid-bare", reference = "reference" }}
timeout = {timeout}
"""

_DIRECTORY = """
[[organisation.sink]]
kind = "ldap"
urls = ["{slapd.ldaps_url}"]
tls_ca = "{slapd.certificate}"
bind_dn = "{bind_dn}"
password_file = "{slapd.password_file}"
base = "{base}"
filters = {{ eppn = "(eduPersonPrincipalName={{value}})" }}
timeout = {timeout}
"""


@dataclass
class Stage:
    """Everything that acts; `nodes` are by the place where they run, which is their state directory."""

    target: Target
    slapd: Slapd | None
    books: Books
    loader: LoaderProcess
    nodes: dict[Path, Node]
    orphans: list[int] = field(default_factory=list)

    @property
    def node(self) -> Node:
        """The one node, or the first."""
        return next(iter(self.nodes.values()))

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that will be so, while everybody is alive."""
        until(condition, self.node)

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many more requests have come to the web service."""
        wanted = self.target.requests + count
        self.until(lambda: self.target.requests >= wanted)

    def wait_for_changes(self, count: int) -> None:
        """Wait until so many more changes were confirmed to the loader."""
        wanted = self.loader.journal.count(CONFIRMED) + count
        self.until(lambda: self.loader.journal.count(CONFIRMED) >= wanted)

    def wait_for_failures(self, count: int) -> None:
        """Wait until so many more changes have failed."""
        wanted = self.loader.journal.count(FAILED) + count
        self.until(lambda: self.loader.journal.count(FAILED) >= wanted)

    def is_away(self, sink: str) -> bool:
        """Whether a sink is left alone because it is away."""
        return f"{HOME} sink {sink}" in self.books.outages()

    def wait(self, seconds: float) -> None:
        """Let a time go by."""
        end = monotonic() + seconds
        self.until(lambda: monotonic() >= end)

    def calm_down(self) -> Figures:
        """End the load, wait until everything is delivered, end the nodes, and judge; returns what happened."""
        self.loader.kill()
        self.until(lambda: self.books.open_deliveries() == 0)
        for node in self.nodes.values():
            node.stop()
        evidence = Evidence(self.books, self.loader.journal, self.target, self.slapd)
        faults = evidence.faults()
        assert not faults, "\n".join(faults)
        return evidence.figures()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is on the stage: the database (None is an SQLite file), a directory or none, and how many nodes deliver."""

    path: Path
    random: Random
    database: str | None = None
    slapd: Slapd | None = None
    nodes: int = 1
    restarts_at_once: bool = False


@contextmanager
def stage(plan: Plan) -> Iterator[Stage]:
    """Set everything going; afterwards nothing of it is left."""
    target = Target()
    directories = [_make_node(plan, number, target) for number in range(plan.nodes)]
    database = plan.database or directories[0].database
    with ExitStack() as ends:
        target.start()
        ends.callback(target.stop)
        loader = LoaderProcess(directories[0], plan.path / "journal", plan.random)
        ends.callback(_end_loader, loader)
        nodes = {directory.path: Node(directory, restarts_at_once=plan.restarts_at_once) for directory in directories}
        books = ends.enter_context(closing(Books(database)))
        acting = Stage(target, plan.slapd, books, loader, nodes)
        ends.callback(_end_nodes, acting)
        for node in nodes.values():
            node.wait_for_worker()
        yield acting


@contextmanager
def people_of(slapd: Slapd) -> Iterator[Slapd]:
    """Have everybody in the directory for a while, some with an iD that another has written."""
    with ExitStack() as ends:
        for person in PEOPLE:
            orcid = foreign(person)
            values = {"eduPersonPrincipalName": eppn(person)} | ({} if orcid is None else {"eduPersonOrcid": uri(orcid)})
            ends.enter_context(slapd.person(f"p{person}", values))
        yield slapd


def _make_node(plan: Plan, number: int, target: Target) -> Directory:
    path = plan.path / f"node-{number}"
    path.mkdir()
    directory = make_directory(path)
    sinks = _WEB_SERVICE.format(url=target.url, timeout=_TIMEOUT)
    if plan.slapd is not None:
        sinks += _DIRECTORY.format(slapd=plan.slapd, bind_dn=WRITER_DN, base=BRANCH, timeout=_TIMEOUT)
    pace = "[deliveries]\npoll = 0.05\nlongest_pause = 0.5\n"
    organisation = f'\n[[organisation]]\nidentity_provider = "{HOME}"\n{sinks}'
    directory.configure(extra=pace + organisation, database=plan.database or "sqlite:///links.db")
    return directory


def _end_loader(loader: LoaderProcess) -> None:
    loader.process.kill()
    loader.process.wait()


def _end_nodes(acting: Stage) -> None:
    for node in acting.nodes.values():
        node.stop()
    for orphan in acting.orphans:
        assert ended(orphan)
