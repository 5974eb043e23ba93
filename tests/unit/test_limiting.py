"""How much one requester may ask, whichever workers its queries reach."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_authority.core.limiting import Allowances
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.limits import Limits
from attribute_authority.errors import CouldNotAsk, TooManyQueries
from attribute_authority.ports import AttemptCounter
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.answer import Status
from attribute_authority.web.failures import public_form
from tests.factories.counters import SharedCounter

NOW = datetime(2025, 3, 1, 12, 0, 15, tzinfo=UTC)
SP = EntityId("https://sp.example/shibboleth")
OTHER = EntityId("https://other.example/" + "x" * 1000)


def workers(counter: AttemptCounter, limits: Limits, count: int = 1) -> list[Allowances]:
    """Make as many workers that share a counter."""
    return [Allowances(counter, lambda _: limits) for _ in range(count)]


def is_granted(worker: Allowances, queries: int = 1, now: datetime = NOW, requester: EntityId = SP) -> bool:
    """Whether a worker lets the queries pass."""
    try:
        worker.spend(requester, queries, now)
    except TooManyQueries:
        return False
    return True


def granted(worker: Allowances, tries: int, now: datetime = NOW, requester: EntityId = SP) -> int:
    """Count how many of so many single queries pass."""
    return sum(is_granted(worker, 1, now, requester) for _ in range(tries))


@pytest.mark.parametrize("limit", [1, 2, 49, 50, 99, 3000])
def test_one_worker_spends_the_limit_whole(limit: int) -> None:
    """A worker that gets all queries lets just the limit pass."""
    (worker,) = workers(SharedCounter(NOW), Limits(limit, 0))

    assert limit == granted(worker, limit + 10)


def test_writes_are_few() -> None:
    """The database is soon written to no more than once in a fiftieth of the limit, and not for those who are past their limit."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(3000, 0))
    granted(worker, 3500)

    assert 56 == counter.calls


@pytest.mark.parametrize(
    ("limits", "period", "seconds"),
    [(Limits(10, 0), "minute", 45), (Limits(0, 10), "day", 12 * 3600 - 15), (Limits(20, 10), "day", 12 * 3600 - 15)],
)
def test_refusal_tells_when_to_come_back(limits: Limits, period: str, seconds: float) -> None:
    """A refusal says which limit it was, and how many seconds there are to the end of the minute or of the day of UTC."""
    (worker,) = workers(SharedCounter(NOW), limits)
    granted(worker, 10)

    with pytest.raises(TooManyQueries) as refusal:
        worker.spend(SP, 1, NOW)
    assert (f"more than 10 queries in a {period}", seconds) == (refusal.value.cause, refusal.value.retry_after)


def test_refusal_is_told_as_the_requesters_doing() -> None:
    """A service provider that asks too much gets RequestDenied (core 3.2.2.2), not what it would get in an outage."""
    form = public_form(TooManyQueries("private", 1.0), "id")

    assert Status(ns.STATUS_REQUESTER, ns.STATUS_REQUEST_DENIED, f"{TooManyQueries.public} (id)") == form


def test_next_window_begins_anew() -> None:
    """What was spent in a minute does not count in the next, but in the day."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(10, 25))
    counts = []
    for minutes in range(4):
        counter.now = NOW + timedelta(minutes=minutes)
        counts.append(granted(worker, 20, counter.now))

    assert [10, 10, 5, 0] == counts
    counter.now = NOW + timedelta(days=1)
    assert 10 == granted(worker, 20, counter.now)


def test_no_limit_counts_nothing() -> None:
    """Where there is no limit nothing is counted."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(0, 0))

    assert 5000 == granted(worker, 5000)
    assert 0 == counter.calls


def test_requesters_are_apart() -> None:
    """One requester's queries cost another nothing, and a bucket's name is short however long the entityID."""
    (worker,) = workers(SharedCounter(NOW), Limits(5, 0))

    assert [5, 5] == [granted(worker, 9, requester=requester) for requester in (SP, OTHER)]


