"""What every database does for sources and for the lookup door, beyond the ports: workers at once, faults in the middle, nothing left.

Part of `database_conformance`, whose fixtures it uses.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, insert, select

from attribute_authority.domain.change import ChangeKind
from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from attribute_authority.storage import sql_pairwise_following
from attribute_authority.storage.engine import Patience, make_working_engine, parse_url
from attribute_authority.storage.sql import SqlStore
from attribute_authority.storage.tables import computed_index, computed_page
from tests.conformance.batch_conformance import BatchSubjectFinderConformance
from tests.conformance.changes_conformance import ChangeFeedConformance, read_all
from tests.conformance.conftest import Opening
from tests.conformance.outages_conformance import SOON, ClientStoreConformance, OutageBoardConformance
from tests.conformance.pairwise_conformance import LATER, NAME, PairwiseConformance, digest_of, sources
from tests.conformance.samples import (
    HOME,
    MAIJA,
    NOW,
    OTHER_ORCID,
    PRODUCTION,
    TEPPO,
    eppn,
    new_link,
    orcid_number,
    people,
    stored,
)
from tests.conformance.states_conformance import AttemptCounterConformance
from tests.conformance.together import at_once

PEOPLE_OF_A_WRITER = 25


def rows(url: str) -> tuple[int, int]:
    """Return how many indexes and pages are stored."""
    with make_working_engine(parse_url(url), Patience()).connect() as connection:
        counts = (connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (computed_index, computed_page))
        return next(counts), next(counts)


class ChangesAtOnceConformance:
    """Changes that are read while they are made."""

    def test_reader_who_goes_on_from_the_last_number_misses_nothing(self, opening: Opening, url: str) -> None:
        """Numbers become visible in their order: however many write at once, a subscriber sees every link and every withdrawal."""
        writers, reader, written = [opening(url, Patience(busy=30_000)) for _ in range(4)], opening(url), threading.Event()

        def write(number: int) -> None:
            for person in range(number * PEOPLE_OF_A_WRITER, (number + 1) * PEOPLE_OF_A_WRITER):
                link = writers[number].add_link(new_link(eppn(f"person{person}"), orcid=orcid_number(person)))
                if person % 3 == 0:
                    writers[number].withdraw_link(link.link_id, LATER)

        def read() -> dict[str, ChangeKind]:
            present: dict[str, ChangeKind] = {}
            last, is_over = 0, False
            while True:
                page = reader.read_changes((HOME,), PRODUCTION, last, 7)
                present |= {change.identifiers[0].value: change.kind for change in page.changes}
                last = page.last
                if is_over and not page.more:
                    return present
                # Only what was written before the reading began is sure to be in it.
                is_over = written.is_set()

        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read)
            try:
                at_once([partial(write, number) for number in range(4)])
            finally:
                written.set()
            present = reading.result(timeout=60)
        kinds = [present[eppn(f"person{person}").value] for person in range(4 * PEOPLE_OF_A_WRITER)]

        assert [ChangeKind.LINKED if person % 3 else ChangeKind.WITHDRAWN for person in range(4 * PEOPLE_OF_A_WRITER)] == kinds

    def test_failed_change_is_not_told(self, store: SqlStore, url: str) -> None:
        """A change and its note are stored together or not at all."""
        link = store.add_link(new_link(TEPPO))
        with make_working_engine(parse_url(url), Patience()).connect() as connection:
            connection.exec_driver_sql("ALTER TABLE link_change RENAME TO elsewhere")
            with pytest.raises(CouldNotAsk):
                store.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
            with pytest.raises(CouldNotAsk):
                store.withdraw_link(link.link_id, LATER)
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO link_change")

        assert [link] == list(store.find_links(withdrawn=True))
        assert [ChangeKind.LINKED] == [change.kind for change in read_all(store)]


class PagesConformance:
    """What an index leaves in the database."""

    def test_drop_leaves_no_page(self, store: SqlStore, url: str) -> None:
        """Nothing of an index that was dropped is left, and other indexes stay whole."""
        list(store.add_links(people(300)))
        other = replace(NAME, fingerprint="salt-2")
        for name in (NAME, other):
            store.build(name, digest_of, NOW)
        before = rows(url)
        store.drop(NAME)
        after = rows(url)
        store.drop(other)

        assert (2, before[1] // 2) == (before[0], after[1])
        assert (0, 0) == rows(url)

    def test_building_again_leaves_no_earlier_page(self, store: SqlStore, url: str) -> None:
        """An index takes the place of the earlier one."""
        list(store.add_links(people(300)))
        store.build(NAME, digest_of, NOW)
        once = rows(url)
        store.build(NAME, digest_of, LATER)

        assert once == rows(url)

    def test_failed_build_leaves_no_page(self, store: SqlStore, url: str) -> None:
        """Where writing fails in the middle, what was written goes."""
        list(store.add_links(people(300)))
        with make_working_engine(parse_url(url), Patience()).connect() as connection:
            connection.execute(insert(computed_index).values(_columns(NAME, bits=8, through=0)))
            connection.exec_driver_sql("ALTER TABLE computed_page RENAME COLUMN content TO elsewhere")
            with pytest.raises(CouldNotAsk):
                store.build(NAME, digest_of, NOW)
            connection.exec_driver_sql("ALTER TABLE computed_page RENAME COLUMN elsewhere TO content")

        assert (1, 0) == rows(url)
        assert 300 == store.build(NAME, digest_of, NOW)

    def test_last_record_of_a_page_takes_the_page_with_it(self, store: SqlStore, url: str) -> None:
        """Where nobody is left, no page is."""
        links = [stored(outcome) for outcome in store.add_links(people(20))]
        store.build(NAME, digest_of, NOW)
        for link in links:
            store.withdraw_link(link.link_id, LATER)
        store.follow(NAME, digest_of)

        assert (1, 0) == rows(url)

    def test_dead_builder_is_outlived(self, store: SqlStore, url: str) -> None:
        """A builder who died is waited for as long as the lease, then another builds, and nothing of the dead one is left."""
        store.add_link(new_link(TEPPO))
        with make_working_engine(parse_url(url), Patience()).connect() as connection:
            dead = _columns(NAME, bits=0, building_until=SOON)
            number = connection.execute(insert(computed_index).values(dead).returning(computed_index.c.id)).scalar_one()
            connection.execute(insert(computed_page).values(index_id=number, number=3, content=b"left"))
        with pytest.raises(SourceUnavailable):
            store.build(NAME, digest_of, SOON - timedelta(microseconds=1))
        before = sources(store, TEPPO.value)

        assert before is None
        assert 1 == store.build(NAME, digest_of, SOON)
        assert (1, 1) == rows(url)

    def test_builder_who_was_taken_to_be_dead_changes_nothing(self, store: SqlStore, url: str) -> None:
        """A builder that outlives its lease gives way to the one that took over."""
        store.add_link(new_link(TEPPO))

        def digest_late(_: str) -> bytes:
            store.build(NAME, digest_of, NOW + timedelta(hours=1))
            return b"wrong" * 4

        with pytest.raises(CouldNotAsk):
            store.build(NAME, digest_late, NOW)
        assert (TEPPO.value,) == sources(store, TEPPO.value)
        assert (1, 1) == rows(url)

    def test_index_that_is_dropped_while_it_is_built_stays_away(self, store: SqlStore, url: str) -> None:
        """Who drops an index means also the one that is being made."""
        store.add_link(new_link(TEPPO))

        def digest_dropped(text: str) -> bytes:
            store.drop(NAME)
            return digest_of(text)

        with pytest.raises(CouldNotAsk):
            store.build(NAME, digest_dropped, NOW)
        assert sources(store, TEPPO.value) is None
        assert (0, 0) == rows(url)

    def test_too_many_changes_make_an_index_anew(self, store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """An index with too much to catch up with is given up at once: building takes less."""
        store.build(NAME, digest_of, NOW)
        list(store.add_links(people(30)))
        monkeypatch.setattr(sql_pairwise_following, "TOO_MANY", 29)
        store.follow(NAME, digest_of)

        assert sources(store, eppn("person1").value) is None
        assert (0, 0) == rows(url)

    def test_index_of_far_fewer_people_is_made_anew(self, store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Pages that have outgrown their number are given up, so that a lookup stays short."""
        store.build(NAME, digest_of, NOW)
        store.add_link(new_link(TEPPO))
        monkeypatch.setattr(sql_pairwise_following, "LARGEST_PAGE", 13)
        store.follow(NAME, digest_of)

        assert sources(store, TEPPO.value) is None
        assert (0, 0) == rows(url)

    def test_digests_that_begin_alike_are_told_apart_by_the_caller(self, store: SqlStore) -> None:
        """The index keeps beginnings: two that share it are both told."""
        ends = {TEPPO.value: b"1", MAIJA.value: b"2"}
        store.add_link(new_link(TEPPO))
        store.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        store.build(NAME, lambda text: b"\x00" * 15 + ends[text], NOW)

        assert {TEPPO.value, MAIJA.value} == set(store.find_sources(NAME, b"\x00" * 15 + b"1") or ())
        assert () == store.find_sources(NAME, b"\x00" * 7 + b"\x01" + b"\x00" * 8)

    def test_withdrawal_while_the_index_is_built_is_followed(self, store: SqlStore) -> None:
        """Who withdraws after the reading has begun goes out with the next following."""
        link = store.add_link(new_link(TEPPO))
        withdrawals = iter([link.link_id])

        def digest_while_somebody_withdraws(text: str) -> bytes:
            for number in withdrawals:
                store.withdraw_link(number, LATER)
            return digest_of(text)

        store.build(NAME, digest_while_somebody_withdraws, NOW)
        before = sources(store, TEPPO.value)
        followed = store.follow(NAME, digest_of)

        assert ((TEPPO.value,), 1, ()) == (before, followed, sources(store, TEPPO.value))

    def test_many_builders_at_once_make_one_index(self, opening: Opening, url: str, store: SqlStore) -> None:
        """Of workers that miss an index at the same moment each builds it or is told to come back; one index is there in the end."""
        list(store.add_links(people(50)))

        def build(worker: SqlStore) -> int | None:
            try:
                return worker.build(NAME, digest_of, NOW)
            except SourceUnavailable:
                return None

        outcomes = at_once([partial(build, opening(url)) for _ in range(4)])

        assert 50 in outcomes
        assert {50, None} >= set(outcomes)
        assert rows(url)[0] == 1
        assert [(new.identifiers[0].value,) for new in people(50)] == [sources(store, new.identifiers[0].value) for new in people(50)]


