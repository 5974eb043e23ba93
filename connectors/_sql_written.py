"""What a delivery has done to a database."""

from dataclasses import dataclass
from typing import Final

UNKNOWN_PERSON: Final = "nobody of that identifier is known there"


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were touched; `found` tells that the iD stood there already and nothing was."""

    rows: int
    found: bool = False

    def __str__(self) -> str:
        """Say what would be done, in a sentence."""
        if self.found:
            return "nothing would be changed: the iD stands there already"
        return f"{self.rows or 'no'} {'row' if self.rows == 1 else 'rows'} would be changed"
