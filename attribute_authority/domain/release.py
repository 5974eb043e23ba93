"""Release rules: may this requester have the eduPersonOrcid of a person of this home organisation? Denied unless one rule allows."""

from collections.abc import Sequence
from dataclasses import dataclass

from attribute_authority.domain.entity import AttributeName, Entity, Role
from attribute_authority.domain.identifiers import EntityId

EDU_PERSON_ORCID = AttributeName("urn:oid:1.3.6.1.4.1.5923.1.1.1.16", "urn:oasis:names:tc:SAML:2.0:attrname-format:uri")


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """One rule; it allows when every condition that is not None holds.

    `requested_attribute` holds where the requester's metadata asks for eduPersonOrcid (or, if False, does not).
    """

    requesters: frozenset[EntityId] | None = None
    entity_category: str | None = None
    registration_authority: str | None = None
    requested_attribute: bool | None = None
    home_organisations: frozenset[EntityId] | None = None

    def unmet(self, requester: Entity, home_organisation: EntityId) -> tuple[str, ...]:
        """Name the conditions that do not hold, by their configuration keys; empty when the rule allows."""
        own = requester.entity_id
        asked = EDU_PERSON_ORCID in requester.requested_attributes
        conditions = (
            ("requesters", self.requesters is None or own in self.requesters),
            ("entity_category", self.entity_category is None or self.entity_category in requester.entity_categories),
            ("registration_authority", self.registration_authority in (None, requester.registration_authority)),
            ("requested_attribute", self.requested_attribute in (None, asked)),
            ("home_organisations", self.home_organisations is None or home_organisation in self.home_organisations),
        )
        return tuple(key for key, holds in conditions if not holds)

    def names(self, requester: Entity) -> bool:
        """Whether the rule lists the requester by entityID."""
        return self.requesters is not None and requester.entity_id in self.requesters


def may_ask(rules: Sequence[ReleaseRule], requester: Entity) -> bool:
    """Whether the entity is a requester at all: it has a querying role, or is named by a rule."""
    return requester.is_requester or any(rule.names(requester) for rule in rules)


def allowing_rule(rules: Sequence[ReleaseRule], requester: Entity, home_organisation: EntityId) -> int | None:
    """Return the index of the first rule that allows the release, or None.

    An entity without a querying role is allowed by a rule that names it alone; an identity provider also only for its own people.
    """
    if not requester.is_requester and Role.LOOKUP_CLIENT not in requester.roles and home_organisation != requester.entity_id:
        return None
    for index, rule in enumerate(rules):
        if rule.unmet(requester, home_organisation):
            continue
        if requester.is_requester or rule.names(requester):
            return index
    return None
