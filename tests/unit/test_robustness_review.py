"""What comes up after years: alarms that stay, limits that many workers use up, names that do not resolve, indexes left behind."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

import pytest

from attribute_authority.assembly import open_link_store
from attribute_authority.back_channel_assembly import Foundations, open_doors
from attribute_authority.configuration import read_configuration
from attribute_authority.core.limiting import Allowances
from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, OrcidId
from attribute_authority.domain.limits import Limits
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.domain.source import Outage, PairwiseIndexName
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.metrics import Metrics
from attribute_authority.organisation_assembly import (
    forget_sources,
    maintain_organisations,
    tell_outages,
)
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.storage import sql_pairwise_building
from attribute_authority.storage.memory_sources import MemoryOutageBoard
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.sql_pairwise_following import TOO_MANY
from attribute_authority.storage.upgrading import upgrade
from connectors._deadline import Deadline
from connectors._ldap_session import Access, ServerAddress, open_session
from tests.connectors.surroundings import HOME, SERVICE, eppn
from tests.factories.authority import new_authority
from tests.factories.counters import SharedCounter
from tests.factories.doors import persistent
from tests.factories.queries import NOW
from tests.factories.sources import ScriptedSource, Unwatched, named, organisation

IDP = "https://idp.uni.example/idp"


@dataclass(slots=True)
class Gauges(Unwatched):
    """What the metrics say of every source."""

    paused: dict[str, bool] = field(default_factory=dict)

    def source_paused(self, source: str, paused: bool) -> None:
        """Note the latest word."""
        self.paused[source] = paused


def test_alarm_ends_when_another_node_has_found_the_source_again() -> None:
    """A node that noticed an outage, and is not asked any more, learns from the board that it is over; so does one that was not asked."""
    organisations, board, gauges = (organisation(IDP, named(ScriptedSource())),), MemoryOutageBoard(), Gauges({"directory": True})
    tell_outages(organisations, board, gauges)
    before = dict(gauges.paused)
    board.record_outage(Outage("directory", 1, NOW, NOW, "no answer"))
    tell_outages(organisations, board, gauges)

    assert [{"directory": False}, {"directory": True}] == [before, gauges.paused]


def test_alarm_ends_with_the_source() -> None:
    """A source that a reload has removed while it was away does not count as paused for ever."""
    gauges = Gauges({"old": True, "kept": True})
    former = (organisation(IDP, named(ScriptedSource(), "old"), named(ScriptedSource(), "kept")),)
    forget_sources(former, (organisation(IDP, named(ScriptedSource(), "kept")),), gauges)

    assert {"old": False, "kept": True} == gauges.paused


@pytest.mark.parametrize("workers", [64, 256])
def test_many_workers_do_not_use_up_the_day_of_a_requester_that_asks_little(workers: int) -> None:
    """A query or two at each of many workers, or after each of many reloads, leave the limit nearly whole."""
    requester, counter = EntityId("https://sp.example/shibboleth"), SharedCounter(NOW)
    for _ in range(workers):
        worker = Allowances(counter, lambda _: Limits(0, 300_000))
        worker.spend(requester, 1, NOW)
        worker.spend(requester, 1, NOW)

    assert [2 * workers] == [count for count, _ in counter.buckets.values()]


def test_name_that_does_not_resolve_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the resolver hangs a question to a directory ends with its own deadline, and not with the resolver's."""
    resumed = Event()

    def hang(*_: object, **__: object) -> list[Any]:
        resumed.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    access = Access(ssl.create_default_context())
    instants = iter([0.0, 0.0, *[1.9999] * 9])
    deadline = Deadline(2.0, lambda: next(instants))
    try:
        with pytest.raises(CouldNotAsk, match="no answer in time"):
            open_session(ServerAddress("ldap.uni.example", 636, ldaps=True, start_tls=False), access, deadline)
    finally:
        resumed.set()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """A database."""
    url = f"sqlite:///{tmp_path}/links.db"
    upgrade(url)
    opened = open_store(url)
    yield opened
    opened.close()