def _columns(name: PairwiseIndexName, **others: object) -> dict[str, object]:
    return {
        "home_organisation": name.home_organisation,
        "recipient": name.recipient,
        "kind": name.kind.value,
        "fingerprint": name.fingerprint,
        **others,
    }


class SourcesConformance(
    BatchSubjectFinderConformance,
    AttemptCounterConformance,
    ChangeFeedConformance,
    ChangesAtOnceConformance,
    PairwiseConformance,
    PagesConformance,
    OutageBoardConformance,
    ClientStoreConformance,
):
    """Everything that a database does for sources and for the lookup door."""

    @pytest.fixture
    def finder(self, store: SqlStore) -> SqlStore:
        """An empty store."""
        return store

    @pytest.fixture
    def attempts(self, store: SqlStore) -> SqlStore:
        """An empty store."""
        return store

    @pytest.fixture
    def feed(self, store: SqlStore) -> SqlStore:
        """An empty store."""
        return store

    @pytest.fixture
    def index(self, store: SqlStore) -> SqlStore:
        """An empty store."""
        return store

    @pytest.fixture
    def board(self, store: SqlStore) -> SqlStore:
        """An empty store."""
        return store

    @pytest.fixture
    def clients(self, store: SqlStore) -> SqlStore:
        """An empty store."""
        return store
