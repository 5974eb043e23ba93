"""What operators read and change of deliveries: a page at a time, so that neither writers nor workers wait for long."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, update

from attribute_authority.domain.delivery import DeliveryRecord, DeliverySelection, DeliveryState, DueDelivery, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.storage.delivery_rules import is_storable, may_be_stored
from attribute_authority.storage.engine import writing
from attribute_authority.storage.sql_deliveries import HIGHEST_ROW_NUMBER, PAGE, is_in_hand, is_selected, read_pages, to_due, to_records
from attribute_authority.storage.sql_deliveries_replay import count_people, preview_people, read_people
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_posting import IS_NEWEST, REOPENED, Posting
from attribute_authority.storage.tables import LEASED, delivery

_LARGEST_PAGE = 10_000
"""More people than that do not fit into one statement."""

_OPEN = frozenset({DeliveryState.PENDING, DeliveryState.PARKED})

_other = delivery.alias("earlier")

_Conditions = list[ColumnElement[bool]]


class SqlDeliveryBook:
    """Lists, changes and writes deliveries for operators."""

    def __init__(self, pool: ConnectionPool, posting: Posting) -> None:
        self._pool = pool
        self._posting = posting

    def list_deliveries(self, selection: DeliverySelection, latest_first: bool = False) -> Iterator[DeliveryRecord]:
        """Yield deliveries in the order in which they were written, or in the opposite one, a page at a time. Raises CouldNotAsk."""
        conditions = _select(selection, frozenset(DeliveryState))
        if conditions is not None:
            yield from read_pages(self._pool, conditions, to_records, latest_first)

    def retry_deliveries(self, selection: DeliverySelection, now: datetime) -> int:
        """Make parked deliveries, and pending ones that wait, due at once; returns how many. Their age counts from now on.

        One that a newer delivery to the same person and sink has followed stays as it is, and so does one that is in hand, or that waits
        for an earlier one that is. Raises CouldNotAsk.
        """
        conditions = _select(selection, _OPEN)
        if conditions is None:
            return 0
        return self._change([*conditions, IS_NEWEST, _waits_for_nobody(now)], {**REOPENED, "due_at": now, "ages_from": now}, now)

    def cancel_deliveries(self, selection: DeliverySelection, now: datetime) -> int:
        """Cancel parked and pending deliveries that are in nobody's hands; returns how many. Raises CouldNotAsk."""
        conditions = _select(selection, _OPEN)
        cancelled = {"state": DeliveryState.CANCELLED.value, "lease": None, "due_at": None, "ended_at": now}
        return 0 if conditions is None else self._change(conditions, cancelled, now)

    def replay_deliveries(self, sink: SinkName, environment: Environment, after: int, limit: int, now: datetime) -> tuple[int, int]:
        """Write the present state of up to `limit` people of the organisation as new deliveries, in one transaction.

        Returns the last subject_id (`after` where there was nobody left) and how many there were. Raises CouldNotAsk.
        """
        if after >= HIGHEST_ROW_NUMBER or not _may_exist(sink):
            return after, 0
        with self._pool.connection() as connection, writing(connection):
            at_most = min(limit, _LARGEST_PAGE)
            people = read_people(connection, sink.home_organisation, environment, max(after, 0), at_most)
            if not people:
                return after, 0
            self._posting.post_to(connection, [sink], environment, dict.fromkeys(people), now, anew=True)
            return people[-1], len(people)

    def count_replay(self, home_organisation: EntityId, environment: Environment) -> int:
        """Return how many people a replay is about; for progress. Raises CouldNotAsk."""
        if not is_storable(home_organisation):
            return 0
        with self._pool.connection() as connection:
            return count_people(connection, home_organisation, environment)

    def preview_deliveries(self, selection: DeliverySelection) -> Iterator[DueDelivery]:
        """Yield what sinks would be handed for pending and parked deliveries, a page at a time; nothing is leased. Raises CouldNotAsk."""
        conditions = _select(selection, _OPEN)
        if conditions is not None:
            yield from read_pages(self._pool, conditions, lambda connection, rows: to_due(connection, rows, ""))

    def preview_replay(self, sink: SinkName, environment: Environment) -> Iterator[DueDelivery]:
        """Yield what the sink would be handed in a replay, a page at a time; nothing is written. Raises CouldNotAsk."""
        after: int | None = 0 if _may_exist(sink) else None
        while after is not None:
            with self._pool.connection() as connection:
                after, page = preview_people(connection, sink, environment, after, self._posting.new_reference)
            yield from page

    def _change(self, conditions: _Conditions, values: Mapping[str, Any], now: datetime) -> int:
        """Change the deliveries that nobody is at; returns how many."""
        # An attempt of which nobody said how it ended.
        changed = update(delivery).values({**values, "holder": None, "reached": or_(delivery.c.reached, LEASED)})
        wanted = select(delivery.c.id).where(*conditions, ~is_in_hand(now)).order_by(delivery.c.id)
        last, total = 0, 0
        while True:
            with self._pool.connection() as connection:
                # Looked for while others may write; in SQLite whoever does nothing but write keeps them all from it.
                found = connection.execute(wanted.where(delivery.c.id > last).limit(PAGE)).scalars().all()
                if not found:
                    return total
                with writing(connection):
                    numbers = connection.execute(wanted.where(delivery.c.id.in_(found)).with_for_update()).scalars().all()
                    if numbers:
                        connection.execute(changed.where(delivery.c.id.in_(numbers)))
            total += len(numbers)
            if len(found) < PAGE:
                return total
            last = found[-1]


def _select(selection: DeliverySelection, states: frozenset[DeliveryState]) -> _Conditions | None:
    """Return the conditions of a selection among some states, None where nothing can be meant."""
    meant = states if selection.states is None else states & selection.states
    if not meant or not may_be_stored(selection):
        return None
    # Bound: with the state in the statement an index of one state would be read and sorted anew for every page.
    return [*is_selected(selection), delivery.c.state.in_(sorted(meant))]


def _may_exist(sink: SinkName) -> bool:
    return is_storable(sink.home_organisation) and is_storable(sink.name)


def _waits_for_nobody(now: datetime) -> ColumnElement[bool]:
    same_person = (
        _other.c.subject_id == delivery.c.subject_id,
        _other.c.home_organisation == delivery.c.home_organisation,
        _other.c.sink == delivery.c.sink,
        _other.c.environment == delivery.c.environment,
    )
    return ~exists().where(*same_person, _other.c.id < delivery.c.id, and_(_other.c.lease.is_not(None), _other.c.due_at > now))
