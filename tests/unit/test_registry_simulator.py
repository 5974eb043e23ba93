"""The simulated ORCID registry says and does what is known of ORCID."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from attribute_authority.demo.registry import RegistrySimulator
from attribute_authority.demo.registry_ledger import RegisteredClient, Standing
from attribute_authority.demo.registry_tokens import make_signing_key
from attribute_authority.demo.sites import base_url, listen, serve
from attribute_authority.errors import OperatorError
from tests.factories.registries import (
    CLIENT_ID,
    CLIENT_SECRET,
    CONNECT_URI,
    HIDDEN,
    JOSIAH,
    NONCE,
    OTHER_CLIENT_ID,
    OTHER_SECRET,
    REDIRECT_URI,
    HandClock,
    RegistryLab,
    returned,
    running_registry,
)

TOKEN = "/oauth/token"
SECONDS = 10


@pytest.fixture(name="lab")
def running() -> Iterator[RegistryLab]:
    """Run a registry."""
    with running_registry() as lab:
        yield lab


def failure(response: requests.Response) -> tuple[int, str, str]:
    """Return status, error and description of an OAuth error."""
    return response.status_code, response.json()["error"], response.json()["error_description"]


def is_live(lab: RegistryLab, access_token: str) -> bool:
    """Whether an access token opens userinfo."""
    headers = {"Authorization": f"Bearer {access_token}"}
    return requests.get(f"{lab.url}/oauth/userinfo", headers=headers, timeout=SECONDS).status_code == 200


def test_discovery(lab: RegistryLab) -> None:
    """The discovery document names issuer and endpoints, RS256, and no code challenge methods."""
    document = requests.get(f"{lab.url}/.well-known/openid-configuration", timeout=SECONDS).json()

    assert lab.url == document["issuer"]
    assert f"{lab.url}/oauth/token" == document["token_endpoint"]
    assert ["RS256"] == document["id_token_signing_alg_values_supported"]
    assert "code_challenge_methods_supported" not in document


def test_token_response(lab: RegistryLab) -> None:
    """A code brings every key that ORCID's token response has, marked as from the new server, for nobody to keep."""
    response = lab.redeem(lab.code())
    keys = {"access_token", "token_type", "refresh_token", "expires_in", "scope", "name", "orcid", "id_token"}

    assert keys == set(response.json())
    assert ("bearer", 631_138_518, "openid") == tuple(response.json()[key] for key in ("token_type", "expires_in", "scope"))
    assert (JOSIAH.orcid, JOSIAH.public_name) == (response.json()["orcid"], response.json()["name"])
    assert ("ON", "no-store") == (response.headers["OAUTH_AUTHORIZATION_CODE_EXCHANGE"], response.headers["Cache-Control"])


def test_id_token(lab: RegistryLab) -> None:
    """The id_token is signed with a published key and holds the claims of ORCID's."""
    keys = KeySet.import_key_set(requests.get(f"{lab.url}/oauth/jwks", timeout=SECONDS).json())
    token = jwt.decode(lab.redeem(lab.code()).json()["id_token"], keys, algorithms=["RS256"])
    claims = token.claims

    assert ("RS256", "key-1") == (token.header["alg"], token.header["kid"])
    assert (lab.url, CLIENT_ID, JOSIAH.orcid, NONCE) == tuple(claims[name] for name in ("iss", "aud", "sub", "nonce"))
    assert 24 * 3600 == claims["exp"] - claims["iat"]
    assert {"auth_time", "amr", "jti", "given_name", "family_name", "name"} < set(claims)


def test_private_keys_are_not_published(lab: RegistryLab) -> None:
    """The JWK Set holds public keys alone."""
    (key,) = requests.get(f"{lab.url}/oauth/jwks", timeout=SECONDS).json()["keys"]

    assert {"kty", "n", "e", "kid", "use", "alg"} == set(key)


def test_hidden_name(lab: RegistryLab) -> None:
    """The name of a record that hides it is null, and no claim of an id_token."""
    response = lab.redeem(lab.code(HIDDEN)).json()
    claims = base64.urlsafe_b64decode(response["id_token"].split(".")[1] + "==").decode()

    assert response["name"] is None
    assert HIDDEN.family_name not in claims


def test_authenticate_has_no_id_token(lab: RegistryLab) -> None:
    """An id_token comes with openid alone."""
    assert "id_token" not in lab.redeem(lab.code(scope="/authenticate")).json()


def test_code(lab: RegistryLab) -> None:
    """A code has six characters, and the state comes back with it as it was."""
    parameters = lab.decide(lab.authorize_url(state="x&y=ö/"))

    assert ("x&y=ö/", 6) == (parameters["state"], len(parameters["code"]))


def test_invalid_code(lab: RegistryLab) -> None:
    """An unknown code is an invalid_grant that names it."""
    assert (400, "invalid_grant", "Invalid authorization code: zzzzzz") == failure(lab.redeem("zzzzzz"))


