"""What has changed about links, read from the table `link_change`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import BigInteger, Integer, and_, bindparam, func, or_, select

from attribute_authority.domain.change import ChangeKind, ChangePage, LinkChange
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId
from attribute_authority.storage.kept import KeptStatement
from attribute_authority.storage.sql_noting import Happening
from attribute_authority.storage.sql_parts import Connections, StorePart
from attribute_authority.storage.tables import IN_FORCE, identifier, link, link_change

_LATEST = select(func.max(link_change.c.number)).where(link_change.c.home_organisation == bindparam("home_organisation"))
"""Of one home organisation: a cursor that moved on with the others' changes would tell when something happens there."""

_PRESENT = and_(link.c.subject_id == link_change.c.subject_id, link.c.environment == bindparam("environment"), IN_FORCE)

# A link that is not in force any more is told of by its withdrawal, and further identifiers belong to the link that is.
_IS_TOLD = or_(
    link_change.c.kind == Happening.WITHDRAWN.value,
    and_(link.c.id.is_not(None), or_(link_change.c.link_id.is_(None), link_change.c.link_id == link.c.id)),
)

_CHANGES = (
    select(link_change.c.number, link_change.c.subject_id, link_change.c.kind, link_change.c.changed_at, link.c.orcid)
    .outerjoin_from(link_change, link, _PRESENT)
    .where(
        link_change.c.home_organisation == bindparam("home_organisation"),
        link_change.c.number > bindparam("after", type_=BigInteger),
        link_change.c.number <= bindparam("latest", type_=BigInteger),
        or_(link_change.c.environment == bindparam("environment"), link_change.c.environment.is_(None)),
        _IS_TOLD,
    )
    .order_by(link_change.c.number)
    .limit(bindparam("limit", type_=Integer))
    .subquery()
)

_COLUMNS = (identifier.c.kind, identifier.c.value, identifier.c.name_qualifier, identifier.c.sp_name_qualifier, identifier.c.spelling)

_CHANGES_OF_ONE = (
    select(_CHANGES.c.number, _CHANGES.c.kind, _CHANGES.c.changed_at, _CHANGES.c.orcid, *_COLUMNS)
    .outerjoin_from(_CHANGES, identifier, identifier.c.subject_id == _CHANGES.c.subject_id)
    .order_by(_CHANGES.c.number, identifier.c.id)
)
"""The changes of one home organisation; several are merged here, because no index has them in one order."""


class SqlChangeFeed(StorePart):
    """Reads changes on kept connections."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._read_latest = KeptStatement(connections.kept, _LATEST)
        self._read_changes = KeptStatement(connections.kept, _CHANGES_OF_ONE)

    def read_changes(self, home_organisations: Collection[EntityId], environment: Environment, after: int, limit: int) -> ChangePage:
        """Return up to `limit` changes with numbers above `after`, in their order; `after` is 0 at the beginning. Raises CouldNotAsk."""
        homes = sorted(set(home_organisations))
        # First, so that a change which comes meanwhile is not skipped: all up to this one are committed.
        latest = max((self._read_latest.row({"home_organisation": home})[0] or 0 for home in homes), default=0)
        values = {"environment": environment.value, "after": after, "latest": latest, "limit": limit + 1}
        each = [self._read_one(home, environment, values) for home in homes]
        found = list(islice(merge(*each, key=attrgetter("number")), limit + 1))
        if len(found) > limit:
            return ChangePage(tuple(found[:limit]), found[limit - 1].number, more=True)
        return ChangePage(tuple(found), max(after, latest), more=False)

    def _read_one(self, home_organisation: EntityId, environment: Environment, values: dict[str, object]) -> list[LinkChange]:
        rows = self._read_changes.rows({**values, "home_organisation": home_organisation})
        read_instant = self._connections.kept.read_instant
        grouped = (list(group) for _, group in groupby(rows, key=itemgetter(0)))
        return [_to_change(group, home_organisation, environment, read_instant(group[0][2])) for group in grouped]


def _to_change(rows: Sequence[Any], home_organisation: EntityId, environment: Environment, changed_at: datetime) -> LinkChange:
    number, kind, _, orcid, *_ = rows[0]
    withdrawn = kind == Happening.WITHDRAWN
    return LinkChange(
        number=number,
        kind=ChangeKind.WITHDRAWN if withdrawn else ChangeKind.LINKED,
        home_organisation=home_organisation,
        identifiers=tuple(_to_identifier(row[4:]) for row in rows if row[4] is not None),
        orcid=None if withdrawn else OrcidId(orcid),
        environment=environment,
        changed_at=changed_at,
    )


def _to_identifier(columns: Sequence[Any]) -> Identifier:
    kind, value, name_qualifier, sp_name_qualifier, spelling = columns
    issuer, audience = (EntityId(qualifier) if qualifier else None for qualifier in (name_qualifier, sp_name_qualifier))
    return Identifier(IdentifierKind(kind), value, issuer, audience, spelling)
