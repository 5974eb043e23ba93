"""What the sources of home organisations may say, and what is made of it."""

from collections.abc import Mapping

import pytest

from attribute_authority.core.asking import Organisation
from attribute_authority.core.deciding import Deciding, Decision, Outcome, Question, Unresolved
from attribute_authority.domain.entity import Entity, Role, Scope
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from tests.factories.doors import (
    IDP,
    ORCID,
    OTHER_IDP,
    OTHER_PERSON,
    WITHDRAWN_PERSON,
    eppn,
    persistent,
    rule,
    service_provider,
    stocked_store,
)
from tests.factories.queries import NOW, PERSON, SP
from tests.factories.sources import ScriptedSource, Watched, asking, named, organisation

FOREIGN = persistent("foreign")
OTHER_ORCID = OrcidId("0000-0002-1694-233X")
HERE = Finding((eppn(),))
ELSEWHERE = Finding((eppn(OTHER_PERSON),))
STRANGER = Finding((eppn("stranger@uni.example"),))
IDPS = (
    Entity(EntityId(IDP), frozenset({Role.IDENTITY_PROVIDER}), scopes=(Scope("uni.example"),)),
    Entity(EntityId(OTHER_IDP), frozenset({Role.IDENTITY_PROVIDER}), scopes=(Scope("other.example"),)),
)


def knowing(finding: Finding | None, *kinds: IdentifierKind, about: Identifier = FOREIGN) -> ScriptedSource:
    """Make a source that says this about the foreign identifier."""
    findings: Mapping[Identifier, Finding] = {} if finding is None else {about: finding}
    return ScriptedSource(findings, frozenset(kinds or (IdentifierKind.PERSISTENT,)))


def deciding(*organisations: Organisation, rules: tuple[ReleaseRule, ...] = (rule(SP),), watch: Watched | None = None) -> Deciding:
    """Make the core over the stocked store, with these organisations."""
    store = stocked_store()
    sources = asking(organisations, MemoryEntityDirectory(IDPS), store, watch=watch)
    return Deciding(store, sources, rules, Environment.PRODUCTION)


def decide(core: Deciding, *candidates: Identifier) -> Decision:
    """Decide all the way."""
    begun = core.begin(Question(service_provider(), candidates or (FOREIGN,)), NOW)
    return core.finish(begun) if isinstance(begun, Unresolved) else begun


def uni(*sources: ScriptedSource, asks_all: bool = True) -> Organisation:
    """Make the organisation with these sources, in order."""
    return organisation(IDP, *(named(source, f"source{number}") for number, source in enumerate(sources)), asks_all=asks_all)


def test_foreign_identifier_is_resolved() -> None:
    """A source that names a person whom we know lets the iD out, and the decision tells which source it was."""
    decision = decide(deciding(uni(knowing(HERE))))

    assert (Outcome.RELEASED, OrcidId(ORCID), "source0") == (decision.outcome, decision.orcid, decision.source)


def test_whom_the_store_knows_no_source_is_asked_about() -> None:
    """A person whom the store knows is answered from there."""
    source = knowing(ELSEWHERE, IdentifierKind.EPPN, about=eppn())
    decision = decide(deciding(uni(source)), eppn())

    assert (Outcome.RELEASED, None, []) == (decision.outcome, decision.source, source.asked)


@pytest.mark.parametrize("finding", [None, STRANGER])
def test_asked_and_absent(finding: Finding | None) -> None:
    """A source that knows nobody, or somebody whom we do not know, ends in "unknown"."""
    assert Outcome.UNKNOWN is decide(deciding(uni(knowing(finding)))).outcome


def test_could_not_ask_is_never_absent() -> None:
    """A source that cannot be asked ends in a failure with the advice when to come back, not in "unknown"."""
    source = ScriptedSource(failure=CouldNotAsk("away"))
    with pytest.raises(SourceUnavailable) as caught:
        decide(deciding(uni(source)))

    assert 1.0 == caught.value.retry_after


def test_directory_that_holds_the_orcid() -> None:
    """Somebody whom the store does not know at all is answered with the iD that the organisation's directory holds."""
    decision = decide(deciding(uni(knowing(Finding(STRANGER.identifiers, OTHER_ORCID)))))

    assert (Outcome.RELEASED, OTHER_ORCID) == (decision.outcome, decision.orcid)


def test_withdrawal_outweighs_the_directory() -> None:
    """Who has withdrawn here stays withdrawn, although the directory still holds the iD."""
    decision = decide(deciding(uni(knowing(Finding((eppn(WITHDRAWN_PERSON),), OTHER_ORCID)))))

    assert (Outcome.UNLINKED, None) == (decision.outcome, decision.orcid)


@pytest.mark.parametrize(
    "findings",
    [
        (Finding((eppn(),), OTHER_ORCID),),
        (HERE, Finding((), OTHER_ORCID)),
        (HERE, Finding((eppn(WITHDRAWN_PERSON),))),
        (Finding((eppn(), eppn(WITHDRAWN_PERSON))),),
        (Finding((), OTHER_ORCID), Finding((), OrcidId("0000-0003-1415-9269"))),
    ],
    ids=["source and store", "two iDs", "two people", "two people of one source", "two iDs of strangers"],
)
def test_contradiction_releases_nothing_and_is_reported(findings: tuple[Finding, ...]) -> None:
    """Sources that disagree with one another or with us: nothing is released, and metrics and event tell."""
    watch = Watched()
    decision = decide(deciding(uni(*map(knowing, findings)), watch=watch))

    assert (Outcome.CONTRADICTED, None, [IDP]) == (decision.outcome, decision.orcid, watch.disagreed)
    assert decision.reason is not None
    assert "@" not in decision.reason


