"""The reference back end of posting: what is written when links change, in the plainest form."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from attribute_authority.delivery_ports import Postbox
from attribute_authority.domain.delivery import DeliveryState, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment, OrcidId
from attribute_authority.ports import Clock
from attribute_authority.storage.delivery_rules import NewReference, Trace, random_reference, system_clock

Place = tuple[int, SinkName, Environment]
"""What has one state at a time: a person, by number, at a sink in an environment."""

_OPEN = frozenset({DeliveryState.PENDING, DeliveryState.PARKED})


@dataclass(frozen=True, slots=True)
class Present:
    """The state that is to be delivered of a person."""

    orcid: OrcidId | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Posted:
    """A delivery; the columns of the table `delivery`."""

    number: int
    reference: str
    place: Place
    present: Present
    created_at: datetime
    ages_from: datetime
    due_at: datetime | None
    state: DeliveryState = DeliveryState.PENDING
    lease: str | None = None
    holder: str | None = None
    attempts: int = 0
    reached: bool = False
    found: bool = False
    stray: OrcidId | None = None
    anew: bool = False
    ended_at: datetime | None = None
    message: str | None = None
    told_at: datetime | None = None
    telling_until: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has still to be delivered, by whomever."""
        return self.state in _OPEN

    @property
    def was_begun(self) -> bool:
        """Whether an attempt may have written the iD."""
        return self.reached or self.lease is not None

    @property
    def trace(self) -> Trace:
        """What it may have left in the other system."""
        return Trace(self.present.orcid, self.state is DeliveryState.DELIVERED, self.was_begun, self.found, self.stray, self.anew)

    def is_in_hand(self, now: datetime) -> bool:
        """Whether somebody is at it."""
        return self.lease is not None and self.due_at is not None and self.due_at > now

    def reopened(self, now: datetime) -> "Posted":
        """Return it as one that is due once more."""
        fresh = replace(self, lease=None, holder=None, reached=self.was_begun, told_at=None, telling_until=None)
        return replace(fresh, state=DeliveryState.PENDING, due_at=now, ages_from=now)


@dataclass(slots=True)
class MemoryPosting:
    """Keeps deliveries in this process; whoever looks at `rows` has the lock, which is that of the links too."""

    new_reference: NewReference = random_reference
    clock: Clock = system_clock
    rows: dict[int, Posted] = field(default_factory=dict)
    lock: "threading.RLock" = field(default_factory=threading.RLock)
    _sinks: Mapping[EntityId, tuple[SinkName, ...]] = field(default_factory=dict, init=False)

    def use_sinks(self, sinks: Mapping[EntityId, Sequence[str]]) -> None:
        """Write deliveries to these sinks, by home organisation, from now on."""
        self._sinks = {home: tuple(SinkName(home, name) for name in dict.fromkeys(names)) for home, names in sinks.items()}

    def post(self, home_organisation: EntityId, subject_id: int, environment: Environment, present: Present, now: datetime) -> None:
        """Write what a person's link has come to for every sink of the home organisation."""
        for sink in self._sinks.get(home_organisation, ()):
            self.post_to((subject_id, sink, environment), present, now)

    def post_to(self, place: Place, present: Present, now: datetime, stray: OrcidId | None = None, *, anew: bool = False) -> None:
        """Write the present state for one sink, in the place of what has not been delivered yet."""
        before = list(self.at(place))
        for row in before:
            if row.is_open:
                ended = replace(row, state=DeliveryState.SUPERSEDED, ended_at=now)
                self.put(ended if row.lease is not None else replace(ended, due_at=None))
        # The attempt that is being made may still reach the other system.
        due_at = max((row.due_at for row in before if row.is_in_hand(now) and row.due_at is not None), default=now)
        number = max(self.rows, default=0) + 1
        self.put(Posted(number, self.new_reference(), place, present, now, now, due_at, stray=stray, anew=anew))

    def reopen(self, home_organisation: EntityId, subject_id: int, now: datetime) -> None:
        """Have a person's parked deliveries tried again."""
        if home_organisation in self._sinks:
            for row in list(self.rows.values()):
                if row.place[0] == subject_id and row.state is DeliveryState.PARKED:
                    self.put(row.reopened(now))

    def at(self, place: Place) -> Iterator[Posted]:
        """Yield the deliveries of one person and sink, the oldest first."""
        return (row for row in list(self.rows.values()) if row.place == place)

    def put(self, row: Posted) -> None:
        """Store a delivery in the place of what it was."""
        self.rows[row.number] = row


if TYPE_CHECKING:
    _posts: type[Postbox] = MemoryPosting
