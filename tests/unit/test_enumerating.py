"""Who tries identifiers out, whichever workers the questions reach."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_authority.core.enumerating import Enumeration
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.limits import EnumerationRule, Suspicion
from attribute_authority.errors import CouldNotAsk, TooManyQueries
from tests.factories.counters import SharedCounter

NOW = datetime(2025, 3, 1, 12, 40, tzinfo=UTC)
SP = EntityId("https://sp.example/" + "x" * 1000)
OTHER = EntityId("https://other.example/")
HOUR = timedelta(hours=1)
RULE = EnumerationRule(unknown_share=0.98, unknown_minimum=1000, blocks=False, block_for=HOUR)
BLOCKING = replace(RULE, blocks=True)
FLUSH_EVERY = 25


def workers(counter: SharedCounter, rule: EnumerationRule, count: int = 1) -> list[Enumeration]:
    """Make as many workers that share a counter."""
    return [Enumeration(counter, lambda _: rule) for _ in range(count)]


def ask(worker: Enumeration, asked: int, unknown: int, now: datetime = NOW, requester: EntityId = SP) -> list[Suspicion]:
    """Ask single questions, those about nobody known first, and return what was told."""
    return [found for number in range(asked) for found in worker.observe(requester, 1, int(number < unknown), now)]


def is_shut_out(worker: Enumeration, now: datetime = NOW, requester: EntityId = SP) -> bool:
    """Whether a worker refuses the requester."""
    try:
        worker.check(requester, now)
    except TooManyQueries:
        return True
    return False


def test_trying_out_is_told_once() -> None:
    """A requester that asks about nobody known is told when it reaches the minimum, and not again in that hour."""
    (worker,) = workers(SharedCounter(NOW), RULE)

    assert [Suspicion(SP, 1000, 1000)] == ask(worker, 5000, 5000)


def test_trying_out_through_every_worker_is_told_once() -> None:
    """The questions of all workers count together, and one of the workers tells."""
    several = workers(SharedCounter(NOW), RULE, 4)
    found = [suspicion for _ in range(2000) for worker in several for suspicion in worker.observe(SP, 1, 1, NOW)]

    assert [Suspicion(SP, 1000, 1000)] == found


@pytest.mark.parametrize(
    ("asked", "unknown", "told"),
    [(999, 999, False), (1000, 980, True), (1000, 979, False), (100_000, 97_999, False), (100_000, 0, False), (0, 0, False)],
)
def test_honest_requesters_are_left_alone(asked: int, unknown: int, told: bool) -> None:
    """Few questions mean nothing, and neither does a share below the threshold: most people of an honest service have no iD."""
    (worker,) = workers(SharedCounter(NOW), RULE)
    found = [*worker.observe(SP, asked, unknown, NOW), *worker.flush(NOW)]

    assert ([Suspicion(SP, asked, unknown)] if told else []) == found


def test_batch_counts_each_question() -> None:
    """A batch is as many questions as it holds, and one step."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, RULE)

    assert (Suspicion(SP, 1000, 1000),) == worker.observe(SP, 1000, 1000, NOW)
    assert 3 == counter.calls


def test_requesters_are_apart() -> None:
    """What one requester asks casts no doubt on another."""
    (worker,) = workers(SharedCounter(NOW), BLOCKING)
    found = ask(worker, 1000, 1000) + ask(worker, 100, 100, requester=OTHER)

    assert [SP] == [suspicion.requester for suspicion in found]
    assert [True, False] == [is_shut_out(worker, requester=requester) for requester in (SP, OTHER)]


def test_hours_are_apart() -> None:
    """Questions of the hour before do not count, and each hour may be told."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, RULE)
    found = []
    for hours, asked in enumerate((600, 600, 1000, 1000)):
        counter.now = NOW + hours * HOUR
        found.append(ask(worker, asked, asked, counter.now))

    assert [[], [], [Suspicion(SP, 1000, 1000)], [Suspicion(SP, 1000, 1000)]] == found


def test_rest_of_an_hour_is_counted_when_it_is_over() -> None:
    """The questions since the last 25th still count: with the first question of the next hour, or with a flush."""
    counter = SharedCounter(NOW)
    first, second = workers(counter, replace(RULE, unknown_minimum=1010), 2)
    silent = ask(first, 990, 990) + ask(second, 20, 20)
    counter.now = NOW + HOUR

    assert [] == silent
    assert ((), (Suspicion(SP, 1010, 1010),)) == (first.observe(SP, 1, 1, counter.now), second.flush(counter.now))


def test_writes_are_few() -> None:
    """The database is written to with every 25th question, twice; checking costs nothing where nobody is shut out by rule."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, RULE)
    for _ in range(900):
        worker.check(SP, NOW)
        worker.observe(SP, 1, 1, NOW)

    assert 2 * 900 // FLUSH_EVERY == counter.calls


def test_reporting_shuts_nobody_out() -> None:
    """Where the rule only reports, the requester goes on."""
    (worker,) = workers(SharedCounter(NOW), RULE)
    ask(worker, 2000, 2000)

    assert not is_shut_out(worker)


def test_shut_out_tells_when_to_come_back() -> None:
    """The refusal says how many seconds are left, and does not name anybody who was asked about."""
    (worker,) = workers(SharedCounter(NOW), BLOCKING)
    ask(worker, 1000, 1000)

    with pytest.raises(TooManyQueries) as refusal:
        worker.check(SP, NOW + timedelta(minutes=10))
    assert ("shut out for trying identifiers out", 3000) == (refusal.value.cause, refusal.value.retry_after)


