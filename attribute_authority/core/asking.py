"""Asking the sources of home organisations about an identifier that the store does not know.

A source speaks for its own organisation alone: it is asked about identifiers that can be of that organisation, and whomever it names,
only that organisation's people count. A person whose link was withdrawn stays so, whatever a directory holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from attribute_authority.core.pausing import NamedSource, Pausing
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId
from attribute_authority.domain.link import KnownSubject
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk
from attribute_authority.ports import EntityDirectory, SourceWatch, SubjectFinder


@dataclass(frozen=True, slots=True)
class Organisation:
    """A home organisation that has sources, in the order in which they are asked.

    `scopes` are those of its identifiers, None for those that its metadata gives it. With `asks_all` every source is asked, and the
    answer stands if none contradicts it; otherwise the first that knows the person decides.
    """

    identity_provider: EntityId
    sources: tuple[NamedSource, ...]
    scopes: frozenset[str] | None = None
    asks_all: bool = True


@dataclass(frozen=True, slots=True)
class Errand:
    """An organisation, and the identifier that its sources are to be asked about."""

    organisation: Organisation
    identifier: Identifier


@dataclass(frozen=True, slots=True)
class Sighting:
    """A person who was found under one of the candidates; `source` names what resolved it, None for the store itself."""

    matched: Identifier
    subject: KnownSubject
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Sources that contradict one another or the store, so that nothing may be released; the reason names no person."""

    home_organisation: EntityId
    reason: str


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one source says: whom of the store it means, and which iD the person has by itself."""

    source: str
    people: tuple[KnownSubject, ...]
    orcid: OrcidId | None


@dataclass(frozen=True, slots=True)
class SourceAsking:
    """Knows the organisations that have sources, and asks them."""

    organisations: Sequence[Organisation]
    directory: EntityDirectory
    subjects: SubjectFinder
    environment: Environment
    pausing: Pausing
    watch: SourceWatch

    def errands(self, candidates: Sequence[Identifier], now: datetime) -> tuple[Errand, ...]:
        """Return whom to ask about what, in order; empty where no organisation has a source for it. Raises CouldNotAsk."""
        return tuple(
            Errand(organisation, candidate)
            for candidate in candidates
            for organisation in self.organisations
            if any(candidate.kind in named.source.kinds for named in organisation.sources) and self._is_of(candidate, organisation, now)
        )

    def run(self, errands: Sequence[Errand]) -> Sighting | Contradiction | None:
        """Ask, and return what is brought about the first identifier that anything is brought about.

        Organisations that may both use a scope are both asked; where both claim the person, neither is believed.
        Raises SourceUnavailable, CouldNotAsk.
        """
        for _, same in groupby(errands, key=attrgetter("identifier")):
            found = {errand.organisation.identity_provider: brought for errand in same if (brought := self._run(errand)) is not None}
            if len(found) > 1:
                return self._disputed(tuple(found))
            if found:
                return next(iter(found.values()))
        return None

    def _is_of(self, identifier: Identifier, organisation: Organisation, now: datetime) -> bool:
        if identifier.kind is IdentifierKind.PERSISTENT:
            return identifier.name_qualifier == organisation.identity_provider
        scope = identifier.value.rpartition("@")[2]
        if organisation.scopes is not None:
            return scope in organisation.scopes
        entity = self.directory.find_entity(organisation.identity_provider, now)
        return entity is not None and entity.may_use_scope(scope)

    def _run(self, errand: Errand) -> Sighting | Contradiction | None:
        organisation = errand.organisation
        claims: list[_Claim] = []
        failure: CouldNotAsk | None = None
        for named in organisation.sources:
            if errand.identifier.kind not in named.source.kinds:
                continue
            try:
                finding = self.pausing.ask(named, errand.identifier)
            except CouldNotAsk as unable:
                if organisation.asks_all:
                    # It might have contradicted the others.
                    raise
                failure = failure or unable
                continue
            if finding is not None:
                claims.append(self._claim(named.name, finding, organisation.identity_provider))
                if not organisation.asks_all:
                    break
        found = self._weigh(errand, claims)
        if found is None and failure is not None:
            raise failure
        return found

    def _claim(self, source: str, finding: Finding, home_organisation: EntityId) -> _Claim:
        found = [self.subjects.find_subject(identifier, self.environment) for identifier in finding.identifiers]
        people = [subject for subject in found if subject is not None]
        theirs = tuple(subject for subject in people if subject.home_organisation == home_organisation)
        if len(theirs) < len(people):
            # Told to the operator alone: an answer that depended on it would tell one organisation who is known of another.
            self.watch.sources_disagreed(home_organisation)
        return _Claim(source, theirs, finding.orcid)

    def _weigh(self, errand: Errand, claims: Sequence[_Claim]) -> Sighting | Contradiction | None:
        home_organisation = errand.organisation.identity_provider
        people = {subject.subject_id: subject for claim in claims for subject in claim.people}
        orcids = {claim.orcid for claim in claims if claim.orcid is not None}
        reason = _contradiction(tuple(people.values()), orcids)
        names = ", ".join(dict.fromkeys(claim.source for claim in claims))
        if reason is not None:
            self.watch.sources_disagreed(home_organisation)
            return Contradiction(home_organisation, f"{names}: {reason}")
        if people:
            return Sighting(errand.identifier, next(iter(people.values())), names)
        if orcids:
            return Sighting(errand.identifier, self._stranger(home_organisation, next(iter(orcids))), names)
        return None

    def _stranger(self, home_organisation: EntityId, orcid: OrcidId) -> KnownSubject:
        # Who withdrew may be known to us by other identifiers than the directory tells; the iD is the same.
        withdrawn = self.subjects.is_withdrawn(orcid, home_organisation, self.environment)
        return KnownSubject(None, home_organisation, None if withdrawn else orcid)

    def _disputed(self, claiming: Sequence[EntityId]) -> Contradiction:
        for home_organisation in claiming:
            self.watch.sources_disagreed(home_organisation)
        return Contradiction(claiming[0], f"{', '.join(claiming)}: each claims the person for itself")


def _contradiction(people: Sequence[KnownSubject], orcids: set[OrcidId]) -> str | None:
    if len(people) > 1:
        return "several people are named"
    if people and people[0].orcid is None:
        # Unlinked, or withdrawn, which no directory can undo.
        return None
    if len(orcids | {subject.orcid for subject in people}) > 1:
        return "several iDs are named"
    return None
