"""The connector to the ORCID registry, against the simulator."""

import json
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.domain.linking import AuthorizationRequest
from attribute_authority.errors import RegistryRefused
from connectors.orcid import ClientRegistration, OrcidRegistry
from tests.factories.registries import (
    CLIENT_ID,
    CLIENT_SECRET,
    CONNECT_URI,
    HIDDEN,
    JOSIAH,
    NONCE,
    ORCID,
    REDIRECT_URI,
    STATE,
    RegistryLab,
    returned,
    running_registry,
    signing_key,
)

TOKEN = "/oauth/token"
JWKS = "/oauth/jwks"


@pytest.fixture
def lab() -> Iterator[RegistryLab]:
    """Run a registry."""
    with running_registry() as running:
        yield running


def query(url: str) -> dict[str, list[str]]:
    """Return the parameters of an address."""
    return parse_qs(urlsplit(url).query)


def production(**changes: object) -> OrcidRegistry:
    """Return a connector to the real registry, for what it says without asking."""
    return OrcidRegistry(ClientRegistration(Environment.PRODUCTION, CLIENT_ID, CLIENT_SECRET, **changes))  # type: ignore[arg-type]


def test_authorize_url() -> None:
    """The browser goes to the registry of the environment with everything that the flow needs."""
    url = production().authorize_url(AuthorizationRequest(REDIRECT_URI, STATE, NONCE, "en"))

    assert url.startswith("https://orcid.org/oauth/authorize?")
    assert query(url) == {
        "response_type": ["code"],
        "client_id": [CLIENT_ID],
        "scope": ["openid"],
        "redirect_uri": [REDIRECT_URI],
        "state": [STATE],
        "nonce": [NONCE],
        "lang": ["en"],
    }


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_language_that_orcid_has(language: str) -> None:
    """ORCID has neither Finnish nor Swedish; its readers get English."""
    url = production().authorize_url(AuthorizationRequest(REDIRECT_URI, STATE, NONCE, language))

    assert ["en"] == query(url)["lang"]


def test_no_nonce_without_openid() -> None:
    """A nonce is an affair of OpenID Connect; with /authenticate none is sent."""
    url = production(scopes=("/authenticate", "/activities/update")).authorize_url(AuthorizationRequest(REDIRECT_URI, STATE, NONCE, "en"))

    assert "nonce" not in query(url)
    assert ["/authenticate /activities/update"] == query(url)["scope"]


@pytest.mark.parametrize(
    ("environment", "origin", "public_api"),
    [
        (Environment.PRODUCTION, "https://orcid.org", "https://pub.orcid.org/v3.0"),
        (Environment.SANDBOX, "https://sandbox.orcid.org", "https://pub.sandbox.orcid.org/v3.0"),
    ],
)
def test_addresses_of_the_registries(environment: Environment, origin: str, public_api: str) -> None:
    """Pages, sign-out and Public API follow from the environment."""
    client = ClientRegistration(environment, CLIENT_ID, CLIENT_SECRET)
    registry = OrcidRegistry(client)

    assert (origin, f"{origin}/signout", public_api) == (registry.origin, registry.sign_out_url, client.public_api)


def test_secret_is_not_shown() -> None:
    """What a registration looks like in a log has no secret in it."""
    assert CLIENT_SECRET not in repr(ClientRegistration(Environment.PRODUCTION, CLIENT_ID, CLIENT_SECRET))


def test_exchange(lab: RegistryLab) -> None:
    """A code becomes the authenticated iD, with name, scopes, the end of the token and the response in full."""
    code = lab.code()

    grant = lab.connector().exchange(code, REDIRECT_URI, NONCE, lab.now)
    response = json.loads(grant.response)

    assert (ORCID, "Josiah Carberry", ("openid",)) == (grant.orcid, grant.name, grant.scopes)
    assert lab.now + timedelta(seconds=631_138_518) == grant.expires_at
    assert {"access_token", "refresh_token", "id_token", "orcid"} < set(response)
    assert response["access_token"] not in repr(grant.orcid)


def test_one_token_request(lab: RegistryLab) -> None:
    """The token endpoint is asked once: credentials in the body, JSON wanted."""
    code = lab.code()

    lab.connector().exchange(code, REDIRECT_URI, NONCE, lab.now)
    (request,) = lab.faults.received(TOKEN)

    assert "application/json" == request.headers["Accept"]
    assert "Authorization" not in request.headers
    assert {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URI,
    } == request.form


