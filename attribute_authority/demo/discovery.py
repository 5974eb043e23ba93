"""The discovery service of the demo federation (Identity Provider Discovery Service Protocol and Profile, section 2.4)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from attribute_authority.demo.pages import language_of, render, static_file
from attribute_authority.demo.peers import KnownServiceProvider, read_service_provider
from attribute_authority.demo.people import HomeOrganisation
from attribute_authority.demo.texts import text
from attribute_authority.errors import AuthorityError, Denied, MalformedQuery

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SINGLE: Final = "urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol:single"
_PAGES: Final = Map(
    [Rule("/discovery", endpoint="discovery", methods=["GET"]), Rule("/static/<name>", endpoint="static", methods=["GET"])],
)


@dataclass(frozen=True, slots=True)
class DiscoveryRequest:
    """A request that was checked: who asks, where to return to, and under which name the choice is wanted there."""

    requester: KnownServiceProvider
    return_url: str
    parameter: str
    is_passive: bool

    def answer(self, entity_id: str | None) -> str:
        """Return the address that carries a choice, or none."""
        if entity_id is None:
            return self.return_url
        parts = urlsplit(self.return_url)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), (self.parameter, entity_id)])
        return parts._replace(query=query).geturl()


class Discovery:
    """The WSGI application: a choice of the home organisations, for service providers that are in the metadata."""

    def __init__(self, organisations: Sequence[HomeOrganisation], service_providers: Iterable[bytes]) -> None:
        self._organisations = organisations
        self._known = {known.entity_id: known for known in map(read_service_provider, service_providers)}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve a request."""
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response | HTTPException:
        try:
            endpoint, values = _PAGES.bind_to_environ(request.environ).match()
            return static_file(values["name"]) if endpoint == "static" else self._choose(request)
        except AuthorityError as fault:
            shown = {"place": text("federation", language_of(request)), "sentence": fault.public, "cause": fault.cause, "back": None}
            return render(request, "problem.html", status=400, **shown)
        except HTTPException as wrong:
            return wrong

    def _choose(self, request: Request) -> Response:
        asked = read_discovery_request(request.args, self._known)
        if asked.is_passive:
            return Response.force_type(redirect(asked.answer(None), 303))
        language = language_of(request)
        choices = [(home.names[language], asked.answer(home.entity_id)) for home in self._organisations]
        return render(request, "discovery.html", service=asked.requester.name(language), choices=choices)


def read_discovery_request(parameters: Mapping[str, str], known: Mapping[str, KnownServiceProvider]) -> DiscoveryRequest:
    """Check a request. Raises MalformedQuery where it is not one, Denied where nobody known asks or it would return elsewhere."""
    requester = known.get(parameters.get("entityID", ""))
    if requester is None:
        raise Denied("the entityID is not of a service provider of this federation")
    if parameters.get("policy", _SINGLE) != _SINGLE:
        raise MalformedQuery("only the policy of a single identity provider is known")
    return_url = parameters.get("return") or next(iter(requester.discovery_urls), "")
    if not requester.may_return_to(return_url):
        raise Denied("the return address is not one that the service provider has registered")
    return DiscoveryRequest(requester, return_url, parameters.get("returnIDParam") or "entityID", parameters.get("isPassive") == "true")
