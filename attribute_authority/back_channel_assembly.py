"""The composition root of the back channel: settings in, the doors of a worker out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from attribute_authority.assembly import (
    Surveillance,
    load_pseudonyms,
    make_deciding,
    make_query_door,
    new_correlation_id,
    own_metadata,
    present,
)
from attribute_authority.core.asking import Organisation
from attribute_authority.core.deciding import Deciding
from attribute_authority.core.enumerating import Enumeration
from attribute_authority.core.guarding import Guarding
from attribute_authority.core.limiting import Allowances
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.limits import EnumerationRule, Limits
from attribute_authority.events import EventLog
from attribute_authority.metrics import Metrics
from attribute_authority.organisation_assembly import close_organisations, make_asking, open_organisations
from attribute_authority.organisation_settings import LimitsSettings, WhenEnumerating
from attribute_authority.ports import EntityDirectory
from attribute_authority.settings import RequesterSettings, Settings
from attribute_authority.storage.sql import SqlStore
from attribute_authority.web.lookup.door import LookupDoor
from attribute_authority.web.query_door import QueryDoor

_Chosen = TypeVar("_Chosen")
_SHARE_OF_DEADLINE: Final = 0.75
"""A batch stops to ask sources that long before the deadline, so that what is known by then is told."""


@dataclass(frozen=True, slots=True)
class Foundations:
    """What outlives a reload of the configuration."""

    store: SqlStore
    directory: EntityDirectory
    events: EventLog
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Doors:
    """What a worker serves, all of one reading of the configuration."""

    query: QueryDoor
    lookup: LookupDoor
    metadata: bytes
    organisations: tuple[Organisation, ...]
    guard: Guarding


def open_doors(settings: Settings, on: Foundations) -> Doors:
    """Make the doors. Raises OperatorError where keys or sources cannot be used."""
    metadata = own_metadata(settings)
    guard = make_guard(settings, on)
    surveillance = Surveillance(guard, on.metrics, on.events, load_pseudonyms(settings))
    organisations = open_organisations(settings, on.store)
    with ExitStack() as unused:
        unused.callback(close_organisations, organisations)
        deciding = _make_deciding(settings, organisations, on)
        query = make_query_door(settings, deciding, on.store, on.directory, surveillance)
        unused.pop_all()
    lookup = LookupDoor(
        deciding=deciding,
        subjects=on.store,
        clients=on.store,
        changes=on.store,
        directory=on.directory,
        guard=guard,
        events=on.events,
        watch=on.metrics,
        pseudonyms=surveillance.pseudonyms,
        clock=present,
        new_correlation_id=new_correlation_id,
        patience=timedelta(seconds=settings.sources.deadline * _SHARE_OF_DEADLINE),
    )
    return Doors(query, lookup, metadata, organisations, guard)


def _make_deciding(settings: Settings, organisations: Sequence[Organisation], on: Foundations) -> Deciding:
    asking = make_asking(
        settings, organisations, directory=on.directory, subjects=on.store, board=on.store, watch=on.metrics, events=on.events
    )
    return make_deciding(settings, on.store, asking)


def make_guard(settings: Settings, on: Foundations) -> Guarding:
    """Make what bounds and watches requesters."""
    own = {EntityId(requester.entity_id): requester for requester in settings.requester}
    limits = {name: _limits(settings.limits, table) for name, table in own.items()}
    rules = {name: _rule(settings.limits, table) for name, table in own.items()}
    return Guarding(
        Allowances(on.store, _choose(limits, _limits(settings.limits, None))),
        Enumeration(on.store, _choose(rules, _rule(settings.limits, None))),
        on.events,
        on.metrics,
    )


def _choose(own: Mapping[EntityId, _Chosen], others: _Chosen) -> Callable[[EntityId], _Chosen]:
    return lambda requester: own.get(requester, others)


def _limits(limits: LimitsSettings, own: RequesterSettings | None) -> Limits:
    per_minute = None if own is None else own.queries_per_minute
    per_day = None if own is None else own.queries_per_day
    return Limits(
        limits.queries_per_minute if per_minute is None else per_minute,
        limits.queries_per_day if per_day is None else per_day,
    )


def _rule(limits: LimitsSettings, own: RequesterSettings | None) -> EnumerationRule:
    chosen = (None if own is None else own.when_enumerating) or limits.when_enumerating
    blocks = chosen is WhenEnumerating.BLOCK
    return EnumerationRule(limits.unknown_share, limits.unknown_minimum, blocks, timedelta(minutes=limits.block_minutes))
