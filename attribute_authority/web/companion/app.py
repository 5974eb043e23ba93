"""The companion page as a WSGI application: addresses to steps, failures to pages, and what every answer carries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from traceback import format_exc
from typing import TYPE_CHECKING, Any, Final

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, RequestRedirect, Rule

from attribute_authority.errors import AuthorityError, Conflict
from attribute_authority.events import PageEvent, stopwatch
from attribute_authority.web.companion import front, signing_in, unlinking
from attribute_authority.web.companion.addresses import browser_address
from attribute_authority.web.companion.confirming import Confirming
from attribute_authority.web.companion.connecting import Connecting
from attribute_authority.web.companion.forms import PageRequest
from attribute_authority.web.companion.languages import LANGUAGES, choose_language
from attribute_authority.web.companion.problems import problem_address, problem_of, problem_page
from attribute_authority.web.companion.sessions import Session
from attribute_authority.web.companion.signing_in import SamlWay, Way
from attribute_authority.web.companion.static_files import StaticFiles
from attribute_authority.web.companion.views import ProblemKind
from attribute_authority.web.companion.visit import Parts, Visit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Step = Callable[..., Response]

_LONGEST_CAUSE: Final = 1000
_UNTOLD: Final = frozenset({"static", "problem", "unknown"})
_KEPT: Final = "public, max-age=31536000, immutable"
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "script-src 'self'; connect-src 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_HSTS: Final = "max-age=31536000"


@dataclass(frozen=True, slots=True)
class Companion:
    """The application: a step for each name of an address."""

    parts: Parts
    steps: Mapping[str, Step]

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333). Raises nothing."""
        return self.respond(PageRequest(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Answer a request; every failure ends as a page, and every step as one event."""
        started, event = stopwatch(), PageEvent(self.parts.new_correlation_id(), "unknown")
        response = self._guarded(request, event)
        # A stream asks for its deliveries every second.
        if event.page not in _UNTOLD and (event.page != "deliveries" or event.failure is not None):
            self.parts.events.page(event, started)
        return self._dress(request, response)

    def too_slow(self, environ: "WSGIEnvironment") -> Response:
        """Answer in place of a step that has taken too long; touches nothing that may be slow."""
        return self._turn_away(PageRequest(environ), "page-too-slow", ProblemKind.TOO_SLOW)

    def too_busy(self, environ: "WSGIEnvironment") -> Response:
        """Answer in place of a step that cannot be begun; touches nothing that may be slow."""
        return self._turn_away(PageRequest(environ), "page-too-busy", ProblemKind.UNAVAILABLE)

    def _turn_away(self, request: Request, fault: str, kind: ProblemKind) -> Response:
        # The name of the page and not the address, in which a browser may send anything.
        event = PageEvent(self.parts.new_correlation_id(), _page_name(request), failure=kind.value)
        self.parts.events.fault(fault, correlation_id=event.correlation_id, page=event.page)
        return self._dress(request, self._problem(self._visit(request, event, None), kind, 503))

    def _guarded(self, request: Request, event: PageEvent) -> Response:
        try:
            return self._run(request, event)
        except AuthorityError as failure:
            kind, status = problem_of(failure)
            # What a conflict says is for operators: it names people.
            cause = None if isinstance(failure, Conflict) else failure.cause[:_LONGEST_CAUSE]
            event.failure, event.cause = type(failure).__name__, cause
            return self._problem(self._visit(request, event, None), kind, status)
        except Exception:  # noqa: BLE001 - the named boundary: a defect of ours shows itself to operators, not to researchers
            event.failure = ProblemKind.DEFECT.value
            self.parts.events.fault("defect", correlation_id=event.correlation_id, traceback=format_exc())
            return self._problem(self._visit(request, event, None), ProblemKind.DEFECT, 500)

    def _run(self, request: Request, event: PageEvent) -> Response:
        try:
            name, arguments = _match(request)
        except (NotFound, RequestRedirect):
            return self._problem(self._visit(request, event, None), ProblemKind.NOT_FOUND, 404)
        except MethodNotAllowed as refused:
            response = self._problem(self._visit(request, event, None), ProblemKind.METHOD_NOT_ALLOWED, 405)
            response.headers["Allow"] = ", ".join(sorted(refused.valid_methods or ()))
            return response
        event.page = name
        if name in _WITHOUT_SESSION:
            return self._step(name, self._visit(request, event, None), arguments)
        event.browser = self.parts.pseudonyms.of(str(browser_address(request, self.parts.limits.proxies)))
        session = self.parts.sessions.find(self.parts.cookies.session(request), self.parts.clock())
        return self._step(name, self._visit(request, event, session), arguments)

    def _step(self, name: str, visit: Visit, arguments: Mapping[str, Any]) -> Response:
        step = self.steps.get(name)
        if step is None:
            return self._problem(visit, ProblemKind.NOT_FOUND, 404)
        try:
            return step(visit, **arguments)
        except HTTPException:
            # A form that cannot be read: broken encoding, or larger than any of ours.
            return self._problem(visit, ProblemKind.FORM_OVER, 400)

    def _visit(self, request: Request, event: PageEvent, session: Session | None) -> Visit:
        language = choose_language(request.args.get("lang"), self.parts.cookies.language(request), request.accept_languages)
        return Visit(request, language, session, event, self.parts)

    def _problem(self, visit: Visit, kind: ProblemKind, status: int) -> Response:
        reference = visit.event.correlation_id if visit.event.failure is not None else None
        return visit.show(problem_page(kind, reference), status, problem_address(kind, reference))

    def _dress(self, request: Request, response: Response) -> Response:
        response.headers.update(_HEADERS)
        if self.parts.cookies.secure:
            response.headers["Strict-Transport-Security"] = _HSTS
        response.headers.setdefault("Cache-Control", "no-store")
        chosen = request.args.get("lang")
        # A cookie does not belong on what caches keep for everybody.
        if chosen in LANGUAGES and response.headers["Cache-Control"] != _KEPT:
            self.parts.cookies.set_language(response, chosen)
        return response


def make_companion(parts: Parts, static_files: StaticFiles, way: Way, connecting: Connecting, confirming: Confirming) -> Companion:
    """Put the application together."""
    steps: dict[str, Step] = {
        "front": front.front,
        "deliveries": front.deliveries,
        "deliveries-live": front.live,
        "login": lambda visit: signing_in.login(visit, way),
        "logout": front.sign_out,
        "signed-out": front.signed_out,
        "authorize": connecting.authorize,
        "callback": connecting.callback,
        "connect": connecting.connect,
        "confirm-page": confirming.show,
        "confirm": confirming.confirm,
        "decline": confirming.decline,
        "unlink-page": unlinking.ask,
        "unlink": unlinking.unlink,
        "problem": front.problem,
        "metadata": front.metadata,
        "static": lambda _visit, name: _static(static_files, name),
    }
    if isinstance(way, SamlWay):
        steps["acs"] = lambda visit: signing_in.consume_response(visit, way)
    return Companion(parts, steps)


def _match(request: Request) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a page and what its address holds. Raises NotFound, RequestRedirect, MethodNotAllowed."""
    name, arguments = _ADDRESSES.bind("localhost", path_info=request.path).match(method=request.method)
    return str(name), arguments


def _page_name(request: Request) -> str:
    try:
        return _match(request)[0]
    except HTTPException:
        return "unknown"


def _static(files: StaticFiles, name: str) -> Response:
    file = files.find(name)
    if file is None:
        return Response("There is nothing at this address.\n", 404, content_type="text/plain; charset=utf-8")
    response = Response(file.body, content_type=file.content_type)
    response.headers["Cache-Control"] = _KEPT
    return response


_ADDRESSES: Final = Map(
    [
        Rule("/", endpoint="front", methods=["GET"]),
        Rule("/deliveries", endpoint="deliveries", methods=["GET"]),
        Rule("/deliveries/live", endpoint="deliveries-live", methods=["GET"]),
        Rule("/login", endpoint="login", methods=["GET"]),
        Rule("/logout", endpoint="logout", methods=["POST"]),
        Rule("/signed-out", endpoint="signed-out", methods=["GET"]),
        Rule("/saml/acs", endpoint="acs", methods=["POST"]),
        Rule("/orcid/authorize", endpoint="authorize", methods=["GET"]),
        Rule("/orcid/callback", endpoint="callback", methods=["GET"]),
        Rule("/orcid/connect", endpoint="connect", methods=["GET"]),
        Rule("/confirm/<grant_id>", endpoint="confirm-page", methods=["GET"]),
        Rule("/confirm/<grant_id>", endpoint="confirm", methods=["POST"]),
        Rule("/decline/<grant_id>", endpoint="decline", methods=["POST"]),
        Rule("/unlink", endpoint="unlink-page", methods=["GET"]),
        Rule("/unlink", endpoint="unlink", methods=["POST"]),
        Rule("/problem/<kind>", endpoint="problem", methods=["GET"]),
        Rule("/metadata", endpoint="metadata", methods=["GET"]),
        Rule("/static/<name>", endpoint="static", methods=["GET"]),
    ],
    strict_slashes=False,
    merge_slashes=False,
)
_WITHOUT_SESSION: Final = frozenset({"problem", "metadata", "static", "signed-out"})