def test_source_that_names_another_organisations_person() -> None:
    """An organisation's source cannot pull out the iD of somebody else's person."""
    decision = decide(deciding(uni(knowing(ELSEWHERE))))

    assert (Outcome.UNKNOWN, None) == (decision.outcome, decision.orcid)


def test_sources_that_agree() -> None:
    """Several sources that mean the same person and iD are one answer; one that does not know the person does not matter."""
    sources = (knowing(HERE), knowing(None), knowing(Finding((), OrcidId(ORCID))))

    assert Outcome.RELEASED is decide(deciding(uni(*sources))).outcome


def test_all_are_asked_so_that_one_may_contradict() -> None:
    """Where all are asked, one that cannot be asked leaves the question open."""
    with pytest.raises(SourceUnavailable):
        decide(deciding(uni(knowing(HERE), ScriptedSource(failure=CouldNotAsk("away")))))


def test_in_order_until_found() -> None:
    """Where the first that knows the person decides, one that is away is passed over, and what comes after is not asked."""
    last = knowing(Finding((), OTHER_ORCID))
    decision = decide(deciding(uni(ScriptedSource(failure=CouldNotAsk("away")), knowing(HERE), last, asks_all=False)))

    assert (Outcome.RELEASED, "source1", []) == (decision.outcome, decision.source, last.asked)


def test_outage_is_not_absence_in_order_either() -> None:
    """Where one is away and the others do not know the person, we could not ask."""
    with pytest.raises(SourceUnavailable):
        decide(deciding(uni(ScriptedSource(failure=CouldNotAsk("away")), knowing(None), asks_all=False)))


def test_organisation_is_asked_about_its_own_persistent_identifiers_alone() -> None:
    """The NameQualifier says whose identifier it is; nobody else's source sees the question."""
    source = knowing(HERE)
    theirs = parse_identifier(IdentifierKind.PERSISTENT, "foreign", OTHER_IDP, SP)

    assert Outcome.UNKNOWN is decide(deciding(uni(source)), theirs).outcome
    assert [] == source.asked


@pytest.mark.parametrize(("scope", "asked"), [("uni.example", 1), ("UNI.example", 1), ("other.example", 0), ("sub.uni.example", 0)])
def test_organisation_is_asked_about_its_own_scopes_alone(scope: str, asked: int) -> None:
    """A scoped identifier belongs to the organisation whose metadata gives it that scope."""
    source = knowing(None, IdentifierKind.EPPN)
    decide(deciding(uni(source)), eppn(f"somebody@{scope}"))

    assert asked == len(source.asked)


def test_configured_scopes_count_instead() -> None:
    """Scopes of the configuration stand in for those of the metadata."""
    source = knowing(None, IdentifierKind.EPPN)
    ours = Organisation(EntityId("https://idp.unlisted.example"), (named(source),), frozenset({"unlisted.example"}))
    decide(deciding(ours), eppn("somebody@unlisted.example"))

    assert 1 == len(source.asked)


@pytest.mark.parametrize("rules", [(), (ReleaseRule(frozenset({EntityId(SP)}), home_organisations=frozenset({EntityId(OTHER_IDP)})),)])
def test_what_cannot_be_released_is_not_asked_for(rules: tuple[ReleaseRule, ...]) -> None:
    """Without a rule that could allow the release the home organisation learns nothing of the question."""
    source = knowing(HERE)

    assert Outcome.UNKNOWN is decide(deciding(uni(source), rules=rules)).outcome
    assert [] == source.asked


def test_source_that_does_not_take_the_kind_is_passed_over() -> None:
    """A source is asked about its own kinds of identifier alone."""
    source, other = knowing(HERE), knowing(None, IdentifierKind.EPPN)
    decide(deciding(uni(source, other)))

    assert ([FOREIGN], []) == (source.asked, other.asked)


def test_who_withdrew_is_asked_about_like_everybody_unknown() -> None:
    """A person whom the store knows without an iD is asked about too, and an outage shows as for anybody, so that neither tells."""
    withdrawn = eppn(WITHDRAWN_PERSON)
    source = knowing(Finding((withdrawn,), OTHER_ORCID), IdentifierKind.EPPN, about=withdrawn)
    core = deciding(uni(source))

    assert (Outcome.UNLINKED, None) == (decide(core, withdrawn).outcome, decide(core, withdrawn).orcid)
    source.failure = CouldNotAsk("away")
    with pytest.raises(SourceUnavailable):
        decide(core, withdrawn)


def test_requester_that_may_see_others_people_alone() -> None:
    """A question that is bounded to other home organisations is answered with nothing, and no source is asked."""
    source = knowing(HERE)
    bound = frozenset({EntityId(OTHER_IDP)})
    core = deciding(uni(source))
    known = core.begin(Question(service_provider(), (eppn(PERSON),), bound), NOW)
    foreign = core.begin(Question(service_provider(), (FOREIGN,), bound), NOW)

    assert isinstance(known, Decision)
    assert isinstance(foreign, Decision)
    assert (Outcome.WITHHELD, Outcome.UNKNOWN, []) == (known.outcome, foreign.outcome, source.asked)
