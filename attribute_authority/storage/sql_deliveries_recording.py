"""Recording how attempts ended. The caller has `engine.writing`; every function raises SQLAlchemyError."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Integer, Text, bindparam, or_, select, update

from attribute_authority.domain.delivery import DeliveryState, Outcome, SinkName
from attribute_authority.domain.identifiers import Environment
from attribute_authority.storage.delivery_rules import make_storable
from attribute_authority.storage.sql_deliveries import DeliveryRow, Place, place_of
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.tables import LEASED, PENDING, Instant, delivery

_ATTEMPTED = (
    select(delivery)
    .where(delivery.c.reference.in_(bindparam("references", expanding=True)))
    .order_by(delivery.c.id)
    # Somebody may be claiming one whose lease has ended.
    .with_for_update()
)

_RECORD = update(delivery).values(
    state=bindparam("its_state", type_=Text),
    due_at=bindparam("its_due_at", type_=Instant),
    lease=None,
    holder=None,
    attempts=delivery.c.attempts - bindparam("uncounted", type_=Integer),
    reached=or_(delivery.c.reached, bindparam("counts", type_=Boolean)),
    found=bindparam("its_found", type_=Boolean),
    message=bindparam("its_message", type_=Text),
    ended_at=bindparam("now", type_=Instant),
)
_RECORD_ONE = _RECORD.where(delivery.c.id == bindparam("its_id"))
_RECORD_ALIKE = _RECORD.where(delivery.c.id.in_(bindparam("its_ids", expanding=True)))

_BESIDE = (
    delivery.c.subject_id == bindparam("its_subject"),
    delivery.c.home_organisation == bindparam("its_home"),
    delivery.c.sink == bindparam("its_sink"),
    delivery.c.environment == bindparam("its_environment"),
)

# Where no newer attempt has begun, it can only have waited for this one.
_MAKE_DUE = (
    update(delivery)
    .where(*_BESIDE, PENDING, ~LEASED, delivery.c.due_at > bindparam("now", type_=Instant))
    .values(due_at=bindparam("now", type_=Instant))
)

_NEWER = select(delivery.c.id).where(*_BESIDE, delivery.c.id > bindparam("its_id"), delivery.c.attempts > 0).limit(1)

_Columns = tuple[tuple[str, object], ...]
"""Columns and their values, in one order, so that equal ones can be put together."""


def record(connection: Connection, outcomes: Sequence[Outcome], posting: Posting, now: datetime) -> int:
    """Record how attempts ended, and return of how many the lease was still theirs."""
    rows = {row.reference: row for row in connection.execute(_ATTEMPTED, {"references": [outcome.reference for outcome in outcomes]})}
    attempted = [(outcome, rows[outcome.reference]) for outcome in outcomes if outcome.reference in rows]
    held = [(outcome, row) for outcome, row in attempted if row.lease == outcome.lease]
    _write(connection, held, now)
    followed = [(outcome, row) for outcome, row in held if row.state == DeliveryState.SUPERSEDED]
    overtaken = [pair for pair in followed if _is_overtaken(connection, pair[1])]
    make_successors_due(connection, [row for outcome, row in followed if (outcome, row) not in overtaken], now)
    lost = [(outcome, row) for outcome, row in attempted if row.lease != outcome.lease]
    _post_anew(connection, [row for outcome, row in (*lost, *overtaken) if outcome.counts], posting, now)
    return len(held)


def make_successors_due(connection: Connection, rows: Sequence[DeliveryRow], now: datetime) -> None:
    """Have those attempted at once that waited for the end of an attempt at one of these."""
    if rows:
        connection.execute(_MAKE_DUE, [_place(row) | {"now": now} for row in rows])


def _write(connection: Connection, held: Sequence[tuple[Outcome, DeliveryRow]], now: datetime) -> None:
    # Most of them end alike: one statement does for them, so that others who write wait for a shorter time.
    alike: defaultdict[_Columns, list[int]] = defaultdict(list)
    for outcome, row in held:
        alike[_columns(outcome, row)].append(row.id)
    for columns, numbers in alike.items():
        if len(numbers) > 1:
            connection.execute(_RECORD_ALIKE, {**dict(columns), "its_ids": numbers, "now": now})
    alone = [{**dict(columns), "its_id": numbers[0], "now": now} for columns, numbers in alike.items() if len(numbers) == 1]
    if alone:
        connection.execute(_RECORD_ONE, alone)


def _columns(outcome: Outcome, row: DeliveryRow) -> _Columns:
    delivered = outcome.state is DeliveryState.DELIVERED
    # What gave way to a newer state is not attempted again, and nobody has to act on it.
    state = outcome.state if delivered or row.state == DeliveryState.PENDING else DeliveryState.SUPERSEDED
    return (
        ("its_state", state.value),
        ("its_due_at", outcome.due_at if state is DeliveryState.PENDING else None),
        ("uncounted", 0 if outcome.counts else 1),
        ("counts", outcome.counts),
        ("its_found", delivered and outcome.found),
        ("its_message", None if outcome.message is None else make_storable(outcome.message)),
    )


def _is_overtaken(connection: Connection, row: DeliveryRow) -> bool:
    """Whether an attempt at a newer delivery began before this one had ended: its lease was over."""
    return connection.execute(_NEWER, _place(row) | {"its_id": row.id}).first() is not None


def _post_anew(connection: Connection, rows: Sequence[DeliveryRow], posting: Posting, now: datetime) -> None:
    # The same person twice only where two attempts were late; then every iD that may have strayed is kept.
    rounds: defaultdict[tuple[SinkName, Environment, int], dict[int, str | None]] = defaultdict(dict)
    seen: Counter[Place] = Counter()
    for row in rows:
        subject_id, sink, environment = place = place_of(row)
        rounds[sink, environment, seen[place]][subject_id] = row.orcid
        seen[place] += 1
    for (sink, environment, _), people in rounds.items():
        posting.post_to(connection, [sink], environment, people, now)


def _place(row: DeliveryRow) -> dict[str, Any]:
    subject_id, sink, environment = place_of(row)
    home, name = sink.home_organisation, sink.name
    return {"its_subject": subject_id, "its_home": home, "its_sink": name, "its_environment": environment.value}
