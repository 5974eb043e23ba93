"""A table of deliveries as it is after years: many that were parked, many that were made, and few that are due.

Each kind is written by one statement, and then the database counts anew what it has, as it does by itself in time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import CTE, ColumnElement, Connection, Text, cast, create_engine, insert, literal, select, text

from attribute_authority.domain.delivery import DeliveryState, SinkName
from attribute_authority.domain.identifiers import Environment
from attribute_authority.storage.tables import delivery, identifier, subject

DUE = 1_000

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_SPREAD = 7
"""The people to whom something is due have numbers that lie so far apart."""


@dataclass(frozen=True, slots=True)
class Past:
    """How many deliveries to a sink were parked, and how many were made; each was about somebody else."""

    sink: SinkName
    parked: int
    delivered: int

    def write(self, url: str) -> None:
        """Fill empty tables with them, and with DUE that are due, to people of whom something was delivered before if there are such."""
        ended = {"ended_at": _LONG_AGO, "attempts": 1, "reached": True}
        refused = ended | {"message": "no entry has any of the person's identifiers"}
        engine = create_engine(url)
        with engine.begin() as connection:
            self._add(connection, DeliveryState.PARKED, (self.parked, 0, 1), refused)
            self._add(connection, DeliveryState.DELIVERED, (self.delivered, self.parked, 1), ended)
            self._add(connection, DeliveryState.PENDING, (DUE, self.parked, _SPREAD), {"due_at": _LONG_AGO})
            self._add_people(connection)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
        engine.dispose()

    def _add(self, connection: Connection, state: DeliveryState, where: tuple[int, int, int], further: Mapping[str, object]) -> None:
        """Add so many, about people whose numbers lie above `after`, so far apart."""
        count, after, spread = where
        if count == 0:
            return
        numbers = _numbers(count)
        values: dict[str, object] = {
            "reference": f"{state}-" + cast(numbers.c.n, Text),
            "subject_id": after + spread * numbers.c.n,
            "home_organisation": self.sink.home_organisation,
            "sink": self.sink.name,
            "environment": Environment.PRODUCTION.value,
            "orcid": "0000-0002-1825-0097",
            **dict.fromkeys(("changed_at", "created_at", "ages_from"), _LONG_AGO),
            "state": state.value,
            **further,
        }
        columns = [value if isinstance(value, ColumnElement) else literal(value, delivery.c[name].type) for name, value in values.items()]
        connection.execute(insert(delivery).from_select(list(values), select(*columns)))

    def _add_people(self, connection: Connection) -> None:
        numbers = _numbers(DUE)
        person = self.parked + _SPREAD * numbers.c.n
        home, long_ago = literal(self.sink.home_organisation), literal(_LONG_AGO, subject.c.created_at.type)
        connection.execute(insert(subject).from_select(["id", "home_organisation", "created_at"], select(person, home, long_ago)))
        names = ["subject_id", "kind", "value", "name_qualifier", "sp_name_qualifier"]
        eppn = "person" + cast(person, Text) + "@uni.example"
        connection.execute(
            insert(identifier).from_select(names, select(person, literal("eppn"), eppn, literal(""), literal("")), include_defaults=False)
        )


def _numbers(count: int) -> CTE:
    """Return a table of the numbers from 1 to `count`."""
    first = select(literal(1).label("n")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < count))
