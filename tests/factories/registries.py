"""A simulated ORCID registry on a free port, a clock that is turned by hand, and a researcher who allows everything.

with running_registry() as lab:
    lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from attribute_authority.demo.registry import RegistrySimulator
from attribute_authority.demo.registry_faults import Faults
from attribute_authority.demo.registry_ledger import RegisteredClient, Researcher
from attribute_authority.demo.registry_tokens import SigningKey, make_signing_key
from attribute_authority.demo.sites import base_url, listen, serve
from attribute_authority.domain.identifiers import Environment, OrcidId
from connectors.orcid import ClientRegistration, OrcidRegistry

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CLIENT_ID = "APP-COMPANION"
CLIENT_SECRET = "a-secret/of+the client"
OTHER_CLIENT_ID = "APP-OTHER"
OTHER_SECRET = "another-secret"
REDIRECT_URI = "http://localhost:1/orcid/callback"
CONNECT_URI = "http://localhost:1/orcid/connect"
NONCE = "a-nonce"
STATE = "a-state"
JOSIAH = Researcher("0000-0002-1825-0097", "Josiah", "Carberry", "Josiah Carberry")
HIDDEN = Researcher("0000-0001-5109-3700", "Laure", "Haak", None)
ORCID = OrcidId(JOSIAH.orcid)

PATIENCE = 10.0
"""Seconds that a request may take where it is to succeed; nothing waits for them to pass."""


@lru_cache
def signing_key(kid: str = "key-1") -> SigningKey:
    """Return the registry's key of that name, the same one throughout a test run."""
    return make_signing_key(kid)


@dataclass
class HandClock:
    """A clock that goes on only when it is turned."""

    now: datetime = START

    def __call__(self) -> datetime:
        """Return the present instant."""
        return self.now

    def turn(self, by: timedelta) -> None:
        """Go on."""
        self.now += by


@dataclass
class RegistryLab:
    """A running registry and what it takes to use it."""

    url: str
    simulator: RegistrySimulator
    faults: Faults
    clock: HandClock
    registration: ClientRegistration
    browser: requests.Session = field(default_factory=requests.Session)

    @property
    def now(self) -> datetime:
        """The present instant, for everybody."""
        return self.clock()

    def connector(
        self, *, client_id: str = CLIENT_ID, secret: str = CLIENT_SECRET, scopes: tuple[str, ...] = ("openid",), timeout: float = PATIENCE
    ) -> OrcidRegistry:
        """Return a connector to it that knows no keys yet."""
        return OrcidRegistry(replace(self.registration, client_id=client_id, client_secret=secret, scopes=scopes, timeout=timeout))

    def authorize_url(self, **changes: str | None) -> str:
        """Return an address at the authorization endpoint; a parameter of None is left out."""
        given = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "scope": "openid",
            "redirect_uri": REDIRECT_URI,
            "state": STATE,
            "nonce": NONCE,
            **changes,
        }
        return f"{self.url}/oauth/authorize?{urlencode({name: value for name, value in given.items() if value is not None})}"

    def visit(self, url: str) -> requests.Response:
        """Open an address in the browser, without following where it leads."""
        return self.browser.get(url, allow_redirects=False, timeout=PATIENCE)

    def decide(self, url: str, decision: str = "authorize", researcher: Researcher = JOSIAH) -> dict[str, str]:
        """Press a button of the permission page; returns the parameters that the client gets."""
        form = {"decision": decision, "researcher": researcher.orcid}
        return returned(self.browser.post(url, form, allow_redirects=False, timeout=PATIENCE))

    def code(self, researcher: Researcher = JOSIAH, **changes: str | None) -> str:
        """Return a code that a researcher has allowed."""
        return self.decide(self.authorize_url(**changes), researcher=researcher)["code"]

    def post(self, path: str, **form: str) -> requests.Response:
        """Call an OAuth endpoint as our client, other credentials where they are given."""
        content = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **form}
        return requests.post(f"{self.url}{path}", content, allow_redirects=False, timeout=PATIENCE)

    def redeem(self, code: str, **form: str) -> requests.Response:
        """Exchange a code without the connector."""
        return self.post("/oauth/token", **{"grant_type": "authorization_code", "redirect_uri": REDIRECT_URI, **form, "code": code})


def returned(response: requests.Response) -> dict[str, str]:
    """Return the parameters with which a redirect leads back to the client."""
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


@contextmanager
def running_registry(new_token: Callable[[], str] | None = None) -> Iterator[RegistryLab]:
    """Run a registry with two researchers and two clients until the context ends."""
    numbers = count(100_000)
    clock, faults, listener = HandClock(), Faults(), listen()
    url = base_url(listener)
    uris = frozenset({REDIRECT_URI, CONNECT_URI})
    clients = {
        CLIENT_ID: RegisteredClient("Our companion", CLIENT_SECRET, uris, connect_uri=CONNECT_URI),
        OTHER_CLIENT_ID: RegisteredClient("Another client", OTHER_SECRET, uris),
        "APP-LOCKED": RegisteredClient("A locked client", OTHER_SECRET, uris, is_locked=True),
    }
    simulator = RegistrySimulator(
        url,
        clients,
        (JOSIAH, HIDDEN),
        clock,
        new_token=new_token or (lambda: f"{next(numbers)}-token"),
        signing_key=signing_key(),
        faults=faults,
    )
    registration = ClientRegistration(Environment.SANDBOX, CLIENT_ID, CLIENT_SECRET, registry_url=url)
    with serve(simulator, listener):
        lab = RegistryLab(url, simulator, faults, clock, registration)
        try:
            yield lab
        finally:
            faults.release()
            lab.browser.close()
