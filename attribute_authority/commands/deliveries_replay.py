"""Replaying deliveries: the present state of everybody once more, no faster than a sink can bear."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import click

from attribute_authority.delivery_ports import DeliveryBook
from attribute_authority.domain.delivery import SinkName
from attribute_authority.domain.identifiers import Environment
from attribute_authority.ports import Clock

_LARGEST_BATCH: Final = 100
"""People per transaction: that long other writers of links wait."""

_REPORT_SECONDS: Final = 10.0

Monotonic = Callable[[], float]
"""Returns seconds that never go backwards."""


class Pace:
    """Lets at most `rate` a second through, `batch` of them at a time."""

    def __init__(self, rate: int, monotonic: Monotonic, sleep: Callable[[float], None], largest: int = _LARGEST_BATCH) -> None:
        self.batch = min(rate, largest)
        self._pause = self.batch / rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = monotonic()

    def wait(self) -> None:
        """Return when the next batch may begin."""
        now = self._monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._pause


def replay_people(
    books: DeliveryBook, sinks: Sequence[SinkName], environment: Environment, *, after: int, pace: Pace, clock: Clock
) -> Iterator[tuple[int, int]]:
    """Write everybody's present state to the sinks, batch by batch; yields after whom to go on, and how many people a batch had.

    Where people come and go meanwhile, the sink that got less far decides where to go on: who comes twice comes to the same end.
    Raises CouldNotAsk.
    """
    while True:
        pace.wait()
        written = [books.replay_deliveries(sink, environment, after, pace.batch, clock()) for sink in sinks]
        reached = [(last, people) for last, people in written if people]
        if not reached:
            return
        after = min(last for last, _ in reached)
        yield after, max(people for _, people in reached)


@contextmanager
def progress(total: int, monotonic: Monotonic) -> Iterator[Callable[[int, int], None]]:
    """Show progress on standard error: a bar on a terminal, otherwise a line now and then; gives what takes (people, last)."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label="replay", file=sys.stderr) as bar:
            yield lambda people, _: bar.update(people)
        return
    done, told_at = 0, monotonic()

    def tell(people: int, last: int) -> None:
        nonlocal done, told_at
        done += people
        if monotonic() - told_at >= _REPORT_SECONDS:
            told_at = monotonic()
            click.echo(f"{done} of {total} people, up to number {last}", err=True)

    yield tell