def test_refused_by_the_minute_is_not_counted_in_the_day() -> None:
    """A requester that hammers on in vain does not use up its day."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(10, 20))
    granted(worker, 1000)
    counter.now = NOW + timedelta(minutes=1)

    assert 10 == granted(worker, 1000, counter.now)


def test_refused_by_the_day_is_not_counted_in_the_minute() -> None:
    """A batch that the day refuses leaves the minute to smaller ones."""
    (worker,) = workers(SharedCounter(NOW), Limits(100, 50))

    assert [False, True] == [is_granted(worker, queries) for queries in (80, 50)]


def test_batch_passes_whole_or_not_at_all() -> None:
    """A batch needs a permit for each of its queries at once."""
    (worker,) = workers(SharedCounter(NOW), Limits(3000, 0))

    assert [True, True, False, True, False] == [is_granted(worker, queries) for queries in (1000, 1500, 501, 500, 1)]


def test_batch_that_is_refused_leaves_the_rest_to_every_worker() -> None:
    """A batch that does not fit uses nothing up, also where the next query reaches another worker."""
    first, second = workers(SharedCounter(NOW), Limits(3000, 0), 2)
    answers = [is_granted(first, 2500), is_granted(first, 1000), is_granted(second, 500), is_granted(first)]

    assert [True, False, True, False] == answers


def test_empty_batch_costs_nothing() -> None:
    """No queries need no permits, also past the limit."""
    (worker,) = workers(SharedCounter(NOW), Limits(1, 1))

    assert [True, True, False, True] == [is_granted(worker, queries) for queries in (0, 1, 1, 0)]


def test_database_away_refuses() -> None:
    """A query that cannot be counted is not answered, and nothing is lost by it once the database is back."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(50, 50))
    counter.is_away = True
    for _ in range(100):
        with pytest.raises(CouldNotAsk):
            worker.spend(SP, 1, NOW)
    counter.is_away = False

    assert 50 == granted(worker, 100)


def test_permits_in_hand_outlast_an_outage() -> None:
    """What a worker has claimed it may spend while the database is away."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(500, 500))
    granted(worker, 17)
    counter.is_away = True

    assert 9 == granted(worker, 9)
    with pytest.raises(CouldNotAsk):
        worker.spend(SP, 1, NOW)


def test_claim_that_waits_holds_up_nobody() -> None:
    """While one query waits for the database others are let through, of the same requester too, each with what it needs itself."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(500, 0))
    seen: list[bool] = []

    def others() -> None:
        counter.meanwhile = lambda: None
        seen.extend((is_granted(worker), is_granted(worker, requester=OTHER), is_granted(worker, 30)))

    counter.meanwhile = others
    worker.spend(SP, 1, NOW)

    assert [True, True, True] == seen
    assert 500 - 1 - 1 - 30 == granted(worker, 1000)


def test_raised_limit_holds_at_once() -> None:
    """Whoever was past its limit goes on when the operator raises it."""
    limits = [Limits(0, 10)]
    worker = Allowances(SharedCounter(NOW), lambda _: limits[-1])
    before = granted(worker, 20)
    limits.append(Limits(0, 20))

    assert (10, 10) == (before, granted(worker, 20))


def test_memory_is_bounded() -> None:
    """Nothing is kept of requesters that ask no more, in the worker or, once it forgets, in the database."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, Limits(10, 100))
    for number in range(1000):
        is_granted(worker, requester=EntityId(f"https://{number}.example/"))
    before = len(counter.buckets), len(worker._purses)
    counter.now = NOW + timedelta(days=2)
    is_granted(worker, now=counter.now)

    assert (2000, 2000) == before
    assert (2, 2) == (len(counter.buckets), len(worker._purses))


WORKERS = 4
Step = tuple[int, int, int]
STEPS = st.lists(st.tuples(st.integers(0, WORKERS - 1), st.integers(1, 40), st.integers(0, 2)), max_size=150)


@given(limit=st.integers(1, 400), steps=STEPS)
def test_limit_holds_whatever_the_order(limit: int, steps: Sequence[Step]) -> None:
    """In no minute more pass than the limit; and nothing is refused while each worker could hold a block and it would still fit."""
    counter = SharedCounter(NOW)
    several = workers(counter, Limits(limit, 0), WORKERS)
    block, passed = max(1, limit // 50), dict[int, int]()
    for number, queries, seconds in steps:
        counter.now += timedelta(seconds=seconds)
        minute = int(counter.now.timestamp()) // 60
        before = passed.get(minute, 0)
        if is_granted(several[number], queries, counter.now):
            passed[minute] = before + queries
        else:
            assert before + queries > limit - WORKERS * block

    assert all(count <= limit for count in passed.values())


@given(limit=st.integers(1, 400), steps=STEPS)
def test_limit_holds_among_threads(limit: int, steps: Sequence[Step]) -> None:
    """Not more pass than the limit either where queries come while others wait for the database."""
    counter = SharedCounter(NOW)
    several, left, passed = workers(counter, Limits(limit, limit), WORKERS), list(steps), list[int]()

    def step() -> None:
        if left:
            number, queries, others = left.pop()
            counter.meanwhile = step if others else lambda: None
            if is_granted(several[number], queries):
                passed.append(queries)

    while left:
        step()

    assert sum(passed) <= limit
    assert not any(purse.is_claiming for worker in several for purse in worker._purses.values())
