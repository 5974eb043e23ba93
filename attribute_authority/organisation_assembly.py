"""The composition root of home organisations: their tables in, sources that can be asked out."""

from collections.abc import Sequence
from datetime import timedelta
from threading import BoundedSemaphore
from time import monotonic
from typing import Final, Protocol, runtime_checkable

from attribute_authority.assembly import present
from attribute_authority.core.asking import Organisation, SourceAsking
from attribute_authority.core.pausing import NamedSource, Pausing
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import CouldNotAsk, FaultyConfiguration, OperatorError
from attribute_authority.organisation_settings import Asking, OrganisationSettings
from attribute_authority.ports import EntityDirectory, OutageBoard, PairwiseIndex, SourceWatch, SubjectFinder
from attribute_authority.settings import Settings
from connectors import Surroundings, find_kind


@runtime_checkable
class Indexing(Protocol):
    """A source that keeps an index of computed identifiers in our own store."""

    @property
    def fingerprint(self) -> str:
        """What names its indexes."""
        ...

    def follow_all(self) -> int:
        """Bring every index up to the last change of links; returns how many changes there were. Raises CouldNotAsk."""
        ...


_SHARE_OF_THREADS: Final = 4
"""One source may take a quarter of the threads, so that no single one takes all."""


def open_organisations(settings: Settings, index: PairwiseIndex) -> tuple[Organisation, ...]:
    """Open the sources of every home organisation that has any; nobody is asked yet.

    Raises FaultyConfiguration with every one that cannot be opened.
    """
    faults: list[str] = []
    opened = [
        _open_organisation(table, settings, index, f"organisation[{number + 1}]", faults)
        for number, table in enumerate(settings.organisation)
    ]
    if faults:
        close_organisations(opened)
        raise FaultyConfiguration(tuple(faults))
    return tuple(organisation for organisation in opened if organisation.sources)


def close_organisations(organisations: Sequence[Organisation]) -> None:
    """Give up every connection to sources."""
    for organisation in organisations:
        for named in organisation.sources:
            named.source.close()


def check_organisations(organisations: Sequence[Organisation]) -> tuple[str, ...]:
    """Try every source, without asking about anybody, and return a sentence for each that cannot be asked."""
    faults = []
    for organisation in organisations:
        for named in organisation.sources:
            try:
                named.source.check()
            except (CouldNotAsk, OperatorError) as fault:
                faults.append(f"{named.name}: {fault.cause}")
    return tuple(faults)


def maintain_organisations(organisations: Sequence[Organisation], index: PairwiseIndex) -> None:
    """Bring indexes of computed identifiers up to date, and drop those that no source uses any more. Raises CouldNotAsk."""
    for organisation in organisations:
        computed = [named.source for named in organisation.sources if isinstance(named.source, Indexing)]
        for source in computed:
            source.follow_all()
        used = {source.fingerprint for source in computed}
        for name in index.names(organisation.identity_provider):
            if name.fingerprint not in used:
                index.drop(name)


def outages(organisations: Sequence[Organisation], board: OutageBoard) -> tuple[str, ...]:
    """Return a sentence for each source that is left alone because it could not be asked. Raises CouldNotAsk."""
    names = {named.name for organisation in organisations for named in organisation.sources}
    if not names:
        return ()
    return tuple(
        f"{outage.source}: could not be asked since {outage.since:%Y-%m-%dT%H:%M:%SZ}, {outage.failures} times: {outage.cause}"
        for outage in board.list_outages()
        if outage.source in names
    )


def make_asking(
    settings: Settings,
    organisations: Sequence[Organisation],
    *,
    directory: EntityDirectory,
    subjects: SubjectFinder,
    board: OutageBoard,
    watch: SourceWatch,
) -> SourceAsking:
    """Make what asks the sources."""
    longest = timedelta(seconds=settings.sources.longest_pause)
    pausing = Pausing(board, watch, longest, present, monotonic)
    return SourceAsking(organisations, directory, subjects, settings.authority.environment, pausing, watch)


def _open_organisation(table: OrganisationSettings, settings: Settings, index: PairwiseIndex, key: str, faults: list[str]) -> Organisation:
    identity_provider = EntityId(table.identity_provider)
    surroundings = Surroundings(identity_provider, settings.authority.environment, index, present)
    places = max(1, settings.sources.threads // _SHARE_OF_THREADS)
    sources: list[NamedSource] = []
    for number, source in enumerate(table.source):
        kind = find_kind(source.kind)
        try:
            opened = None if kind is None else kind.open(source, surroundings)
        except OperatorError as fault:
            faults.append(f"{key}.source[{number + 1}]: {fault.cause}")
            continue
        if opened is not None:
            name = _name(identity_provider, source.kind, [named.name for named in sources])
            sources.append(NamedSource(name, opened, BoundedSemaphore(places), timedelta(seconds=source.timeout)))
    scopes = None if table.scopes is None else frozenset(table.scopes)
    return Organisation(identity_provider, tuple(sources), scopes, table.sources_asked is Asking.ALL)


def _name(identity_provider: EntityId, kind: str, taken: Sequence[str]) -> str:
    name = f"{identity_provider} {kind}"
    number = sum(other == name or other.startswith(f"{name} ") for other in taken)
    return f"{name} {number + 1}" if number else name
