"""Sources that answer by script, organisations that have them, and guards and watches that let everything pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore

from attribute_authority.core.asking import Organisation, SourceAsking
from attribute_authority.core.pausing import NamedSource, Pausing
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk
from attribute_authority.ports import EntityDirectory, OutageBoard, SubjectFinder
from attribute_authority.storage.memory_sources import MemoryOutageBoard
from tests.factories.queries import NOW

LONGEST_PAUSE = timedelta(seconds=60)


class FreeGuard:
    """Lets every requester ask as much as it likes."""

    def admit(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Take it in."""

    def learn(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> None:
        """Forget it."""


class Unwatched:
    """Counts nothing."""

    def answered(self, door: str, outcome: str, seconds: float) -> None:
        """Count nothing."""

    def refused(self, door: str, failure: str) -> None:
        """Count nothing."""

    def source_asked(self, source: str, outcome: str, seconds: float) -> None:
        """Count nothing."""

    def source_paused(self, source: str, paused: bool) -> None:
        """Count nothing."""

    def sources_disagreed(self, home_organisation: EntityId) -> None:
        """Count nothing."""


@dataclass(slots=True)
class Watched(Unwatched):
    """Notes what it is told about sources."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    disagreed: list[EntityId] = field(default_factory=list)

    def source_asked(self, source: str, outcome: str, seconds: float) -> None:
        """Note it."""
        self.asked.append((source, outcome))

    def sources_disagreed(self, home_organisation: EntityId) -> None:
        """Note it."""
        self.disagreed.append(home_organisation)


@dataclass(slots=True)
class ScriptedSource:
    """Knows a few people; while `failure` is set it cannot be asked. `asked` is what it was asked about."""

    findings: Mapping[Identifier, Finding] = field(default_factory=dict)
    kinds: frozenset[IdentifierKind] = frozenset({IdentifierKind.PERSISTENT})
    failure: CouldNotAsk | None = None
    asked: list[Identifier] = field(default_factory=list)

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Answer by the script."""
        assert identifier.kind in self.kinds
        self.asked.append(identifier)
        if self.failure is not None:
            raise self.failure
        return self.findings.get(identifier)

    def check(self) -> None:
        """Fail as a question would."""
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Have nothing to give up."""


def named(source: ScriptedSource, name: str = "directory", places: int = 4, queue: int = 4) -> NamedSource:
    """Give a source a name."""
    return NamedSource(name, source, BoundedSemaphore(places), BoundedSemaphore(queue), timedelta(seconds=20))


def organisation(
    identity_provider: str, *sources: NamedSource, scopes: frozenset[str] | None = None, asks_all: bool = True
) -> Organisation:
    """Make an organisation with these sources."""
    return Organisation(EntityId(identity_provider), sources, scopes, asks_all)


def pausing(board: OutageBoard, watch: Watched | Unwatched, clock: Callable[[], datetime]) -> Pausing:
    """Make what pauses sources, by this clock."""
    return Pausing(board, watch, LONGEST_PAUSE, clock, lambda: 0.0)


def asking(
    organisations: Sequence[Organisation],
    directory: EntityDirectory,
    subjects: SubjectFinder,
    *,
    environment: Environment = Environment.PRODUCTION,
    watch: Watched | Unwatched | None = None,
) -> SourceAsking:
    """Make what asks the sources, with a board of its own and a clock that stands still."""
    watching = watch or Unwatched()
    return SourceAsking(organisations, directory, subjects, environment, pausing(MemoryOutageBoard(), watching, lambda: NOW), watching)
