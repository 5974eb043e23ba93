"""Deciding on one query: what was found, what may be released, and what the requester is told."""

from dataclasses import replace

import pytest

from attribute_authority.core.answering import Answering
from attribute_authority.core.deciding import Deciding, Decision, Outcome
from attribute_authority.domain.entity import AttributeName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.domain.query import AttributeDesignator, AttributeQuery, NameId, RequesterProfile
from attribute_authority.domain.release import EDU_PERSON_ORCID
from attribute_authority.errors import CouldNotAsk, Denied
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from tests.factories.doors import (
    IDP,
    ORCID,
    PERSISTENT_VALUE,
    WITHDRAWN_PERSON,
    eppn,
    identity_provider,
    link,
    rule,
    service_provider,
    stocked_store,
)
from tests.factories.queries import NOW, PERSON, SP
from tests.factories.sources import asking

URI = f"https://orcid.org/{ORCID}"
QUERY = AttributeQuery("_query", service_provider(), NameId(PERSON, ns.EPPN_OID_URN))


def answering(**changes: object) -> Answering:
    """Make the core over the stocked store."""
    store = changes.pop("subjects", None) or stocked_store()
    profiles = changes.pop("profiles", {})
    parts: dict[str, object] = {
        "subjects": store,
        "sources": asking((), MemoryEntityDirectory(()), store),  # type: ignore[arg-type]
        "rules": (rule(SP),),
        "environment": Environment.PRODUCTION,
    }
    return Answering(Deciding(**{**parts, **changes}), profiles)  # type: ignore[arg-type] # the fields are named by the tests


def decide(core: Answering, query: AttributeQuery) -> Decision:
    """Decide on a query that no source has to be asked about."""
    begun = core.begin(query, NOW)

    assert isinstance(begun, Decision)
    return begun


def about(name_id: NameId) -> AttributeQuery:
    """Ask about a NameID."""
    return replace(QUERY, name_id=name_id)


def asking_for(*designators: AttributeDesignator) -> AttributeQuery:
    """Ask for attributes."""
    return replace(QUERY, designators=designators)


def told(core: Answering, query: AttributeQuery) -> tuple[Outcome, tuple[str, ...]]:
    """Decide and answer."""
    decision = decide(core, query)
    return decision.outcome, core.answer(query, decision).values


def test_released() -> None:
    """A known person, an iD and a rule: the iD in URI form; the decision tells how it was found."""
    core = answering()
    decision = decide(core, QUERY)

    assert (Outcome.RELEASED, eppn(), 0) == (decision.outcome, decision.matched, decision.rule)
    assert (URI,) == core.answer(QUERY, decision).values


def test_answer_names_the_query_and_echoes_its_name_id() -> None:
    """Whatever the values, the answer is to this query, this requester, and about this NameID."""
    query = about(NameId("nobody@uni.example", None, "a", None, "b"))
    core = answering()
    answer = core.answer(query, decide(core, query))

    assert ("_query", SP, query.name_id, ()) == (answer.in_response_to, answer.requester, answer.name_id, answer.values)


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        (about(NameId("nobody@uni.example")), Outcome.UNKNOWN),
        (about(NameId("nobody")), Outcome.NOT_AN_IDENTIFIER),
        (about(NameId(WITHDRAWN_PERSON)), Outcome.UNLINKED),
        (asking_for(AttributeDesignator(AttributeName("urn:x", ns.NAME_FORMAT_URI))), Outcome.NOT_REQUESTED),
    ],
)
def test_nothing_to_release(query: AttributeQuery, outcome: Outcome) -> None:
    """Why there is nothing to tell is known inside, and no value goes out."""
    assert (outcome, ()) == told(answering(), query)


def test_withheld_without_a_rule() -> None:
    """Without a rule the person is found and nothing told."""
    assert (Outcome.WITHHELD, ()) == told(answering(rules=()), QUERY)


def test_identity_provider_without_a_rule_may_not_ask() -> None:
    """An identity provider that no rule names is refused."""
    with pytest.raises(Denied):
        decide(answering(), replace(QUERY, requester=identity_provider()))


