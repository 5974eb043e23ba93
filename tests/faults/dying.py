"""Ports that kill their process at a chosen call, before or after it has done its work."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Death:
    """Comes with the `at`-th call to any port that it watches: before the call, or with `after` when it has been done, however it ended."""

    at: int
    after: bool
    calls: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def watch(self, port: Any) -> Any:
        """Return the port with every method watched."""
        return _Watched(port, self)

    def call(self, method: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Make a call, and die if it is the one."""
        due = next(self.calls) == self.at
        if due and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return method(*arguments)
        finally:
            if due:
                os.kill(os.getpid(), signal.SIGKILL)


class _Watched:
    def __init__(self, port: Any, death: Death) -> None:
        self._port = port
        self._death = death

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found
        return lambda *arguments: self._death.call(found, arguments)


def survives(work: Callable[[], None]) -> bool:
    """Run work in a process of its own; True when it came to its end, False when it was killed on the way."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(ended) in (0, -signal.SIGKILL)
    return ended == 0
