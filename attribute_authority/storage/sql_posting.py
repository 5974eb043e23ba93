"""Deliveries into the database, in the transaction that changes links and after its last change; every writer has `engine.writing`.

Only who claims deliveries has not, and never waits for anybody: nothing here can end in a deadlock.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, case, exists, func, insert, or_, select, update

from attribute_authority.domain.delivery import DeliveryState, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.ports import Clock
from attribute_authority.storage.delivery_rules import NewReference, random_reference, system_clock
from attribute_authority.storage.sql_noting import Identified
from attribute_authority.storage.tables import IN_FORCE, LEASED, PARKED, PENDING, WITHDRAWN, delivery, link

_SUBJECTS: BindParameter[int] = bindparam("subjects", expanding=True)
_PLACE = (link.c.subject_id.in_(_SUBJECTS), link.c.environment == bindparam("environment"))

_LINKED = select(link.c.subject_id, link.c.orcid, link.c.linked_at).where(*_PLACE, IN_FORCE)

_WITHDRAWN = (
    select(link.c.subject_id, func.max(link.c.withdrawn_at).label("withdrawn_at")).where(*_PLACE, WITHDRAWN).group_by(link.c.subject_id)
)

_STANDING = (
    select(delivery.c.id, delivery.c.subject_id, delivery.c.sink, delivery.c.state, delivery.c.lease, delivery.c.due_at)
    .where(
        delivery.c.subject_id.in_(_SUBJECTS),
        delivery.c.home_organisation == bindparam("home_organisation"),
        delivery.c.sink.in_(bindparam("sinks", expanding=True)),
        delivery.c.environment == bindparam("environment"),
        or_(PENDING, PARKED, LEASED),
    )
    .order_by(delivery.c.id)
    .with_for_update()
)
"""What a new delivery supersedes, or has to wait for."""

_SUPERSEDE = (
    update(delivery)
    .where(delivery.c.id.in_(bindparam("numbers", expanding=True)))
    .values(
        state=DeliveryState.SUPERSEDED.value,
        ended_at=bindparam("now", type_=delivery.c.ended_at.type),
        # The attempt that is being made may still reach the other system, and what follows waits for it.
        due_at=case((LEASED, delivery.c.due_at)),
    )
)

_other = delivery.alias("other")

IS_NEWEST = ~exists().where(
    _other.c.subject_id == delivery.c.subject_id,
    _other.c.home_organisation == delivery.c.home_organisation,
    _other.c.sink == delivery.c.sink,
    _other.c.environment == delivery.c.environment,
    _other.c.id > delivery.c.id,
)

REOPENED: Mapping[str, Any] = {"state": DeliveryState.PENDING.value, "lease": None, "told_at": None, "telling_until": None}
"""What is the same of every delivery that is due once more, beside the instants."""

_REOPEN = update(delivery).where(delivery.c.subject_id.in_(_SUBJECTS), PARKED, IS_NEWEST)


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody's link in one environment is not what it was."""

    subject_id: int
    home_organisation: EntityId
    environment: Environment


@dataclass(frozen=True, slots=True)
class Present:
    """The state that is to be delivered of a person, as the columns of a delivery."""

    orcid: str | None
    changed_at: datetime


@dataclass(slots=True)
class Posting:
    """Writes deliveries to the sinks of home organisations, which may be exchanged at any time.

    `clock` is for what has no instant of its own: links of an import bear that of the linking.
    """

    new_reference: NewReference = random_reference
    clock: Clock = system_clock
    _sinks: Mapping[EntityId, tuple[SinkName, ...]] = field(default_factory=dict, init=False)

    def use_sinks(self, sinks: Mapping[EntityId, Sequence[str]]) -> None:
        """Write deliveries to these sinks, by home organisation, from now on."""
        # One assignment: threads that are writing have the former ones or these.
        self._sinks = {home: tuple(SinkName(home, name) for name in dict.fromkeys(names)) for home, names in sinks.items() if names}

    def post(self, connection: Connection, changes: Iterable[Change], now: datetime) -> None:
        """Write what people's links have come to, once for each person and sink. Raises SQLAlchemyError."""
        sinks = self._sinks
        groups: defaultdict[tuple[EntityId, Environment], set[int]] = defaultdict(set)
        for change in changes:
            if change.home_organisation in sinks:
                groups[change.home_organisation, change.environment].add(change.subject_id)
        for (home, environment), subjects in groups.items():
            self.post_to(connection, sinks[home], environment, dict.fromkeys(subjects), now)

    def post_to(
        self,
        connection: Connection,
        sinks: Sequence[SinkName],
        environment: Environment,
        people: Mapping[int, str | None],
        now: datetime,
        *,
        anew: bool = False,
    ) -> None:
        """Write the present state of people for sinks of one home organisation; of everybody is told what iD may have strayed there.

        With `anew` they belong to a replay.
        Raises SQLAlchemyError.
        """
        present = read_present(connection, people, environment)
        ends = _supersede(connection, sinks, environment, people, now)
        common = {"environment": environment.value, "created_at": now, "ages_from": now, "anew": anew}
        rows = [
            {
                "reference": self.new_reference(),
                "home_organisation": sink.home_organisation,
                "sink": sink.name,
                "subject_id": subject_id,
                "orcid": present[subject_id].orcid,
                "changed_at": present[subject_id].changed_at,
                "due_at": ends.get((subject_id, sink.name), now),
                "stray": people[subject_id],
                "state": DeliveryState.PENDING.value,
                **common,
            }
            for subject_id in sorted(present)
            for sink in sinks
        ]
        if rows:
            connection.execute(insert(delivery), rows)

    def reopen(self, connection: Connection, changes: Iterable[Identified], now: datetime) -> None:
        """Have parked deliveries tried again of people who have further identifiers: for want of these they may have been refused.

        Raises SQLAlchemyError.
        """
        sinks = self._sinks
        subjects = {change.subject_id for change in changes if change.home_organisation in sinks}
        if subjects:
            connection.execute(_REOPEN.values({**REOPENED, "due_at": now, "ages_from": now}), {"subjects": sorted(subjects)})


def read_present(connection: Connection, subjects: Collection[int], environment: Environment) -> dict[int, Present]:
    """Return the state that is to be delivered of people who have a link in an environment or had one. Raises SQLAlchemyError."""
    values = {"subjects": sorted(subjects), "environment": environment.value}
    withdrawn = {row.subject_id: Present(None, row.withdrawn_at) for row in connection.execute(_WITHDRAWN, values)}
    return withdrawn | {row.subject_id: Present(row.orcid, row.linked_at) for row in connection.execute(_LINKED, values)}


def _supersede(
    connection: Connection, sinks: Sequence[SinkName], environment: Environment, subjects: Collection[int], now: datetime
) -> dict[tuple[int, str], datetime]:
    """Supersede what has not been delivered, and return when the attempts end at the latest that are being made."""
    places = {
        "subjects": sorted(subjects),
        "home_organisation": sinks[0].home_organisation,
        "sinks": [sink.name for sink in sinks],
        "environment": environment.value,
    }
    standing = connection.execute(_STANDING, places).all()
    numbers = [row.id for row in standing if row.state != DeliveryState.SUPERSEDED]
    if numbers:
        connection.execute(_SUPERSEDE, {"numbers": numbers, "now": now})
    in_hand = sorted((row for row in standing if _is_in_hand(row, now)), key=lambda row: row.due_at)
    return {(row.subject_id, row.sink): row.due_at for row in in_hand}


def _is_in_hand(row: Row[*tuple[Any, ...]], now: datetime) -> bool:
    return row.lease is not None and row.due_at is not None and row.due_at > now
