"""The reference back end of deliveries: what their ports mean, in the plainest form; for tests and for reading, not for service."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attribute_authority.delivery_ports import DeliveryBook, DeliveryNotices, DeliveryQueue, DeliveryReader
from attribute_authority.domain.delivery import (
    Backlog,
    Delivery,
    DeliveryRecord,
    DeliverySelection,
    DeliveryState,
    DueDelivery,
    Lane,
    Outcome,
    SinkName,
)
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.storage.delivery_rules import left_behind, make_storable, random_reference
from attribute_authority.storage.memory import MemoryLinkStore
from attribute_authority.storage.memory_posting import Place, Posted

_NO_TIME: Final = timedelta()


class MemoryDeliveryStore:
    """The deliveries that a store of links in memory has written."""

    def __init__(self, links: MemoryLinkStore) -> None:
        self._links = links
        self._posting = links.posting

    def claim_deliveries(self, lane: Lane, now: datetime, limit: int) -> tuple[DueDelivery, ...]:
        """Return deliveries that are due at `now` and in nobody's hands, the longest due first, and lease them."""
        with self._posting.lock:
            due = sorted((row for row in self._rows() if _is_due(row, lane, now)), key=lambda row: (row.due_at or now, row.number))[:limit]
            lease = random_reference()
            handed = tuple(self._to_due(row, lease) for row in due)
            for row in due:
                leased = replace(row, lease=lease, holder=lane.holder, due_at=now + lane.lease)
                self._posting.put(replace(leased, attempts=row.attempts + 1, reached=row.was_begun))
            return handed

    def release_leases(self, holder: str, now: datetime, patience: timedelta = _NO_TIME) -> int:
        """Shorten to `patience` the leases of a holder who is known to be gone; returns how many."""
        until = now + patience
        with self._posting.lock:
            held = [row for row in self._rows() if row.holder == holder and row.is_in_hand(until)]
            for row in held:
                self._posting.put(replace(row, due_at=until))
                self._make_successor_due(row, until)
            return len(held)

    def record_outcomes(self, outcomes: Sequence[Outcome], now: datetime) -> int:
        """Record how attempts ended; returns how many were still leased by whoever made them."""
        with self._posting.lock:
            rows = {row.reference: row for row in self._rows()}
            attempted = [(outcome, rows[outcome.reference]) for outcome in outcomes if outcome.reference in rows]
            late = []
            for outcome, row in attempted:
                if row.lease == outcome.lease:
                    self._posting.put(_recorded(row, outcome, now))
                    if not self._is_overtaken(row):
                        self._make_successor_due(row, now)
                        continue
                if outcome.counts:
                    late.append(row)
            for row in late:
                self._post(row.place, now, row)
            return sum(row.lease == outcome.lease for outcome, row in attempted)

    def read_backlogs(self, environment: Environment) -> tuple[Backlog, ...]:
        """Return for each sink that has pending or parked deliveries how many, by name."""
        with self._posting.lock:
            waiting = [row for row in self._rows() if row.is_open and row.place[2] is environment]
        return tuple(_count(sink, waiting) for sink in sorted({row.place[1] for row in waiting}))

    def list_deliveries(self, selection: DeliverySelection, latest_first: bool = False) -> Iterator[DeliveryRecord]:
        """Yield deliveries in the order in which they were written, or in the opposite one."""
        with self._posting.lock:
            records = [self._to_record(row) for row in self._select(selection)]
        yield from reversed(records) if latest_first else records

    def retry_deliveries(self, selection: DeliverySelection, now: datetime) -> int:
        """Make parked deliveries, and pending ones that wait, due at once; returns how many."""
        with self._posting.lock:
            chosen = [row for row in self._select(selection) if row.is_open and not self._is_held_up(row, now)]
            for row in chosen:
                self._posting.put(row.reopened(now))
            return len(chosen)

    def cancel_deliveries(self, selection: DeliverySelection, now: datetime) -> int:
        """Cancel parked and pending deliveries that are in nobody's hands; returns how many."""
        with self._posting.lock:
            chosen = [row for row in self._select(selection) if row.is_open and not row.is_in_hand(now)]
            for row in chosen:
                over = replace(row, state=DeliveryState.CANCELLED, due_at=None, ended_at=now)
                self._posting.put(replace(over, lease=None, holder=None, reached=row.was_begun))
            return len(chosen)

    def replay_deliveries(self, sink: SinkName, environment: Environment, after: int, limit: int, now: datetime) -> tuple[int, int]:
        """Write the present state of up to `limit` people of the organisation as new deliveries."""
        with self._posting.lock:
            everybody = self._links.people_of(sink.home_organisation, environment)
            people = [number for number in everybody if number > after][:limit]
            for number in people:
                self._post((number, sink, environment), now, anew=True)
            return (people[-1] if people else after), len(people)

    def count_replay(self, home_organisation: EntityId, environment: Environment) -> int:
        """Return how many people a replay is about."""
        return len(self._links.people_of(home_organisation, environment))

    def preview_deliveries(self, selection: DeliverySelection) -> Iterator[DueDelivery]:
        """Yield what sinks would be handed for pending and parked deliveries."""
        with self._posting.lock:
            handed = [self._to_due(row, "") for row in self._select(selection) if row.is_open]
        yield from handed

    def preview_replay(self, sink: SinkName, environment: Environment) -> Iterator[DueDelivery]:
        """Yield what the sink would be handed in a replay."""
        with self._posting.lock:
            places: list[Place] = [(number, sink, environment) for number in self._links.people_of(sink.home_organisation, environment)]
            handed = [self._to_due(row, "") for row in map(self._imagine, places) if row is not None]
        yield from handed

    def read_deliveries(self, subject_id: int, environment: Environment, sinks: Collection[SinkName]) -> tuple[DeliveryRecord, ...]:
        """Return the newest delivery to each of the sinks about a person, in the order of the sinks' names."""
        with self._posting.lock:
            newest = {row.place: row for row in self._rows()}
            places = [(subject_id, sink, environment) for sink in sorted(set(sinks))]
            return tuple(self._to_record(newest[place]) for place in places if place in newest)

    def claim_untold(
        self, home_organisation: EntityId, now: datetime, lease: timedelta, limit: int, waited: timedelta
    ) -> tuple[DeliveryRecord, ...]:
        """Return parked deliveries that nobody has told of, once the oldest has waited so long, and lease them."""
        with self._posting.lock:
            parked = (row for row in self._rows() if row.state is DeliveryState.PARKED and row.told_at is None)
            untold = [row for row in parked if (row.telling_until or now) <= now and row.place[1].home_organisation == home_organisation]
            untold.sort(key=lambda row: (row.ended_at or now, row.number))
            if not untold or (untold[0].ended_at or now) > now - waited:
                return ()
            for row in untold[:limit]:
                self._posting.put(replace(row, telling_until=now + lease))
            return tuple(self._to_record(row) for row in untold[:limit])

    def record_told(self, references: Collection[str], now: datetime) -> None:
        """Note that the organisation was told of them."""
        with self._posting.lock:
            for row in self._rows():
                if row.reference in references and row.telling_until is not None:
                    self._posting.put(replace(row, told_at=now, telling_until=None))

    def _rows(self) -> list[Posted]:
        return list(self._posting.rows.values())

    def _select(self, selection: DeliverySelection) -> Iterable[Posted]:
        asked = selection.identifier
        for row in self._rows():
            number, sink, _ = row.place
            is_named = selection.home_organisation in (None, sink.home_organisation) and selection.sink in (None, sink.name)
            is_meant = selection.reference in (None, row.reference) and (selection.states is None or row.state in selection.states)
            if is_named and is_meant and (asked is None or asked in self._links.identifiers_of(number)):
                yield row

    def _is_held_up(self, row: Posted, now: datetime) -> bool:
        beside = list(self._posting.at(row.place))
        return any(one.is_in_hand(now) for one in beside) or row.number != beside[-1].number

    def _is_overtaken(self, row: Posted) -> bool:
        return any(one.number > row.number and one.attempts > 0 for one in self._posting.at(row.place))

    def _make_successor_due(self, row: Posted, now: datetime) -> None:
        for one in self._posting.at(row.place):
            if one.number > row.number and one.state is DeliveryState.PENDING and one.lease is None:
                self._posting.put(replace(one, due_at=min(one.due_at or now, now)))

    def _post(self, place: Place, now: datetime, late: Posted | None = None, *, anew: bool = False) -> None:
        present = self._links.present_of(place[0], place[2])
        if present is not None:
            self._posting.post_to(place, present, now, None if late is None else late.present.orcid, anew=anew)

    def _imagine(self, place: Place) -> Posted | None:
        present = self._links.present_of(place[0], place[2])
        if present is None:
            return None
        at = present.changed_at
        return Posted(max(self._posting.rows, default=0) + 1, self._posting.new_reference(), place, present, at, at, at, anew=True)

    def _to_due(self, row: Posted, lease: str) -> DueDelivery:
        number, sink, environment = row.place
        # The row itself may be one that is only imagined.
        others = [one.trace for one in self._posting.at(row.place) if one.number != row.number]
        left = left_behind((*others, row.trace))
        handed = Delivery(
            reference=row.reference,
            home_organisation=sink.home_organisation,
            identifiers=self._links.identifiers_of(number),
            orcid=row.present.orcid,
            former=tuple(orcid for orcid in left if orcid != row.present.orcid),
            environment=environment,
            changed_at=row.present.changed_at,
            attempt=row.attempts + 1,
            may_be_ours=row.present.orcid in left,
        )
        return DueDelivery(handed, sink, lease, row.ages_from)

    def _to_record(self, row: Posted) -> DeliveryRecord:
        number, sink, environment = row.place
        is_pending = row.state is DeliveryState.PENDING
        return DeliveryRecord(
            reference=row.reference,
            sink=sink,
            subject_id=number,
            identifiers=self._links.identifiers_of(number),
            orcid=row.present.orcid,
            environment=environment,
            state=row.state,
            changed_at=row.present.changed_at,
            created_at=row.created_at,
            attempts=row.attempts,
            due_at=row.due_at if is_pending else None,
            in_hand=is_pending and row.lease is not None,
            ended_at=row.ended_at,
            message=row.message,
            told_at=row.told_at,
        )


