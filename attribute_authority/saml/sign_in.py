"""Our service-provider role: asking an identity provider to sign somebody in, and accepting its answer (SAML web browser SSO).

The order is: shape, whom it is from and what it answers, status, signatures and decryption, the rules of the profile, pysaml2's
own rules, and only then who it is. Nothing is kept here between the two halves of a sign-in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode, urlsplit

from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.domain.linking import SignedIn
from attribute_authority.errors import UnknownHomeOrganisation
from attribute_authority.ports import EntityDirectory
from attribute_authority.saml.decryption import Decryption
from attribute_authority.saml.response_profile import Expected, check_assertion, check_response, check_status
from attribute_authority.saml.response_shape import decode_response, read_response
from attribute_authority.saml.sign_in_client import SignInClient
from attribute_authority.saml.sign_in_crypto import check_signature, prove
from attribute_authority.saml.signing import load_signer
from attribute_authority.saml.subject_identifiers import read_signed_in

RETURN_ID_PARAM: Final = "entityID"
"""The parameter in which the discovery service tells what was chosen (discovery 2.4.1)."""


@dataclass(frozen=True, slots=True)
class OwnRole:
    """Who we are as a service provider, in PEM where it is keys.

    Requests are signed with `signing_key` where it is given and RSA. `decryption_keys` are private RSA keys, tried in turn.
    """

    entity_id: EntityId
    acs_url: str
    discovery_return_url: str
    signing_key: bytes | None = field(default=None, repr=False)
    signing_certificate: bytes | None = field(default=None, repr=False)
    decryption_keys: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """A request that was written: `message_id` must be remembered with the identity provider, `url` is where the browser goes."""

    message_id: str
    identity_provider: EntityId
    url: str


@dataclass(frozen=True, slots=True)
class BegunSignInRef:
    """What was remembered of a begun sign-in."""

    message_id: str
    identity_provider: EntityId


@dataclass(frozen=True, slots=True)
class AcceptedSignIn:
    """A sign-in that was accepted, and the assertion that must not be accepted again before `expires_at`; later it is too old."""

    signed_in: SignedIn
    issuer: EntityId
    assertion_id: str
    expires_at: datetime


class SignIn:
    """Begins and accepts sign-ins; threads may share it.

    `clock_skew` is how far the clocks of identity providers may differ from ours; `new_id` gives unguessable xs:ID values.
    """

    def __init__(
        self,
        own: OwnRole,
        directory: EntityDirectory,
        environment: Environment,
        clock_skew: timedelta,
        new_id: Callable[[], str],
    ) -> None:
        """Raises OperatorError where a key cannot be used."""
        self._own = own
        self._directory = directory
        self._environment = environment
        self._skew = clock_skew
        self._new_id = new_id
        has_key = own.signing_key is not None and own.signing_certificate is not None
        self._signer = load_signer(own.signing_key or b"", own.signing_certificate or b"") if has_key else None
        self._decryption = Decryption(own.decryption_keys)

    def begin(self, identity_provider: str, now: datetime) -> BegunSignIn:
        """Write an AuthnRequest to an identity provider. Raises UnknownHomeOrganisation, CouldNotAsk."""
        entity = self._identity_provider(identity_provider, now)
        message_id = self._new_id()
        return BegunSignIn(message_id, entity.entity_id, self._client(entity).request_url(message_id, now))

    def in_response_to(self, saml_response: str) -> str:
        """Return which request a Response says it answers, unverified; only to find what was begun.

        `saml_response` is the value of the form control. Raises SignInFailed, also for a Response that answers no request.
        """
        return read_response(decode_response(saml_response)).in_response_to

    def accept(self, saml_response: str, begun: BegunSignInRef, now: datetime) -> AcceptedSignIn:
        """Accept the Response to a request that was begun; `saml_response` is the value of the form control.

        Raises SignInFailed where it proves nothing, SignInRefused where its Status is not Success, ScopeNotAllowed, NoIdentifier,
        UnknownHomeOrganisation where the identity provider is no longer known, CouldNotAsk.
        """
        entity = self._identity_provider(begun.identity_provider, now)
        expected = Expected(begun.message_id, entity.entity_id, self._own.entity_id, self._own.acs_url, self._skew)
        received = read_response(decode_response(saml_response))
        check_response(received, expected, now)
        if received.assertion is None:
            check_signature(received, entity.asserting_keys)
        check_status(received)
        proven = prove(received, entity.asserting_keys, self._decryption)
        expires_at = check_assertion(proven.assertion, expected, now)
        self._client(entity).check(proven, begun.message_id)
        signed_in = read_signed_in(proven.assertion, entity, self._own.entity_id, self._environment)
        return AcceptedSignIn(signed_in, entity.entity_id, proven.assertion.message_id, expires_at)

    def _identity_provider(self, entity_id: str, now: datetime) -> Entity:
        entity = self._directory.find_entity(entity_id, now)
        if entity is None or Role.IDENTITY_PROVIDER not in entity.roles or entity.sign_on_url is None or not entity.asserting_keys:
            raise UnknownHomeOrganisation(f"{entity_id[:200]!r} is no identity provider of trusted metadata, or has no address or key")
        return entity

    def _client(self, entity: Entity) -> SignInClient:
        return SignInClient(self._own.entity_id, self._own.acs_url, entity.entity_id, entity.sign_on_url or "", self._signer)


def discovery_url(service: str, entity_id: str, return_url: str) -> str:
    """Return where a browser asks a discovery service for an identity provider (Identity Provider Discovery Service 2.4.1).

    It comes back to `return_url` with the choice in the parameter `entityID`, or without one.
    """
    query = urlencode({"entityID": entity_id, "return": return_url, "returnIDParam": RETURN_ID_PARAM})
    return f"{service}{'&' if urlsplit(service).query else '?'}{query}"
