"""Release rules: denied by default, allowed where every condition of one rule holds."""

from dataclasses import replace

import pytest

from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.release import EDU_PERSON_ORCID, ReleaseRule, allowing_rule, may_ask

HOME, OTHER_HOME = EntityId("https://idp.uni.example/idp"), EntityId("https://idp.other.example/idp")
SP = Entity(
    EntityId("https://sp.example.org"),
    frozenset({Role.SERVICE_PROVIDER}),
    requested_attributes=frozenset({EDU_PERSON_ORCID}),
    entity_categories=frozenset({"urn:category"}),
    registration_authority="urn:authority",
)
PLAIN = Entity(EntityId("https://plain.example.org"), frozenset({Role.SERVICE_PROVIDER}))
QUERIER = replace(PLAIN, roles=frozenset({Role.ATTRIBUTE_QUERIER}))
IDP = Entity(HOME, frozenset({Role.IDENTITY_PROVIDER}))


def naming(*names: str) -> ReleaseRule:
    """Make a rule that lists requesters."""
    return ReleaseRule(requesters=frozenset(map(EntityId, names)))


def test_without_rules_nothing_is_released() -> None:
    """Deny by default."""
    assert allowing_rule((), SP, HOME) is None


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (naming(SP.entity_id), "requesters"),
        (ReleaseRule(entity_category="urn:category"), "entity_category"),
        (ReleaseRule(registration_authority="urn:authority"), "registration_authority"),
        (ReleaseRule(requested_attribute=True), "requested_attribute"),
    ],
)
def test_each_condition(rule: ReleaseRule, key: str) -> None:
    """Each condition holds for who meets it, and is named by its configuration key where it does not hold."""
    assert () == rule.unmet(SP, HOME)
    assert (key,) == rule.unmet(PLAIN, HOME)


def test_requested_attribute_may_be_excluded() -> None:
    """A rule may also be for those that do not ask for the attribute."""
    rule = ReleaseRule(requested_attribute=False)

    assert (("requested_attribute",), ()) == (rule.unmet(SP, HOME), rule.unmet(PLAIN, HOME))


def test_home_organisations_limit_a_rule() -> None:
    """A rule may be for the people of some home organisations alone."""
    rule = replace(naming(SP.entity_id), home_organisations=frozenset({HOME}))

    assert (0, None) == (allowing_rule((rule,), SP, HOME), allowing_rule((rule,), SP, OTHER_HOME))


def test_every_condition_must_hold() -> None:
    """Conditions of one rule are joined by "and", and every unmet one is named."""
    rule = ReleaseRule(frozenset({SP.entity_id}), "urn:other", "urn:authority", requested_attribute=False)

    assert ("entity_category", "requested_attribute") == rule.unmet(SP, HOME)


def test_first_allowing_rule() -> None:
    """Rules are joined by "or"; the first that allows is the one that is told."""
    rules = (naming("https://elsewhere.example"), naming(SP.entity_id), ReleaseRule(requested_attribute=True))

    assert allowing_rule(rules, SP, HOME) == 1


def test_identity_provider_needs_a_rule_that_names_it() -> None:
    """A rule for everybody is not for an identity provider, and one that names it is for its own people alone."""
    rules = (ReleaseRule(registration_authority=None), naming(HOME))

    assert (1, None) == (allowing_rule(rules, IDP, HOME), allowing_rule(rules, IDP, OTHER_HOME))
    assert allowing_rule(rules[:1], IDP, HOME) is None


def test_identity_provider_that_is_also_a_service_provider() -> None:
    """An entity in both roles asks as a service provider, about everybody."""
    both = replace(IDP, roles=frozenset({Role.IDENTITY_PROVIDER, Role.SERVICE_PROVIDER}))

    assert allowing_rule((naming(HOME),), both, OTHER_HOME) == 0


@pytest.mark.parametrize(("entity", "rules", "may"), [(SP, (), True), (QUERIER, (), True), (IDP, (), False), (IDP, (naming(HOME),), True)])
def test_who_may_ask(entity: Entity, rules: tuple[ReleaseRule, ...], may: bool) -> None:
    """Service providers and attribute queriers may ask, an identity provider where a rule names it."""
    assert may is may_ask(rules, entity)
