"""What every replay guard does; a back end proves itself with a subclass and a fixture `replay` that gives an empty guard."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from attribute_authority.ports import ReplayGuard
from tests.conformance.samples import NOW, OTHER_SERVICE, SERVICE

LATER = NOW + timedelta(minutes=6)


class ReplayGuardConformance:
    """Recording message ids."""

    def test_first_is_first_and_second_is_not(self, replay: ReplayGuard) -> None:
        """A message is the first exactly once."""
        assert [True, False, False] == [replay.is_first(SERVICE, "_a1", LATER) for _ in range(3)]

    def test_issuers_are_apart(self, replay: ReplayGuard) -> None:
        """Two requesters may use the same message id."""
        replay.is_first(SERVICE, "_a1", LATER)

        assert replay.is_first(OTHER_SERVICE, "_a1", LATER)

    @pytest.mark.parametrize("other", ["_A1", "_a1 ", "_a", "_a1'", "_ä1", "_a1👩🏽‍🔬"])
    def test_ids_compare_exactly(self, replay: ReplayGuard, other: str) -> None:
        """An id that only resembles another is a message of its own, and is recorded as it is."""
        replay.is_first(SERVICE, "_a1", LATER)

        assert [True, False] == [replay.is_first(SERVICE, other, LATER) for _ in range(2)]

    def test_very_long_ids_are_told_apart(self, replay: ReplayGuard) -> None:
        """An id of any length is recorded whole, to its last character."""
        long = "_" + "x" * 100_000

        assert [True, True, False] == [replay.is_first(SERVICE, message, LATER) for message in (long + "1", long + "2", long + "1")]

    def test_expired_record_counts_until_it_is_forgotten(self, replay: ReplayGuard) -> None:
        """Nobody gets a second chance because the cleaning is late."""
        replay.is_first(SERVICE, "_a1", NOW - timedelta(days=1))

        assert not replay.is_first(SERVICE, "_a1", LATER)

    def test_only_expired_records_are_forgotten(self, replay: ReplayGuard) -> None:
        """A record is dropped after its instant, not at it, and the others stay."""
        for message, expires_at in (("_old", NOW - timedelta(microseconds=1)), ("_now", NOW), ("_new", LATER)):
            replay.is_first(SERVICE, message, expires_at)

        assert replay.forget_expired(NOW) == 1
        assert [True, False, False] == [replay.is_first(SERVICE, message, LATER) for message in ("_old", "_now", "_new")]

    def test_nothing_to_forget(self, replay: ReplayGuard) -> None:
        """An empty guard forgets nothing."""
        assert replay.forget_expired(NOW) == 0

    def test_many_records_are_forgotten_together(self, replay: ReplayGuard) -> None:
        """More records than one statement drops are all gone."""
        for number in range(1_203):
            replay.is_first(SERVICE, f"_{number}", NOW - timedelta(seconds=number))

        assert replay.forget_expired(NOW) == 1_202
        assert replay.forget_expired(LATER) == 1

    def test_one_of_eight_at_once_is_first(self, replay: ReplayGuard) -> None:
        """However many workers hold the same message at the same moment, one of them answers it."""
        together = threading.Barrier(8)

        def record(message: str) -> bool:
            together.wait(timeout=30)
            return replay.is_first(SERVICE, message, LATER)

        with ThreadPoolExecutor(8) as pool:
            rounds = [list(pool.map(record, [f"_{number}"] * 8)) for number in range(10)]

        assert [1] * 10 == [sum(outcomes) for outcomes in rounds]
