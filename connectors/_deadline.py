"""An instant by which everything must be over, however many steps it takes."""

import time
from collections.abc import Callable

Monotonic = Callable[[], float]
"""Returns seconds that never go backwards."""


class Deadline:
    """An instant by which everything must be over."""

    def __init__(self, seconds: float, monotonic: Monotonic = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, more than 0. Raises TimeoutError where none are."""
        left = self._at - self._monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left
