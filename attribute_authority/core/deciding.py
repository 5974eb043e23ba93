"""Deciding on one question, whoever asks it and however: who is meant, is there an iD, may this requester have it?

Every step runs for every question, so that unknown, unlinked and withheld take the same way and look the same outside.
The decision keeps the reasons; `explain` and the event show them, the requester never sees them.
Whom the store does not know, the home organisation's own sources may, where there are any; asking them takes its time,
so that is a second step, for another thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from attribute_authority.core.asking import Contradiction, Errand, Sighting, SourceAsking
from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject
from attribute_authority.domain.release import ReleaseRule, allowing_rule
from attribute_authority.ports import SubjectFinder

_NOWHERE: Final = EntityId("")


class Outcome(StrEnum):
    """Why an answer holds what it holds; for our own eyes."""

    RELEASED = "released"
    NOT_AN_IDENTIFIER = "not-an-identifier"
    UNKNOWN = "unknown"
    UNLINKED = "unlinked"
    WITHHELD = "withheld"
    NOT_REQUESTED = "not-requested"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks about whom; `candidates` are what the asked identifier may mean, the likeliest first.

    `home_organisations` narrows whose people the requester may see, None where nothing does.
    """

    requester: Entity
    candidates: tuple[Identifier, ...]
    home_organisations: frozenset[EntityId] | None = None

    def may_see(self, home_organisation: EntityId) -> bool:
        """Whether the question may be about people of that home organisation at all."""
        return self.home_organisations is None or home_organisation in self.home_organisations


@dataclass(frozen=True, slots=True)
class Decision:
    """What was found and decided: `matched` of the `candidates`, the subject, and the index of the rule that allows.

    `source` names what resolved the identifier, None where the store knew it. `reason` tells of a contradiction.
    """

    outcome: Outcome
    candidates: tuple[Identifier, ...]
    matched: Identifier | None = None
    subject: KnownSubject | None = None
    rule: int | None = None
    source: str | None = None
    reason: str | None = None

    @property
    def orcid(self) -> OrcidId | None:
        """The iD that is released, None where nothing is."""
        return self.subject.orcid if self.subject is not None and self.outcome is Outcome.RELEASED else None


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A question that the store cannot answer, and whom to ask about it.

    `known` is somebody whom the store knows and who has no iD: what the sources say about them changes nothing, but whether they are
    asked, how long that takes and whether it fails must not tell that the person is known here.
    """

    question: Question
    errands: tuple[Errand, ...]
    known: Sighting | None = None


@dataclass(frozen=True, slots=True)
class Deciding:
    """Decides by the release rules on what store and sources know."""

    subjects: SubjectFinder
    sources: SourceAsking
    rules: Sequence[ReleaseRule]
    environment: Environment

    def begin(self, question: Question, now: datetime) -> Decision | Unresolved:
        """Decide by what the store knows. Raises CouldNotAsk when it is away."""
        for candidate in question.candidates:
            subject = self.subjects.find_subject(candidate, self.environment)
            if subject is not None:
                return self.go_on(question, Sighting(candidate, subject), now)
        return self.go_on(question, None, now)

    def go_on(self, question: Question, known: Sighting | None, now: datetime) -> Decision | Unresolved:
        """Decide on a question about somebody whom the store knows, or with None does not know. Raises CouldNotAsk."""
        if known is not None and known.subject.orcid is not None:
            return self.decide(question, known)
        errands = tuple(errand for errand in self.sources.errands(question.candidates, now) if self._may_run(question, errand))
        return Unresolved(question, errands, known) if errands else self.decide(question, known)

    def finish(self, unresolved: Unresolved) -> Decision:
        """Ask the sources, and decide. Raises SourceUnavailable, CouldNotAsk."""
        found = self.sources.run(unresolved.errands)
        return self.decide(unresolved.question, unresolved.known or found)

    def decide(self, question: Question, found: Sighting | Contradiction | None) -> Decision:
        """Decide on what was found; None is somebody whom nobody knows."""
        if isinstance(found, Contradiction):
            return Decision(Outcome.CONTRADICTED, question.candidates, reason=found.reason)
        if found is None:
            # For nothing but the time that it takes for everybody else.
            allowing_rule(self.rules, question.requester, _NOWHERE)
            return Decision(Outcome.UNKNOWN if question.candidates else Outcome.NOT_AN_IDENTIFIER, question.candidates)
        subject = found.subject
        rule = allowing_rule(self.rules, question.requester, subject.home_organisation)
        allowed = rule is not None and question.may_see(subject.home_organisation)
        outcome = Outcome.UNLINKED if subject.orcid is None else Outcome.RELEASED if allowed else Outcome.WITHHELD
        return Decision(outcome, question.candidates, found.matched, subject, rule, found.source)

    def _may_run(self, question: Question, errand: Errand) -> bool:
        # What cannot be released need not be asked for; this depends on the requester and the organisation alone, not on the person.
        home_organisation = errand.organisation.identity_provider
        return question.may_see(home_organisation) and allowing_rule(self.rules, question.requester, home_organisation) is not None
