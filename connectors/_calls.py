"""Calls that may hang, for the checks that third parties run against their own connectors."""

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from attribute_authority.errors import AuthorityError

Outcome = TypeVar("Outcome")


class Call(Generic[Outcome]):
    """A call on a thread of its own, which is left behind where it hangs."""

    def __init__(self, work: Callable[[], Outcome]) -> None:
        self._work = work
        self._outcomes: list[Outcome] = []
        self._raised: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, raised: BaseException | None, _trace: object) -> bool:
        """Keep whatever was raised for whoever asks for the outcome."""
        self._raised = raised
        return True

    def _run(self) -> None:
        with self:
            self._outcomes.append(self._work())

    def outcome(self, patience: float) -> Outcome | AuthorityError:
        """Return what it returned or which failure of the service it raised, within `patience` seconds."""
        self._thread.join(patience)
        expect(not self._thread.is_alive(), f"a call must end within its time-out; it went on for {patience} s")
        if isinstance(self._raised, AuthorityError):
            return self._raised
        if self._raised is not None:
            raise AssertionError("a call raised something that is no failure of the service") from self._raised
        return self._outcomes[0]

    def result(self, patience: float) -> Outcome:
        """Return what it returned, within `patience` seconds; raise what it raised."""
        outcome = self.outcome(patience)
        if isinstance(outcome, AuthorityError):
            raise AssertionError(f"a call failed: {type(outcome).__name__}: {outcome.cause}") from outcome
        return outcome


def expect(holds: bool, sentence: str) -> None:
    """Raise AssertionError with the sentence where it does not hold."""
    # Not the assert statement, which python -O leaves out.
    if not holds:
        raise AssertionError(sentence)
