"""What every database does beyond the ports: several connections, threads and processes work on it at once.

A back end proves itself with a subclass and a fixture `url` of a fresh database.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from attribute_authority.domain.link import Link, NewLink
from attribute_authority.errors import Conflict, CouldNotAsk, OrcidTaken, OtherOrcidLinked
from attribute_authority.ports import LinkStore, ReplayGuard
from attribute_authority.storage.engine import Patience, make_answering_engine, parse_url
from attribute_authority.storage.kept import KeptConnections, Work
from attribute_authority.storage.sql import SqlStore
from attribute_authority.storage.sql_replay import SqlReplayGuard
from tests.conformance.conftest import Opening
from tests.conformance.replay_conformance import LATER, ReplayGuardConformance
from tests.conformance.samples import CARBERRY, MAIJA, NOW, OTHER_ORCID, PRODUCTION, SERVICE, TEPPO, new_link, people, persistent, stored
from tests.conformance.sources_conformance import SourcesConformance
from tests.conformance.store_conformance import LinkStoreConformance
from tests.conformance.together import at_once
from tests.conformance.withdrawn_conformance import WithdrawnConformance

_ROOT = Path(__file__).parents[2]

T = TypeVar("T")


def start_other_process(url: str, *arguments: str) -> subprocess.Popen[str]:
    """Start another process that works on the database."""
    command = [sys.executable, "-m", "tests.conformance.other_process", url, *arguments]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome_of(process: subprocess.Popen[str]) -> str:
    """Return what the other process printed."""
    printed, faults = process.communicate(timeout=60)
    assert process.returncode == 0, faults
    return printed


def attempt(store: LinkStore, new: NewLink) -> Link | Conflict:
    """Store a link, or return why not."""
    try:
        return store.add_link(new)
    except Conflict as conflict:
        return conflict


class DatabaseConformance(LinkStoreConformance, WithdrawnConformance, ReplayGuardConformance, SourcesConformance):
    """Everything that a database does."""

    @pytest.fixture
    def store(self, opening: Opening, url: str) -> SqlStore:
        """An empty store."""
        return opening(url)

    @pytest.fixture
    def links(self, store: SqlStore) -> LinkStore:
        """An empty store."""
        return store

    @pytest.fixture
    def replay(self, store: SqlStore) -> ReplayGuard:
        """An empty guard."""
        return store

    def test_links_outlive_the_store(self, opening: Opening, url: str) -> None:
        """What was stored is there when the service starts again."""
        before = opening(url)
        link = before.add_link(new_link(TEPPO))
        before.is_first(SERVICE, "_a1", LATER)
        before.close()
        after = opening(url)

        assert [link] == list(after.find_links())
        assert not after.is_first(SERVICE, "_a1", LATER)

    def test_withdrawal_is_seen_by_every_open_connection(self, opening: Opening, url: str) -> None:
        """From the moment that a withdrawal returns, no worker that is already serving finds the iD."""
        store, worker = opening(url), opening(url)
        link = store.add_link(new_link(TEPPO))
        before = worker.find_subject(TEPPO, PRODUCTION)
        store.withdraw_link(link.link_id, NOW)
        after = worker.find_subject(TEPPO, PRODUCTION)

        assert before is not None
        assert after is not None
        assert (CARBERRY, None) == (before.orcid, after.orcid)

    def test_withdrawal_is_seen_by_another_process(self, url: str, store: SqlStore) -> None:
        """From the moment that a withdrawal returns, no other process finds the iD."""
        link = store.add_link(new_link(TEPPO))
        before = outcome_of(start_other_process(url, "find", str(TEPPO)))
        store.withdraw_link(link.link_id, NOW)

        assert (CARBERRY.value, "None") == (before, outcome_of(start_other_process(url, "find", str(TEPPO))))

    def test_replay_is_refused_by_another_process(self, url: str, store: SqlStore) -> None:
        """A message that one worker has answered is a replay to another."""
        store.is_first(SERVICE, "_a1", LATER)

        assert outcome_of(start_other_process(url, "first", "_a1")) == "False"
        assert outcome_of(start_other_process(url, "first", "_a2")) == "True"

    def test_same_link_from_eight_threads_is_one_link(self, store: SqlStore) -> None:
        """Whoever stores the same link at the same moment gets the same link."""
        outcomes = at_once([lambda: store.add_link(new_link(TEPPO, persistent("AbC=")))] * 8)

        assert {outcomes[0].link_id} == {link.link_id for link in outcomes}
        assert [outcomes[0]] == list(store.find_links(withdrawn=True))

    def test_same_link_from_three_processes_is_one_link(self, url: str, store: SqlStore) -> None:
        """Processes that store the same link at the same time get the same link."""
        processes = [start_other_process(url, "add", CARBERRY.value, str(TEPPO), str(persistent("AbC="))) for _ in range(3)]
        outcomes = {outcome_of(process) for process in processes}

        assert {str(link.link_id) for link in store.find_links(withdrawn=True)} == outcomes
        assert len(outcomes) == 1

    def test_one_orcid_for_two_people_at_once_goes_to_one(self, store: SqlStore) -> None:
        """Of links that contradict each other and come at the same moment, one is stored and the others are told."""
        outcomes = at_once([partial(attempt, store, new_link(person)) for person in (TEPPO, MAIJA, persistent("AbC="))])

        assert [Link, OrcidTaken, OrcidTaken] == sorted((type(outcome) for outcome in outcomes), key=lambda kind: kind.__name__)
        assert store.count_links() == 1

    def test_two_orcids_for_one_person_at_once_are_one(self, store: SqlStore) -> None:
        """A person never has two iDs in force, whoever links them at the same moment."""
        outcomes = at_once([partial(attempt, store, new_link(TEPPO, orcid=orcid)) for orcid in (CARBERRY, OTHER_ORCID)])

        assert [Link, OtherOrcidLinked] == sorted((type(outcome) for outcome in outcomes), key=lambda kind: kind.__name__)
        assert store.count_links() == 1

    def test_one_of_two_withdrawals_at_once_succeeds(self, store: SqlStore) -> None:
        """A link that two operators withdraw at the same moment is withdrawn once."""
        link = store.add_link(new_link(TEPPO))
        outcomes = at_once([lambda: store.withdraw_link(link.link_id, NOW)] * 2)

        assert [None] == [outcome for outcome in outcomes if outcome is None]

    def test_listing_is_streamed(self, opening: Opening, url: str, store: SqlStore) -> None:
        """A listing holds a page, not everything: what is withdrawn ahead of it does not come."""
        numbers = [stored(outcome).link_id for outcome in store.add_links(people(1_201))]
        listing = store.find_links()
        first = next(listing)
        opening(url).withdraw_link(numbers[-1], NOW)

        assert numbers[:-1] == [first.link_id, *(link.link_id for link in listing)]

    def test_listing_does_not_hold_back_writers(self, store: SqlStore) -> None:
        """While a listing is read slowly, links are stored and withdrawn, and messages recorded."""
        numbers = [stored(outcome).link_id for outcome in store.add_links(people(1_001))]
        listing = store.find_links()
        next(listing)
        store.withdraw_link(numbers[0], NOW)
        store.add_link(new_link(TEPPO))

        assert store.is_first(SERVICE, "_a1", LATER)
        assert len(list(listing)) == 1_001

    def test_import_tells_what_is_committed(self, opening: Opening, url: str, store: SqlStore) -> None:
        """An outcome is given when the link is there for everybody, and reading ahead is limited to a batch."""
        waiting = iter(people(1_000))
        next(store.add_links(waiting))
        committed = opening(url).count_links()

        assert 0 < committed < 1_000
        assert len(list(waiting)) == 1_000 - committed

    def test_record_of_a_broken_connection_is_not_called_a_replay(self, url: str, store: SqlStore) -> None:
        """Where the record may be our own, written just before the connection broke, the outcome is "could not ask", not "replay"."""
        engine = make_answering_engine(parse_url(url), Patience())
        kept = _BreakingAfterWork(engine)
        guard = SqlReplayGuard(engine, kept)
        with pytest.raises(CouldNotAsk, match="whether it was the first is not known"):
            guard.is_first(SERVICE, "_a1", LATER)
        kept.close()

        assert not store.is_first(SERVICE, "_a1", LATER)


class _BreakingAfterWork(KeptConnections):
    """Kept connections that break when the work is done, before its outcome arrives."""

    def ask(self, work: Work[T], again: Work[T] | None = None) -> T:
        """Do the work, lose its outcome, and try again."""
        super().ask(work)
        return super().ask(again or work)
