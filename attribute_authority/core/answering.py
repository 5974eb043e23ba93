"""Answering one attribute query: what it asks about, and what of the decision it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from attribute_authority.core.deciding import Deciding, Decision, Outcome, Question, Unresolved
from attribute_authority.core.resolving import candidate_identifiers
from attribute_authority.domain.identifiers import EntityId, Environment, OrcidId
from attribute_authority.domain.query import Answer, AttributeDesignator, AttributeQuery, RequesterProfile
from attribute_authority.domain.release import EDU_PERSON_ORCID, may_ask
from attribute_authority.errors import Denied, InvalidIdentifier

_DEFAULT_PROFILE = RequesterProfile()


@dataclass(frozen=True, slots=True)
class Answering:
    """Decides and answers; `profiles` holds what is configured for single requesters."""

    deciding: Deciding
    profiles: Mapping[EntityId, RequesterProfile]

    def profile(self, requester: EntityId) -> RequesterProfile:
        """Return what is configured for the requester, or the defaults."""
        return self.profiles.get(requester, _DEFAULT_PROFILE)

    def begin(self, query: AttributeQuery, now: datetime) -> Decision | Unresolved:
        """Find the person in the store and decide on release.

        Raises Denied for an entity that is no requester, and for a foreign SPNameQualifier; CouldNotAsk when the store is away.
        """
        if not may_ask(self.deciding.rules, query.requester):
            raise Denied(f"{query.requester.entity_id} has no role that queries, and no release rule names it")
        profile = self.profile(query.requester.entity_id)
        candidates = candidate_identifiers(query.name_id, query.requester, profile.default_name_qualifier)
        begun = self.deciding.begin(Question(query.requester, candidates), now)
        return begun if isinstance(begun, Unresolved) else self._narrow(query, begun)

    def finish(self, query: AttributeQuery, unresolved: Unresolved) -> Decision:
        """Ask the home organisation's sources, and decide. Raises SourceUnavailable, CouldNotAsk."""
        return self._narrow(query, self.deciding.finish(unresolved))

    def answer(self, query: AttributeQuery, decision: Decision) -> Answer:
        """Put the decision into what the requester is told."""
        orcid = decision.orcid
        values = () if orcid is None else (orcid.uri(self.deciding.environment),)
        return Answer(query.message_id, query.requester.entity_id, query.name_id, values)

    def _narrow(self, query: AttributeQuery, decision: Decision) -> Decision:
        orcid = decision.orcid
        if orcid is None or _is_requested(orcid, query.designators, self.deciding.environment):
            return decision
        return replace(decision, outcome=Outcome.NOT_REQUESTED)


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