def test_reused_code(lab: RegistryLab) -> None:
    """The second use of a code is an error and revokes what the first one brought."""
    code = lab.code()
    access_token = lab.redeem(code).json()["access_token"]
    before = is_live(lab, access_token)
    again = failure(lab.redeem(code))

    assert (400, "invalid_grant", f"Reused authorization code: {code}") == again
    assert (True, False) == (before, is_live(lab, access_token))


def test_expired_code(lab: RegistryLab) -> None:
    """A code is good for ten minutes."""
    fresh, old = lab.code(), lab.code(HIDDEN)
    lab.clock.turn(timedelta(minutes=10, seconds=-1))
    in_time = lab.redeem(fresh)
    lab.clock.turn(timedelta(seconds=1))

    assert 200 == in_time.status_code
    assert (400, "invalid_request", "Authorization code has expired") == failure(lab.redeem(old))


def test_redirect_mismatch(lab: RegistryLab) -> None:
    """The redirect URI must be the one of the authorization, and a code that was tried with another is spent."""
    code = lab.code()

    assert (400, "invalid_grant", "Redirect URI mismatch.") == failure(lab.redeem(code, redirect_uri=CONNECT_URI))
    assert 400 == lab.redeem(code).status_code


def test_code_of_another_client(lab: RegistryLab) -> None:
    """A code is good for the client alone that it was issued to."""
    answer = lab.redeem(lab.code(), client_id=OTHER_CLIENT_ID, client_secret=OTHER_SECRET)

    assert (400, "invalid_grant") == failure(answer)[:2]


@pytest.mark.parametrize("path", [TOKEN, "/oauth/revoke"])
@pytest.mark.parametrize(
    ("client_id", "secret", "expected"),
    [
        (CLIENT_ID, "wrong", (401, "invalid_client", "Bad client credentials")),
        ("nobody", CLIENT_SECRET, (401, "invalid_client", "Client not found: nobody")),
        ("APP-LOCKED", OTHER_SECRET, (400, "unauthorized_client", "The client is locked: APP-LOCKED")),
    ],
)
def test_bad_client(lab: RegistryLab, path: str, client_id: str, secret: str, expected: tuple[int, str, str]) -> None:
    """A client that is unknown, locked or has another secret is refused before anything else."""
    assert expected == failure(lab.post(path, client_id=client_id, client_secret=secret))


def test_client_secret_basic(lab: RegistryLab) -> None:
    """Credentials may stand in the header too."""
    form = {"grant_type": "authorization_code", "code": lab.code(), "redirect_uri": REDIRECT_URI}
    answer = requests.post(f"{lab.url}{TOKEN}", form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=SECONDS)

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({}, (400, "unsupported_grant_type")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"grant_type": "authorization_code"}, (500, "server_error")),
        ({"grant_type": "authorization_code", "code": "x", "scope": "/nothing"}, (400, "invalid_scope")),
        ({"grant_type": "client_credentials"}, (400, "invalid_scope")),
        ({"grant_type": "client_credentials", "scope": "openid"}, (400, "invalid_scope")),
        ({"grant_type": "refresh_token"}, (400, "invalid_grant")),
    ],
    ids=str,
)
def test_token_errors(lab: RegistryLab, form: dict[str, str], expected: tuple[int, str]) -> None:
    """Every mistake has ORCID's status and error."""
    assert expected == failure(lab.post(TOKEN, **form))[:2]


@pytest.mark.parametrize("scope", ["/read-public", "/webhook"])
def test_client_credentials(lab: RegistryLab, scope: str) -> None:
    """A token for the client itself belongs to no researcher."""
    answer = lab.post(TOKEN, grant_type="client_credentials", scope=scope).json()

    assert (scope, None) == (answer["scope"], answer["orcid"])


def test_refresh(lab: RegistryLab) -> None:
    """A refresh token brings a new pair with fewer scopes, and the old pair is over."""
    old = lab.redeem(lab.code(scope="openid /read-limited")).json()
    new = lab.post(TOKEN, grant_type="refresh_token", refresh_token=old["refresh_token"], scope="openid").json()
    beyond = lab.post(TOKEN, grant_type="refresh_token", refresh_token=new["refresh_token"], scope="/person/update")

    assert ("openid", JOSIAH.orcid) == (new["scope"], new["orcid"])
    assert (False, True) == (is_live(lab, old["access_token"]), is_live(lab, new["access_token"]))
    assert (400, "invalid_scope") == failure(beyond)[:2]


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_revocation(lab: RegistryLab, name: str) -> None:
    """Either token revokes the pair, with an empty answer, and the client is trusted no more."""
    tokens = lab.redeem(lab.code()).json()
    answer = lab.post("/oauth/revoke", token=tokens[name])
    again = lab.post("/oauth/revoke", token=tokens[name])

    assert (200, b"", 200) == (answer.status_code, answer.content, again.status_code)
    assert not is_live(lab, tokens["access_token"])
    assert () == lab.simulator.ledger.live_pairs(JOSIAH.orcid, CLIENT_ID, lab.now)