def link(store: SqlStore, number: int) -> None:
    """Have somebody link."""
    person = (eppn(f"person{number}@yliopisto.fi"),)
    store.add_link(NewLink(HOME, person, _orcid(number), Environment.PRODUCTION, LinkSource.MANUAL, NOW))


def _orcid(number: int) -> OrcidId:
    digits = f"{20_000_000_000_000 + number:015d}"[-15:]
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    text = digits + ("X" if check == 10 else str(check))
    return OrcidId("-".join(text[place : place + 4] for place in range(0, 16, 4)))


def test_following_ends_while_an_import_goes_on(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks waits for what had been linked when they asked, and not for the end of an import."""
    name = PairwiseIndexName(HOME, SERVICE, IdentifierKind.EPPN, "made")
    link(store, 0)
    store.build(name, _digest, NOW)
    link(store, 1)
    linked, clear = [1], sql_pairwise_building.clear_discarded

    def go_on(connection: Any) -> None:
        clear(connection)
        linked.append(linked[-1] + 1)
        assert len(linked) < 10
        link(store, linked[-1])

    monkeypatch.setattr("attribute_authority.storage.sql_pairwise.clear_discarded", go_on)

    assert 1 == store.follow(name, _digest)


def test_following_ends_where_the_index_is_dropped_meanwhile(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that has too much to catch up with is dropped, and whoever was following it goes on."""
    monkeypatch.setattr("attribute_authority.storage.sql_pairwise_following.TOO_MANY", 0)
    name = PairwiseIndexName(HOME, SERVICE, IdentifierKind.EPPN, "made")
    link(store, 0)
    store.build(name, _digest, NOW)
    link(store, 1)

    assert 0 == store.follow(name, _digest)
    assert () == store.names(HOME)
    assert TOO_MANY > 0


def test_indexes_of_an_organisation_that_is_not_configured_any_more(store: SqlStore) -> None:
    """What was computed about the people of a home organisation goes when it does: nobody would take out of it who withdraws."""
    made = (_GONE, "x"), (HOME, "x"), (HOME, "y")
    gone, stays, stale = (PairwiseIndexName(home, SERVICE, IdentifierKind.EPPN, fingerprint) for home, fingerprint in made)
    for name in (gone, stays, stale):
        store.build(name, _digest, NOW)
    maintain_organisations((organisation(HOME, named(Indexed())),), store)

    assert (stays,) == store.names()


class Indexed(ScriptedSource):
    """A source with indexes."""

    fingerprint = "x"

    def follow_all(self) -> int:
        """Follow nothing."""
        return 0


_GONE = EntityId("https://idp.gone.example/idp")


def _digest(text: str) -> bytes:
    return text.encode().ljust(32, b"\0")


class Closing(ScriptedSource):
    """A source that tells when it is closed."""

    def close(self) -> None:
        """Note it."""
        self.asked.append(persistent())


def test_reload_that_fails_leaves_no_source_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sources can be opened and the keys cannot be used, the sources are closed again: nobody else would do it."""
    settings, source = read_configuration(new_authority(tmp_path).config), Closing()

    def refuse(*_: object) -> NoReturn:
        raise OperatorError("signing.key: cannot be read")

    organisations = (organisation(IDP, named(source)),)
    monkeypatch.setattr("attribute_authority.back_channel_assembly.open_organisations", lambda *_: organisations)
    monkeypatch.setattr("attribute_authority.back_channel_assembly.make_query_door", refuse)
    store = open_link_store(settings)
    try:
        with pytest.raises(OperatorError):
            open_doors(settings, Foundations(store, SqliteEntityDirectory(tmp_path / "index"), EventLog(StringIO()), Metrics()))
    finally:
        store.close()

    assert 1 == len(source.asked)
