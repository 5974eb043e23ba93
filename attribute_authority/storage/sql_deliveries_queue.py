"""Handing deliveries out: several workers and nodes claim at once, and none waits for another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Integer, bindparam, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from attribute_authority.domain.delivery import Backlog, DeliveryState, DueDelivery, Lane, Outcome, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.storage.delivery_rules import random_reference
from attribute_authority.storage.engine import SQLITE, writing
from attribute_authority.storage.sql_deliveries import DeliveryRow, is_in_hand, name_columns, to_due
from attribute_authority.storage.sql_deliveries_recording import make_successors_due, record
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.tables import DUE, LEASED, PARKED, PENDING, Instant, delivery

_IS_DUE = (
    delivery.c.home_organisation == bindparam("home_organisation"),
    delivery.c.sink == bindparam("sink"),
    delivery.c.environment == bindparam("environment"),
    PENDING,
    delivery.c.due_at <= bindparam("now", type_=Instant),
)
_WRITTEN = delivery.c.created_at <= bindparam("before", type_=Instant)

_FIRST = select(delivery.c.id).where(*_IS_DUE).order_by(*DUE).limit(1)

# What another worker is leasing just now, and what is being superseded, is left out.
_CHOSEN = select(delivery).where(*_IS_DUE).order_by(*DUE).limit(bindparam("limit", type_=Integer)).with_for_update(skip_locked=True)

_LEASE = (
    update(delivery)
    .where(delivery.c.id.in_(bindparam("numbers", expanding=True)))
    .values(
        lease=bindparam("its_lease"),
        holder=bindparam("its_holder"),
        due_at=bindparam("until", type_=Instant),
        attempts=delivery.c.attempts + 1,
        # An attempt of which nobody said how it ended.
        reached=or_(delivery.c.reached, LEASED),
    )
)

_FIRST_WRITTEN, _CHOSEN_WRITTEN = _FIRST.where(_WRITTEN), _CHOSEN.where(_WRITTEN)


_NO_TIME: Final = timedelta()


class SqlDeliveryQueue:
    """Hands deliveries out and records how they ended."""

    def __init__(self, pool: ConnectionPool, posting: Posting) -> None:
        self._pool = pool
        self._posting = posting

    def claim_deliveries(self, lane: Lane, now: datetime, limit: int) -> tuple[DueDelivery, ...]:
        """Return deliveries that are due at `now` and in nobody's hands, the longest due first, and lease them.

        Of one person and sink never more than one is in hand. Raises CouldNotAsk.
        """
        first, chosen = (_FIRST, _CHOSEN) if lane.before is None else (_FIRST_WRITTEN, _CHOSEN_WRITTEN)
        due: dict[str, object] = {**name_columns(lane.sink), "environment": lane.environment.value, "now": now}
        if lane.before is not None:
            due["before"] = lane.before
        with self._pool.connection() as connection:
            # Most of the time nothing is due, and nobody is kept from writing.
            if connection.execute(first, due).first() is None:
                return ()
            with _leasing(connection):
                rows = connection.execute(chosen, {**due, "limit": limit}).all()
                return _lease(connection, rows, lane, now)

    def release_leases(self, holder: str, now: datetime, patience: timedelta = _NO_TIME) -> int:
        """Shorten to `patience` the leases of a holder who is known to be gone; returns how many. Raises CouldNotAsk."""
        until = now + patience
        held = delivery.c.holder == holder, is_in_hand(until)
        shortened = update(delivery).where(*held).values(due_at=until).returning(*delivery.c)
        with self._pool.connection() as connection:
            if connection.execute(select(delivery.c.id).where(*held).limit(1)).first() is None:
                return 0
            with writing(connection):
                rows = connection.execute(shortened).all()
                make_successors_due(connection, [row for row in rows if row.state == DeliveryState.SUPERSEDED], until)
                return len(rows)

    def record_outcomes(self, outcomes: Sequence[Outcome], now: datetime) -> int:
        """Record how attempts ended, all of them in one transaction; returns how many were still leased by whoever made them.

        For one that was not, and counts, the present state of the person is written as a new delivery: the late attempt may have been
        the last one to reach the other system. A newer delivery that had to wait for the end of this attempt becomes due.
        Raises CouldNotAsk.
        """
        if not outcomes:
            return 0
        with self._pool.connection() as connection, writing(connection):
            return record(connection, outcomes, self._posting, now)

    def read_backlogs(self, environment: Environment) -> tuple[Backlog, ...]:
        """Return for each sink that has pending or parked deliveries how many, by name. Raises CouldNotAsk."""
        sink = delivery.c.home_organisation, delivery.c.sink
        here = delivery.c.environment == environment.value
        pending = select(*sink, func.count(), func.min(delivery.c.created_at)).where(PENDING, here).group_by(*sink)
        parked = select(*sink, func.count()).where(PARKED, here).group_by(*sink)
        with self._pool.connection() as connection:
            waiting = {_sink(home, name): (many, oldest) for home, name, many, oldest in connection.execute(pending)}
            refused = {_sink(home, name): many for home, name, many in connection.execute(parked)}
        counted = ((name, *waiting.get(name, (0, None))) for name in sorted(waiting.keys() | refused.keys()))
        return tuple(Backlog(name, many, refused.get(name, 0), oldest) for name, many, oldest in counted)


def _lease(connection: Connection, rows: Sequence[DeliveryRow], lane: Lane, now: datetime) -> tuple[DueDelivery, ...]:
    if not rows:
        return ()
    lease = random_reference()
    # First, while it shows whether there were earlier attempts.
    handed = to_due(connection, rows, lease)
    leased = {"its_lease": lease, "its_holder": lane.holder, "until": now + lane.lease, "numbers": [row.id for row in rows]}
    connection.execute(_LEASE, leased)
    return tuple(handed)


@contextmanager
def _leasing(connection: Connection) -> Iterator[None]:
    """Run the block as one transaction, beside writers of links where the database can do that."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == SQLITE else "BEGIN")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise


def _sink(home_organisation: str, name: str) -> SinkName:
    return SinkName(EntityId(home_organisation), name)
