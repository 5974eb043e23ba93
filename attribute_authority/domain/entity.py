"""What metadata says of one entity, as far as this service acts on it."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from attribute_authority.domain.identifiers import EntityId


class Role(StrEnum):
    """The roles of an entity that matter here; the last is no role of metadata, but that of a client which an operator has registered."""

    SERVICE_PROVIDER = "service-provider"
    ATTRIBUTE_QUERIER = "attribute-querier"
    IDENTITY_PROVIDER = "identity-provider"
    LOOKUP_CLIENT = "lookup-client"


@dataclass(frozen=True, slots=True)
class AttributeName:
    """Name and NameFormat of an attribute, the pair by which attributes are matched (core 3.3.2.3)."""

    name: str
    name_format: str


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope that an identity provider may use (shibmd:Scope); with `regexp` the value is a regular expression."""

    value: str
    regexp: bool = False

    def covers(self, scope: str) -> bool:
        """Whether a scope is this one, or matches it as a whole where it is a regular expression."""
        if self.regexp:
            return re.fullmatch(self.value, scope, re.IGNORECASE) is not None
        return self.value.lower() == scope.lower()


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of trusted metadata.

    `querying_keys` are the public keys (DER SubjectPublicKeyInfo) whose signature or TLS handshake proves that the entity asks:
    of its service provider or attribute-query roles, or, where it has none of these, of its identity provider role.
    `affiliations` are the entityIDs of the AffiliationDescriptors that list it.
    Of an identity provider, `asserting_keys` are the keys that its assertions are signed with (same form), and `sign_on_url` is where
    it takes an AuthnRequest by HTTP-Redirect. `display_names` are pairs of language and name (mdui:DisplayName, else the Organization's).
    """

    entity_id: EntityId
    roles: frozenset[Role] = frozenset()
    querying_keys: tuple[bytes, ...] = ()
    requested_attributes: frozenset[AttributeName] = frozenset()
    entity_categories: frozenset[str] = frozenset()
    registration_authority: str | None = None
    affiliations: frozenset[EntityId] = frozenset()
    scopes: tuple[Scope, ...] = ()
    valid_until: datetime | None = None
    asserting_keys: tuple[bytes, ...] = ()
    sign_on_url: str | None = None
    display_names: tuple[tuple[str, str], ...] = ()

    def name(self, language: str) -> str:
        """Return the name in a language, else in English, else in any, else the entityID."""
        names = dict(self.display_names)
        return names.get(language) or names.get("en") or next(iter(names.values()), self.entity_id)

    def may_use_scope(self, scope: str) -> bool:
        """Whether its metadata gives it a scope; scopes compare without regard to case."""
        return any(allowed.covers(scope) for allowed in self.scopes)

    @property
    def is_requester(self) -> bool:
        """Whether it has a role in which entities query attribute authorities."""
        return not self.roles.isdisjoint((Role.SERVICE_PROVIDER, Role.ATTRIBUTE_QUERIER))
