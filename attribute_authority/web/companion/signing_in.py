"""Signing in: off to the home organisation, and back with its Response."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hmac import compare_digest
from typing import Final, Protocol
from urllib.parse import urlencode

from werkzeug import Request, Response

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.linking import SignedIn
from attribute_authority.errors import SignInExpired, SignInFailed
from attribute_authority.saml.sign_in import BegunSignInRef, SignIn
from attribute_authority.web.companion.sealed_states import SealedStates, digest
from attribute_authority.web.companion.visit import Visit

_TIME_AT_HOME: Final = timedelta(minutes=30)
_DISCOVERED: Final = "discovered"
_BROWSER_SECONDS: Final = 24 * 3600


class Destination(StrEnum):
    """Where a person wanted to go before the sign-in; a closed set, so that nobody is sent elsewhere.

    All are pages of our own: an identity provider whose form may only lead here (Content-Security-Policy, form-action) would have the
    browser stop where the answer to it leads on to ORCID.
    """

    HOME = "home"
    CONNECT = "connect"
    UNLINK = "unlink"


_ADDRESSES: Final = {
    Destination.HOME: "/",
    Destination.CONNECT: "/orcid/connect",
    Destination.UNLINK: "/unlink",
}


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in that has begun: at which identity provider, in which browser (a digest of its mark), and where it leads."""

    identity_provider: EntityId
    browser: str
    destination: Destination


class Way(Protocol):
    """A way to sign in: what `/login` does."""

    def begin(self, visit: Visit, destination: Destination) -> Response:
        """Send the browser on its way, or straight to where it wants to go."""
        ...


@dataclass(frozen=True, slots=True)
class SamlWay:
    """Sign-in by SAML: at the one identity provider that is configured, or at the one that the discovery service returns.

    `discover` makes the address of the discovery service from the one to return to; None with a single identity provider.
    """

    sign_in: SignIn
    pending: SealedStates[PendingSignIn]
    identity_provider: str | None
    discover: Callable[[str], str] | None

    def begin(self, visit: Visit, destination: Destination) -> Response:
        """Send the browser to the discovery service or with an AuthnRequest to the identity provider.

        Raises UnknownHomeOrganisation, CouldNotAsk.
        """
        chosen = self.identity_provider or visit.request.args.get("entityID")
        if not chosen and _DISCOVERED in visit.request.args:
            # Nothing was chosen there; asking again at once would keep the person in a circle.
            return visit.go("/")
        if not chosen and self.discover is not None:
            return visit.go(self.discover(f"{visit.parts.base_url}/login?{urlencode({'to': destination.value, _DISCOVERED: ''})}"))
        now = visit.parts.clock()
        begun = self.sign_in.begin(chosen or "", now)
        mark = visit.parts.cookies.browser(visit.request) or visit.parts.new_secret()
        self.pending.keep(begun.message_id, PendingSignIn(begun.identity_provider, digest(mark), destination), now + _TIME_AT_HOME)
        response = visit.go(begun.url)
        visit.parts.cookies.set_browser(response, mark, _BROWSER_SECONDS)
        return response


class HeaderSignIn(Protocol):
    """Reads who is signed in from what a web server in front of us says."""

    def read(self, request: Request) -> SignedIn:
        """Return the person. Raises SignInFailed, ScopeNotAllowed, NoIdentifier, UnknownHomeOrganisation, CouldNotAsk."""
        ...


@dataclass(frozen=True, slots=True)
class HeaderWay:
    """Sign-in by trusted headers: by the time that `/login` is reached, the web server has signed the person in."""

    headers: HeaderSignIn

    def begin(self, visit: Visit, destination: Destination) -> Response:
        """Begin a session for whom the headers name. Raises what `HeaderSignIn.read` raises."""
        return start_session(visit, self.headers.read(visit.request), destination)


def login(visit: Visit, way: Way) -> Response:
    """`GET /login`: begin a sign-in; `to` says where it leads, `entityID` is what a discovery service adds."""
    visit.parts.limits.check("login", visit.request, visit.parts.clock())
    asked = visit.request.args.get("to", "")
    return way.begin(visit, Destination(asked) if asked in set(Destination) else Destination.HOME)


def consume_response(visit: Visit, way: SamlWay) -> Response:
    """`POST /saml/acs`: accept a Response to a sign-in that began in this browser, once.

    Raises SignInExpired, SignInFailed and what `SignIn.accept` raises.
    """
    parts, now = visit.parts, visit.parts.clock()
    parts.limits.check("acs", visit.request, now)
    message = visit.request.form.get("SAMLResponse", "")
    message_id = way.sign_in.in_response_to(message)
    pending = way.pending.read(message_id, now)
    if pending is None:
        raise SignInExpired("the Response answers no sign-in that is under way: unknown, over, or answered before")
    visit.event.home_organisation = pending.identity_provider
    if not compare_digest(digest(parts.cookies.browser(visit.request) or ""), pending.browser):
        raise SignInExpired("the sign-in began in another browser")
    if way.pending.take(message_id, now) is None:
        raise SignInExpired("another Response to the same request came at the same moment")
    accepted = way.sign_in.accept(message, BegunSignInRef(message_id, pending.identity_provider), now)
    if not parts.replays.is_first(accepted.issuer, accepted.assertion_id, accepted.expires_at):
        raise SignInFailed("the assertion was used before")
    return start_session(visit, accepted.signed_in, pending.destination)


def start_session(visit: Visit, person: SignedIn, destination: Destination) -> Response:
    """Begin a session of the person, end the one that was there, and go where they wanted to. Raises CouldNotAsk."""
    parts, now = visit.parts, visit.parts.clock()
    visit.event.home_organisation = person.home_organisation
    visit.event.subject = parts.pseudonyms.of(str(person.identifiers[0]))
    visit.event.outcome = "signed-in"
    parts.sessions.end(parts.cookies.session(visit.request), now)
    response = visit.go(_ADDRESSES[destination])
    parts.cookies.set_session(response, parts.sessions.begin(person, now), int(parts.sessions.lifetime.total_seconds()))
    return response
