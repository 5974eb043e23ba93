"""Looking identifiers up for those who do not ask by SAML: whom a caller may ask about, one identifier or many at once.

The decision itself is that of every other question. What differs is who may say for whom an identifier was issued: a service provider
asks with its own identifiers, or those of its affiliation, alone; a caller that sees none but its own people, or those of the home
organisations that it is bound to, may name any service provider.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from attribute_authority.core.asking import Sighting
from attribute_authority.core.deciding import Deciding, Decision, Question, Unresolved
from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, parse_identifier, shape_of
from attribute_authority.domain.link import KnownSubject
from attribute_authority.domain.release import ReleaseRule, allowing_rule
from attribute_authority.errors import CouldNotAsk, Denied, InvalidIdentifier, InvalidRequest
from attribute_authority.ports import BatchSubjectFinder


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; `home_organisations` are those whose people it may see at most, None where the release rules alone decide."""

    entity: Entity
    home_organisations: frozenset[EntityId] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An identifier as a caller names it; a qualifier that is None may follow from who asks."""

    kind: IdentifierKind
    value: str
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None


def question_of(caller: Caller, asked: Asked) -> Question:
    """Make the question.

    Raises InvalidRequest where a qualifier is missing, Denied where a service provider names another's identifiers.
    """
    try:
        candidates = _candidates(caller.entity, asked)
    except InvalidIdentifier:
        # Its cause quotes the identifier, which has no business in a log.
        raise InvalidRequest(((asked.kind, f"expected {shape_of(asked.kind)[1]}"),)) from None
    return Question(caller.entity, candidates, caller.home_organisations)


def followed_organisations(rules: Sequence[ReleaseRule], caller: Caller) -> frozenset[EntityId]:
    """Return the home organisations of which a caller may follow every change of links.

    Those are an identity provider's own people, and those that a registered client is bound to, as far as a release rule allows.
    Raises Denied where there are none, and for a service provider, which may ask about those alone whom it knows.
    """
    entity = caller.entity
    if entity.is_requester and Role.IDENTITY_PROVIDER not in entity.roles:
        raise Denied(f"{entity.entity_id} is a service provider, and may not follow changes")
    bound = caller.home_organisations
    if bound is None or Role.LOOKUP_CLIENT not in entity.roles:
        own = frozenset({entity.entity_id})
        bound = own if bound is None else own & bound
    allowed = frozenset(organisation for organisation in bound if allowing_rule(rules, entity, organisation) is not None)
    if not allowed:
        raise Denied(f"no release rule allows {entity.entity_id} the people of a home organisation that it may follow")
    return allowed


@dataclass(frozen=True, slots=True)
class LookingUp:
    """Looks many identifiers up at once."""

    deciding: Deciding
    subjects: BatchSubjectFinder

    def look_up(self, questions: Sequence[Question], now: datetime, is_over: Callable[[], bool]) -> list[Decision | CouldNotAsk]:
        """Decide on each question, in their order; what is asked twice is decided once. A failure stands where a source could not be asked.

        Sources are asked one after the other until `is_over`; whoever is still to be asked about then could not be.
        Raises CouldNotAsk where our own store is away.
        """
        candidates = {candidate for question in questions for candidate in question.candidates}
        known = self.subjects.find_subjects(candidates, self.deciding.environment)
        decided: dict[tuple[Identifier, ...], Decision | CouldNotAsk] = {}
        for question in questions:
            if question.candidates not in decided:
                decided[question.candidates] = self._decide(question, known, now, is_over)
        return [decided[question.candidates] for question in questions]

    def _decide(
        self, question: Question, known: Mapping[Identifier, KnownSubject], now: datetime, is_over: Callable[[], bool]
    ) -> Decision | CouldNotAsk:
        sighting = next((Sighting(candidate, known[candidate]) for candidate in question.candidates if candidate in known), None)
        begun = self.deciding.go_on(question, sighting, now)
        if not isinstance(begun, Unresolved):
            return begun
        if is_over():
            return CouldNotAsk("there was no time left to ask the sources about it")
        try:
            return self.deciding.finish(begun)
        except CouldNotAsk as failure:
            return failure


def _candidates(entity: Entity, asked: Asked) -> tuple[Identifier, ...]:
    if asked.kind is IdentifierKind.PERSISTENT:
        return (_persistent(entity, asked),)
    if asked.kind is IdentifierKind.PAIRWISE_ID:
        plain = parse_identifier(asked.kind, asked.value, asked.name_qualifier)
        audience = _audience(entity, asked)
        return (plain,) if audience is None else (parse_identifier(asked.kind, asked.value, None, audience), plain)
    return (parse_identifier(asked.kind, asked.value, asked.name_qualifier, asked.sp_name_qualifier),)


def _persistent(entity: Entity, asked: Asked) -> Identifier:
    own = entity.entity_id if Role.IDENTITY_PROVIDER in entity.roles else None
    issuer, audience = asked.name_qualifier or own, _audience(entity, asked)
    if issuer is None:
        raise InvalidRequest((("name-qualifier", "expected the entityID of the identity provider that issued the identifier"),))
    if audience is None:
        raise InvalidRequest((("sp-name-qualifier", "expected the entityID of the service provider that the identifier was issued for"),))
    return parse_identifier(asked.kind, asked.value, issuer, audience)


def _audience(entity: Entity, asked: Asked) -> str | None:
    if not entity.is_requester:
        return asked.sp_name_qualifier
    audience = asked.sp_name_qualifier or entity.entity_id
    if audience != entity.entity_id and audience not in entity.affiliations:
        raise Denied("the SPNameQualifier is neither the caller nor an affiliation of it")
    return audience
