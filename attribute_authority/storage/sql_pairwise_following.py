"""Bringing an index of computed identifiers up to the last change."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, delete, func, insert, select, update

from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.storage.engine import writing
from attribute_authority.storage.pairwise_pages import LARGEST_PAGE, change_page, group_by_page, write_record
from attribute_authority.storage.sql_pairwise_building import SPELLING, DigestOf, is_named
from attribute_authority.storage.tables import COMPLETE, IN_FORCE, computed_index, computed_page, identifier, link, link_change

_AT_ONCE = 250
"""Changes per transaction, so that nobody who writes meanwhile waits for long."""

TOO_MANY = 20_000
"""Changes that are not followed one by one: computing everybody anew takes no longer."""

_CHANGES = (
    select(link_change.c.number, link_change.c.subject_id, link_change.c.former)
    .where(link_change.c.home_organisation == bindparam("home_organisation"), link_change.c.number > bindparam("through"))
    .order_by(link_change.c.number)
)

_WAITING = select(func.count()).select_from(_CHANGES.limit(TOO_MANY + 1).subquery())

_SUBJECTS: BindParameter[int] = bindparam("subjects", expanding=True)

_IN_FORCE = select(link.c.subject_id).where(link.c.subject_id.in_(_SUBJECTS), IN_FORCE)

_SOURCES = select(identifier.c.id, identifier.c.subject_id, SPELLING).where(
    identifier.c.subject_id.in_(_SUBJECTS), identifier.c.kind == bindparam("kind")
)

_PAGES = select(computed_page.c.number, computed_page.c.content).where(
    computed_page.c.index_id == bindparam("index_id"), computed_page.c.number.in_(bindparam("numbers", expanding=True))
)

_THIS_PAGE = computed_page.c.index_id == bindparam("its_index"), computed_page.c.number == bindparam("its_number")

Index = Row[*tuple[Any, ...]]


def catch_up(connection: Connection, name: PairwiseIndexName, digest_of: DigestOf) -> int:
    """Follow the next changes in one transaction, after any other follower; returns how many that were.

    An index that has too much to catch up with, or was made for far fewer people, is discarded instead. Raises SQLAlchemyError.
    """
    with writing(connection):
        index = connection.execute(select(computed_index).where(*is_named(name), COMPLETE)).one_or_none()
        if index is None:
            return 0
        waiting = {"home_organisation": index.home_organisation, "through": index.through}
        too_many = connection.execute(_WAITING, waiting).scalar_one() > TOO_MANY
        changes = [] if too_many else connection.execute(_CHANGES.limit(_AT_ONCE), waiting).all()
        outgrown = bool(changes) and _follow(connection, index, changes, digest_of)
        through = None if too_many or outgrown else (changes[-1].number if changes else index.through)
        connection.execute(update(computed_index).where(computed_index.c.id == index.id).values(through=through))
        return len(changes)


def _follow(connection: Connection, index: Index, changes: Sequence[Index], digest_of: DigestOf) -> bool:
    """Change the pages; True where one is far larger now than they were made for."""
    added, removed = _compare(connection, index.kind, changes, digest_of)
    additions, removals = group_by_page(added, index.bits), group_by_page(removed, index.bits)
    numbers = sorted(additions.keys() | removals.keys())
    rows = connection.execute(_PAGES, {"index_id": index.id, "numbers": numbers})
    before: dict[int, bytes] = {row.number: row.content for row in rows}
    after = {number: change_page(before.get(number, b""), additions[number], removals[number]) for number in numbers}
    _write(connection, index.id, before, after)
    return max(map(len, after.values()), default=0) > LARGEST_PAGE


def _compare(connection: Connection, kind: str, changes: Sequence[Index], digest_of: DigestOf) -> tuple[list[bytes], list[bytes]]:
    """Return the records of the people whom changes are about: those that belong into the index, and those that do not."""
    subjects = {"subjects": sorted({change.subject_id for change in changes})}
    linked = set(connection.execute(_IN_FORCE, subjects).scalars())
    added: list[bytes] = []
    removed: list[bytes] = []
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for number, subject_id, spelling in connection.execute(_SOURCES, {**subjects, "kind": kind}):
        numbers[subject_id].append(number)
        (added if subject_id in linked else removed).append(write_record(digest_of(spelling), number))
    for change in changes:
        if change.former is not None:
            former = digest_of(change.former)
            removed.extend(write_record(former, number) for number in numbers[change.subject_id])
    return added, removed


def _write(connection: Connection, index_id: int, before: dict[int, bytes], after: dict[int, bytes]) -> None:
    new = [{"index_id": index_id, "number": number, "content": page} for number, page in after.items() if page and number not in before]
    gone = [{"its_index": index_id, "its_number": number} for number, page in after.items() if not page and number in before]
    changed = [
        {"its_index": index_id, "its_number": number, "page": page}
        for number, page in after.items()
        if page and number in before and page != before[number]
    ]
    if new:
        connection.execute(insert(computed_page), new)
    if changed:
        connection.execute(update(computed_page).where(*_THIS_PAGE).values(content=bindparam("page")), changed)
    if gone:
        connection.execute(delete(computed_page).where(*_THIS_PAGE), gone)
