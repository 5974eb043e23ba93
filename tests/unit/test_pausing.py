"""A source that could not be asked is left alone for a while, by everybody, and asked again by one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Thread

import pytest

from attribute_authority.core.pausing import Pausing
from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from attribute_authority.storage.memory_sources import MemoryOutageBoard
from tests.factories.doors import persistent
from tests.factories.queries import NOW
from tests.factories.sources import LONGEST_PAUSE, ScriptedSource, Watched, named, pausing

ASKED = persistent()


@dataclass(slots=True)
class Stage:
    """A source, what asks it, and a clock that the test moves."""

    source: ScriptedSource
    board: MemoryOutageBoard
    watch: Watched
    now: datetime = NOW

    def asking(self) -> Pausing:
        """Make what asks it: each is another worker."""
        return pausing(self.board, self.watch, lambda: self.now)

    def later(self, seconds: float) -> None:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def stage() -> Stage:
    """A source that is away."""
    return Stage(ScriptedSource(failure=CouldNotAsk("connection refused")), MemoryOutageBoard(), Watched())


def fail(stage: Stage) -> SourceUnavailable:
    """Ask in vain."""
    with pytest.raises(SourceUnavailable) as caught:
        stage.asking().ask(named(stage.source), ASKED)
    return caught.value


def test_outage_is_told_with_its_cause_and_when_to_come_back(stage: Stage) -> None:
    """The failure names the source, what happened, and in how many seconds it will be asked again."""
    failure = fail(stage)

    assert ("directory: connection refused", 1.0) == (failure.cause, failure.retry_after)


def test_no_worker_asks_during_the_pause(stage: Stage) -> None:
    """While it is paused nobody asks, and everybody is told at once that we could not ask."""
    fail(stage)
    failures = [fail(stage) for _ in range(3)]

    assert 1 == len(stage.source.asked)
    assert ["failed", "paused", "paused", "paused"] == [outcome for _, outcome in stage.watch.asked]
    assert all("connection refused" in failure.cause for failure in failures)


def test_one_question_tries_after_the_pause(stage: Stage) -> None:
    """When the pause is over the first question tries the source, and meanwhile the others do not."""
    fail(stage)
    stage.later(1.5)
    seen = stage.board.read_outage("directory")

    assert seen is not None
    assert stage.board.claim_trial(seen, stage.now + timedelta(seconds=3))
    fail(stage)
    assert 1 == len(stage.source.asked)


def test_pause_doubles_and_has_an_end(stage: Stage) -> None:
    """Each failure in a row doubles the pause, up to the longest that is configured."""
    pauses = []
    for _ in range(9):
        pauses.append(fail(stage).retry_after)
        stage.later(pauses[-1] + 0.1)

    assert [1, 2, 4, 8, 16, 32, *[LONGEST_PAUSE.total_seconds()] * 3] == pauses


def test_a_source_that_came_back_is_forgiven(stage: Stage) -> None:
    """One answer ends the outage, and the next failure begins with the shortest pause again."""
    fail(stage)
    stage.later(2)
    fail(stage)
    stage.later(5)
    stage.source.failure = None

    assert stage.asking().ask(named(stage.source), ASKED) is None
    assert () == stage.board.list_outages()
    stage.source.failure = CouldNotAsk("gone")
    assert 1.0 == fail(stage).retry_after


def test_a_source_that_is_busy_by_its_own_word_is_not_paused(stage: Stage) -> None:
    """What says itself when it can be asked again, as an index that is being built, is not in an outage."""
    stage.source.failure = SourceUnavailable("the index is being built", 3.0)
    failure = fail(stage)

    assert 3.0 == failure.retry_after
    assert () == stage.board.list_outages()


def test_no_more_questions_at_once_than_places(stage: Stage) -> None:
    """Where every place is taken and nobody else may wait, a question fails at once; afterwards the place is free again."""
    source = named(stage.source, places=1, queue=1)
    stage.source.failure = None
    source.places.acquire()
    source.queue.acquire()
    with pytest.raises(SourceUnavailable):
        stage.asking().ask(source, ASKED)
    source.queue.release()
    source.places.release()

    assert stage.asking().ask(source, ASKED) is None
    assert [ASKED] == stage.source.asked


def test_question_waits_for_a_place(stage: Stage) -> None:
    """Where every place is taken a question waits, and is asked when one comes free."""
    source = named(stage.source, places=1)
    stage.source.failure = None
    source.places.acquire()
    waiting = Thread(target=stage.asking().ask, args=(source, ASKED))
    waiting.start()
    source.places.release()
    waiting.join()

    assert [ASKED] == stage.source.asked


def test_failure_of_our_own_store_does_not_hide_that_of_the_source(stage: Stage) -> None:
    """Where the outage cannot even be recorded, the source's failure is what is told."""

    class Away(MemoryOutageBoard):
        def record_outage(self, outage: object) -> None:
            raise CouldNotAsk("the database is away")

    stage.board = Away()

    assert "directory: connection refused" == fail(stage).cause
