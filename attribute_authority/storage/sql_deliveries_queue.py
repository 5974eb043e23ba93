"""Handing deliveries out: several workers and nodes claim at once, and none waits for another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, literal, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from attribute_authority.domain.delivery import Backlog, DeliveryState, DueDelivery, Lane, Outcome, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.storage.delivery_rules import random_reference
from attribute_authority.storage.engine import SQLITE, writing
from attribute_authority.storage.sql_deliveries import at_sink, is_in_hand, to_due
from attribute_authority.storage.sql_deliveries_recording import make_successors_due, record
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.tables import DUE, LEASED, PARKED, PENDING, Instant, delivery


class SqlDeliveryQueue:
    """Hands deliveries out and records how they ended."""

    def __init__(self, pool: ConnectionPool, posting: Posting) -> None:
        self._pool = pool
        self._posting = posting

    def claim_deliveries(self, lane: Lane, now: datetime, limit: int) -> tuple[DueDelivery, ...]:
        """Return deliveries that are due at `now` and in nobody's hands, the longest due first, and lease them.

        Of one person and sink never more than one is in hand. Raises CouldNotAsk.
        """
        due = _is_due(lane, now)
        with self._pool.connection() as connection:
            # Most of the time nothing is due, and nobody is kept from writing.
            if connection.execute(select(delivery.c.id).where(*due).order_by(*DUE).limit(1)).first() is None:
                return ()
            with _leasing(connection):
                return _lease(connection, due, lane, (now, limit))

    def release_leases(self, holder: str, now: datetime) -> int:
        """Make deliveries due that a holder has in hand who is known to be gone; returns how many. Raises CouldNotAsk."""
        held = delivery.c.holder == holder, is_in_hand(now)
        released = (
            update(delivery)
            .where(*held)
            # Nobody knows how far the attempt came.
            .values(lease=None, holder=None, reached=True, due_at=case((PENDING, literal(now, Instant))))
            .returning(*delivery.c)
        )
        with self._pool.connection() as connection:
            if connection.execute(select(delivery.c.id).where(*held).limit(1)).first() is None:
                return 0
            with writing(connection):
                rows = connection.execute(released).all()
                make_successors_due(connection, [row for row in rows if row.state == DeliveryState.SUPERSEDED], now)
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


def _is_due(lane: Lane, now: datetime) -> tuple[ColumnElement[bool], ...]:
    written = () if lane.before is None else (delivery.c.created_at <= lane.before,)
    return (*at_sink(lane.sink, lane.environment), PENDING, delivery.c.due_at <= now, *written)


def _lease(connection: Connection, due: Sequence[ColumnElement[bool]], lane: Lane, when: tuple[datetime, int]) -> tuple[DueDelivery, ...]:
    now, limit = when
    # What another worker is leasing just now, and what is being superseded, is left out.
    chosen = select(delivery).where(*due).order_by(*DUE).limit(limit).with_for_update(skip_locked=True)
    rows = connection.execute(chosen).all()
    if not rows:
        return ()
    lease = random_reference()
    # First, while it shows whether there were earlier attempts.
    handed = to_due(connection, rows, lease)
    leased = {
        "lease": lease,
        "holder": lane.holder,
        "due_at": now + lane.lease,
        "attempts": delivery.c.attempts + 1,
        # An attempt of which nobody said how it ended.
        "reached": or_(delivery.c.reached, LEASED),
    }
    connection.execute(update(delivery).where(delivery.c.id.in_([row.id for row in rows])).values(leased))
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
