"""The service provider of the demo: it signs people in by SAML, and asks the attribute authority for their ORCID iD."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hmac import compare_digest
from threading import Lock
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from attribute_authority.demo.asking_service import Told
from attribute_authority.demo.metadata import ServiceDescription, write_service_provider
from attribute_authority.demo.pages import language_of, metadata_file, render, static_file
from attribute_authority.demo.people import Names
from attribute_authority.domain.identifiers import Environment, Identifier, IdentifierKind
from attribute_authority.domain.linking import SignedIn
from attribute_authority.errors import AuthorityError, FormOver, SignInExpired
from attribute_authority.ports import Clock
from attribute_authority.saml.sign_in import BegunSignInRef, SignIn, discovery_url

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Ask = Callable[[tuple[Identifier, ...]], Told]
"""Asks the authority about the person with these identifiers."""

_COOKIE: Final = "demo-service"
_MAX_VISITS: Final = 1000
_MAX_FORM_BYTES: Final = 1_000_000
_SECRET_BYTES: Final = 24
_ATTRIBUTES: Final = {
    IdentifierKind.SUBJECT_ID: "subject-id",
    IdentifierKind.PAIRWISE_ID: "pairwise-id",
    IdentifierKind.EPPN: "eduPersonPrincipalName",
    IdentifierKind.UNIQUE_ID: "eduPersonUniqueId",
    IdentifierKind.PERSISTENT: "persistent NameID",
}
_PAGES: Final = Map(
    [
        Rule("/", endpoint="home", methods=["GET"]),
        Rule("/sign-in", endpoint="sign_in", methods=["GET"]),
        Rule("/saml/acs", endpoint="accept", methods=["POST"]),
        Rule("/ask", endpoint="ask", methods=["POST"]),
        Rule("/sign-out", endpoint="sign_out", methods=["POST"]),
        Rule("/metadata", endpoint="metadata", methods=["GET"]),
        Rule("/static/<name>", endpoint="static", methods=["GET"]),
    ]
)


@dataclass(frozen=True, slots=True)
class Visit:
    """What is remembered of a browser: a sign-in that has begun, or who is signed in and what the authority told of them."""

    token: str
    begun: BegunSignInRef | None = None
    signed_in: SignedIn | None = None
    told: Told | None = None


class Visits:
    """The visits, by a secret of the browser, in memory; the oldest are forgotten first. Threads may share it."""

    def __init__(self) -> None:
        self._visits: OrderedDict[str, Visit] = OrderedDict()
        self._lock = Lock()

    def find(self, request: Request) -> tuple[str, Visit] | None:
        """Return the secret and the visit of a browser, None where there is none."""
        secret = request.cookies.get(_COOKIE, "")
        with self._lock:
            visit = self._visits.get(secret)
        return None if visit is None else (secret, visit)

    def keep(self, response: Response, visit: Visit) -> None:
        """Begin a visit under a fresh secret, which the browser gets with a response."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self.replace(secret, visit)
        response.set_cookie(_COOKIE, secret, httponly=True, samesite="Lax")

    def replace(self, secret: str, visit: Visit) -> None:
        """Remember a visit in place of what was there."""
        with self._lock:
            self._visits[secret] = visit
            while len(self._visits) > _MAX_VISITS:
                self._visits.popitem(last=False)

    def end(self, secret: str) -> Visit | None:
        """Forget a visit, and return it to the first who ends it."""
        with self._lock:
            return self._visits.pop(secret, None)


@dataclass(frozen=True, slots=True)
class ServiceProviderParts:
    """What the service provider works with; addresses are those of the discovery service and of the companion page."""

    description: ServiceDescription
    sign_in: SignIn
    ask: Ask
    discovery_url: str
    companion_url: str
    organisations: Mapping[str, Names]
    environment: Environment
    clock: Clock


