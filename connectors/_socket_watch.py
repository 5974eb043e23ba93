"""Ends what waits for a peer beyond its time: the socket of an overdue question is shut down, which wakes whoever reads from it.

A peer whose process is held still acknowledges everything and answers nothing, so that neither TCP nor a limit at the peer ends the wait;
and a limit for each read does not bound the whole of a question.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Condition, Thread
from time import monotonic


@dataclass(eq=False, slots=True)
class Question:
    """Something that is being asked, until the instant `until` of the monotonic clock."""

    until: float
    _held: list[socket.socket] = field(default_factory=list, init=False, repr=False)

    def left(self) -> float:
        """Return the seconds that are left, 0 where none are."""
        return max(0.0, self.until - monotonic())

    def hold(self, number: int) -> None:
        """Have the socket of that file descriptor shut down when time is up."""
        # A descriptor of our own cannot come to mean another socket, whenever the driver closes its own.
        self._held.append(socket.socket(fileno=os.dup(number)))

    def end(self) -> None:
        """Shut down what is held."""
        for held in self._held:
            # It may have been closed by the peer.
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Let go of what is held."""
        for held in self._held:
            held.close()
        self._held.clear()


class SocketWatch:
    """Knows the questions that are under way, and ends each that is overdue, on a thread that it starts with the first."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._under_way: set[Question] = set()
        self._wakes_at: float | None = None
        self._thread: Thread | None = None
        self._closed = False

    @contextmanager
    def question(self, seconds: float) -> Iterator[Question]:
        """Watch over the block: what it holds is shut down after so many seconds."""
        asked = Question(monotonic() + seconds)
        self._add(asked)
        try:
            yield asked
        finally:
            with self._changed:
                self._under_way.discard(asked)
                asked.release()

    def close(self) -> None:
        """End the thread when nothing is under way any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _add(self, asked: Question) -> None:
        with self._changed:
            self._under_way.add(asked)
            # A worker process that was forked has no threads of its parent.
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="socket-watch", daemon=True)
                self._thread.start()
            elif self._wakes_at is None or asked.until < self._wakes_at:
                self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self._under_way or not self._closed:
                now = monotonic()
                for asked in [overdue for overdue in self._under_way if overdue.until <= now]:
                    asked.end()
                    self._under_way.discard(asked)
                self._wakes_at = min((asked.until for asked in self._under_way), default=None)
                self._changed.wait(None if self._wakes_at is None else self._wakes_at - now)
