"""The index of computed identifiers, in the tables `computed_index` and `computed_page`."""

from datetime import datetime

from sqlalchemy import BigInteger, and_, bindparam, func, select, update

from attribute_authority.domain.identifiers import EntityId, IdentifierKind
from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.errors import SourceUnavailable
from attribute_authority.storage.engine import asking, writing
from attribute_authority.storage.kept import KeptStatement
from attribute_authority.storage.pairwise_pages import find_numbers, leading
from attribute_authority.storage.sql_pairwise_building import (
    SPELLING,
    DigestOf,
    claim,
    clear_discarded,
    columns_of_name,
    complete,
    compute,
    discard,
    is_named,
    write_pages,
)
from attribute_authority.storage.sql_pairwise_following import catch_up
from attribute_authority.storage.sql_parts import Connections, StorePart
from attribute_authority.storage.tables import COMPLETE, INDEX_NAME, computed_index, computed_page, identifier, link_change

_IS_NAMED = [column == bindparam(f"its_{column.name}") for column in INDEX_NAME]

_PAGE_NUMBER = bindparam("leading", type_=BigInteger).bitwise_rshift(32 - computed_index.c.bits)

_FIND_PAGE = (
    select(computed_page.c.content)
    .outerjoin_from(
        computed_index, computed_page, and_(computed_page.c.index_id == computed_index.c.id, computed_page.c.number == _PAGE_NUMBER)
    )
    .where(*_IS_NAMED, COMPLETE)
)
"""No row where there is no index, NULL where it has no such page."""

_FIND_SPELLING = select(SPELLING).where(identifier.c.id == bindparam("number"))

_LATEST = select(func.max(link_change.c.number)).where(link_change.c.home_organisation == computed_index.c.home_organisation)

_FIND_STANDING = select(computed_index.c.through, _LATEST.scalar_subquery()).where(*_IS_NAMED, COMPLETE)

_FIND_ALL_NAMES = select(*INDEX_NAME).where(COMPLETE).order_by(computed_index.c.id)

_FIND_NAMES = _FIND_ALL_NAMES.where(computed_index.c.home_organisation == bindparam("home"))


class SqlPairwiseIndex(StorePart):
    """Keeps indexes of computed identifiers; questions are answered on kept connections."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        kept = connections.kept
        self._find_page = KeptStatement(kept, _FIND_PAGE)
        self._find_spelling = KeptStatement(kept, _FIND_SPELLING)
        self._find_standing = KeptStatement(kept, _FIND_STANDING)
        self._find_names = KeptStatement(kept, _FIND_NAMES)
        self._find_all_names = KeptStatement(kept, _FIND_ALL_NAMES)

    def find_sources(self, name: PairwiseIndexName, digest: bytes) -> tuple[str, ...] | None:
        """Return the values that the digest may have been computed from, in the spelling of the home organisation.

        None where there is no complete index of that name. Raises CouldNotAsk.
        """
        row = self._find_page.row(_parameters(name) | {"leading": leading(digest)})
        if row is None:
            return None
        if row[0] is None:
            return ()
        found = (self._find_spelling.row({"number": number}) for number in find_numbers(row[0], digest))
        return tuple(spelling[0] for spelling in found if spelling is not None)

    def build(self, name: PairwiseIndexName, digest_of: DigestOf, now: datetime) -> int:
        """Compute the index of everybody who has a link in force, in whatever environment; returns how many there are.

        An earlier index of that name answers until this one does.
        Raises SourceUnavailable while somebody else is building it; CouldNotAsk.
        """
        with asking(), self._connections.working.connect() as connection:
            number = claim(connection, name, now)
            try:
                packing, through = compute(connection, name, digest_of)
                write_pages(connection, number, packing)
                if not complete(connection, number, name, packing.bits, through):
                    raise SourceUnavailable(f"the index of computed identifiers for {name.recipient} was dropped meanwhile", 0)
            finally:
                discard(connection, number)
                clear_discarded(connection)
        return packing.count

    def follow(self, name: PairwiseIndexName, digest_of: DigestOf) -> int:
        """Bring a complete index up to what is the last change now; returns how many changes there were. Raises CouldNotAsk.

        One that has too much to catch up with, or was made for far fewer people, is dropped, because it is sooner built anew.
        """
        followed, standing = 0, self._standing(name)
        # No further: an import that goes on for minutes is no reason for whoever asks to wait for its end.
        wanted = 0 if standing is None else standing[1]
        while standing is not None and standing[0] < wanted:
            with asking(), self._connections.working.connect() as connection:
                followed += catch_up(connection, name, digest_of)
                clear_discarded(connection)
            standing = self._standing(name)
        return followed

    def names(self, home_organisation: EntityId | None = None) -> tuple[PairwiseIndexName, ...]:
        """Return the names of the complete indexes of a home organisation, with None of all. Raises CouldNotAsk."""
        rows = self._find_all_names.rows({}) if home_organisation is None else self._find_names.rows({"home": home_organisation})
        return tuple(PairwiseIndexName(EntityId(home), EntityId(to), IdentifierKind(kind), made) for home, to, kind, made in rows)

    def drop(self, name: PairwiseIndexName) -> None:
        """Drop an index, also one that is being built. Raises CouldNotAsk."""
        with asking(), self._connections.working.connect() as connection:
            with writing(connection):
                connection.execute(update(computed_index).where(*is_named(name)).values(through=None, building_until=None))
            clear_discarded(connection)

    def _standing(self, name: PairwiseIndexName) -> tuple[int, int] | None:
        """Return the numbers of the last change in an index and of the last there is, None where there is no index."""
        row = self._find_standing.row(_parameters(name))
        return None if row is None else (row[0], row[1] or 0)


def _parameters(name: PairwiseIndexName) -> dict[str, object]:
    return {f"its_{column}": value for column, value in columns_of_name(name).items()}
