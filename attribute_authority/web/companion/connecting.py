"""Off to ORCID, and back with a code that is exchanged exactly once.

Two ways lead back. `/orcid/callback` belongs to an authorization that began here: its state is random, works once and only in the
session that began it. `/orcid/connect` takes researchers whom ORCID sends by itself, from its institutional sign-in: they come with
a code and without our state, perhaps without a session, and see on the confirmation page which iD it is before anything is stored.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from threading import BoundedSemaphore
from typing import Final

from werkzeug import Response

from attribute_authority.core.linking import Proposal
from attribute_authority.domain.linking import AuthorizationRequest, Grant
from attribute_authority.errors import CouldNotAsk, RegistryDenied, RegistryRefused, RegistryStateUnknown, RegistryUnavailable
from attribute_authority.web.companion.sealed_states import SealedStates, digest
from attribute_authority.web.companion.sessions import Session
from attribute_authority.web.companion.visit import Visit

_TIME_AT_ORCID: Final = timedelta(hours=1)
_TIME_OF_CODE: Final = timedelta(minutes=10)
_BROWSER_SECONDS: Final = 24 * 3600
_LOGIN: Final = "login"
_LONGEST_CODE: Final = 512
_DENIALS: Final = frozenset({"access_denied", "interaction_required", "login_required", "consent_required"})
_OUTAGES: Final = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """An authorization under way: the session that began it, and the nonce that its id_token must bear."""

    session: str
    nonce: str


@dataclass(frozen=True, slots=True)
class PendingCode:
    """A code that ORCID sent without being asked, until its bearer has signed in."""

    code: str


@dataclass(frozen=True, slots=True)
class PendingProposal:
    """A proposal, and the session that may confirm it."""

    proposal: Proposal
    session: str


@dataclass(frozen=True, slots=True)
class Connecting:
    """The steps at ORCID; `places` bounds how many threads may wait for ORCID at once, so that the others serve pages meanwhile."""

    authorizations: SealedStates[PendingAuthorization]
    codes: SealedStates[PendingCode]
    proposals: SealedStates[PendingProposal]
    places: BoundedSemaphore

    def authorize(self, visit: Visit) -> Response:
        """`GET /orcid/authorize`: send the browser to ORCID with a state of its own. Raises TooManyAttempts, CouldNotAsk."""
        if visit.session is None:
            return visit.go("/login?to=home")
        parts, now = visit.parts, visit.parts.clock()
        parts.limits.check("authorize", visit.request, now)
        state, nonce = parts.new_secret(), parts.new_secret()
        self.authorizations.keep(state, PendingAuthorization(visit.session.reference, nonce), now + _TIME_AT_ORCID)
        is_other = visit.request.args.get("prompt") == _LOGIN
        request = AuthorizationRequest(f"{parts.base_url}/orcid/callback", state, nonce, visit.language, is_other)
        return visit.go(parts.registry.authorize_url(request))

    def callback(self, visit: Visit) -> Response:
        """`GET /orcid/callback`: exchange the code and go on to the confirmation.

        Raises RegistryStateUnknown, SessionOver, RegistryDenied, RegistryRefused, RecordClosed, RegistryUnavailable, CouldNotAsk.
        """
        parts, now = visit.parts, visit.parts.clock()
        parts.limits.check("callback", visit.request, now)
        # Taken first: whatever comes of it, this state is not good for a second attempt.
        pending = self.authorizations.take(visit.request.args.get("state", ""), now)
        if pending is None:
            raise RegistryStateUnknown("the state is unknown, over, or was used before")
        session = visit.signed_in()
        if not compare_digest(pending.session, session.reference):
            raise RegistryStateUnknown("the state belongs to another session")
        code = _read_code(visit)
        return self._propose(visit, session, self._exchange(visit, code, "/orcid/callback", pending.nonce))

    def connect(self, visit: Visit) -> Response:
        """`GET /orcid/connect`: take a code that ORCID sent by itself, sign its bearer in if need be, and go on to the confirmation.

        Raises as `callback`.
        """
        parts, now = visit.parts, visit.parts.clock()
        parts.limits.check("connect", visit.request, now)
        mark = parts.cookies.browser(visit.request) or parts.new_secret()
        if not visit.request.args.keys().isdisjoint(("code", "error")):
            # The code leaves the address at once, so that neither a history nor a reload repeats it.
            self.codes.keep(mark, PendingCode(_read_code(visit)), now + _TIME_OF_CODE)
            response = visit.go("/orcid/connect" if visit.session is not None else "/login?to=connect")
            parts.cookies.set_browser(response, mark, _BROWSER_SECONDS)
            return response
        if visit.session is None:
            return visit.go("/login?to=connect")
        pending = self.codes.take(mark, now)
        if pending is None:
            return visit.go("/")
        return self._propose(visit, visit.session, self._exchange(visit, pending.code, "/orcid/connect", None))

    def _exchange(self, visit: Visit, code: str, path: str, nonce: str | None) -> Grant:
        if not self.places.acquire(blocking=False):
            raise RegistryUnavailable("as many requests as are allowed wait for the registry already")
        try:
            return visit.parts.registry.exchange(code, f"{visit.parts.base_url}{path}", nonce, visit.parts.clock())
        finally:
            self.places.release()

    def _propose(self, visit: Visit, session: Session, grant: Grant) -> Response:
        parts, now = visit.parts, visit.parts.clock()
        grant_id = digest(parts.new_secret())
        try:
            proposal = parts.linking.hold(grant, grant_id, now)
        except CouldNotAsk:
            # What is held nowhere would never be revoked.
            with suppress(CouldNotAsk):
                parts.registry.revoke(grant.response)
            raise
        self.proposals.keep(grant_id, PendingProposal(proposal, session.reference), now + parts.linking.patience)
        visit.event.outcome = "granted"
        return visit.go(f"/confirm/{grant_id}")


def _read_code(visit: Visit) -> str:
    """Return the code of a return from ORCID. Raises RegistryDenied, RegistryUnavailable, RegistryRefused (RFC 6749 section 4.1.2.1)."""
    arguments = visit.request.args
    issuer = arguments.get("iss")
    if issuer is not None and issuer.rstrip("/") != visit.parts.registry.origin:
        raise RegistryRefused("the return names another authorization server (RFC 9207 section 2.4)")
    error = arguments.get("error")
    if error in _DENIALS:
        raise RegistryDenied(f"the registry returned {error}")
    if error in _OUTAGES:
        raise RegistryUnavailable(f"the registry returned {error}")
    code = arguments.get("code", "")
    if error is not None or not 0 < len(code) <= _LONGEST_CODE:
        raise RegistryRefused("the registry returned an error that is not known here, or no code")
    return code
