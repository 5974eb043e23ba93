"""What a loader wrote down: every change that it began, and whether that was confirmed to it or failed."""

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BEGUN: Final = "begun"
CONFIRMED: Final = "confirmed"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was begun: `orcid` is what the person has then, None where nothing."""

    person: int
    orcid: str | None
    confirmed: bool


class Journal:
    """A file of lines that outlives whoever writes it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._file.touch()

    def write(self, step: str, **what: Any) -> None:
        """Add a line; it is on the disk when this returns."""
        line = json.dumps({"step": step, **what}).encode() + b"\n"
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND)
        try:
            # In one piece, or not at all: a line that is cut off by the death of its writer would be no line.
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def count(self, step: str) -> int:
        """Return how many lines tell of that."""
        return self._file.read_bytes().count(b'"step": "%s"' % step.encode())

    @property
    def is_open(self) -> bool:
        """Whether the last change has begun and nobody knows yet how it ended."""
        lines = self._lines()
        return bool(lines) and lines[-1]["step"] == BEGUN

    def causes(self) -> list[str]:
        """Return why changes failed."""
        return [line["cause"] for line in self._lines() if line["step"] == FAILED]

    def changes(self) -> list[Change]:
        """Return every change that was begun, in their order."""
        last: dict[int, int] = {}
        made: list[Change] = []
        for line in self._lines():
            if line["step"] == BEGUN:
                last[line["person"]] = len(made)
                made.append(Change(line["person"], line["orcid"], False))
            elif line["step"] == CONFIRMED:
                begun = made[last[line["person"]]]
                made[last[line["person"]]] = Change(begun.person, begun.orcid, True)
        return made

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_bytes().splitlines()]


def by_person(changes: list[Change]) -> dict[int, list[Change]]:
    """Return the changes of each person."""
    grouped: defaultdict[int, list[Change]] = defaultdict(list)
    for change in changes:
        grouped[change.person].append(change)
    return grouped
