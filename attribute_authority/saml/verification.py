"""From a received query to one that may be answered: who asks, is it really them, is it meant for us, is it fresh, is it new?

The order is that of Shibboleth's SOAP security chain, with one difference: the replay of an ID is judged last, because
only a verified message may use one up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.query import AttributeQuery
from attribute_authority.errors import Denied
from attribute_authority.ports import EntityDirectory, ReplayGuard
from attribute_authority.saml.decryption import Decryption
from attribute_authority.saml.query import ENCRYPTED_ID, ReceivedQuery, read_designators, read_identifier_element, read_name_id
from attribute_authority.saml.signature import AllowedAlgorithms, verify_enveloped

_DEFAULT_PORTS: Final[Mapping[str, str]] = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True)
class Authentication:
    """How the requester proved itself: `signature_algorithm` of its signed query, `client_key` of its TLS handshake, or both."""

    signature_algorithm: str | None
    client_key: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """Verifies received queries.

    `destinations` are the URLs under which queries reach us, `window` is how far an IssueInstant may lie from now either way.
    """

    directory: EntityDirectory
    replays: ReplayGuard
    destinations: frozenset[str]
    window: timedelta
    decryption: Decryption
    allowed: AllowedAlgorithms = field(default_factory=AllowedAlgorithms)

    def authenticate(self, received: ReceivedQuery, client_key: bytes | None, now: datetime) -> tuple[Entity, Authentication]:
        """Establish who asks; `client_key` is the public key (DER SubjectPublicKeyInfo) of the TLS client, if there is one.

        Raises Denied unless a signature, or without one the TLS key, is of the issuer's metadata. A signature that does not
        verify is never outweighed by TLS. Raises CouldNotAsk.
        """
        entity = self.directory.find_entity(received.issuer, now)
        if entity is None:
            raise Denied(f"no valid metadata for the issuer {received.issuer!r}")
        key_matches = client_key is not None and client_key in entity.querying_keys
        if received.signature is None:
            if not key_matches:
                raise Denied(
                    "the query is not signed, and the TLS client key is " + ("absent" if client_key is None else "not of the issuer")
                )
            return entity, Authentication(None, client_key=True)
        algorithm = verify_enveloped(received.element, received.signature, entity.querying_keys, self.allowed)
        return entity, Authentication(algorithm, key_matches)

    def require_new(self, received: ReceivedQuery, entity: Entity, authentication: Authentication, now: datetime) -> None:
        """Check that an authenticated query is meant for us, fresh and new: that the requester, and nobody else, sends it to us just now.

        Raises Denied, CouldNotAsk.
        """
        if received.destination is not None and received.destination not in self.destinations:
            raise Denied(f"the Destination is {received.destination!r}, expected one of {sorted(self.destinations)}")
        if abs(now - received.issue_instant) > self.window:
            raise Denied(f"the IssueInstant {received.issue_instant.isoformat()} lies more than {self.window} from now")
        expires_at = received.issue_instant + 2 * self.window
        if _is_signed(authentication) and not self.replays.is_first(entity.entity_id, received.message_id, expires_at):
            raise Denied("a query with this ID has been answered before")

    def accept(self, received: ReceivedQuery, entity: Entity, authentication: Authentication) -> AttributeQuery:
        """Read what an authenticated query asks. Raises Denied, MalformedQuery, UnsupportedQuery, InvalidAttribute or CouldNotAsk."""
        identifier = read_identifier_element(received.subject)
        if identifier.tag == ENCRYPTED_ID:
            identifier = self.decryption.name_id(identifier, _is_signed(authentication))
        return AttributeQuery(received.message_id, entity, read_name_id(identifier), read_designators(received.attributes))


def _is_signed(authentication: Authentication) -> bool:
    return authentication.signature_algorithm is not None


def accepted_destinations(url: str) -> frozenset[str]:
    """Return the ways in which `url` may be written: with and without the default port of its scheme (RFC 3986 section 6.2.3)."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    port = _DEFAULT_PORTS.get(scheme, "")
    bare = host.removesuffix(port)
    if bare == host and ":" in host.rpartition("]")[2]:
        return frozenset({url})
    return frozenset({f"{scheme}://{bare}{slash}{path}", f"{scheme}://{bare}{port}{slash}{path}"})
