"""Importing rows of links: every row is stored or named, none is lost without a word."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from attribute_authority.commands.link_table import Row, WithdrawnRow
from attribute_authority.domain.link import NewLink
from attribute_authority.errors import Conflict
from attribute_authority.ports import LinkStore


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that cannot be stored: its line in the file and why."""

    line: int
    reason: str


@dataclass(slots=True)
class Tally:
    """How many rows were accepted, which were not, and how many links of the past were passed over."""

    accepted: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    withdrawn: int = 0

    def links(self, rows: Iterable[Row]) -> Iterator[tuple[int, NewLink]]:
        """Yield the rows that hold a link, with their lines, and count the others."""
        for line, content in rows:
            if isinstance(content, NewLink):
                yield line, content
            elif isinstance(content, WithdrawnRow):
                self.withdrawn += 1
            else:
                self.refused.append(RefusedRow(line, content))


def import_rows(store: LinkStore, rows: Iterable[Row], tally: Tally) -> None:
    """Store the rows and count them. Raises CouldNotAsk, after which the tally holds what is stored."""
    lines: deque[int] = deque()
    for outcome in store.add_links(_remembering(lines, tally.links(rows))):
        line = lines.popleft()
        if isinstance(outcome, Conflict):
            tally.refused.append(RefusedRow(line, outcome.cause))
        else:
            tally.accepted += 1


def dry_run(store: LinkStore, rows: Iterable[Row], tally: Tally) -> None:
    """Count the rows as `import_rows` would, and store nothing. Raises CouldNotAsk."""
    lines: deque[int] = deque()
    for conflict in store.check_links(_remembering(lines, tally.links(rows))):
        line = lines.popleft()
        if conflict is None:
            tally.accepted += 1
        else:
            tally.refused.append(RefusedRow(line, conflict.cause))


def _remembering(lines: deque[int], numbered: Iterable[tuple[int, NewLink]]) -> Iterator[NewLink]:
    for line, new in numbered:
        lines.append(line)
        yield new
