"""What every database does with deliveries: everything of the ports, with threads, processes, and faults in the middle.

A back end proves itself with a subclass and a fixture `url` of a fresh database.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from attribute_authority.domain.delivery import DeliveryRecord, DeliveryState, DueDelivery
from attribute_authority.domain.identifiers import OrcidId
from attribute_authority.domain.link import Link
from attribute_authority.errors import CouldNotAsk
from attribute_authority.storage.companion import SqlCompanionStore
from attribute_authority.storage.deliveries import SqlDeliveryStore
from attribute_authority.storage.engine import SQLITE
from attribute_authority.storage.sql import SqlStore
from attribute_authority.storage.sql_posting import Posting
from tests.conformance.concurrency_conformance import execute, row_counts
from tests.conformance.conftest import Opening, OpeningCompanion, OpeningDeliveries
from tests.conformance.delivery_books_conformance import BooksConformance
from tests.conformance.delivery_claiming_conformance import ClaimingConformance
from tests.conformance.delivery_posting_conformance import LinkingPostingConformance, PostingConformance
from tests.conformance.delivery_recording_conformance import RecordingConformance
from tests.conformance.delivery_samples import (
    EVERYTHING,
    LATER,
    LDAP,
    LEASE,
    SINKS,
    SOON,
    TWO_SINKS,
    SetClock,
    claim,
    claim_one,
    ended,
    link_teppo,
    park,
    records,
    states,
)
from tests.conformance.delivery_telling_conformance import TellingConformance
from tests.conformance.linking_samples import link_with_grant
from tests.conformance.samples import (
    HOME,
    NOW,
    PRODUCTION,
    TEPPO,
    completion,
    eppn,
    held_grant,
    new_link,
    orcid_number,
    people,
    stored,
)
from tests.conformance.together import at_once

_ROOT = Path(__file__).parents[2]
ROUNDS = 5


def plans_of(books: SqlDeliveryStore, work: Callable[[], object]) -> list[str]:
    """Return how the database goes about each query of some work, where there are enough rows for an index to be worth it."""
    engine = books._pool._engine
    asked: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT delivery"):
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        on_sqlite = connection.dialect.name == SQLITE
        if not on_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN"
        return [str(connection.exec_driver_sql(f"{explain} {statement}", values).all()) for statement, values in asked]


class DeliveriesConformance(PostingConformance, ClaimingConformance, RecordingConformance, BooksConformance, TellingConformance):
    """Everything about deliveries, whatever keeps them."""

    @pytest.fixture
    def clock(self) -> SetClock:
        """What those go by who write deliveries of links that have their own date."""
        return SetClock()


class DeliveryFaultConformance:
    """What is left where something fails in the middle."""

    def test_without_sinks_the_books_are_not_opened(self, links: SqlStore, linking: SqlCompanionStore, url: str) -> None:
        """Who delivers nowhere pays nothing: the table may as well not be there."""
        execute(url, "ALTER TABLE delivery RENAME TO elsewhere")
        link = links.add_link(new_link(TEPPO))
        links.add_link(new_link(TEPPO, eppn("further")))
        links.withdraw_link(link.link_id, SOON)
        linking.recognise(HOME, (TEPPO, eppn("another")), PRODUCTION, SOON)
        linking.withdraw(link_with_grant(linking, new_link(TEPPO)).link_id, LATER)
        execute(url, "ALTER TABLE elsewhere RENAME TO delivery")

        assert links.count_links(withdrawn=True) == 2

    def test_what_cannot_be_delivered_is_not_linked(self, links: SqlStore, linking: SqlCompanionStore, url: str) -> None:
        """Where a delivery cannot be written the link is not stored either."""
        links.use_sinks(SINKS)
        linking.use_sinks(SINKS)
        linking.hold_grant(held_grant())
        execute(url, "ALTER TABLE delivery RENAME TO elsewhere")
        for store in (lambda: links.add_link(new_link(TEPPO)), lambda: linking.complete(completion(new_link(TEPPO)))):
            with pytest.raises(CouldNotAsk):
                store()
        execute(url, "ALTER TABLE elsewhere RENAME TO delivery")

        assert [0, 0, 0, 0] == row_counts(url)

    def test_what_cannot_be_delivered_is_not_withdrawn(
        self, links: SqlStore, linking: SqlCompanionStore, books: SqlDeliveryStore, url: str
    ) -> None:
        """A withdrawal that could not be passed on is told as failed, and can be repeated."""
        link = link_teppo(links)
        linking.use_sinks(SINKS)
        execute(url, "ALTER TABLE delivery RENAME TO elsewhere")
        for withdraw in (links.withdraw_link, linking.withdraw):
            with pytest.raises(CouldNotAsk):
                withdraw(link.link_id, SOON)
        execute(url, "ALTER TABLE elsewhere RENAME TO delivery")

        assert links.withdraw_link(link.link_id, SOON) is not None
        assert ["superseded", "pending"] == states(books)

    def test_part_of_a_recording_is_none(self, links: SqlStore, books: SqlDeliveryStore, url: str) -> None:
        """Where one outcome cannot be recorded none is, and all of them can be recorded later."""
        links.use_sinks(SINKS)
        list(links.add_links(people(2)))
        first, second = claim(books)
        claim(books, NOW + LEASE, limit=1)
        execute(url, "ALTER TABLE link RENAME TO elsewhere")
        with pytest.raises(CouldNotAsk):
            books.record_outcomes([ended(second), ended(first)], LATER)
        execute(url, "ALTER TABLE elsewhere RENAME TO link")

        assert DeliveryState.DELIVERED not in {record.state for record in records(books)}
        assert 1 == books.record_outcomes([ended(second), ended(first)], LATER)

    def test_books_outlive_the_store(self, links: SqlStore, opening_deliveries: OpeningDeliveries, url: str) -> None:
        """Nothing is kept in memory: another process goes on."""
        link_teppo(links)
        before = opening_deliveries(url)
        due = claim_one(before)
        before.close()
        after = opening_deliveries(url)

        assert 1 == after.record_outcomes([ended(due)], SOON)

    def test_companion_page_shows_how_it_fares(self, linking: SqlCompanionStore, books: SqlDeliveryStore) -> None:
        """The store of the page reads what workers have written."""
        linking.use_sinks(SINKS)
        link = link_with_grant(linking, new_link(TEPPO))
        park(books)

        assert tuple(records(books)) == linking.read_deliveries(link.subject_id, PRODUCTION, [LDAP])

    def test_looking_for_work_reads_what_is_due_alone(self, links: SqlStore, books: SqlDeliveryStore) -> None:
        """However many deliveries were made or are parked, whoever asks what is due does not pass them."""
        link_teppo(links)
        look, choose, *_ = plans_of(books, lambda: claim(books))

        assert "ix_delivery_due" in look
        assert "ix_delivery_due" in choose

    def test_killed_worker_loses_nothing(self, links: SqlStore, books: SqlDeliveryStore, url: str) -> None:
        """A worker that is killed with a delivery in hand leaves it to the next, which knows that it may have been made."""
        link_teppo(links)
        command = [sys.executable, "-m", "tests.conformance.claiming_process", url]
        with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            claimed = worker.stdout.readline().strip()
            worker.kill()
        before = claim(books, NOW + LEASE / 2)
        again = claim_one(books, NOW + LEASE)

        assert () == before
        assert (claimed, 2, True) == (again.delivery.reference, again.delivery.attempt, again.delivery.may_be_ours)


class DeliveryConcurrencyConformance:
    """Several threads, workers and nodes at once."""

    @pytest.fixture
    def workers(self, opening_deliveries: OpeningDeliveries, url: str) -> list[SqlDeliveryStore]:
        """Three workers on one database."""
        return [opening_deliveries(url) for _ in range(3)]

    def test_no_delivery_is_handed_out_twice(self, links: SqlStore, workers: Sequence[SqlDeliveryStore]) -> None:
        """However many claim at the same moment, each delivery goes to one, and none is left."""
        links.use_sinks(SINKS)
        list(links.add_links(people(120)))
        claimed = [due for dues in at_once([partial(_claim_all, worker) for worker in list(workers) * 2]) for due in dues]

        assert 120 == len(claimed)
        assert 120 == len({due.delivery.reference for due in claimed})

    def test_person_who_changes_it_while_it_is_claimed_is_in_one_hand(self, links: SqlStore, workers: Sequence[SqlDeliveryStore]) -> None:
        """A claim and a withdrawal at the same moment leave one delivery on its way: the older, for which the newer waits, or the newer."""
        links.use_sinks(SINKS)
        for link in [stored(outcome) for outcome in links.add_links(people(ROUNDS))]:
            works: list[Callable[[], object]] = [partial(links.withdraw_link, link.link_id, NOW), *(partial(claim, one) for one in workers)]
            at_once(works)
            claim(workers[0])
            newest = [record for record in records(workers[0]) if record.subject_id == link.subject_id]

            assert [DeliveryState.SUPERSEDED, DeliveryState.PENDING] == [record.state for record in newest]
            assert 1 == sum(record.attempts for record in newest)

    def test_outcome_and_change_at_once_leave_the_newest_due(self, links: SqlStore, workers: Sequence[SqlDeliveryStore]) -> None:
        """Whichever comes first, what was delivered is known to be there, and the withdrawal is due at once."""
        for orcid in map(orcid_number, range(ROUNDS)):
            links.use_sinks(SINKS)
            link = links.add_link(new_link(TEPPO, orcid=orcid))
            due = claim_one(workers[0])
            withdraw = partial(links.withdraw_link, link.link_id, NOW)
            works: list[Callable[[], object]] = [partial(workers[1].record_outcomes, [ended(due)], NOW), withdraw]
            at_once(works)

            assert (None, (orcid,)) == _delivered_now(workers[2])

    def test_late_outcomes_and_changes_at_once_do_not_block_each_other(self, links: SqlStore, workers: Sequence[SqlDeliveryStore]) -> None:
        """Whoever writes waits for the others and for nobody for ever: every call succeeds."""
        links.use_sinks(TWO_SINKS)
        linked = [stored(outcome) for outcome in links.add_links(people(30))]
        first = claim(workers[0])
        second = claim(workers[1], NOW + LEASE)
        works: list[Callable[[], object]] = [
            partial(workers[0].record_outcomes, [ended(due) for due in first], LATER),
            partial(workers[1].record_outcomes, [ended(due) for due in reversed(second)], LATER),
            partial(workers[2].replay_deliveries, LDAP, PRODUCTION, 0, 30, LATER),
            partial(workers[0].retry_deliveries, EVERYTHING, LATER),
            partial(_change_all, links, linked),
            partial(claim, workers[2], LATER),
            partial(workers[1].cancel_deliveries, EVERYTHING, LATER),
        ]
        at_once(works)

        assert all(record.orcid is None for record in _newest(workers[0]))

    def test_one_of_several_tells(self, links: SqlStore, workers: Sequence[SqlDeliveryStore]) -> None:
        """Nodes that look at the same moment do not both write to the organisation."""
        link_teppo(links)
        park(workers[0])
        told = at_once([partial(worker.claim_untold, HOME, LATER, LEASE, 10, LEASE) for worker in workers])

        assert 1 == sum(map(len, told))


def _claim_all(worker: SqlDeliveryStore) -> list[DueDelivery]:
    found: list[DueDelivery] = []
    while page := claim(worker, limit=7):
        found.extend(page)
    return found


def _delivered_now(worker: SqlDeliveryStore) -> tuple[OrcidId | None, tuple[OrcidId, ...]]:
    due = claim_one(worker)
    worker.record_outcomes([ended(due)], NOW)
    return due.delivery.orcid, due.delivery.former


def _change_all(links: SqlStore, linked: Sequence[Link]) -> None:
    for link in linked:
        links.withdraw_link(link.link_id, LATER)


def _newest(worker: SqlDeliveryStore) -> Sequence[DeliveryRecord]:
    return list({record.subject_id: record for record in records(worker) if record.sink == LDAP}.values())


class DatabaseDeliveriesConformance(
    DeliveriesConformance, LinkingPostingConformance, DeliveryFaultConformance, DeliveryConcurrencyConformance
):
    """Everything that a database does with deliveries."""

    @pytest.fixture
    def links(self, opening: Opening, url: str, clock: SetClock) -> SqlStore:
        """An empty store, as the operator sees it."""
        return opening(url, posting=Posting(clock=clock))

    @pytest.fixture
    def linking(self, opening_companion: OpeningCompanion, url: str) -> SqlCompanionStore:
        """The same store, as the companion page sees it."""
        return opening_companion(url)

    @pytest.fixture
    def books(self, opening_deliveries: OpeningDeliveries, url: str) -> SqlDeliveryStore:
        """The books of the same store."""
        return opening_deliveries(url)