def test_shut_out_reaches_every_worker() -> None:
    """Another worker refuses after 25 further questions at the latest, one that has not met the requester at once."""
    counter = SharedCounter(NOW)
    finder, busy, new = workers(counter, BLOCKING, 3)
    busy.check(SP, NOW)
    ask(busy, FLUSH_EVERY - 1, 0)
    ask(finder, 1000, 1000)
    told = [is_shut_out(worker) for worker in (finder, busy, new)]
    ask(busy, 1, 0)

    assert [True, False, True] == told
    assert is_shut_out(busy)


def test_shut_out_reaches_a_slow_worker_with_its_next_flush() -> None:
    """A worker that the requester seldom reaches learns of the shut-out when it flushes."""
    finder, slow = workers(SharedCounter(NOW), BLOCKING, 2)
    slow.check(SP, NOW)
    ask(finder, 1000, 1000)
    before = is_shut_out(slow)
    slow.flush(NOW)

    assert (False, True) == (before, is_shut_out(slow))


@pytest.mark.parametrize("minutes", [1, 20, 60, 90, 1440, 10_080])
def test_shut_out_ends(minutes: int) -> None:
    """It lasts as long as the rule says, in any case for what is left of the hour, and ends then in every worker."""
    counter = SharedCounter(NOW)
    rule = replace(BLOCKING, block_for=timedelta(minutes=minutes))
    finder, *others = workers(counter, rule, 2)
    ask(finder, 1000, 1000)
    end = NOW + timedelta(minutes=max(minutes, 20))
    states = []
    for counter.now in (NOW, NOW + (end - NOW) / 2, end - timedelta(seconds=1), end):
        several = (finder, *others, *workers(counter, rule))
        for worker in several:
            worker.flush(counter.now)
        states.append({is_shut_out(worker, counter.now) for worker in several})

    assert [{True}, {True}, {True}, {False}] == states


def test_shut_out_outlives_the_worker_that_found_it() -> None:
    """A new process does not let in who was shut out before."""
    counter = SharedCounter(NOW)
    ask(workers(counter, BLOCKING)[0], 1000, 1000)
    counter.now = NOW + timedelta(minutes=59)

    assert is_shut_out(workers(counter, BLOCKING)[0], counter.now)


def test_operator_lets_a_requester_in_again() -> None:
    """A rule that only reports from now on ends every shut-out."""
    rules = [BLOCKING]
    worker = Enumeration(SharedCounter(NOW), lambda _: rules[-1])
    ask(worker, 1000, 1000)
    before = is_shut_out(worker)
    rules.append(RULE)

    assert (True, False) == (before, is_shut_out(worker))


def test_unknown_standing_refuses() -> None:
    """A worker that does not know whether the requester is shut out, and cannot ask, does not answer."""
    counter = SharedCounter(NOW, is_away=True)
    (worker,) = workers(counter, BLOCKING)

    with pytest.raises(CouldNotAsk):
        worker.check(SP, NOW)


def test_outage_loses_no_count() -> None:
    """What could not be shared while the database was away is shared with the next question, and an answer never fails for it."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, BLOCKING)
    counter.is_away = True
    silent = [*ask(worker, 999, 999), *worker.flush(NOW)]
    counter.is_away = False

    assert ([], [Suspicion(SP, 1000, 1000)]) == (silent, ask(worker, 1, 1))


def test_memory_is_bounded() -> None:
    """Nothing is kept of requesters that ask no more, in the worker or, once it forgets, in the database."""
    counter = SharedCounter(NOW)
    (worker,) = workers(counter, BLOCKING)
    for number in range(200):
        requester = EntityId(f"https://{number}.example/")
        worker.check(requester, NOW)
        worker.observe(requester, 1000, 1000, NOW)
    counter.now = NOW + timedelta(days=2)
    worker.flush(counter.now)
    counter.forget_expired_attempts(counter.now)

    assert [0] * 4 == [len(kept) for kept in (worker._tallies, worker._suspected, worker._shut_outs._until, counter.buckets)]


QUESTIONS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 60), st.booleans(), st.integers(0, 600)), max_size=80)


@given(minimum=st.integers(1, 400), questions=QUESTIONS)
def test_told_once_an_hour_for_cause_and_never_missed(minimum: int, questions: Sequence[tuple[int, int, bool, int]]) -> None:
    """Whatever reaches which worker: one suspicion in every hour that gives cause, and in none that never had questions enough."""
    rule = replace(RULE, unknown_minimum=minimum, unknown_share=0.5)
    counter = SharedCounter(NOW)
    several = workers(counter, rule, 3)
    asked, unknown, told = Counter[int](), Counter[int](), list[Suspicion]()
    for number, size, is_unknown, seconds in (*questions, (0, 0, False, 60)):
        counter.now += timedelta(seconds=seconds)
        hour = int(counter.now.timestamp()) // 3600
        asked[hour] += size
        unknown[hour] += size if is_unknown else 0
        told += several[number].observe(SP, size, size if is_unknown else 0, counter.now)
        told += [found for worker in several if seconds >= 60 for found in worker.flush(counter.now)]

    assert len(told) <= sum(count >= minimum for count in asked.values())
    assert len(told) >= sum(rule.is_met_by(asked[hour], unknown[hour]) for hour in asked)
