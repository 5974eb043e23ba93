"""Clients of the lookup door that an operator has registered."""

from dataclasses import dataclass
from datetime import datetime

from attribute_authority.domain.identifiers import EntityId


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client to be registered; `token_digest` is the SHA-256 of its token, which nobody keeps."""

    name: str
    entity_id: EntityId
    home_organisations: frozenset[EntityId]
    token_digest: bytes
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whoever brings a token that counts: the entityID as which it asks, and whose people it may see."""

    entity_id: EntityId
    home_organisations: frozenset[EntityId]


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client: the entityID as which it asks, by which release rules name it, and whose people it may see.

    Its token counts until `expires_at` (None: without end), and never again from `revoked_at` on (None: not revoked).
    """

    client_id: int
    name: str
    entity_id: EntityId
    home_organisations: frozenset[EntityId]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @property
    def bearer(self) -> Bearer:
        """Whoever brings its token."""
        return Bearer(self.entity_id, self.home_organisations)
