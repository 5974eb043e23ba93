"""What every keeper of states and every counter of attempts does; a back end has fixtures `states` and `attempts` that give empty ones."""

from datetime import timedelta

import pytest

from attribute_authority.ports import AttemptCounter, StateKeeper
from tests.conformance.samples import NOW

SOON = NOW + timedelta(minutes=10)
MOMENT = timedelta(microseconds=1)


class StateKeeperConformance:
    """Remembering between two requests."""

    def test_unknown_key_is_none(self, states: StateKeeper) -> None:
        """What was never kept is None, not an error."""
        assert (None, None) == (states.read("key", NOW), states.take("key", NOW))

    @pytest.mark.parametrize("content", [b"", b"\x00\xff'\\%s", bytes(range(256)) * 400], ids=["empty", "awkward", "long"])
    def test_content_comes_back_to_the_byte(self, states: StateKeeper, content: bytes) -> None:
        """Whatever bytes were kept are read."""
        states.keep("key", content, SOON)

        assert content == states.read("key", NOW)

    def test_reading_keeps_and_taking_removes(self, states: StateKeeper) -> None:
        """A state may be read often, and taken once."""
        states.keep("key", b"sealed", SOON)

        assert [b"sealed"] * 2 == [states.read("key", NOW) for _ in range(2)]
        assert [b"sealed", None] == [states.take("key", NOW) for _ in range(2)]
        assert states.read("key", NOW) is None

    def test_keeping_again_replaces(self, states: StateKeeper) -> None:
        """The last content and its end are what counts."""
        states.keep("key", b"first", NOW + MOMENT)
        states.keep("key", b"second", SOON)

        assert states.read("key", NOW + MOMENT) == b"second"

    def test_keys_are_apart(self, states: StateKeeper) -> None:
        """Taking one state leaves the others, and keys compare exactly."""
        for key in ("key", "KEY", "key2"):
            states.keep(key, key.encode(), SOON)
        states.take("key", NOW)

        assert [None, b"KEY", b"key2"] == [states.read(key, NOW) for key in ("key", "KEY", "key2")]

    def test_expired_state_is_never_returned(self, states: StateKeeper) -> None:
        """From its end on a state is not there, whether or not anybody has cleaned."""
        states.keep("read", b"sealed", NOW)
        states.keep("taken", b"sealed", NOW)

        assert states.read("read", NOW - MOMENT) == b"sealed"
        assert states.read("read", NOW) is None
        assert states.take("taken", NOW) is None
        assert states.read("taken", NOW - MOMENT) is None

    def test_only_expired_states_are_forgotten(self, states: StateKeeper) -> None:
        """Cleaning leaves what somebody may still come back with."""
        for key, expires_at in (("old", NOW - MOMENT), ("now", NOW), ("new", SOON)):
            states.keep(key, b"sealed", expires_at)

        assert states.forget_expired_states(NOW) == 1
        assert states.read("new", NOW) == b"sealed"
        assert states.forget_expired_states(SOON + MOMENT) == 2

    def test_many_states_are_forgotten_together(self, states: StateKeeper) -> None:
        """More states than one statement drops are all gone."""
        for number in range(1_003):
            states.keep(f"key-{number}", b"sealed", NOW)

        assert states.forget_expired_states(NOW + MOMENT) == 1_003
        assert states.forget_expired_states(NOW + MOMENT) == 0


class AttemptCounterConformance:
    """Counting attempts."""

    def test_attempts_add_up(self, attempts: AttemptCounter) -> None:
        """Each attempt tells how many there are with it."""
        assert [1, 2, 3] == [attempts.count_attempt("192.0.2.1", SOON) for _ in range(3)]

    def test_buckets_are_apart(self, attempts: AttemptCounter) -> None:
        """Nobody pays for the attempts of another address."""
        attempts.count_attempt("192.0.2.1", SOON)

        assert attempts.count_attempt("2001:db8::1", SOON) == 1

    def test_only_expired_buckets_are_forgotten(self, attempts: AttemptCounter) -> None:
        """A bucket that is forgotten begins anew, the others go on."""
        attempts.count_attempt("old", NOW - MOMENT)
        attempts.count_attempt("new", NOW)

        assert attempts.forget_expired_attempts(NOW) == 1
        assert (1, 2) == (attempts.count_attempt("old", SOON), attempts.count_attempt("new", SOON))

    def test_later_attempt_keeps_its_bucket(self, attempts: AttemptCounter) -> None:
        """A bucket lasts as long as its last attempt says."""
        attempts.count_attempt("192.0.2.1", NOW - MOMENT)
        attempts.count_attempt("192.0.2.1", SOON)

        assert attempts.forget_expired_attempts(NOW) == 0
        assert attempts.count_attempt("192.0.2.1", SOON) == 3

    def test_several_attempts_are_counted_at_once(self, attempts: AttemptCounter) -> None:
        """Whoever gathers attempts before telling of them is counted in full."""
        counts = [attempts.count_attempts("192.0.2.1", number, SOON) for number in (5, 7, 1)]

        assert [5, 12, 13] == counts
        assert attempts.count_attempt("192.0.2.1", SOON) == 14

    def test_no_attempts_tell_how_many_there_are(self, attempts: AttemptCounter) -> None:
        """Looking changes nothing: neither how many there are nor how long they are kept."""
        before = attempts.count_attempts("192.0.2.1", 0, SOON)
        attempts.count_attempts("192.0.2.1", 3, NOW - MOMENT)

        assert (0, 3, 3) == (before, *(attempts.count_attempts("192.0.2.1", 0, SOON) for _ in range(2)))
        assert attempts.forget_expired_attempts(NOW) == 1