@pytest.mark.parametrize("values", [(URI,), (ORCID,), (f"http://orcid.org/{ORCID}",), ("x", URI), (f" {URI} ",)])
def test_value_filter_that_matches(values: tuple[str, ...]) -> None:
    """A filter matches the iD in each form that is in use; what is told is always the one URI form."""
    assert (Outcome.RELEASED, (URI,)) == told(answering(), asking_for(AttributeDesignator(EDU_PERSON_ORCID, values)))


@pytest.mark.parametrize("values", [("0000-0001-5109-3700",), ("",), ("x",), (f"https://sandbox.orcid.org/{ORCID}",), (ORCID[:-1],)])
def test_value_filter_that_does_not_match(values: tuple[str, ...]) -> None:
    """A filter that leaves nothing leaves nothing (core 3.3.2.3)."""
    assert (Outcome.NOT_REQUESTED, ()) == told(answering(), asking_for(AttributeDesignator(EDU_PERSON_ORCID, values)))


@pytest.mark.parametrize(
    "name",
    [
        AttributeName(EDU_PERSON_ORCID.name, ns.NAME_FORMAT_UNSPECIFIED),
        AttributeName(EDU_PERSON_ORCID.name, ns.NAME_FORMAT_BASIC),
        AttributeName("eduPersonOrcid", ns.NAME_FORMAT_BASIC),
        AttributeName(EDU_PERSON_ORCID.name.upper(), ns.NAME_FORMAT_URI),
    ],
)
def test_designators_match_by_name_and_format(name: AttributeName) -> None:
    """Name and NameFormat are one key; either alone matches nothing."""
    assert (Outcome.NOT_REQUESTED, ()) == told(answering(), asking_for(AttributeDesignator(name)))


def test_one_of_several_designators() -> None:
    """Other attributes beside ours are passed over."""
    other, filtered = AttributeDesignator(AttributeName("urn:x", "urn:y")), AttributeDesignator(EDU_PERSON_ORCID, ("x",))

    assert (Outcome.RELEASED, (URI,)) == told(answering(), asking_for(other, filtered, AttributeDesignator(EDU_PERSON_ORCID)))


def test_no_designator_means_every_attribute() -> None:
    """A query without designators asks for whatever may be released."""
    assert (Outcome.RELEASED, (URI,)) == told(answering(), asking_for())


def test_environments_do_not_mix() -> None:
    """An iD of production is not released by an authority of the sandbox, nor the other way round, and the URI has the right host."""
    store = stocked_store()
    store.add_link(link("0000-0003-1415-9269", eppn("both@uni.example")))
    store.add_link(link("0000-0002-9079-593X", eppn("both@uni.example"), environment=Environment.SANDBOX))
    sandbox = answering(subjects=store, environment=Environment.SANDBOX)
    query = about(NameId("both@uni.example"))

    assert (Outcome.UNLINKED, ()) == told(sandbox, QUERY)
    assert ("https://sandbox.orcid.org/0000-0002-9079-593X",) == told(sandbox, query)[1]
    assert ("https://orcid.org/0000-0003-1415-9269",) == told(answering(subjects=store), query)[1]


def test_default_name_qualifier_of_the_requester() -> None:
    """What is configured for the requester stands in for an absent NameQualifier."""
    query = about(NameId(PERSISTENT_VALUE, ns.NAMEID_PERSISTENT))
    profile = RequesterProfile(default_name_qualifier=EntityId(IDP))

    assert (Outcome.NOT_AN_IDENTIFIER, ()) == told(answering(), query)
    assert (Outcome.RELEASED, (URI,)) == told(answering(profiles={SP: profile}), query)


def test_store_away() -> None:
    """A store that cannot be asked is never taken for one that knows nobody."""

    class Away:
        """A store that is away."""

        def find_subject(self, *_: object) -> None:
            """Say so."""
            raise CouldNotAsk("away")

    with pytest.raises(CouldNotAsk):
        answering(subjects=Away()).begin(QUERY, NOW)


def test_decision_without_release_gives_no_value() -> None:
    """Only a decision to release puts an iD into an answer, whatever else it holds."""
    core = answering()
    released = decide(core, QUERY)

    for outcome in set(Outcome) - {Outcome.RELEASED}:
        decision: Decision = replace(released, outcome=outcome)

        assert () == core.answer(QUERY, decision).values
