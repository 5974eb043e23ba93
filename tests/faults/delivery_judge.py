"""Judges what is left when everything has calmed down: what was promised, what the books say, and what the other systems have."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, func, or_, select

from attribute_authority.domain.delivery import DeliveryState
from attribute_authority.storage.tables import IN_FORCE, LEASED, PENDING, delivery, identifier, link, source_outage, subject
from tests.faults.delivery_journal import Change, Journal, by_person
from tests.faults.delivery_people import HOME, PEOPLE, eppn, foreign, uri
from tests.faults.delivery_target import Target
from tests.peers.slapd import Slapd

_ENDED = {DeliveryState.DELIVERED.value, DeliveryState.SUPERSEDED.value}


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened: changes that were confirmed, deliveries made and superseded, and how often a reference arrived once more.

    `longest` is how long a delivery waited, in seconds, from being written to being recorded as made.
    """

    changes: int
    delivered: int
    superseded: int
    repeated: int
    longest: float

    def __str__(self) -> str:
        """Write them on one line."""
        return (
            f"{self.changes} changes confirmed, {self.delivered} deliveries made, {self.superseded} superseded,"
            f" {self.repeated} made again, longest wait {self.longest:.1f} s"
        )


class Books:
    """The books, read behind everybody's back."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url, pool_pre_ping=True)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def open_deliveries(self) -> int:
        """Return how many deliveries are pending or in somebody's hands."""
        in_hand = LEASED & (delivery.c.due_at > datetime.now(UTC))
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(delivery).where(or_(PENDING, in_hand))).scalar_one()

    def in_hand(self) -> int:
        """Return how many deliveries are in somebody's hands."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(delivery).where(LEASED)).scalar_one()

    def outages(self) -> set[str]:
        """Return which sinks are left alone."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(source_outage.c.source)).scalars())

    def rows(self) -> list[Any]:
        """Return all deliveries, each with the ePPN of its person, in the order in which they were written."""
        wanted = select(delivery, identifier.c.value.label("person")).join(identifier, identifier.c.subject_id == delivery.c.subject_id)
        with self._engine.connect() as connection:
            return list(connection.execute(wanted.where(delivery.c.home_organisation == HOME).order_by(delivery.c.id)))

    def linked(self) -> dict[str, str]:
        """Return the iDs in force, by ePPN."""
        joined = select(identifier.c.value, link.c.orcid).join(link, link.c.subject_id == identifier.c.subject_id)
        ours = joined.join(subject, subject.c.id == link.c.subject_id).where(IN_FORCE, subject.c.home_organisation == HOME)
        with self._engine.connect() as connection:
            return {row.value: row.orcid for row in connection.execute(ours)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything there is to judge by; `slapd` is None where there is no directory."""

    books: Books
    journal: Journal
    target: Target
    slapd: Slapd | None

    def faults(self) -> list[str]:
        """Return a sentence for everything that is not as it must be."""
        rows, linked = self.books.rows(), self.books.linked()
        return [
            *self.target.faults,
            *_not_ended(rows, linked),
            *_lost(rows, linked, by_person(self.journal.changes())),
            *_arrived_otherwise(rows, linked, self.target),
            *(_stands_otherwise(linked, self.slapd) if self.slapd is not None else ()),
        ]

    def figures(self) -> Figures:
        """Count what happened."""
        rows = self.books.rows()
        made = [row for row in rows if row.state == DeliveryState.DELIVERED]
        arrivals = self.target.arrivals
        return Figures(
            changes=sum(change.confirmed for change in self.journal.changes()),
            delivered=len(made),
            superseded=len(rows) - len(made),
            repeated=len(arrivals) - len({arrival.reference for arrival in arrivals}),
            longest=max((row.ended_at - row.created_at).total_seconds() for row in made),
        )


def _by_place(rows: Sequence[Any]) -> Mapping[tuple[str, str], list[Any]]:
    places: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        places[row.person, row.sink].append(row)
    return places


def _not_ended(rows: Sequence[Any], linked: Mapping[str, str]) -> Iterator[str]:
    """No delivery is stuck, and the last one to each person and sink was made, with what the person has now."""
    yield from (f"delivery {row.id} is {row.state}: {row.message}" for row in rows if row.state not in _ENDED)
    for (person, sink), theirs in _by_place(rows).items():
        newest = theirs[-1]
        if (newest.state, newest.orcid) != (DeliveryState.DELIVERED, linked.get(person)):
            yield f"{sink} was told {newest.orcid} of {person}, who has {linked.get(person)}: {newest.state}"


def _lost(rows: Sequence[Any], linked: Mapping[str, str], changes: Mapping[int, Sequence[Change]]) -> Iterator[str]:
    """What was confirmed has happened, in that order, and was written for every sink."""
    sinks = {row.sink for row in rows}
    places = _by_place(rows)
    for person, theirs in changes.items():
        name = eppn(person)
        confirmed = [change.orcid for change in theirs if change.confirmed]
        for sink in sinks:
            written = iter([row.orcid for row in places[name, sink]])
            if not all(orcid in written for orcid in confirmed):
                yield f"{sink}: a confirmed change of {name} has no delivery"
        last = max((at for at, change in enumerate(theirs) if change.confirmed), default=-1)
        possible = {change.orcid for change in theirs[last + 1 :]} | {theirs[last].orcid if last >= 0 else None}
        if linked.get(name) not in possible:
            yield f"{name} has {linked.get(name)}, which is none of {possible}"


def _arrived_otherwise(rows: Sequence[Any], linked: Mapping[str, str], target: Target) -> Iterator[str]:
    """What is said to be delivered was, nothing else was, never an earlier state after a later one, and what stands there is right."""
    ours = {row.reference: row for row in rows if row.sink == "rest"}
    arrived = {(arrival.reference, arrival.person, arrival.orcid) for arrival in target.arrivals}
    for row in ours.values():
        if row.state == DeliveryState.DELIVERED and (row.reference, row.person, row.orcid) not in arrived:
            yield f"delivery {row.id} never arrived"
    last: dict[str, int] = {}
    for arrival in target.arrivals:
        row = ours.get(arrival.reference)
        if row is None:
            yield f"{arrival.reference} arrived, which nobody wrote"
        elif row.id < last.get(arrival.person, 0):
            yield f"delivery {row.id} arrived after {last[arrival.person]}"
        else:
            last[arrival.person] = row.id
    present = {person: orcid for person, orcid in target.present.items() if orcid is not None}
    if present != linked:
        yield f"the web service has {present} where {linked} is right"


def _stands_otherwise(linked: Mapping[str, str], slapd: Slapd) -> Iterator[str]:
    """The directory has everybody's iD, none of ours besides, and all that others wrote."""
    for person in PEOPLE:
        wanted = {orcid for orcid in (linked.get(eppn(person)), foreign(person)) if orcid is not None}
        found = {value.decode() for value in slapd.values(f"p{person}", "eduPersonOrcid")}
        if found != {uri(orcid) for orcid in wanted}:
            yield f"the directory has {found} for {eppn(person)} where {wanted} is right"
