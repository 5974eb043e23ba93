"""What happens to links, noted in the table `link_change` by whoever makes it happen, in the same transaction.

Every writer of links has the lock of `engine.writing`, so that numbers are in the order of commits: who sees one sees all before it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, Connection, bindparam, insert, literal, select
from sqlalchemy.sql.dml import Insert

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.storage.tables import link, link_change, subject


class Happening(StrEnum):
    """The kinds of change, as they are stored."""

    LINKED = "linked"
    WITHDRAWN = "withdrawn"
    IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True)
class Identified:
    """A known person got further identifiers, or one of them is written in another way; `former` is how it was written until then."""

    subject_id: int
    home_organisation: EntityId
    changed_at: datetime
    former: str | None = None


def _noting(kind: Happening, changed_at: Column[datetime]) -> Insert:
    names = ("subject_id", "link_id", "environment", "home_organisation", "kind", "changed_at")
    what = (link.c.subject_id, link.c.id, link.c.environment, subject.c.home_organisation, literal(kind.value), changed_at)
    chosen = link.c.id.in_(bindparam("links", expanding=True))
    return insert(link_change).from_select(names, select(*what).join_from(link, subject).where(chosen).order_by(link.c.id))


_LINKED = _noting(Happening.LINKED, link.c.linked_at)
_WITHDRAWN = _noting(Happening.WITHDRAWN, link.c.withdrawn_at)


def note_linked(connection: Connection, links: Collection[int]) -> None:
    """Note that links were stored. Raises SQLAlchemyError."""
    if links:
        connection.execute(_LINKED, {"links": list(links)})


def note_withdrawn(connection: Connection, link_id: int) -> None:
    """Note that a link was withdrawn. Raises SQLAlchemyError."""
    connection.execute(_WITHDRAWN, {"links": [link_id]})


def note_identified(connection: Connection, changes: Sequence[Identified]) -> None:
    """Note that people have further identifiers, or other spellings. Raises SQLAlchemyError."""
    rows = (
        {
            "subject_id": change.subject_id,
            "home_organisation": change.home_organisation,
            "kind": Happening.IDENTIFIED.value,
            "former": change.former,
            "changed_at": change.changed_at,
        }
        for change in dict.fromkeys(changes)
    )
    if changes:
        connection.execute(insert(link_change), list(rows))
