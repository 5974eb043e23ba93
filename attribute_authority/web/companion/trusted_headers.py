"""Sign-in by what a Shibboleth SP in the web server in front of us says in headers.

The headers are believed only on connections from the configured proxies; the web server must remove them from what browsers send,
and must demand a sign-in at `/login`. Values are checked as those of a SAML Response are, scopes against metadata included.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from werkzeug import Request

from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.linking import SignedIn
from attribute_authority.errors import InvalidIdentifier, NoIdentifier, ScopeNotAllowed, SignInFailed, UnknownHomeOrganisation
from attribute_authority.ports import Clock, EntityDirectory
from attribute_authority.web.companion.addresses import Networks, is_within, peer_address


@dataclass(frozen=True, slots=True)
class TrustedHeaders:
    """Which headers say what: the entityID of the identity provider, identifiers by kind, and if configured name and iD of the person.

    `entity_id` is ours, for which a pairwise-id was made.
    """

    proxies: Networks
    identity_provider: str
    identifiers: Mapping[IdentifierKind, str]
    name: str | None
    orcid: str | None
    directory: EntityDirectory
    environment: Environment
    entity_id: EntityId
    clock: Clock

    def read(self, request: Request) -> SignedIn:
        """Return the person. Raises SignInFailed, ScopeNotAllowed, NoIdentifier, UnknownHomeOrganisation, CouldNotAsk."""
        if not is_within(peer_address(request), self.proxies):
            raise SignInFailed("a sign-in by headers came from an address that is not trusted")
        entity = self.directory.find_entity(_value(request, self.identity_provider) or "", self.clock())
        if entity is None or Role.IDENTITY_PROVIDER not in entity.roles:
            raise UnknownHomeOrganisation("the identity provider that the headers name is not in trusted metadata")
        identifiers = tuple(dict.fromkeys(self._identifiers(request, entity)))
        if not identifiers:
            raise NoIdentifier("the headers hold no identifier that can be used")
        return SignedIn(entity.entity_id, identifiers, _value(request, self.name), self._orcid(request))

    def _identifiers(self, request: Request, entity: Entity) -> Iterator[Identifier]:
        for kind, header in self.identifiers.items():
            identifier = self._identifier(kind, _value(request, header))
            if identifier is None or identifier.name_qualifier not in (None, entity.entity_id):
                continue
            if kind is not IdentifierKind.PERSISTENT and not entity.may_use_scope(identifier.value.rpartition("@")[2]):
                raise ScopeNotAllowed(f"the scope of the {kind} is not one of {entity.entity_id}")
            yield identifier

    def _identifier(self, kind: IdentifierKind, text: str | None) -> Identifier | None:
        """Read what Shibboleth exports: one value; a persistent identifier as NameQualifier!SPNameQualifier!value."""
        parts = (text or "").split("!")
        try:
            if kind is IdentifierKind.PERSISTENT:
                return parse_identifier(kind, parts[2], parts[0], parts[1]) if len(parts) == 3 else None
            # Without its audience it would answer whichever service has the same value, perhaps for somebody else.
            audience = self.entity_id if kind is IdentifierKind.PAIRWISE_ID else None
            return None if text is None else parse_identifier(kind, text, None, audience)
        except InvalidIdentifier:
            return None

    def _orcid(self, request: Request) -> OrcidId | None:
        try:
            return OrcidId.parse(_value(request, self.orcid) or "", self.environment)
        except InvalidIdentifier:
            return None


def _value(request: Request, header: str | None) -> str | None:
    """Return the single value of a header; None where it is absent, empty, repeated or not UTF-8."""
    values = [] if header is None else request.headers.getlist(header)
    if len(values) != 1:
        return None
    try:
        return values[0].encode("latin-1").decode("utf-8").strip() or None
    except UnicodeError:
        return None
