"""Clients of the lookup door in the table `client`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.exc import DBAPIError

from attribute_authority.domain.client import Bearer, Client, NewClient
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import Conflict
from attribute_authority.storage.engine import asking, is_refusal
from attribute_authority.storage.kept import KeptStatement
from attribute_authority.storage.sql_parts import Connections, StorePart
from attribute_authority.storage.tables import UNREVOKED_CLIENT, Instant, client

_COLUMNS = (
    client.c.id,
    client.c.name,
    client.c.entity_id,
    client.c.home_organisations,
    client.c.created_at,
    client.c.expires_at,
    client.c.revoked_at,
)

_FIND_BEARER = select(client.c.entity_id, client.c.home_organisations).where(
    client.c.token_digest == bindparam("token_digest"),
    UNREVOKED_CLIENT,
    or_(client.c.expires_at.is_(None), client.c.expires_at > bindparam("now", type_=Instant)),
)


class SqlClientStore(StorePart):
    """Keeps clients; the one of a request is found on a kept connection."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._find_bearer = KeptStatement(connections.kept, _FIND_BEARER)

    def add_client(self, new: NewClient) -> Client:
        """Register a client. Raises Conflict where one of that name, or with that token, is there; CouldNotAsk."""
        columns = {
            "name": new.name,
            "entity_id": new.entity_id,
            "home_organisations": " ".join(sorted(new.home_organisations)),
            "token_digest": new.token_digest,
            "created_at": new.created_at,
            "expires_at": new.expires_at,
        }
        with asking(), self._connections.working.connect() as connection:
            try:
                return _to_client(connection.execute(insert(client).values(columns).returning(*_COLUMNS)).one())
            except DBAPIError as error:
                if is_refusal(error):
                    raise Conflict(f"a client of the name {new.name!r}, or with its token, is there already") from error
                raise

    def find_bearer(self, token_digest: bytes, now: datetime) -> Bearer | None:
        """Return whoever brings the token, None where it is unknown, expired or revoked at `now`. Raises CouldNotAsk."""
        row = self._find_bearer.row({"token_digest": token_digest, "now": self._connections.kept.write_instant(now)})
        return None if row is None else Bearer(EntityId(row[0]), _to_organisations(row[1]))

    def revoke_client(self, name: str, now: datetime) -> Client | None:
        """Revoke the token of a client, at once and for good. None where no client of that name is in force. Raises CouldNotAsk."""
        revoked = update(client).where(client.c.name == name, UNREVOKED_CLIENT).values(revoked_at=now).returning(*_COLUMNS)
        with asking(), self._connections.working.connect() as connection:
            row = connection.execute(revoked).one_or_none()
        return None if row is None else _to_client(row)

    def list_clients(self) -> tuple[Client, ...]:
        """Return every client, revoked ones too, in the order of registration. Raises CouldNotAsk."""
        with asking(), self._connections.working.connect() as connection:
            return tuple(map(_to_client, connection.execute(select(*_COLUMNS).order_by(client.c.id))))


def _to_client(row: Sequence[Any]) -> Client:
    client_id, name, entity_id, home_organisations, created_at, expires_at, revoked_at = row
    return Client(client_id, name, EntityId(entity_id), _to_organisations(home_organisations), created_at, expires_at, revoked_at)


def _to_organisations(text: str) -> frozenset[EntityId]:
    return frozenset(map(EntityId, text.split()))
