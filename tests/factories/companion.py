"""The companion page in memory: the real application over the reference store, browsers, a home organisation, a scripted registry."""

import itertools
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from io import StringIO
from ipaddress import ip_network
from threading import BoundedSemaphore
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from zlib import decompress

from lxml import etree, html
from werkzeug.test import Client, TestResponse

from attribute_authority.core.linking import Linking
from attribute_authority.domain.delivery import DeliveryRecord, SinkName
from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId, Environment, OrcidId, parse_identifier_text
from attribute_authority.domain.linking import AuthorizationRequest, Grant, Standing
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.events import EventLog, Pseudonyms
from attribute_authority.ports import AttemptCounter, EntityDirectory, LinkingStore, Registry, ReplayGuard, StateKeeper
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.saml.sign_in import SignIn as SamlSignIn
from attribute_authority.saml.sign_in import discovery_url
from attribute_authority.sealing import Sealer
from attribute_authority.storage.memory import MemoryReplayGuard
from attribute_authority.storage.memory_companion import MemoryAttemptCounter, MemoryLinkingStore, MemoryStateKeeper
from attribute_authority.web.companion.addresses import AttemptLimits
from attribute_authority.web.companion.app import Companion, make_companion
from attribute_authority.web.companion.confirming import Confirming
from attribute_authority.web.companion.connecting import Connecting, PendingAuthorization, PendingCode, PendingProposal
from attribute_authority.web.companion.cookies import Cookies
from attribute_authority.web.companion.deliveries import Delivering, Destination
from attribute_authority.web.companion.pages import Pages
from attribute_authority.web.companion.sealed_states import SealedStates
from attribute_authority.web.companion.sessions import Session, Sessions
from attribute_authority.web.companion.signing_in import PendingSignIn, SamlWay, Way
from attribute_authority.web.companion.static_files import StaticFiles
from attribute_authority.web.companion.visit import Appearance, Parts
from tests.factories import responses
from tests.factories.queries import instant, signed

BASE = "https://orcid.example.org"
DISCOVERY = "https://ds.example.org/choose"
ORCID = OrcidId("0000-0002-1825-0097")
OTHER_ORCID = OrcidId("0000-0001-5109-3700")
SERVICE = EntityId("https://sp.example.org/shibboleth")
SESSION_SECONDS = 3600

Kept = TypeVar("Kept")


def grant(orcid: OrcidId = ORCID, name: str | None = "Josiah Carberry") -> Grant:
    """What the registry grants."""
    return Grant(orcid, name, ("openid",), None, f'{{"access_token": "secret-of-{orcid.value}"}}')


