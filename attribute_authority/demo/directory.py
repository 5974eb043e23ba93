"""The directory of a home organisation in the demo, behind a small REST interface: `PUT /people/EPPN` with the person's iD, or null.

Its identity provider reads from it at every sign-in what it releases, as a real one reads its LDAP directory.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from threading import Lock
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import BadRequest, HTTPException, NotFound, Unauthorized
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from attribute_authority.demo.pages import language_of, render, static_file
from attribute_authority.demo.people import HomeOrganisation
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.errors import InvalidIdentifier

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ATTRIBUTE: Final = "eduPersonOrcid"
_LARGEST_BODY: Final = 10_000
_PAGES: Final = Map(
    [
        Rule("/", endpoint="people", methods=["GET"]),
        Rule("/people/<eppn>", endpoint="person", methods=["PUT"]),
        Rule("/static/<name>", endpoint="static", methods=["GET"]),
    ]
)


class Directory:
    """The WSGI application; threads share it. Whoever writes shows the `token`, and only people of the organisation are there."""

    def __init__(self, organisation: HomeOrganisation, environment: Environment, token: str) -> None:
        self._organisation = organisation
        self._environment = environment
        self._token = token
        self._orcids: dict[str, str] = {}
        self._lock = Lock()
        self._steps: Mapping[str, Callable[..., Response]] = {"people": self._people, "person": self._write, "static": _static}

    def orcid_of(self, login: str) -> str | None:
        """Return the iD of a person as a URI, None where the directory holds none."""
        with self._lock:
            return self._orcids.get(login)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve a request."""
        request = Request(environ)
        request.max_content_length = _LARGEST_BODY
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response | HTTPException:
        try:
            endpoint, values = _PAGES.bind_to_environ(request.environ).match()
            return self._steps[endpoint](request, **values)
        except HTTPException as wrong:
            return wrong

    def _people(self, request: Request) -> Response:
        people = [(person.name, self.orcid_of(person.login)) for person in self._organisation.people]
        return render(request, "directory.html", organisation=self._organisation.names[language_of(request)], people=people)

    def _write(self, request: Request, eppn: str) -> Response:
        if not compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {self._token}".encode()):
            raise Unauthorized
        login, _, scope = eppn.partition("@")
        if scope != self._organisation.scope or self._organisation.person(login) is None:
            raise NotFound
        self._keep(login, self._read(request))
        return Response(status=204)

    def _read(self, request: Request) -> str | None:
        try:
            value = json.loads(request.get_data())[ATTRIBUTE]
            return None if value is None else OrcidId.parse(value, self._environment).uri(self._environment)
        except (InvalidIdentifier, AttributeError, KeyError, TypeError, ValueError):
            raise BadRequest from None

    def _keep(self, login: str, orcid: str | None) -> None:
        with self._lock:
            if orcid is None:
                self._orcids.pop(login, None)
            else:
                self._orcids[login] = orcid


def _static(_request: Request, name: str) -> Response:
    return static_file(name)