def test_revocation_by_another_client(lab: RegistryLab) -> None:
    """A client cannot revoke the tokens of another one."""
    tokens = lab.redeem(lab.code()).json()
    lab.post("/oauth/revoke", token=tokens["access_token"], client_id=OTHER_CLIENT_ID, client_secret=OTHER_SECRET)

    assert is_live(lab, tokens["access_token"])


def test_userinfo(lab: RegistryLab) -> None:
    """Userinfo tells who the bearer's researcher is, and refuses other tokens in ORCID's words."""
    token = lab.redeem(lab.code()).json()["access_token"]
    told = requests.get(f"{lab.url}/oauth/userinfo", headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS).json()
    refused = requests.get(f"{lab.url}/oauth/userinfo", headers={"Authorization": "Bearer none"}, timeout=SECONDS)

    assert (JOSIAH.orcid, JOSIAH.public_name, "Josiah", "Carberry") == tuple(
        told[key] for key in ("sub", "name", "given_name", "family_name")
    )
    assert (401, "invalid_token", "Invalid access token: none") == failure(refused)


def test_record(lab: RegistryLab) -> None:
    """The person section of a record that is open can be read."""
    answer = requests.get(f"{lab.url}/v3.0/{JOSIAH.orcid}/person", timeout=SECONDS)

    assert (200, "Carberry") == (answer.status_code, answer.json()["name"]["family-name"]["value"])


def test_deprecated_record(lab: RegistryLab) -> None:
    """A deprecated record leads to the primary one."""
    lab.simulator.set_standing(JOSIAH.orcid, Standing.DEPRECATED, HIDDEN.orcid)
    answer = lab.visit(f"{lab.url}/v3.0/{JOSIAH.orcid}/person")

    assert (301, f"/v3.0/{HIDDEN.orcid}/person") == (answer.status_code, urlsplit(answer.headers["Location"]).path)
    assert HIDDEN.orcid in answer.json()["developer-message"]


@pytest.mark.parametrize("standing", [Standing.DEACTIVATED, Standing.LOCKED])
def test_closed_record(lab: RegistryLab, standing: Standing) -> None:
    """A record that is deactivated or locked is a conflict, told as ORCID's error object."""
    lab.simulator.set_standing(JOSIAH.orcid, standing)
    answer = lab.visit(f"{lab.url}/v3.0/{JOSIAH.orcid}/person")
    keys = {"response-code", "developer-message", "user-message", "error-code", "more-info"}

    assert (409, 409, keys) == (answer.status_code, answer.json()["response-code"], set(answer.json()))


def test_unknown_record(lab: RegistryLab) -> None:
    """There is no record of an unknown iD."""
    assert 404 == lab.visit(f"{lab.url}/v3.0/0000-0000-0000-0000/person").status_code


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", TOKEN, 405), ("POST", "/signout", 405)])
def test_other_addresses(lab: RegistryLab, method: str, path: str, status: int) -> None:
    """There is nothing else, and no other way to what there is."""
    assert status == requests.request(method, f"{lab.url}{path}", timeout=SECONDS).status_code


def test_random_tokens_by_default() -> None:
    """Left to itself the simulator makes codes and tokens that nobody can guess, and a key of its own."""
    with listen() as listener:
        url = base_url(listener)
        client = RegisteredClient("Our companion", CLIENT_SECRET, frozenset({REDIRECT_URI}))
        simulator = RegistrySimulator(url, {CLIENT_ID: client}, (JOSIAH,), HandClock(), signing_key=make_signing_key("own"))
        with serve(simulator, listener):
            codes = {_code(url) for _ in range(3)}

    assert 3 == len(codes)


def test_taken_port() -> None:
    """A port that is taken is told, or another one is found, as it is wanted."""
    with listen() as taken, listen(taken.getsockname()[1]) as other:
        assert taken.getsockname() != other.getsockname()
        with (
            pytest.raises(OperatorError, match="is taken"),
            serve(RegistrySimulator(base_url(taken), {}, (), HandClock()), taken.getsockname()[1]),
        ):
            pass


def test_stopped_site() -> None:
    """A site that was stopped leaves its port to others."""
    with running_registry() as lab:
        port = urlsplit(lab.url).port

    with listen(port) as again:
        assert port == again.getsockname()[1]


def _code(url: str) -> str:
    address = f"{url}/oauth/authorize?response_type=code&client_id={CLIENT_ID}&scope=openid&redirect_uri={REDIRECT_URI}"
    form = {"decision": "authorize", "researcher": JOSIAH.orcid}
    return returned(requests.post(address, form, allow_redirects=False, timeout=SECONDS))["code"]
