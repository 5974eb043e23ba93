"""A circuit breaker: a source that could not be asked is left alone for a while, by every worker and node.

The pause doubles with each failure in a row. When it is over one question tries the source; the others wait no longer than before.
Only so many questions to one source are under way or wait at once, so that one that hangs cannot take every thread.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from traceback import format_tb
from typing import Final

from attribute_authority.domain.identifiers import Identifier, OrcidId
from attribute_authority.domain.source import Finding, Outage
from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from attribute_authority.events import EventLog
from attribute_authority.ports import Clock, IdentifierSource, OutageBoard, SourceWatch

_FIRST_PAUSE: Final = timedelta(seconds=1)
_WORTH_DOUBLING: Final = 16
_FAULT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source under the name that log, health and metrics know it by. `timeout` is how long one question may take at most.

    `places` bounds the questions that are under way in this process, and `queue` those that wait for a place, each of which has a thread.
    """

    name: str
    source: IdentifierSource
    places: BoundedSemaphore
    queue: BoundedSemaphore
    timeout: timedelta

    def enter(self) -> bool:
        """Take a place, if need be after a wait no longer than a question takes; False where there is none to be had."""
        if self.places.acquire(blocking=False):
            return True
        if not self.queue.acquire(blocking=False):
            return False
        try:
            return self.places.acquire(timeout=self.timeout.total_seconds())
        finally:
            self.queue.release()


@dataclass(frozen=True, slots=True)
class Pausing:
    """Asks sources, and pauses those that fail; `monotonic` returns seconds that never go backwards. `events` is told of defects."""

    board: OutageBoard
    watch: SourceWatch
    longest: timedelta
    clock: Clock
    monotonic: Callable[[], float]
    events: EventLog = field(default_factory=EventLog)

    def ask(self, named: NamedSource, identifier: Identifier) -> Finding | None:
        """Ask a source about an identifier. Raises SourceUnavailable, whether it was asked or left alone; CouldNotAsk for our own store."""
        if not named.enter():
            self.watch.source_asked(named.name, "paused", 0.0)
            raise SourceUnavailable(f"{named.name}: as many questions as may be are under way", _FIRST_PAUSE.total_seconds())
        try:
            # Only now: it may have failed others while this question waited for a place.
            outage = self.board.read_outage(named.name)
            if outage is not None:
                self._wait_out(named, outage)
            return self._ask(named, identifier, outage)
        finally:
            named.places.release()

    def _wait_out(self, named: NamedSource, outage: Outage) -> None:
        now = self.clock()
        left = (outage.until - now).total_seconds()
        if left > (self.longest + named.timeout + _FIRST_PAUSE).total_seconds():
            # Nobody pauses a source for that long: it was noted by a clock that was ahead of ours, or ours went back.
            left = 0.0
        if left <= 0 and self.board.claim_trial(outage, now + named.timeout + _FIRST_PAUSE):
            return
        self.watch.source_asked(named.name, "paused", 0.0)
        raise SourceUnavailable(f"{named.name}: not asked, because of an outage: {outage.cause}", max(left, _FIRST_PAUSE.total_seconds()))

    def _ask(self, named: NamedSource, identifier: Identifier, outage: Outage | None) -> Finding | None:
        started = self.monotonic()
        try:
            finding = _checked(named.source.resolve(identifier))
        except SourceUnavailable as busy:
            # It says itself when it can be asked again, so that nothing is wrong with it.
            self.watch.source_asked(named.name, "failed", self.monotonic() - started)
            raise SourceUnavailable(f"{named.name}: {busy.cause}", busy.retry_after) from busy
        except CouldNotAsk as failure:
            self.watch.source_asked(named.name, "failed", self.monotonic() - started)
            raise self._pause(named, outage, failure.cause) from failure
        except Exception as defect:  # noqa: BLE001 - the named boundary to connectors, which may be another party's
            self.watch.source_asked(named.name, "failed", self.monotonic() - started)
            raise self._report(named, defect) from None
        self.watch.source_asked(named.name, "absent" if finding is None else "found", self.monotonic() - started)
        if outage is not None:
            with suppress(CouldNotAsk):
                # Whoever asks next clears it; what was found is found.
                self.board.clear_outage(named.name)
            self.watch.source_paused(named.name, False)
        return finding

    def _report(self, named: NamedSource, defect: Exception) -> SourceUnavailable:
        # Without the words of the exception, which may quote what was asked; and no outage, for others may still be answered for.
        kind = type(defect).__name__
        self.events.fault("defect", source=named.name, exception=kind, traceback="".join(format_tb(defect.__traceback__)))
        return SourceUnavailable(f"{named.name}: a defect of its connector: {kind}", _FAULT_SECONDS)

    def _pause(self, named: NamedSource, outage: Outage | None, cause: str) -> SourceUnavailable:
        now = self.clock()
        failures = 1 if outage is None else outage.failures + 1
        pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, _WORTH_DOUBLING), self.longest)
        self.watch.source_paused(named.name, True)
        since: datetime = now if outage is None else outage.since
        with suppress(CouldNotAsk):
            # Where even our own store is away, the first failure is the one to tell.
            self.board.record_outage(Outage(named.name, failures, since, now + pause, cause))
        return SourceUnavailable(f"{named.name}: {cause}", pause.total_seconds())


def _checked(finding: object) -> Finding | None:
    """Return what a source has answered. Raises TypeError where it is no answer."""
    if finding is None:
        return None
    if (
        not isinstance(finding, Finding)
        or not all(isinstance(identifier, Identifier) for identifier in finding.identifiers)
        or not (finding.orcid is None or isinstance(finding.orcid, OrcidId))
    ):
        raise TypeError("a source has answered something that is no Finding")
    return finding
