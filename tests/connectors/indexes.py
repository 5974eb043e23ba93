"""An index of computed identifiers in memory, strict about how it is asked, whose people come and go by assignment."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.errors import CouldNotAsk


@dataclass(slots=True)
class FakeIndex:
    """`people` are the values of everybody who has linked; `built` counts how often an index was made."""

    people: set[str]
    built: int = 0
    is_away: bool = False
    _indexes: dict[PairwiseIndexName, dict[bytes, tuple[str, ...]]] = field(default_factory=dict)
    _followed: dict[PairwiseIndexName, frozenset[str]] = field(default_factory=dict)

    def find_sources(self, name: PairwiseIndexName, digest: bytes) -> tuple[str, ...] | None:
        """Return who has the digest in the index of that name, None where there is none."""
        self._ask()
        index = self._indexes.get(name)
        return None if index is None else index.get(digest, ())

    def build(self, name: PairwiseIndexName, digest_of: Callable[[str], bytes], now: datetime) -> int:
        """Make an index that is not there."""
        self._ask()
        assert name not in self._indexes
        assert now.tzinfo is not None

        self.built += 1
        self._make(name, digest_of)
        return len(self.people)

    def follow(self, name: PairwiseIndexName, digest_of: Callable[[str], bytes]) -> int:
        """Make an index that is there afresh."""
        self._ask()
        if name not in self._indexes:
            return 0
        changes = len(self._followed[name] ^ self.people)
        self._make(name, digest_of)
        return changes

    def names(self, home_organisation: EntityId | None = None) -> tuple[PairwiseIndexName, ...]:
        """Return the names of what is there."""
        self._ask()
        return tuple(name for name in self._indexes if home_organisation in (None, name.home_organisation))

    def drop(self, name: PairwiseIndexName) -> None:
        """Forget an index."""
        self._ask()
        del self._indexes[name]

    def misfile(self, name: PairwiseIndexName, digest: bytes, sources: Iterable[str]) -> None:
        """Put people under a digest that is not theirs."""
        self._indexes[name][digest] = tuple(sources)

    def _ask(self) -> None:
        if self.is_away:
            raise CouldNotAsk("the database could not be asked")

    def _make(self, name: PairwiseIndexName, digest_of: Callable[[str], bytes]) -> None:
        self._indexes[name] = {}
        for person in sorted(self.people):
            digest = digest_of(person)
            self._indexes[name][digest] = (*self._indexes[name].get(digest, ()), person)
        self._followed[name] = frozenset(self.people)
