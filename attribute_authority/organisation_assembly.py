"""The composition root of home organisations: their tables in, sources that can be asked out."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from datetime import timedelta
from threading import BoundedSemaphore
from time import monotonic
from typing import Final, Protocol, runtime_checkable

from attribute_authority.assembly import present
from attribute_authority.core.asking import Organisation, SourceAsking
from attribute_authority.core.pausing import NamedSource, Pausing
from attribute_authority.domain.delivery import SinkName
from attribute_authority.domain.identifiers import EntityId, IdentifierKind
from attribute_authority.errors import AuthorityError, FaultyConfiguration, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.organisation_settings import Asking, OrganisationSettings
from attribute_authority.ports import EntityDirectory, IdentifierSource, OutageBoard, PairwiseIndex, SourceWatch, SubjectFinder
from attribute_authority.setting_values import SourceTable
from attribute_authority.settings import Settings
from connectors import Surroundings, find_source_kind, telling_defects


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
"""One source may take a quarter of the threads, and another quarter may wait for it, so that no single one takes all."""


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
    """Give up every connection to sources, also where one of them fails at it, which is raised in the end."""
    with ExitStack() as closing:
        for organisation in organisations:
            for named in organisation.sources:
                closing.callback(named.source.close)


def check_organisations(organisations: Sequence[Organisation]) -> tuple[str, ...]:
    """Try every source, without asking about anybody, and return a sentence for each that cannot be asked."""
    faults = []
    for organisation in organisations:
        for named in organisation.sources:
            try:
                with telling_defects("the connector has a defect"):
                    named.source.check()
            except AuthorityError as fault:
                faults.append(f"{named.name}: {fault.cause}")
    return tuple(faults)


def maintain_organisations(organisations: Sequence[Organisation], index: PairwiseIndex) -> None:
    """Bring indexes of computed identifiers up to date, and drop those that no source uses any more. Raises CouldNotAsk."""
    used: set[tuple[EntityId, str]] = set()
    for organisation in organisations:
        for named in organisation.sources:
            if isinstance(named.source, Indexing):
                named.source.follow_all()
                used.add((organisation.identity_provider, named.source.fingerprint))
    # Also of organisations that are not configured any more: nobody would take out of them who withdraws.
    for name in index.names():
        if (name.home_organisation, name.fingerprint) not in used:
            index.drop(name)


def outages(organisations: Sequence[Organisation], sinks: Collection[SinkName], board: OutageBoard) -> tuple[str, ...]:
    """Return a sentence for each source or sink that is left alone because it is away. Raises CouldNotAsk."""
    names = _names(organisations) | {str(name) for name in sinks}
    if not names:
        return ()
    return tuple(
        f"{outage.source}: could not be reached since {outage.since:%Y-%m-%dT%H:%M:%SZ}, {outage.failures} times: {outage.cause}"
        for outage in board.list_outages()
        if outage.source in names
    )


def tell_outages(organisations: Sequence[Organisation], board: OutageBoard, watch: SourceWatch) -> None:
    """Tell of every source whether it is left alone: another node may have noticed that it is back. Raises CouldNotAsk."""
    names = _names(organisations)
    paused = {outage.source for outage in board.list_outages()} if names else set()
    for name in sorted(names):
        watch.source_paused(name, name in paused)


def forget_sources(former: Sequence[Organisation], latest: Sequence[Organisation], watch: SourceWatch) -> None:
    """Tell of sources that are not configured any more that they are not left alone either."""
    for name in sorted(_names(former) - _names(latest)):
        watch.source_paused(name, False)


def _names(organisations: Sequence[Organisation]) -> set[str]:
    return {named.name for organisation in organisations for named in organisation.sources}


def make_asking(
    settings: Settings,
    organisations: Sequence[Organisation],
    *,
    directory: EntityDirectory,
    subjects: SubjectFinder,
    board: OutageBoard,
    watch: SourceWatch,
    events: EventLog,
) -> SourceAsking:
    """Make what asks the sources."""
    longest = timedelta(seconds=settings.sources.longest_pause)
    pausing = Pausing(board, watch, longest, present, monotonic, events)
    return SourceAsking(organisations, directory, subjects, settings.authority.environment, pausing, watch)


def _open_organisation(table: OrganisationSettings, settings: Settings, index: PairwiseIndex, key: str, faults: list[str]) -> Organisation:
    identity_provider = EntityId(table.identity_provider)
    surroundings = Surroundings(identity_provider, settings.authority.environment, index, present)
    places = max(1, settings.sources.threads // _SHARE_OF_THREADS)
    sources: list[NamedSource] = []
    for number, source in enumerate(table.source):
        try:
            opened = _open_source(source, surroundings)
        except AuthorityError as fault:
            faults.append(f"{key}.source[{number + 1}]: {fault.cause}")
            continue
        name = _name(identity_provider, source.kind, [named.name for named in sources])
        sources.append(NamedSource(name, opened, BoundedSemaphore(places), BoundedSemaphore(places), timedelta(seconds=source.timeout)))
    scopes = None if table.scopes is None else frozenset(table.scopes)
    return Organisation(identity_provider, tuple(sources), scopes, table.sources_asked is Asking.ALL)


def _open_source(table: SourceTable, surroundings: Surroundings) -> IdentifierSource:
    """Open a source. Raises OperatorError, also where its connector, which may be another party's, does what none may."""
    kind = find_source_kind(table.kind)
    if kind is None:
        raise OperatorError(f"the connector {table.kind} is gone")
    with telling_defects(f"the connector {table.kind} has a defect"):
        opened: IdentifierSource = kind.open(table, surroundings)
        usable = isinstance(opened.kinds, frozenset) and all(isinstance(one, IdentifierKind) for one in opened.kinds)
    if not usable:
        raise OperatorError(f"the connector {table.kind} has a defect: it does not tell the kinds of identifier that it can be asked about")
    return opened


def _name(identity_provider: EntityId, kind: str, taken: Sequence[str]) -> str:
    name = f"{identity_provider} {kind}"
    number = sum(other == name or other.startswith(f"{name} ") for other in taken)
    return f"{name} {number + 1}" if number else name
