"""A small SAML 2.0 identity provider: honest in its messages, with invented people and without passwords, for the demo and for tests."""

import hmac
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from attribute_authority.demo.authn_request import AuthnRequest, read_authn_request
from attribute_authority.demo.metadata import write_identity_provider
from attribute_authority.demo.pages import language_of, metadata_file, render, static_file
from attribute_authority.demo.peers import read_service_provider
from attribute_authority.demo.people import HomeOrganisation, Person
from attribute_authority.demo.response import ReleasedAttribute, ResponseWriter, Statement
from attribute_authority.errors import AuthorityError
from attribute_authority.ports import Clock
from attribute_authority.saml import namespaces as ns

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DISPLAY_NAME: Final = "urn:oid:2.16.840.1.113730.3.1.241"
SCOPED_AFFILIATION: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.9"
_STATUS: Final = "urn:oasis:names:tc:SAML:2.0:status:"
_AUTHN_FAILED: Final = (ns.STATUS_RESPONDER, f"{_STATUS}AuthnFailed")
_NO_PASSIVE: Final = (ns.STATUS_RESPONDER, f"{_STATUS}NoPassive")
_INVALID_POLICY: Final = (ns.STATUS_REQUESTER, f"{_STATUS}InvalidNameIDPolicy")
_FORMATS: Final = (None, ns.NAMEID_UNSPECIFIED_11, ns.NAMEID_PERSISTENT, ns.NAMEID_TRANSIENT)
_PAGES: Final = Map(
    [
        Rule("/", endpoint="start", methods=["GET"]),
        Rule("/metadata", endpoint="metadata", methods=["GET"]),
        Rule("/saml/sign-on", endpoint="sign_on", methods=["GET", "POST"]),
        Rule("/static/<name>", endpoint="static", methods=["GET"]),
    ]
)


class IdentityProvider:
    """The WSGI application of one home organisation.

    `service_providers` are metadata documents of those that may ask; `clock` tells the instant, `new_id` makes message ids.
    `held_orcid` returns, by login, the iD that the organisation's own directory holds.
    It keeps nothing between two requests: the request stands in the address of the sign-in page, and is read again with the form.
    """

    def __init__(
        self,
        organisation: HomeOrganisation,
        service_providers: Iterable[bytes],
        clock: Clock,
        new_id: Callable[[], str],
        *,
        held_orcid: Callable[[str], str | None] = lambda _login: None,
    ) -> None:
        self._organisation = organisation
        self._held_orcid = held_orcid
        self._known = {known.entity_id: known for known in map(read_service_provider, service_providers)}
        self._clock = clock
        self._new_id = new_id
        self._writer = ResponseWriter(organisation.entity_id, organisation.keys, clock, new_id)

    @property
    def metadata(self) -> bytes:
        """Its EntityDescriptor."""
        return write_identity_provider(self._organisation)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve a request."""
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response | HTTPException:
        try:
            endpoint, values = _PAGES.bind_to_environ(request.environ).match()
            return self._page(request, endpoint, values)
        except AuthorityError as fault:
            return self._problem(request, fault)
        except HTTPException as wrong:
            return wrong

    def _page(self, request: Request, endpoint: str, values: Mapping[str, str]) -> Response:
        if endpoint == "static":
            return static_file(values["name"])
        if endpoint == "metadata":
            return metadata_file(self.metadata)
        if endpoint == "start":
            return render(request, "identity_provider_start.html", organisation=self._name(request))
        return self._sign_on(request)

    def _sign_on(self, request: Request) -> Response:
        asked = read_authn_request(request.query_string.decode(), self._organisation.sign_on_url, self._known, self._clock())
        if asked.is_passive:
            return self._refuse(request, asked, _NO_PASSIVE)
        if asked.name_id_format not in _FORMATS:
            return self._refuse(request, asked, _INVALID_POLICY)
        if request.method == "POST":
            return self._signed_in(request, asked)
        language = language_of(request)
        return render(
            request,
            "sign_in.html",
            organisation=self._name(request),
            service=asked.requester.name(language),
            people=self._organisation.people,
        )

    def _signed_in(self, request: Request, asked: AuthnRequest) -> Response:
        if "cancel" in request.form:
            return self._refuse(request, asked, _AUTHN_FAILED)
        login = request.form.get("person")
        if login is None:
            raise BadRequest
        person = self._organisation.person(login)
        if person is None:
            raise NotFound
        return self._send(request, asked, self._writer.success(asked, self._statement(person, asked)), "continue-title")

    def _refuse(self, request: Request, asked: AuthnRequest, codes: Sequence[str]) -> Response:
        return self._send(request, asked, self._writer.failure(asked, codes, "Nobody was signed in."), "cancelled-title")

    def _send(self, request: Request, asked: AuthnRequest, response: bytes, title: str) -> Response:
        return render(
            request,
            "post.html",
            form_target=asked.acs_url,
            organisation=self._name(request),
            title=title,
            acs_url=asked.acs_url,
            response=b64encode(response).decode(),
            relay_state=asked.relay_state,
        )

    def _statement(self, person: Person, asked: AuthnRequest) -> Statement:
        known = replace(person, orcid=self._held_orcid(person.login) or person.orcid)
        attributes = released_attributes(known, person.scope or self._organisation.scope)
        if asked.name_id_format == ns.NAMEID_TRANSIENT or not person.releases_identifiers:
            return Statement(self._new_id(), ns.NAMEID_TRANSIENT, attributes)
        return Statement(self._persistent_id(person, asked.requester.entity_id), ns.NAMEID_PERSISTENT, attributes)

    def _persistent_id(self, person: Person, requester: str) -> str:
        """Return the same opaque value for the same person and service provider, and another one for each other pair."""
        return hmac.digest(self._organisation.keys.key, f"{requester}!{person.login}".encode(), "sha256").hex()

    def _name(self, request: Request) -> str:
        return self._organisation.names[language_of(request)]

    def _problem(self, request: Request, fault: AuthorityError) -> Response:
        values = {"place": self._name(request), "sentence": fault.public, "cause": fault.cause, "back": None}
        return render(request, "problem.html", status=400, **values)


def released_attributes(person: Person, scope: str) -> tuple[ReleasedAttribute, ...]:
    """Return what a home organisation with that scope releases about a person."""
    named = ReleasedAttribute(DISPLAY_NAME, "displayName", (person.name,))
    affiliated = ReleasedAttribute(SCOPED_AFFILIATION, "eduPersonScopedAffiliation", (f"{person.affiliation}@{scope}", f"member@{scope}"))
    if not person.releases_identifiers:
        return named, affiliated
    identified = (
        ReleasedAttribute(ns.SUBJECT_ID, "subject-id", (f"{person.login}@{scope}",)),
        ReleasedAttribute(ns.EPPN_OID_URN, "eduPersonPrincipalName", (f"{person.login}@{scope}",)),
        ReleasedAttribute(ns.UNIQUE_ID_OID_URN, "eduPersonUniqueId", (f"{_unique(person.login)}@{scope}",)),
    )
    known = () if person.orcid is None else (ReleasedAttribute(ns.EDU_PERSON_ORCID, "eduPersonOrcid", (person.orcid,)),)
    return (named, *identified, affiliated, *known)


def _unique(login: str) -> str:
    return hmac.digest(b"eduPersonUniqueId of the demo", login.encode(), "sha256").hex()[:32]
