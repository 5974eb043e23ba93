"""Deliveries out of the database: as the books have them, and as sinks are handed them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, or_, select

from attribute_authority.domain.delivery import Delivery, DeliveryRecord, DeliverySelection, DeliveryState, DueDelivery, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.storage.delivery_rules import Trace, left_behind
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_reading import columns_of, read_identifiers
from attribute_authority.storage.tables import LEASED, delivery, identifier

HIGHEST_ROW_NUMBER = 2**63 - 1

PAGE = 500
"""Deliveries per statement of a listing, and per transaction of a change to many: nobody waits long for any of them."""

T = TypeVar("T")

DeliveryRow = Row[*tuple[Any, ...]]
Place = tuple[int, SinkName, Environment]
"""What has one state at a time: a person, by number, at a sink in an environment."""

_TRACES = (delivery.c.id, delivery.c.subject_id, delivery.c.orcid, delivery.c.state)
_MAY_BE_THERE = (delivery.c.reached, delivery.c.lease, delivery.c.found, delivery.c.stray, delivery.c.anew)
# What was never begun has left nothing.
_BEGUN = or_(delivery.c.state == DeliveryState.DELIVERED.value, delivery.c.reached, LEASED)
_LEFT = or_(_BEGUN, delivery.c.stray.is_not(None), delivery.c.anew)

_LEFT_AT = (
    select(*_TRACES, *_MAY_BE_THERE)
    .where(
        delivery.c.subject_id.in_(bindparam("subjects", expanding=True)),
        delivery.c.home_organisation == bindparam("home_organisation"),
        delivery.c.sink == bindparam("sink"),
        delivery.c.environment == bindparam("environment"),
        _LEFT,
    )
    .order_by(delivery.c.subject_id, delivery.c.id)
)


def name_columns(sink: SinkName) -> dict[str, str]:
    """Return the columns that name a sink."""
    return {"home_organisation": sink.home_organisation, "sink": sink.name}


def is_in_hand(now: datetime) -> ColumnElement[bool]:
    """Return the condition that somebody is at a delivery."""
    return and_(LEASED, delivery.c.due_at > now)


def is_selected(selection: DeliverySelection) -> list[ColumnElement[bool]]:
    """Return the conditions of a selection, whatever its states."""
    wanted = {
        delivery.c.home_organisation: selection.home_organisation,
        delivery.c.sink: selection.sink,
        delivery.c.reference: selection.reference,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in wanted.items() if value is not None]
    if selection.identifier is not None:
        named = (identifier.c[name] == value for name, value in columns_of(selection.identifier).items())
        conditions.append(delivery.c.subject_id == select(identifier.c.subject_id).where(*named).scalar_subquery())
    return conditions


def read_pages(
    pool: ConnectionPool,
    conditions: Sequence[ColumnElement[bool]],
    convert: Callable[[Connection, Sequence[DeliveryRow]], list[T]],
    latest_first: bool = False,
) -> Iterator[T]:
    """Yield deliveries in the order in which they were written, or in the opposite one; between pages no connection is kept.

    Raises CouldNotAsk.
    """
    order = delivery.c.id.desc() if latest_first else delivery.c.id
    last: int | None = None
    while True:
        beyond = () if last is None else ((delivery.c.id < last) if latest_first else (delivery.c.id > last),)
        with pool.connection() as connection:
            rows = connection.execute(select(delivery).where(*conditions, *beyond).order_by(order).limit(PAGE)).all()
            page = convert(connection, rows)
        yield from page
        if len(rows) < PAGE:
            return
        last = rows[-1].id


def place_of(row: DeliveryRow) -> Place:
    """Return the place that a delivery is about."""
    return row.subject_id, SinkName(EntityId(row.home_organisation), row.sink), Environment(row.environment)


def to_orcid(text: str | None) -> OrcidId | None:
    """Return the iD of a column."""
    return None if text is None else OrcidId(text)


def read_newest_first(connection: Connection, subjects: Iterable[int]) -> dict[int, tuple[Identifier, ...]]:
    """Return the identifiers that people have, those of each beginning with the one that was added last. Raises SQLAlchemyError."""
    wanted = set(subjects)
    found = read_identifiers(connection, wanted)
    return {subject_id: tuple(reversed(found[subject_id])) for subject_id in wanted}


def to_records(connection: Connection, rows: Sequence[DeliveryRow]) -> list[DeliveryRecord]:
    """Return deliveries as the books have them. Raises SQLAlchemyError."""
    identifiers = read_newest_first(connection, (row.subject_id for row in rows))
    return [_to_record(row, identifiers[row.subject_id]) for row in rows]


def to_due(connection: Connection, rows: Sequence[DeliveryRow], lease: str) -> list[DueDelivery]:
    """Return what sinks are handed, in the order of the rows, which are read before they are leased. Raises SQLAlchemyError."""
    identifiers = read_newest_first(connection, (row.subject_id for row in rows))
    places = [place_of(row) for row in rows]
    left = read_left_behind(connection, set(places))
    return [_to_due(row, place, identifiers[row.subject_id], left[place], lease) for row, place in zip(rows, places, strict=True)]


def read_left_behind(
    connection: Connection, places: Iterable[Place], following: Sequence[Trace] = ()
) -> defaultdict[Place, tuple[OrcidId, ...]]:
    """Return the iDs that may stand at each place by our hand, there after what else is `following`. Raises SQLAlchemyError."""
    found: defaultdict[Place, tuple[OrcidId, ...]] = defaultdict(tuple)
    by_sink: defaultdict[tuple[SinkName, Environment], list[int]] = defaultdict(list)
    for subject_id, sink, environment in places:
        by_sink[sink, environment].append(subject_id)
    for (sink, environment), subjects in by_sink.items():
        about = {"subjects": sorted(subjects), "environment": environment.value, **name_columns(sink)}
        rows = connection.execute(_LEFT_AT, about)
        for subject_id, traces in groupby(rows, key=lambda row: row.subject_id):
            found[subject_id, sink, environment] = left_behind((*map(_to_trace, traces), *following))
    return found


def _to_trace(row: DeliveryRow) -> Trace:
    was_begun = row.reached or row.lease is not None
    return Trace(to_orcid(row.orcid), row.state == DeliveryState.DELIVERED, was_begun, row.found, to_orcid(row.stray), row.anew)


def _to_due(row: DeliveryRow, place: Place, identifiers: tuple[Identifier, ...], left: tuple[OrcidId, ...], lease: str) -> DueDelivery:
    _, sink, environment = place
    orcid = to_orcid(row.orcid)
    handed = Delivery(
        reference=row.reference,
        home_organisation=sink.home_organisation,
        identifiers=identifiers,
        orcid=orcid,
        former=tuple(one for one in left if one != orcid),
        environment=environment,
        changed_at=row.changed_at,
        attempt=row.attempts + 1,
        may_be_ours=orcid in left,
    )
    return DueDelivery(handed, sink, lease, row.ages_from)


def _to_record(row: DeliveryRow, identifiers: tuple[Identifier, ...]) -> DeliveryRecord:
    _, sink, environment = place_of(row)
    is_pending = row.state == DeliveryState.PENDING
    return DeliveryRecord(
        reference=row.reference,
        sink=sink,
        subject_id=row.subject_id,
        identifiers=identifiers,
        orcid=to_orcid(row.orcid),
        environment=environment,
        state=DeliveryState(row.state),
        changed_at=row.changed_at,
        created_at=row.created_at,
        attempts=row.attempts,
        due_at=row.due_at if is_pending else None,
        in_hand=is_pending and row.lease is not None,
        ended_at=row.ended_at,
        message=row.message,
        told_at=row.told_at,
    )
