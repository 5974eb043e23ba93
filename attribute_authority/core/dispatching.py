"""The delivery worker: takes what is due from the books, hands it to sinks on threads of their own, and records how it ended.

Nothing is ever only in memory: a worker that dies leaves leases behind, which end, and what it had in hand is delivered once more.
A sink that is away is left alone for a while by every worker; then one delivery, or its own check where nothing is due, tries it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Lock
from typing import Final

from attribute_authority.core.attempting import Attempt, Attempting, heed
from attribute_authority.core.stations import GIVEN_BACK, NamedSink, Station, describe_failure
from attribute_authority.delivery_ports import DeliveryQueue, DeliveryWatch
from attribute_authority.domain.delivery import DueDelivery, Lane, SinkName
from attribute_authority.domain.identifiers import Environment
from attribute_authority.domain.source import Outage
from attribute_authority.errors import CouldNotAsk, SinkUnavailable
from attribute_authority.events import DeliveryEvent, EventLog
from attribute_authority.ports import Clock, OutageBoard

_AT_ONCE: Final = 500
"""Deliveries per transaction: in SQLite that long an answer waits that has to be written down."""

_GATHERING_SECONDS: Final = 0.1
"""How long endings are gathered before they are recorded together: in SQLite, whoever records or claims keeps answers from writing."""

_TRIAL_MARGIN: Final = timedelta(seconds=1)
_BOARD_PERIOD: Final = timedelta(seconds=1)
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=5)
_WORTH_DOUBLING: Final = 16


@dataclass(frozen=True, slots=True)
class Office:
    """What the dispatcher works with."""

    queue: DeliveryQueue
    board: OutageBoard
    watch: DeliveryWatch
    environment: Environment
    clock: Clock
    events: EventLog


class Dispatcher:
    """Delivers to sinks, from one thread; `use`, `wake` and `stop` may be called from any."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._stations: dict[SinkName, Station] = {}
        self._leaving: list[Station] = []
        self._holder = ""
        self._unrecorded: list[Attempt] = []
        self._outages: dict[str, Outage] = {}
        self._outages_read_at: datetime | None = None
        self._environment = office.environment
        self._books_away: str | None = None
        self._wanted: tuple[Environment, tuple[Station, ...]] | None = None
        self._lock = Lock()
        self._woken = Event()
        self._stopping = Event()

    def use(self, sinks: Sequence[NamedSink], attempting: Attempting, environment: Environment | None = None) -> None:
        """Deliver to these sinks from the next turn on; earlier ones are closed when what they have in hand has ended.

        `environment` is the one of which they are, by default that of the office.
        """
        stations = tuple(Station(named, attempting, self._woken.set) for named in sinks)
        with self._lock:
            unused, self._wanted = self._wanted, (environment or self._office.environment, stations)
        for station in () if unused is None else unused[1]:
            station.close()
        self._woken.set()

    def stop(self) -> None:
        """Have `run` end: nothing is begun any more, what is under way is finished and recorded."""
        self._stopping.set()
        self._woken.set()

    def run(self, holder: str, poll: float) -> None:
        """Deliver until told to stop, in the name of `holder`; every `poll` seconds at least the books are looked into."""
        self._holder = holder
        while not self._stopping.is_set():
            if not self.turn():
                self._woken.wait(poll)
            self._woken.clear()
            self._stopping.wait(_GATHERING_SECONDS)
        self._finish()

    def turn(self) -> bool:
        """Record what has ended and begin what is due; returns whether there was anything."""
        self._take_over()
        try:
            recorded = self._record()
            self._read_outages()
            begun = [self._begin(station) for station in self._stations.values()]
        except CouldNotAsk as failure:
            self._note_books_away(failure.cause)
            return False
        self._note_books_away(None)
        return any([recorded, *begun])

    def _note_books_away(self, cause: str | None) -> None:
        """Say when the books cannot be reached, for what reason, and when they can again; a turn comes every second."""
        before, self._books_away = self._books_away, cause
        if cause is not None and cause != before:
            self._office.events.fault("deliveries-paused", cause=cause)
        elif cause is None and before is not None:
            self._office.events.operation("deliveries-resumed")

    def _read_outages(self) -> None:
        now = self._office.clock()
        if self._outages_read_at is None or not timedelta() <= now - self._outages_read_at < _BOARD_PERIOD:
            self._outages = {outage.source: outage for outage in self._office.board.list_outages()}
            self._outages_read_at = now

    def _take_over(self) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._leaving.extend(self._stations.values())
            self._environment, stations = wanted
            self._stations = {station.named.name: station for station in stations}
        for station in self._leaving:
            station.cancel()
        over = [station for station in self._leaving if station.is_idle]
        self._leaving = [station for station in self._leaving if not station.is_idle]
        for station in over:
            station.close()

    def _finish(self) -> None:
        stations = [*self._stations.values(), *self._leaving]
        for station in stations:
            station.cancel()
        # Each as it ends: one sink that takes its time costs the others nothing, even where nobody waits for its end.
        while True:
            with suppress(CouldNotAsk):
                # What cannot be recorded is delivered once more when its lease has ended.
                self._record()
            if all(station.is_idle for station in stations):
                break
            self._woken.wait(_BOARD_PERIOD.total_seconds())
            self._woken.clear()
        for station in stations:
            station.close()

    def _record(self) -> int:
        for station in (*self._stations.values(), *self._leaving):
            attempts = tuple(station.collect())
            self._give_up_lost(station)
            self._note_standing(station, attempts)
            self._unrecorded.extend(attempts)
        count = len(self._unrecorded)
        while some := self._unrecorded[:_AT_ONCE]:
            now = self._office.clock()
            self._office.queue.record_outcomes([attempt.outcome for attempt in some], now)
            del self._unrecorded[: len(some)]
            for attempt in some:
                self._tell(attempt, now)
        return count

    def _tell(self, attempt: Attempt, now: datetime) -> None:
        if attempt.kind == GIVEN_BACK:
            return
        seconds = (now - attempt.began).total_seconds()
        self._office.watch.attempted(str(attempt.due.sink), attempt.kind, seconds)
        event = DeliveryEvent(
            reference=attempt.due.delivery.reference,
            sink=str(attempt.due.sink),
            attempt=attempt.due.delivery.attempt,
            outcome=attempt.kind,
            cause=attempt.cause,
        )
        self._office.events.delivery(event, seconds)

    def _note_standing(self, station: Station, attempts: Sequence[Attempt]) -> None:
        """Pause a sink that is away, and go on with one that is back."""
        reached = [attempt for attempt in attempts if attempt.away is None and attempt.kind != GIVEN_BACK]
        away = [attempt for attempt in attempts if attempt.away is not None]
        if reached or station.has_passed_check():
            self._resume(station)
        # Several that were under way together fail together, and are one failure.
        elif away and (station.paused_at is None or away[-1].began > station.paused_at):
            self._pause(station, away[-1].away)
        elif (failure := station.failed_check()) is not None:
            self._pause(station, failure)

    def _give_up_lost(self, station: Station) -> None:
        """Go on without threads that do not come back from a connector, which may be another party's."""
        lost = station.give_up_lost(self._office.clock())
        if lost:
            self._office.events.fault("sink-hangs", sink=str(station.named.name), threads=lost)
            self._pause(station, SinkUnavailable("its connector does not end in time"))

    def _pause(self, station: Station, failure: CouldNotAsk | None) -> None:
        now, name = self._office.clock(), str(station.named.name)
        before = self._outages.get(name)
        failures = 1 if before is None else before.failures + 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(failures - 1, _WORTH_DOUBLING), _LONGEST_PAUSE)
        if isinstance(failure, SinkUnavailable):
            pause = heed(failure.retry_after, pause)
        outage = Outage(name, failures, now if before is None else before.since, now + pause, "" if failure is None else failure.cause)
        station.paused_at = now
        # What was claimed would only fail as well, one after the other.
        station.cancel()
        self._outages[name] = outage
        self._office.watch.sink_paused(name, True)
        with suppress(CouldNotAsk):
            self._office.board.record_outage(outage)

    def _resume(self, station: Station) -> None:
        name = str(station.named.name)
        if name not in self._outages:
            return
        del self._outages[name]
        station.paused_at = None
        self._office.watch.sink_paused(name, False)
        with suppress(CouldNotAsk):
            self._office.board.clear_outage(name)

    def _begin(self, station: Station) -> bool:
        now = self._office.clock()
        outage = self._outages.get(str(station.named.name))
        if outage is None:
            return self._claim(station, now, station.room)
        if now < outage.until or not station.is_idle:
            return False
        if not self._office.board.claim_trial(outage, now + station.named.timeout + _TRIAL_MARGIN):
            return False
        if not self._claim(station, now, min(station.room, station.trial)):
            station.until = now + station.lease
            station.begin_check()
        return True

    def _claim(self, station: Station, now: datetime, room: int) -> bool:
        if room == 0:
            return False
        try:
            slot = station.slot(now)
        except BaseException as defect:  # noqa: BLE001 - the named boundary to connectors, which may be another party's
            self._pause(station, SinkUnavailable(describe_failure(defect)))
            return False
        lane = Lane(station.named.name, self._environment, self._holder, station.lease, slot)
        dues = self._claim_all(lane, now, room)
        if not dues:
            return False
        station.until = now + station.lease
        if slot is None:
            station.begin(dues)
        else:
            station.begin_together(dues, slot)
        return True

    def _claim_all(self, lane: Lane, now: datetime, room: int) -> list[DueDelivery]:
        dues: list[DueDelivery] = []
        while (wanted := min(room - len(dues), _AT_ONCE)) > 0:
            try:
                claimed = self._office.queue.claim_deliveries(lane, now, wanted)
            except CouldNotAsk:
                if not dues:
                    raise
                # What is leased is delivered, or it would wait for the end of the lease.
                break
            dues += claimed
            if len(claimed) < wanted:
                break
        return dues