def _is_due(row: Posted, lane: Lane, now: datetime) -> bool:
    _, sink, environment = row.place
    is_here = (sink, environment, row.state) == (lane.sink, lane.environment, DeliveryState.PENDING)
    return is_here and row.due_at is not None and row.due_at <= now and (lane.before is None or row.created_at <= lane.before)


def _recorded(row: Posted, outcome: Outcome, now: datetime) -> Posted:
    is_final = outcome.state is DeliveryState.DELIVERED or row.state is DeliveryState.PENDING
    state = outcome.state if is_final else DeliveryState.SUPERSEDED
    ended = replace(row, state=state, lease=None, holder=None, ended_at=now)
    return replace(
        ended,
        due_at=outcome.due_at if state is DeliveryState.PENDING else None,
        attempts=row.attempts - (0 if outcome.counts else 1),
        reached=row.reached or outcome.counts,
        found=outcome.found and state is DeliveryState.DELIVERED,
        message=None if outcome.message is None else make_storable(outcome.message),
    )


def _count(sink: SinkName, waiting: Iterable[Posted]) -> Backlog:
    here = [row for row in waiting if row.place[1] == sink]
    pending = [row.created_at for row in here if row.state is DeliveryState.PENDING]
    return Backlog(sink, len(pending), len(here) - len(pending), min(pending, default=None))


if TYPE_CHECKING:
    _hands_out: type[DeliveryQueue] = MemoryDeliveryStore
    _keeps_books: type[DeliveryBook] = MemoryDeliveryStore
    _reads: type[DeliveryReader] = MemoryDeliveryStore
    _tells: type[DeliveryNotices] = MemoryDeliveryStore
