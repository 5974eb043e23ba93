"""Computed identifiers over the indexes that are really kept: in memory, in SQLite, in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from attribute_authority.domain.identifiers import Environment, IdentifierKind, OrcidId
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.domain.source import Finding, PairwiseIndexName
from attribute_authority.errors import SourceUnavailable
from attribute_authority.ports import LinkStore, PairwiseIndex
from attribute_authority.storage.memory import MemoryLinkStore
from attribute_authority.storage.memory_sources import MemoryPairwiseIndex
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.storage.upgrading import upgrade
from connectors._pairwise import PairwiseHash, encode
from connectors.conformance import CHECKS, Check, Specimen
from connectors.shibboleth_ids import COMPUTED_ID, ComputedIds, ComputedIdSettings
from tests.connectors.indexes import FakeIndex
from tests.connectors.surroundings import HOME, SERVICE, eppn, persistent, surroundings

_NOW = datetime(2026, 11, 21, tzinfo=UTC)
_SALT = b"example-salt-for-orcid-aa-tests!"
_TEPPO = "Teppo@yliopisto.fi"
_ORCIDS = ("0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X")


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where links are kept, and the index of them."""

    links: LinkStore
    index: PairwiseIndex
    salt_file: Path

    def link(self, name: str, orcid: str) -> Link:
        """Have somebody link."""
        new = NewLink(HOME, (eppn(name),), OrcidId(orcid), Environment.PRODUCTION, LinkSource.MANUAL, _NOW)
        return self.links.add_link(new)

    def open(self) -> ComputedIds:
        """Open a source over it."""
        return _open(self.salt_file, self.index)


def _open(salt_file: Path, index: PairwiseIndex, **keys: object) -> ComputedIds:
    salt_file.write_bytes(_SALT)
    settings = ComputedIdSettings.model_validate({"kind": "computed-id", "salt_file": str(salt_file), **keys})
    source = COMPUTED_ID.open(settings, surroundings(index))
    assert isinstance(source, ComputedIds)
    return source


def _computed(name: str) -> str:
    return encode(PairwiseHash(_SALT, "SHA-1", "whole").towards(SERVICE)(name), "base64")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Kept]:
    """Each place where links are kept."""
    if request.param == "memory":
        links = MemoryLinkStore()
        yield _Kept(links, MemoryPairwiseIndex(links), tmp_path / "salt")
        return
    store = _sqlite(tmp_path) if request.param == "sqlite" else open_store(request.getfixturevalue("postgresql_url"))
    try:
        yield _Kept(store, store, tmp_path / "salt")
    finally:
        store.close()


def _sqlite(directory: Path) -> SqlStore:
    url = f"sqlite:///{directory}/links.db"
    upgrade(url)
    return open_store(url)


@pytest.mark.parametrize("check", CHECKS)
def test_computed_ids_do_what_every_source_must_wherever_they_are_kept(kept: _Kept, check: Check) -> None:
    """The checks for third parties hold with every index."""
    kept.link(_TEPPO, _ORCIDS[0])
    kept.link("liisa@yliopisto.fi", _ORCIDS[1])

    check(
        Specimen(
            open_source=kept.open,
            known=persistent(_computed(_TEPPO)),
            expected=Finding((eppn(_TEPPO),)),
            unknown=persistent(_computed("nobody@yliopisto.fi")),
            secrets=(_SALT.decode(),),
        )
    )


def test_whoever_links_comes_in_and_whoever_withdraws_goes_out(kept: _Kept) -> None:
    """An index that was made before follows what happens."""
    source = kept.open()

    assert source.resolve(persistent(_computed(_TEPPO))) is None

    link = kept.link(_TEPPO, _ORCIDS[0])

    assert source.resolve(persistent(_computed(_TEPPO))) == Finding((eppn(_TEPPO),))

    kept.links.withdraw_link(link.link_id, _NOW)
    source.follow_all()

    assert source.resolve(persistent(_computed(_TEPPO))) is None


def test_an_index_that_is_dropped_is_made_again(kept: _Kept) -> None:
    """A question after that is answered as before."""
    kept.link(_TEPPO, _ORCIDS[0])
    source = kept.open()
    source.resolve(persistent(_computed(_TEPPO)))
    for name in kept.index.names(HOME):
        kept.index.drop(name)

    assert source.resolve(persistent(_computed(_TEPPO))) == Finding((eppn(_TEPPO),))


@dataclass
class _Slow(FakeIndex):
    """Makes an index only when it may."""

    begun: Event = field(default_factory=Event)
    may_end: Event = field(default_factory=Event)

    def build(self, name: PairwiseIndexName, digest_of: object, now: datetime) -> int:
        """Wait before the index is made."""
        self.begun.set()
        self.may_end.wait(60)
        return super().build(name, PairwiseHash(_SALT, "SHA-1", "whole").towards(name.recipient), now)


def _asked(source: ComputedIds, answers: list[Finding | None]) -> Thread:
    thread = Thread(target=lambda: answers.append(source.resolve(persistent(_computed(_TEPPO)))))
    thread.start()
    return thread


def test_questions_that_come_while_the_index_is_made_wait_for_it(tmp_path: Path) -> None:
    """The index is made once, and everybody who asked meanwhile is answered from it."""
    index = _Slow({_TEPPO})
    source = _open(tmp_path / "salt", index, timeout=30.0)
    answers: list[Finding | None] = []
    first = _asked(source, answers)
    index.begun.wait(60)
    others = [_asked(source, answers) for _ in range(3)]
    index.may_end.set()
    for thread in (first, *others):
        thread.join(60)

    assert answers == [Finding((eppn(_TEPPO),))] * 4
    assert index.built == 1


def test_a_question_does_not_wait_for_the_index_beyond_its_time(tmp_path: Path) -> None:
    """Nothing is wrong with a source that is busy: it says when to ask again."""
    index = _Slow({_TEPPO})
    source = _open(tmp_path / "salt", index, timeout=0.01)
    answers: list[Finding | None] = []
    first = _asked(source, answers)
    index.begun.wait(60)

    with pytest.raises(SourceUnavailable, match="being made"):
        source.resolve(persistent(_computed(_TEPPO)))

    index.may_end.set()
    first.join(60)

    assert answers == [Finding((eppn(_TEPPO),))]
    assert source.kinds == {IdentifierKind.PERSISTENT}
