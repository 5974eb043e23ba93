"""Connectors of other parties that fail as none may, and a circuit breaker whose board and clock are not to be relied on."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NoReturn

import pytest
from pydantic import model_validator

import connectors
from attribute_authority.checking import gather
from attribute_authority.configuration import read_configuration
from attribute_authority.core.pausing import NamedSource, Pausing
from attribute_authority.domain.identifiers import Identifier
from attribute_authority.domain.source import Finding, Outage
from attribute_authority.errors import CouldNotAsk, FaultyConfiguration, OperatorError, SourceUnavailable
from attribute_authority.events import EventLog
from attribute_authority.organisation_assembly import (
    check_organisations,
    close_organisations,
    open_organisations,
)
from attribute_authority.setting_values import SourceTable
from attribute_authority.storage.memory_sources import MemoryOutageBoard
from connectors import SourceKind
from tests.connectors.indexes import FakeIndex
from tests.connectors.surroundings import eppn
from tests.factories.doors import persistent
from tests.factories.queries import NOW
from tests.factories.sources import LONGEST_PAUSE, ScriptedSource, Watched, named, organisation

SECRET = "teppo.testaaja@uni.example"
IDP = "https://idp.uni.example/idp"
ASKED = persistent()
LEAST = f"""
[authority]
entity_id = "https://aa.example.org/orcid"
base_url = "https://aa.example.org"
signing = [{{ key = "signing.key", certificate = "signing.crt" }}]

[database]
url = "sqlite:///links.db"

[[organisation]]
identity_provider = "{IDP}"

[[organisation.source]]
kind = "theirs"
"""


def explode(*_: object) -> NoReturn:
    """Fail as a connector of somebody else may, with what was asked in the words of the failure."""
    raise KeyError(SECRET)


@dataclass(slots=True)
class Theirs(ScriptedSource):
    """A connector of somebody else, whose answer is made by `answer`."""

    answer: Callable[[Identifier], Any] = explode
    closed: list[str] = field(default_factory=list)

    def resolve(self, identifier: Identifier) -> Any:
        """Answer whatever comes to its mind."""
        return self.answer(identifier)

    def check(self) -> None:
        """Fail as no connector may."""
        explode()

    def close(self) -> None:
        """Fail at that, too."""
        self.closed.append("closed")
        explode()


class TheirTable(SourceTable):
    """Their table; its own check may fail as none may."""

    kind: Literal["theirs"]
    broken: bool = False

    @model_validator(mode="after")
    def _check(self) -> "TheirTable":
        if self.broken:
            explode()
        return self


def offer(monkeypatch: pytest.MonkeyPatch, load: Callable[[], Any]) -> None:
    """Install a distribution that offers the kind "theirs"."""
    point = SimpleNamespace(name="theirs", group=connectors.ENTRY_POINTS, load=load)
    monkeypatch.setattr(connectors, "entry_points", lambda **wanted: (point,) if wanted.get("name", "theirs") == "theirs" else ())


def faults_of(directory: Path, extra: str = "") -> tuple[str, ...]:
    """Read a configuration that names their connector, open its sources, and return what an operator is told."""
    file = directory / "authority.toml"
    file.write_text(LEAST + extra, encoding="utf-8")
    return gather(("organisation", lambda: open_organisations(read_configuration(file), FakeIndex(set()))))


def missing_module() -> NoReturn:
    """Fail as an import does."""
    raise ModuleNotFoundError("No module named 'suds'", name="suds")


def broken_module() -> object:
    """Import what is no Python."""
    return EntryPoint("theirs", "nowhere.at.all:KIND", connectors.ENTRY_POINTS).load()


def no_kind() -> object:
    """Offer something else."""
    return "theirs"


def no_table() -> object:
    """Offer a kind whose settings are no table."""
    return SourceKind(dict, lambda *_: ScriptedSource())  # type: ignore[type-var]  # that is the point


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (missing_module, "the connector theirs cannot be loaded: ModuleNotFoundError of suds"),
        (broken_module, "the connector theirs cannot be loaded: ModuleNotFoundError of nowhere"),
        (explode, "the connector theirs cannot be loaded: KeyError"),
        (no_kind, "the connector theirs is of no use"),
        (no_table, "the connector theirs is of no use"),
    ],
)
def test_connector_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[], Any], told: str) -> None:
    """An entry point that fails or leads nowhere is told with the place in the configuration, beside every other fault."""
    offer(monkeypatch, load)
    faults = faults_of(tmp_path, "[sources]\nthreads = 0\n")

    assert 2 == len(faults)
    assert any("organisation[1].source[1].kind: " + told in fault for fault in faults)
    assert not any(SECRET in fault for fault in faults)


def open_nothing(*_: object) -> None:
    """Return no source."""


def open_strangely(*_: object) -> ScriptedSource:
    """Return a source whose kinds are texts."""
    return ScriptedSource(kinds={"eppn"})  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("opening", "told"),
    [
        (explode, "KeyError"),
        (open_nothing, "AttributeError"),
        (open_strangely, "does not tell the kinds"),
    ],
)
def test_connector_that_opens_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: Callable[..., Any], told: str) -> None:
    """A source that cannot be opened, or that is none, is a fault with its place; never is it left out in silence."""
    offer(monkeypatch, lambda: SourceKind(TheirTable, opening))
    (fault,) = faults_of(tmp_path)

    assert fault.startswith("organisation: organisation[1].source[1]: the connector theirs has a defect")
    assert told in fault
    assert SECRET not in fault


def test_table_of_a_connector_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of a connector's own table that fails otherwise than by ValueError is told without traceback and value."""
    offer(monkeypatch, lambda: SourceKind(TheirTable, lambda *_: ScriptedSource()))
    (fault,) = faults_of(tmp_path, "broken = true\n")

    assert "a connector fails on its table: KeyError" in fault
    assert SECRET not in fault


