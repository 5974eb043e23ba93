"""Building an index of computed identifiers: read in one snapshot, compute without any lock, write in short transactions.

A transaction of the whole would hold up the replay guard, and with it every query, for seconds.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, func, insert, select, update

from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.errors import SourceUnavailable
from attribute_authority.storage.engine import reading, writing
from attribute_authority.storage.pairwise_pages import MOST_BITS, Packing
from attribute_authority.storage.sql_streaming import stream
from attribute_authority.storage.tables import (
    BEING_BUILT,
    COMPLETE,
    IN_FORCE,
    computed_index,
    computed_page,
    identifier,
    link,
    link_change,
    subject,
)

DigestOf = Callable[[str], bytes]

_LEASE = timedelta(minutes=1)
"""How long a builder is taken to be alive, and how long one that was killed is waited for; a million people take some seconds."""

_LONGEST_WAIT = 5.0
"""In seconds: whoever finds an index in the making comes back when it is likely to be there."""

_PAGES_AT_ONCE = 256
"""Pages per transaction, a megabyte or so."""

SPELLING = func.coalesce(identifier.c.spelling, identifier.c.value)
"""The text that a home organisation computes from."""

_SOURCES = (
    select(identifier.c.id, SPELLING)
    .join_from(identifier, subject)
    .where(
        subject.c.home_organisation == bindparam("home_organisation"),
        identifier.c.kind == bindparam("kind"),
        exists().where(link.c.subject_id == subject.c.id, IN_FORCE),
    )
)

_DISCARDED = and_(computed_index.c.through.is_(None), computed_index.c.building_until.is_(None))


def columns_of_name(name: PairwiseIndexName) -> dict[str, str]:
    """Return the columns that name an index."""
    return {
        "home_organisation": name.home_organisation,
        "recipient": name.recipient,
        "kind": name.kind.value,
        "fingerprint": name.fingerprint,
    }


def is_named(name: PairwiseIndexName) -> list[ColumnElement[bool]]:
    """Return the conditions that an index, in whatever state, is of that name."""
    return [computed_index.c[column] == value for column, value in columns_of_name(name).items()]


def claim(connection: Connection, name: PairwiseIndexName, now: datetime) -> int:
    """Begin an index and return its number. Raises SourceUnavailable while somebody else is building it; SQLAlchemyError."""
    with writing(connection):
        connection.execute(update(computed_index).where(computed_index.c.building_until <= now).values(building_until=None))
        until = connection.execute(select(computed_index.c.building_until).where(*is_named(name), BEING_BUILT)).scalar_one_or_none()
        if until is not None:
            wait = min((until - now).total_seconds(), _LONGEST_WAIT)
            raise SourceUnavailable(f"the index of computed identifiers for {name.recipient} is being built", wait)
        columns = {**columns_of_name(name), "bits": 0, "building_until": now + _LEASE}
        begun: int = connection.execute(insert(computed_index).values(columns).returning(computed_index.c.id)).scalar_one()
        return begun


def compute(connection: Connection, name: PairwiseIndexName, digest_of: DigestOf) -> tuple[Packing, int]:
    """Return the records of everybody, and the number of the last change that is in them. Raises SQLAlchemyError."""
    packing = Packing()
    with reading(connection):
        mine = link_change.c.home_organisation == name.home_organisation
        through: int = connection.execute(select(func.max(link_change.c.number)).where(mine)).scalar_one() or 0
        for sources in stream(connection, _SOURCES, {"home_organisation": name.home_organisation, "kind": name.kind.value}):
            packing.add(sources, digest_of)
    return packing, through


def write_pages(connection: Connection, number: int, packing: Packing) -> None:
    """Write the pages of an index that is being built. Raises SQLAlchemyError."""
    pages = packing.pages()
    while some := list(islice(pages, _PAGES_AT_ONCE)):
        with writing(connection):
            rows = [{"index_id": number, "number": page, "content": content} for page, content in some]
            connection.execute(insert(computed_page), rows)


def complete(connection: Connection, number: int, name: PairwiseIndexName, bits: int, through: int) -> bool:
    """Put an index in the place of an earlier one of its name; False where it was discarded meanwhile. Raises SQLAlchemyError."""
    mine = computed_index.c.id == number, BEING_BUILT
    with writing(connection):
        if connection.execute(select(computed_index.c.id).where(*mine)).scalar_one_or_none() is None:
            return False
        connection.execute(update(computed_index).where(*is_named(name), COMPLETE).values(through=None))
        connection.execute(update(computed_index).where(*mine).values(bits=bits, through=through, building_until=None))
        return True


def discard(connection: Connection, number: int) -> None:
    """Give up an index, if it is still being built. Raises SQLAlchemyError."""
    connection.execute(update(computed_index).where(computed_index.c.id == number).values(building_until=None))


def clear_discarded(connection: Connection) -> None:
    """Delete every index that was discarded, with its pages. Raises SQLAlchemyError."""
    for number in connection.execute(select(computed_index.c.id).where(_DISCARDED)).scalars().all():
        for first in range(0, 1 << MOST_BITS, _PAGES_AT_ONCE):
            some = computed_page.c.number.between(first, first + _PAGES_AT_ONCE - 1)
            connection.execute(delete(computed_page).where(computed_page.c.index_id == number, some))
        # With pages that its builder, who was taken to be dead, has written meanwhile.
        connection.execute(delete(computed_index).where(computed_index.c.id == number, _DISCARDED))