class ServiceProvider:
    """The WSGI application."""

    def __init__(self, parts: ServiceProviderParts) -> None:
        self._parts = parts
        self._visits = Visits()
        self._steps: Mapping[str, Callable[[Request], Response]] = {
            "home": self._home,
            "sign_in": self._begin,
            "accept": self._accept,
            "ask": self._ask_again,
            "sign_out": self._sign_out,
            "metadata": lambda _: metadata_file(write_service_provider(parts.description)),
        }

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve a request."""
        request = Request(environ)
        request.max_content_length = request.max_form_memory_size = _MAX_FORM_BYTES
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response | HTTPException:
        try:
            endpoint, values = _PAGES.bind_to_environ(request.environ).match()
            return static_file(values["name"]) if endpoint == "static" else self._steps[endpoint](request)
        except AuthorityError as fault:
            place = self._parts.description.names[language_of(request)]
            return render(request, "problem.html", status=400, place=place, sentence=fault.public, cause=fault.cause, back="/")
        except HTTPException as wrong:
            return wrong

    def _home(self, request: Request) -> Response:
        found = self._visits.find(request)
        visit = None if found is None else found[1]
        if visit is None or visit.signed_in is None or visit.told is None:
            return render(request, "service_start.html")
        home = visit.signed_in.home_organisation
        names = self._parts.organisations.get(home)
        return render(
            request,
            "service_home.html",
            person=visit.signed_in.name,
            identifier=visit.told.identifier,
            organisation=names[language_of(request)] if names else home,
            told=visit.told,
            token=visit.token,
            attributes=_attributes(visit.signed_in, self._parts.environment),
            companion_url=self._parts.companion_url,
        )

    def _begin(self, request: Request) -> Response:
        chosen = request.args.get("entityID")
        if chosen is None:
            own = self._parts.description
            return _go(discovery_url(self._parts.discovery_url, own.entity_id, own.discovery_url))
        begun = self._parts.sign_in.begin(chosen, self._parts.clock())
        response = _go(begun.url)
        self._visits.keep(response, Visit(_token(), BegunSignInRef(begun.message_id, begun.identity_provider)))
        return response

    def _accept(self, request: Request) -> Response:
        message = request.form.get("SAMLResponse", "")
        answered = self._parts.sign_in.in_response_to(message)
        found = self._visits.find(request)
        # Ended before it is looked at: one request is answered once.
        visit = None if found is None else self._visits.end(found[0])
        if visit is None or visit.begun is None or visit.begun.message_id != answered:
            raise SignInExpired("no such sign-in is under way in this browser")
        signed_in = self._parts.sign_in.accept(message, visit.begun, self._parts.clock()).signed_in
        response = _go("/")
        self._visits.keep(response, Visit(_token(), None, signed_in, self._parts.ask(signed_in.identifiers)))
        return response

    def _ask_again(self, request: Request) -> Response:
        secret, visit = self._checked(request)
        if visit.signed_in is not None:
            self._visits.replace(secret, replace(visit, told=self._parts.ask(visit.signed_in.identifiers)))
        return _go("/")

    def _sign_out(self, request: Request) -> Response:
        secret, _ = self._checked(request)
        self._visits.end(secret)
        return _go("/")

    def _checked(self, request: Request) -> tuple[str, Visit]:
        found = self._visits.find(request)
        if found is None or not compare_digest(request.form.get("token", "").encode(), found[1].token.encode()):
            raise FormOver("the form is not of this session")
        return found


def _go(address: str) -> Response:
    response = Response.force_type(redirect(address, 303))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _token() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def _attributes(signed_in: SignedIn, environment: Environment) -> list[tuple[str, str]]:
    named = [] if signed_in.name is None else [("displayName", signed_in.name)]
    known = [] if signed_in.orcid is None else [("eduPersonOrcid", signed_in.orcid.uri(environment))]
    return [*named, *((_ATTRIBUTES[identifier.kind], identifier.value) for identifier in signed_in.identifiers), *known]
