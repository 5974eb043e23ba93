"""Answering one attribute query: who is meant, is there an iD, may this requester have it, was it asked for?

Every step runs for every query, so that unknown, unlinked and withheld take the same way and look the same outside.
The decision keeps the reasons; `explain` and the event show them, the requester never sees them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from attribute_authority.core.resolving import candidate_identifiers
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject
from attribute_authority.domain.query import Answer, AttributeDesignator, AttributeQuery, RequesterProfile
from attribute_authority.domain.release import EDU_PERSON_ORCID, ReleaseRule, allowing_rule, may_ask
from attribute_authority.errors import Denied, InvalidIdentifier
from attribute_authority.ports import SubjectFinder

_DEFAULT_PROFILE = RequesterProfile()


class Outcome(StrEnum):
    """Why an answer holds what it holds; for our own eyes."""

    RELEASED = "released"
    NOT_AN_IDENTIFIER = "not-an-identifier"
    UNKNOWN = "unknown"
    UNLINKED = "unlinked"
    WITHHELD = "withheld"
    NOT_REQUESTED = "not-requested"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was found and decided: `matched` of the `candidates`, the subject, and the index of the rule that allows."""

    outcome: Outcome
    candidates: tuple[Identifier, ...]
    matched: Identifier | None
    subject: KnownSubject | None
    rule: int | None


@dataclass(frozen=True, slots=True)
class Answering:
    """Decides and answers; `profiles` holds what is configured for single requesters."""

    subjects: SubjectFinder
    rules: Sequence[ReleaseRule]
    environment: Environment
    profiles: Mapping[EntityId, RequesterProfile]

    def profile(self, requester: EntityId) -> RequesterProfile:
        """Return what is configured for the requester, or the defaults."""
        return self.profiles.get(requester, _DEFAULT_PROFILE)

    def decide(self, query: AttributeQuery) -> Decision:
        """Find the person and decide on release.

        Raises Denied for an entity that is no requester, and for a foreign SPNameQualifier; CouldNotAsk when the store is away.
        """
        if not may_ask(self.rules, query.requester):
            raise Denied(f"{query.requester.entity_id} has no role that queries, and no release rule names it")
        profile = self.profile(query.requester.entity_id)
        candidates = candidate_identifiers(query.name_id, query.requester, profile.default_name_qualifier)
        matched, subject = self._find(candidates)
        rule = None if subject is None else allowing_rule(self.rules, query.requester, subject.home_organisation)
        outcome = self._outcome(query, candidates, subject, rule)
        return Decision(outcome, candidates, matched, subject, rule)

    def answer(self, query: AttributeQuery, decision: Decision) -> Answer:
        """Put the decision into what the requester is told."""
        orcid = decision.subject.orcid if decision.subject is not None and decision.outcome is Outcome.RELEASED else None
        values = () if orcid is None else (orcid.uri(self.environment),)
        return Answer(query.message_id, query.requester.entity_id, query.name_id, values)

    def _find(self, candidates: tuple[Identifier, ...]) -> tuple[Identifier | None, KnownSubject | None]:
        for candidate in candidates:
            subject = self.subjects.find_subject(candidate, self.environment)
            if subject is not None:
                return candidate, subject
        return None, None

    def _outcome(
        self, query: AttributeQuery, candidates: tuple[Identifier, ...], subject: KnownSubject | None, rule: int | None
    ) -> Outcome:
        if not candidates:
            return Outcome.NOT_AN_IDENTIFIER
        if subject is None:
            return Outcome.UNKNOWN
        if subject.orcid is None:
            return Outcome.UNLINKED
        if rule is None:
            return Outcome.WITHHELD
        return Outcome.RELEASED if _is_requested(subject.orcid, query.designators, self.environment) else Outcome.NOT_REQUESTED


def _is_requested(orcid: OrcidId, designators: Sequence[AttributeDesignator], environment: Environment) -> bool:
    if not designators:
        return True
    fitting = [designator for designator in designators if designator.name == EDU_PERSON_ORCID]
    if any(not designator.values for designator in fitting):
        return True
    return any(_same_orcid(value, orcid, environment) for designator in fitting for value in designator.values)


def _same_orcid(value: str, orcid: OrcidId, environment: Environment) -> bool:
    # eduPersonOrcid is in use as bare iD, http and https URI; all three mean the same person.
    try:
        return OrcidId.parse(value, environment) == orcid
    except InvalidIdentifier:
        return False