def test_more_scopes(lab: RegistryLab) -> None:
    """What a member's client asks for beyond the iD is granted with it."""
    scopes = ("openid", "/activities/update", "/read-limited")

    grant = lab.connector(scopes=scopes).exchange(lab.code(scope=" ".join(scopes)), REDIRECT_URI, NONCE, lab.now)

    assert scopes == grant.scopes


def test_authenticate_scope(lab: RegistryLab) -> None:
    """With /authenticate there is no id_token: the token response names the iD."""
    code = lab.code(scope="/authenticate", nonce=None)

    grant = lab.connector(scopes=("/authenticate",)).exchange(code, REDIRECT_URI, NONCE, lab.now)

    assert ORCID == grant.orcid
    assert () == lab.faults.received(JWKS)


def test_hidden_name(lab: RegistryLab) -> None:
    """A record that hides the name brings an iD without one."""
    grant = lab.connector().exchange(lab.code(HIDDEN), REDIRECT_URI, NONCE, lab.now)

    assert (OrcidId(HIDDEN.orcid), None) == (grant.orcid, grant.name)


@pytest.mark.parametrize("name", ["", "  ", 7, ["x"]])
def test_name_that_is_none(lab: RegistryLab, name: object) -> None:
    """Whatever stands there instead of a name is not shown as one."""
    lab.faults.response(name=name)

    assert lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).name is None


def test_name_with_control_characters(lab: RegistryLab) -> None:
    """A name is one line that can be shown, and no longer than a name."""
    lab.faults.response(name="Josiah\x00\n\u202eCarberry\ud800" + "x" * 1000)

    name = lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).name

    assert name is not None
    assert name.startswith("Josiah Carberry x")
    assert 200 == len(name)


@pytest.mark.parametrize(("lifetime", "seconds"), [(3600, 3600), ("1800", 1800)])
def test_lifetime(lab: RegistryLab, lifetime: object, seconds: int) -> None:
    """The end of the access token is counted from now."""
    lab.faults.response(expires_in=lifetime)

    assert lab.now + timedelta(seconds=seconds) == lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).expires_at


@pytest.mark.parametrize("lifetime", [None, 0, -5, 10**18, 1e300, True, "soon", "٣", [], {}])
def test_lifetime_that_is_none(lab: RegistryLab, lifetime: object) -> None:
    """A token without an end that can be told is still a token."""
    lab.faults.response(expires_in=lifetime)

    assert lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).expires_at is None


def test_keys_are_kept_for_an_hour(lab: RegistryLab) -> None:
    """The public keys are fetched for the first code, and again when they are old."""
    registry = lab.connector()
    registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
    lab.clock.turn(timedelta(minutes=59))
    registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
    fetched = len(lab.faults.received(JWKS))
    lab.clock.turn(timedelta(minutes=1))

    registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)

    assert (1, 2) == (fetched, len(lab.faults.received(JWKS)))


def test_rotated_keys(lab: RegistryLab) -> None:
    """A key that is not known yet is looked for once more, but not sooner than a minute after the last look."""
    registry = lab.connector()
    registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
    lab.simulator.rotate_keys(signing_key("key-2"))
    with pytest.raises(RegistryRefused, match="does not publish"):
        registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
    lab.clock.turn(timedelta(minutes=1))

    assert ORCID == registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).orcid


def test_from_orcid_by_itself(lab: RegistryLab) -> None:
    """Somebody who comes from an institution's sign-in at ORCID brings a code without state or nonce."""
    form = {"researcher": JOSIAH.orcid}
    sent = lab.browser.post(f"{lab.url}/institutional-signin?client_id={CLIENT_ID}", form, allow_redirects=False, timeout=10)

    grant = lab.connector().exchange(returned(sent)["code"], CONNECT_URI, None, lab.now)

    assert ORCID == grant.orcid


def test_another_id_needs_another_sign_in() -> None:
    """prompt=login goes along where the researcher wants another iD than that of whoever is signed in there."""
    url = production().authorize_url(AuthorizationRequest(REDIRECT_URI, STATE, NONCE, "en", signs_in_anew=True))

    assert ["login"] == parse_qs(urlsplit(url).query)["prompt"]
