"""Who calls: the entity of a bearer token (RFC 6750), or those of metadata that have the TLS client key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from attribute_authority.core.looking_up import Caller
from attribute_authority.domain.client import Bearer
from attribute_authority.domain.entity import Entity, Role
from attribute_authority.errors import Denied, InvalidRequest, NotAuthenticated
from attribute_authority.ports import ClientStore, EntityDirectory

_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request proves itself with: every Authorization header, and the public key (DER) of the TLS client, None without one."""

    authorization: tuple[bytes, ...] = ()
    client_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    """Recognises callers. Nothing is remembered, so that a token does not outlive its revocation."""

    clients: ClientStore
    directory: EntityDirectory

    def recognise(self, credentials: Credentials, now: datetime) -> tuple[Caller, ...]:
        """Return who may be calling, at least one; several only where entities share a TLS key.

        A token that is wrong is not outweighed by a TLS key: whoever sends one means to be that client.
        Raises NotAuthenticated, CouldNotAsk.
        """
        if credentials.authorization:
            return (self._bearer(credentials.authorization, now),)
        if credentials.client_key is None:
            raise NotAuthenticated("neither a bearer token nor a TLS client key was presented")
        entities = self.directory.find_entities_by_key(credentials.client_key, now)
        if not entities:
            raise NotAuthenticated("the TLS client key is in no metadata")
        return tuple(Caller(entity) for entity in entities)

    def _bearer(self, headers: Sequence[bytes], now: datetime) -> Caller:
        match = _BEARER.fullmatch(headers[0]) if len(headers) == 1 else None
        if match is None:
            raise NotAuthenticated("the Authorization header is no bearer token, or is there twice")
        # The token itself is compared with nothing: what is looked up is its digest, which tells nothing by how long it takes.
        bearer = self.clients.find_bearer(sha256(match[1]).digest(), now)
        if bearer is None:
            raise NotAuthenticated("the bearer token is unknown, expired or revoked")
        return Caller(self._entity(bearer, now), bearer.home_organisations)

    def _entity(self, bearer: Bearer, now: datetime) -> Entity:
        known = self.directory.find_entity(bearer.entity_id, now)
        return Entity(bearer.entity_id, frozenset({Role.LOOKUP_CLIENT})) if known is None else known


def choose(callers: Sequence[Caller], requester: str | None) -> Caller:
    """Return the caller, by its entityID where `requester` names one.

    Raises Denied where that is none of them, InvalidRequest where there are several and none is named.
    """
    if requester is not None:
        named = next((caller for caller in callers if caller.entity.entity_id == requester), None)
        if named is None:
            raise Denied("the requester that is named does not belong to the token or TLS client key")
        return named
    if len(callers) > 1:
        raise InvalidRequest((("query.requester", "expected the entityID that asks, since several entities have this TLS client key"),))
    return callers[0]