@dataclass
class ScriptedRegistry:
    """A registry that answers each exchange with the next of `answers`, and keeps what it was asked; it has no others."""

    answers: list[Grant | Exception] = field(default_factory=list)
    exchanged: list[tuple[str, str, str | None]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    sign_out_url: str = "https://orcid.org/signout"
    origin: str = "https://orcid.org"

    def authorize_url(self, request: AuthorizationRequest) -> str:
        """Return where the browser goes."""
        prompt = "&prompt=login" if request.signs_in_anew else ""
        sent = f"state={request.state}&nonce={request.nonce}&lang={request.language}{prompt}"
        return f"https://orcid.org/oauth/authorize?redirect_uri={request.redirect_uri}&{sent}"

    def exchange(self, code: str, redirect_uri: str, nonce: str | None, now: datetime) -> Grant:
        """Give the next answer."""
        self.exchanged.append((code, redirect_uri, nonce))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def revoke(self, response: str) -> None:
        """Note the revocation."""
        self.revoked.append(response)


@dataclass
class Books:
    """The books of deliveries as a test writes them; whoever asks for another person, environment or sink finds nothing."""

    records: list[DeliveryRecord] = field(default_factory=list)
    asked: int = 0

    def read_deliveries(self, subject_id: int, environment: Environment, sinks: Collection[SinkName]) -> tuple[DeliveryRecord, ...]:
        """Return what was written about a person."""
        self.asked += 1
        wanted = (record for record in self.records if (record.subject_id, record.environment) == (subject_id, environment))
        return tuple(sorted((record for record in wanted if record.sink in sinks), key=lambda record: record.sink))


@dataclass(frozen=True)
class Ports:
    """What the application keeps things in and asks; a test may give others than those in memory."""

    store: LinkingStore
    states: StateKeeper
    attempts: AttemptCounter
    replays: ReplayGuard
    registry: Registry


@dataclass
class Site:
    """The application with everything around it that a test may look at or change."""

    now: datetime = responses.NOW
    base_url: str = BASE
    discovery: bool = False
    per_minute: int = 1000
    way: Way | None = None
    rules: tuple[ReleaseRule, ...] = (ReleaseRule(requesters=frozenset({SERVICE})),)
    registry: ScriptedRegistry = field(default_factory=ScriptedRegistry)
    store: MemoryLinkingStore = field(default_factory=MemoryLinkingStore)
    destinations: Mapping[EntityId, Destination] = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    ports: "Ports | None" = None
    known: EntityDirectory | None = None
    run: str = ""
    log: StringIO = field(default_factory=StringIO)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self.ports = self.ports or Ports(self.store, MemoryStateKeeper(), MemoryAttemptCounter(), MemoryReplayGuard(), self.registry)
        self.directory = self.known or MemoryEntityDirectory((responses.home(), responses.other_home(), _service()))
        self.sealer = Sealer([b"k" * 32], "test")
        self.application = self._make()

    def browser(self, language: str = "en", address: str = "192.0.2.1") -> "Browser":
        """Return a fresh browser."""
        return Browser(self, Client(self.application, use_cookies=True), language, address)

    def move_to(self, base_url: str) -> None:
        """Be found at another address, before anybody has come."""
        self.base_url = base_url
        self.application = self._make()

    def events(self) -> str:
        """Return what was logged."""
        return self.log.getvalue()

    def standing(self) -> Standing:
        """Return how the usual person stands, who must be known."""
        identifiers = (parse_identifier_text(f"eppn={responses.PERSON}"),)
        standing = self._ports.store.recognise(responses.IDP, identifiers, Environment.PRODUCTION, self.now)
        assert standing is not None
        return standing

    @property
    def _ports(self) -> Ports:
        assert self.ports is not None
        return self.ports

    def _make(self) -> Companion:
        files = StaticFiles.packaged()
        proposals = self._states("proposal", PendingProposal)
        connecting = Connecting(
            self._states("authorization", PendingAuthorization), self._states("code", PendingCode), proposals, BoundedSemaphore(2)
        )
        return make_companion(self._parts(), files, self.way or self._saml_way(), connecting, Confirming(proposals))

    def _parts(self) -> Parts:
        pseudonyms = Pseudonyms(b"p" * 16)
        return Parts(
            base_url=self.base_url,
            pages=_pages(),
            appearance=Appearance({}, None, "orcid@example.org", {}, {}, is_sandbox=False),
            cookies=Cookies(secure=self.base_url.startswith("https")),
            sessions=Sessions(self._states("session", Session), timedelta(seconds=SESSION_SECONDS), self._new_secret),
            limits=AttemptLimits(self._ports.attempts, pseudonyms, (ip_network("127.0.0.0/8"),), self.per_minute),
            linking=Linking(self._ports.store, self.sealer, Environment.PRODUCTION, timedelta(seconds=SESSION_SECONDS)),
            delivering=Delivering(self.books, self.destinations, Environment.PRODUCTION),
            registry=self._ports.registry,
            directory=self.directory,
            replays=self._ports.replays,
            rules=self.rules,
            metadata=b"<metadata/>",
            events=EventLog(self.log),
            pseudonyms=pseudonyms,
            clock=lambda: self.now,
            new_secret=self._new_secret,
            new_correlation_id=lambda: f"{next(self._numbers):012x}",
        )

    def _saml_way(self) -> SamlWay:
        sign_in = SamlSignIn(
            responses.own_role(), self.directory, Environment.PRODUCTION, responses.SKEW, lambda: f"_request{self.run}{next(self._numbers)}"
        )
        pending = self._states("sign-in", PendingSignIn)
        if self.discovery:
            return SamlWay(sign_in, pending, None, lambda return_url: discovery_url(DISCOVERY, responses.SP, return_url))
        return SamlWay(sign_in, pending, responses.IDP, None)

    def _states(self, kind: str, model: type[Kept]) -> SealedStates[Kept]:
        return SealedStates(self._ports.states, self.sealer, kind, model)

    def _new_secret(self) -> str:
        return f"secret-{self.run}{next(self._numbers)}"


@dataclass
class Browser:
    """A browser without JavaScript: follows our own redirects, sends forms as they stand on the page."""

    site: Site
    client: Client
    language: str
    address: str
    last: TestResponse | None = None

    def get(self, path: str, follow: bool = True, headers: Mapping[str, str] | None = None) -> TestResponse:
        """Load a page."""
        return self._finish(self.client.get(path, **self._surroundings(headers)), follow)

    def post(self, path: str, form: Mapping[str, str], follow: bool = True) -> TestResponse:
        """Send a form."""
        return self._finish(self.client.post(path, data=dict(form), **self._surroundings(None)), follow)

    def submit(self, action: str, **ticked: str) -> TestResponse:
        """Send the form on the present page whose action begins so, with some fields set."""
        found = [form for form in self.page().forms if (form.action or "").startswith(action)]
        assert len(found) == 1, f"{len(found)} forms lead to {action}"
        fields = {name: value for name, value in found[0].fields.items() if value is not None}
        return self.post(found[0].action, {**fields, **ticked})

    def page(self) -> html.HtmlElement:
        """Return the present page, parsed."""
        assert self.last is not None
        return html.document_fromstring(self.last.text)

    @property
    def text(self) -> str:
        """The words of the present page."""
        return " ".join(self.page().text_content().split())

    def sign_in(self, *attributes: str, begin: str = "/login") -> TestResponse:
        """Sign in at the home organisation, by default as the usual person."""
        return self.answer(self.begin_sign_in(begin), *attributes)

    def begin_sign_in(self, begin: str = "/login") -> str:
        """Begin a sign-in, and return the id of the request that the home organisation gets."""
        asked = self.get(begin, follow=False)
        while asked.headers["Location"].startswith("/"):
            asked = self.get(asked.headers["Location"], follow=False)
        assert "SAMLRequest=" in asked.headers["Location"]
        return request_id(asked.headers["Location"])

    def answer(self, request: str, *attributes: str) -> TestResponse:
        """Post the home organisation's Response to a request."""
        return self.post("/saml/acs", {"SAMLResponse": self.response(request, *attributes)})

    def response(self, request: str, *attributes: str) -> str:
        """Return the Response of the home organisation."""
        return responses.encoded(good_response(self.site.now, request, *attributes))

    def go_to_orcid(self) -> dict[str, str]:
        """Set out for ORCID, and return the parameters that the browser carries there."""
        asked = self.get("/orcid/authorize", follow=False)
        return {name: values[0] for name, values in parse_qs(urlsplit(asked.headers["Location"]).query).items()}

    def connect(self, answer: Grant | Exception | None = None) -> TestResponse:
        """Go to ORCID and come back with a code, for which the registry has this answer."""
        self.site.registry.answers.append(answer or grant())
        return self.get(f"/orcid/callback?code=abc123&state={self.go_to_orcid()['state']}")

    def link(self, answer: Grant | None = None) -> TestResponse:
        """Link an iD, all the way."""
        self.connect(answer)
        return self.submit("/confirm/", consent="yes")

    def _surroundings(self, headers: Mapping[str, str] | None) -> dict[str, Any]:
        return {
            "base_url": self.site.base_url,
            "headers": {"Accept-Language": self.language, **(headers or {})},
            "environ_base": {"REMOTE_ADDR": self.address},
        }

    def _finish(self, answer: TestResponse, follow: bool) -> TestResponse:
        self.last = answer
        location = answer.headers.get("Location", "")
        return self.get(location) if follow and location.startswith("/") else answer


def request_id(url: str) -> str:
    """Return the ID of the AuthnRequest that a browser carries to a home organisation."""
    message = parse_qs(urlsplit(url).query)["SAMLRequest"][0]
    return str(etree.fromstring(decompress(b64decode(message), -15)).get("ID"))


def good_response(now: datetime, request: str, *attributes: str, message_id: str | None = None) -> str:
    """Write a signed Response to a request, at an instant; each has an assertion of its own."""
    until, recently = instant(now + timedelta(minutes=5)), instant(now - timedelta(seconds=10))
    assertion = responses.assertion(
        *attributes,
        about=responses.subject(responses.name_id(), responses.confirmation(in_response_to=request, until=until)),
        holds=responses.conditions(not_before=recently, until=until),
        message_id=message_id or f"_assertion-of{request}",
        issued=instant(now),
    )
    return signed(responses.response(assertion, in_response_to=request, issued=instant(now)), responses.idp_keys())


@cache
def _pages() -> Pages:
    # Templates and catalogues take their time, and keep nothing between tests.
    return Pages(StaticFiles.packaged())


def _service() -> Entity:
    return Entity(SERVICE, frozenset({Role.SERVICE_PROVIDER}), display_names=(("en", "Research Portal"), ("fi", "Tutkimusportaali")))