def test_check_and_close_of_a_connector_that_fail() -> None:
    """A connector that fails at `check` is told of like one that is away; one that fails at `close` keeps no other one open."""
    first, second = Theirs(), Theirs()
    organisations = (organisation(IDP, named(first, "first"), named(second, "second")),)
    told = check_organisations(organisations)
    with pytest.raises(KeyError):
        close_organisations(organisations)

    assert [f"{name}: the connector has a defect: KeyError" for name in ("first", "second")] == [one.partition(",")[0] for one in told]
    assert (["closed"], ["closed"]) == (first.closed, second.closed)


@dataclass(slots=True)
class Stage:
    """A source and what asks it; `log` is what is written."""

    source: Any
    board: MemoryOutageBoard = field(default_factory=MemoryOutageBoard)
    watch: Watched = field(default_factory=Watched)
    log: StringIO = field(default_factory=StringIO)
    now: datetime = NOW
    places: int = 1

    def __post_init__(self) -> None:
        self.named = named(self.source, places=self.places)

    named: NamedSource = field(init=False)

    def ask(self) -> Finding | None:
        """Ask about somebody."""
        pausing = Pausing(self.board, self.watch, LONGEST_PAUSE, lambda: self.now, lambda: 0.0, EventLog(self.log))
        return pausing.ask(self.named, ASKED)


def another_type(_: Identifier) -> object:
    """Answer with a dictionary."""
    return {"orcid": SECRET}


def bare_texts(_: Identifier) -> object:
    """Answer with texts where identifiers belong."""
    return Finding((SECRET,))  # type: ignore[arg-type]  # that is the point


def bare_orcid(_: Identifier) -> object:
    """Answer with a text where an iD belongs."""
    return Finding((), SECRET)  # type: ignore[arg-type]  # that is the point


def not_an_identifier(_: Identifier) -> object:
    """Let through what parsing an identifier raises, which quotes it."""
    return eppn(SECRET * 40)


@pytest.mark.parametrize("answer", [explode, another_type, bare_texts, bare_orcid, not_an_identifier])
def test_defect_of_a_connector_is_could_not_ask(answer: Callable[[Identifier], Any]) -> None:
    """Whatever a connector raises or returns, the query ends in "could not ask", the place is free again, and the defect is in the log.

    Nobody else is denied for it: the source is not paused. The words of the failure, which quote the person, are nowhere.
    """
    stage = Stage(Theirs(answer=answer))
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match="a defect of its connector") as caught:
            stage.ask()

    lines = [json.loads(line) for line in stage.log.getvalue().splitlines()]
    assert [("defect", "directory")] * 2 == [(line["event"], line["source"]) for line in lines]
    assert [("directory", "failed")] * 2 == stage.watch.asked
    assert () == stage.board.list_outages()
    assert SECRET not in stage.log.getvalue() + caught.value.cause


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(days=36_500)])
def test_outage_that_was_noted_by_a_clock_ahead(ahead: timedelta) -> None:
    """A node whose clock was ahead, or a clock that went back, does not shut a source out for longer than anybody pauses it."""
    stage = Stage(ScriptedSource())
    stage.board.record_outage(Outage("directory", 3, NOW, NOW + ahead, "no answer"))

    assert stage.ask() is None
    assert () == stage.board.list_outages()


class ForgetfulBoard(MemoryOutageBoard):
    """A board that cannot be written to at the moment."""

    def clear_outage(self, source: str) -> None:
        """Fail as a database that is busy does."""
        raise CouldNotAsk("database is locked")


def test_answer_is_not_lost_because_the_outage_cannot_be_cleared() -> None:
    """What the question that tries a source has found counts, also where nobody can be told that the source is back."""
    found = Finding((eppn("teppo@uni.example"),))
    stage = Stage(ScriptedSource({ASKED: found}), ForgetfulBoard())
    stage.board.record_outage(Outage("directory", 1, NOW, NOW, "no answer"))

    assert found == stage.ask()


def test_filter_that_is_nested_too_deep(tmp_path: Path) -> None:
    """A filter of thousands of brackets is a fault of the configuration like any other."""
    nested = "(&" * 2000 + "(eduPersonPrincipalName={value})" + ")" * 2000
    file = tmp_path / "authority.toml"
    server = 'kind = "ldap"\nurls = ["ldaps://ldap.uni.example"]\nbase = "dc=uni"\nidentifiers = { uid = "eppn" }\n'
    table = f'{server}filters = {{ eppn = "{nested}" }}\n'
    file.write_text(LEAST.replace('kind = "theirs"\n', table), encoding="utf-8")

    with pytest.raises(FaultyConfiguration, match="expected at most 100 conditions"):
        read_configuration(file)


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_port_that_is_none(tmp_path: Path, port: int) -> None:
    """A port that no socket has is told beforehand: the driver would fail with something that is no failure of a database."""
    file = tmp_path / "authority.toml"
    table = f'kind = "stored-id"\nurl = "mysql+pymysql://idp@localhost:{port}/idp"\n'
    file.write_text(LEAST.replace('kind = "theirs"\n', table), encoding="utf-8")

    with pytest.raises(OperatorError, match="with a port from 1 to 65535"):
        read_configuration(file)
