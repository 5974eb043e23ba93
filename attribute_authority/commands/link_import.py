"""Importing rows of links: every row is stored or named, none is lost without a word."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from attribute_authority.commands.link_table import RefusedRow
from attribute_authority.domain.link import NewLink
from attribute_authority.errors import Conflict
from attribute_authority.ports import LinkStore
from attribute_authority.storage.memory import MemoryLinkStore

Row = tuple[int, NewLink] | RefusedRow


@dataclass(slots=True)
class Tally:
    """How many rows were accepted, and which were not."""

    accepted: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


def import_rows(store: LinkStore, rows: Iterable[Row], tally: Tally) -> None:
    """Store the rows and count them. Raises CouldNotAsk, after which the tally holds what is stored."""
    lines: deque[int] = deque()
    for outcome in store.add_links(_links(rows, lines, tally)):
        line = lines.popleft()
        if isinstance(outcome, Conflict):
            tally.refused.append(RefusedRow(line, outcome.cause))
        else:
            tally.accepted += 1


def dry_run(store: LinkStore, rows: Iterable[Row], tally: Tally) -> None:
    """Count the rows as `import_rows` would, and store nothing: against what is stored, and against each other."""
    among_themselves = MemoryLinkStore()
    for row in rows:
        if isinstance(row, RefusedRow):
            tally.refused.append(row)
            continue
        line, new = row
        try:
            _check(store, new)
            among_themselves.add_link(new)
            tally.accepted += 1
        except Conflict as conflict:
            tally.refused.append(RefusedRow(line, conflict.cause))


def _links(rows: Iterable[Row], lines: deque[int], tally: Tally) -> Iterator[NewLink]:
    for row in rows:
        if isinstance(row, RefusedRow):
            tally.refused.append(row)
        else:
            lines.append(row[0])
            yield row[1]


def _check(store: LinkStore, new: NewLink) -> None:
    subjects = set()
    for identifier in new.identifiers:
        known = store.find_subject(identifier, new.environment)
        if known is None:
            continue
        subjects.add(known.subject_id)
        if known.home_organisation != new.home_organisation:
            raise Conflict(f"{identifier} belongs to a subject of {known.home_organisation}")
        if known.orcid not in (None, new.orcid):
            raise Conflict(f"{identifier} is linked to another iD")
    if len(subjects) > 1:
        raise Conflict("the identifiers belong to different subjects")
    holders = {link.subject_id for link in store.find_links(orcid=new.orcid) if link.home_organisation == new.home_organisation}
    if holders - subjects:
        raise Conflict(f"{new.orcid.value} is linked to another subject of {new.home_organisation}")
