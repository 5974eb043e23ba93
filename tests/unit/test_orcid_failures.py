"""The connector to the ORCID registry: what it refuses, what it gives up, and what it gives back."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from attribute_authority.demo.registry_faults import Trouble
from attribute_authority.demo.registry_ledger import Standing
from attribute_authority.demo.sites import base_url, listen
from attribute_authority.domain.identifiers import Environment
from attribute_authority.errors import RecordClosed, RegistryRefused, RegistryUnavailable
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
    START,
    RegistryLab,
    running_registry,
)

IMPATIENCE = 0.3
TOKEN = "/oauth/token"
REVOKE = "/oauth/revoke"
JWKS = "/oauth/jwks"
PERSON = f"/v3.0/{JOSIAH.orcid}/person"


@pytest.fixture
def lab() -> Iterator[RegistryLab]:
    """Run a registry."""
    with running_registry() as running:
        yield running


@pytest.mark.parametrize(
    ("standing", "cause"), [(Standing.DEPRECATED, "deprecated"), (Standing.DEACTIVATED, "deactivated"), (Standing.LOCKED, "locked")]
)
def test_closed_record(lab: RegistryLab, standing: Standing, cause: str) -> None:
    """A record that is closed is not linked, and what was granted for it is given back."""
    lab.simulator.set_standing(JOSIAH.orcid, standing, HIDDEN.orcid)

    with pytest.raises(RecordClosed) as failure:
        lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)

    assert cause in failure.value.cause
    assert JOSIAH.orcid not in failure.value.cause
    assert () == lab.simulator.ledger.live_pairs(JOSIAH.orcid, CLIENT_ID, lab.now)


@pytest.mark.parametrize("trouble", list(Trouble))
def test_record_that_cannot_be_read(lab: RegistryLab, trouble: Trouble) -> None:
    """The token proves the iD: whatever happens to the look at the record is no obstacle."""
    lab.faults.trouble(PERSON, trouble)

    grant = lab.connector(timeout=IMPATIENCE).exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)

    assert ORCID == grant.orcid
    assert () == lab.faults.received("/elsewhere")


@pytest.mark.parametrize("trouble", list(Trouble))
def test_token_endpoint_in_trouble(lab: RegistryLab, trouble: Trouble) -> None:
    """Away, too slow, too much or nonsense: ORCID cannot be reached, and the code was sent once."""
    code = lab.code()
    lab.faults.trouble(TOKEN, trouble)

    with pytest.raises(RegistryUnavailable) as failure:
        lab.connector(timeout=IMPATIENCE).exchange(code, REDIRECT_URI, NONCE, lab.now)

    assert 1 == len(lab.faults.received(TOKEN))
    assert () == lab.faults.received("/elsewhere")
    assert_tells_nothing(failure.value.cause, code)


@pytest.mark.parametrize("trouble", list(Trouble))
def test_keys_that_cannot_be_fetched(lab: RegistryLab, trouble: Trouble) -> None:
    """Without public keys a code would be spent for nothing: the token endpoint is not even asked."""
    code = lab.code()
    lab.faults.trouble(JWKS, trouble)
    registry = lab.connector(timeout=IMPATIENCE)

    with pytest.raises(RegistryUnavailable):
        registry.exchange(code, REDIRECT_URI, NONCE, lab.now)

    assert () == lab.faults.received(TOKEN)


def test_nobody_listens() -> None:
    """A registry that is not there cannot be reached."""
    with listen() as listener:
        url = base_url(listener)
    registry = OrcidRegistry(ClientRegistration(Environment.SANDBOX, CLIENT_ID, CLIENT_SECRET, ("/authenticate",), registry_url=url))

    with pytest.raises(RegistryUnavailable, match="the token endpoint cannot be reached"):
        registry.exchange("abc123", REDIRECT_URI, None, START)


@pytest.mark.parametrize("change", [{"access_token": None}, {"access_token": ""}, {"access_token": 7}, {"scope": 7}, {"scope": "öpen"}])
def test_malformed_token_response(lab: RegistryLab, change: dict[str, object]) -> None:
    """An answer that is no token response is taken for an outage."""
    lab.faults.response(**change)

    with pytest.raises(RegistryUnavailable):
        lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)


def test_invalid_code(lab: RegistryLab) -> None:
    """A code that ORCID does not know is refused, and stands in no cause."""
    with pytest.raises(RegistryRefused) as failure:
        lab.connector().exchange("zzZ999", REDIRECT_URI, NONCE, lab.now)

    assert "invalid_grant" in failure.value.cause
    assert_tells_nothing(failure.value.cause, "zzZ999")


def test_expired_code(lab: RegistryLab) -> None:
    """A code that is ten minutes old is refused."""
    code = lab.code()
    lab.clock.turn(timedelta(minutes=10))

    with pytest.raises(RegistryRefused, match="invalid_request"):
        lab.connector().exchange(code, REDIRECT_URI, NONCE, lab.now)


def test_reused_code(lab: RegistryLab) -> None:
    """A code that was exchanged before is refused, and the tokens of the first exchange are gone."""
    code, registry = lab.code(), lab.connector()
    registry.exchange(code, REDIRECT_URI, NONCE, lab.now)

    with pytest.raises(RegistryRefused) as failure:
        registry.exchange(code, REDIRECT_URI, NONCE, lab.now)

    assert_tells_nothing(failure.value.cause, code)
    assert () == lab.simulator.ledger.live_pairs(JOSIAH.orcid, CLIENT_ID, lab.now)


def test_redirect_mismatch(lab: RegistryLab) -> None:
    """A code is good with the redirect URI that it was issued for alone."""
    with pytest.raises(RegistryRefused, match="Redirect URI mismatch"):
        lab.connector().exchange(lab.code(), CONNECT_URI, NONCE, lab.now)


@pytest.mark.parametrize(
    "change", [{"secret": "wrong"}, {"client_id": "APP-NOBODY"}, {"client_id": "APP-LOCKED", "secret": "another-secret"}]
)
def test_client_refused(lab: RegistryLab, change: dict[str, str]) -> None:
    """Wrong credentials are our operator's affair: the researcher hears that ORCID cannot be reached."""
    code = lab.code()

    with pytest.raises(RegistryUnavailable, match="refuses our client_id or client_secret") as failure:
        lab.connector(**change).exchange(code, REDIRECT_URI, NONCE, lab.now)  # type: ignore[arg-type]

    assert_tells_nothing(failure.value.cause, code, change.get("secret", CLIENT_SECRET))


@pytest.mark.parametrize("scope", ["/read-limited", "", "/activities/update /person/update"])
def test_wrong_scope_granted(lab: RegistryLab, scope: str) -> None:
    """Scopes that do not authenticate bring no iD, and what was granted is given back."""
    lab.faults.response(scope=scope)

    with pytest.raises(RegistryRefused, match="scopes"):
        lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)

    assert () == lab.simulator.ledger.live_pairs(JOSIAH.orcid, CLIENT_ID, lab.now)


def test_scope_left_out(lab: RegistryLab) -> None:
    """A response without scope grants what was asked for (RFC 6749 section 5.1)."""
    lab.faults.response(scope=None)

    assert ("openid",) == lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).scopes


@pytest.mark.parametrize("orcid", ["", "0000-0002-1825-0098", "https://elsewhere.example/0000-0002-1825-0097", 7])
def test_orcid_that_is_none(lab: RegistryLab, orcid: object) -> None:
    """What is not an iD of this registry is not taken for one."""
    lab.faults.response(orcid=orcid)

    with pytest.raises(RegistryRefused):
        lab.connector(scopes=("/authenticate",)).exchange(lab.code(scope="/authenticate"), REDIRECT_URI, None, lab.now)


def test_give_back_that_fails(lab: RegistryLab) -> None:
    """Where useless tokens cannot be given back, the researcher still hears why they were of no use."""
    lab.faults.response(scope="/read-limited")
    lab.faults.trouble(REVOKE, Trouble.UNAVAILABLE)

    with pytest.raises(RegistryRefused, match="scopes"):
        lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)


def test_revoke(lab: RegistryLab) -> None:
    """Both tokens are revoked, each by itself, and the client is not trusted any more."""
    registry = lab.connector()
    grant = registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)

    registry.revoke(grant.response)
    response = json.loads(grant.response)

    assert [response["refresh_token"], response["access_token"]] == [request.form["token"] for request in lab.faults.received(REVOKE)]
    assert () == lab.simulator.ledger.live_pairs(JOSIAH.orcid, CLIENT_ID, lab.now)


def test_revoke_twice(lab: RegistryLab) -> None:
    """Tokens that are not valid any more are no failure."""
    registry = lab.connector()
    grant = registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
    registry.revoke(grant.response)

    registry.revoke(grant.response)

    assert 4 == len(lab.faults.received(REVOKE))


@pytest.mark.parametrize("response", ["", "[]", "{}", '{"access_token": null}', '{"access_token": 7, "refresh_token": ""}', "[" * 50_000])
def test_revoke_of_nothing(lab: RegistryLab, response: str) -> None:
    """A response without tokens has nothing to revoke."""
    lab.connector().revoke(response)

    assert () == lab.faults.received(REVOKE)


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble is not Trouble.GARBAGE])
def test_revocation_in_trouble(lab: RegistryLab, trouble: Trouble) -> None:
    """A revocation that ORCID did not confirm is one to try again, and no token stands in the cause."""
    registry = lab.connector()
    grant = registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
    lab.faults.trouble(REVOKE, trouble)

    with pytest.raises(RegistryUnavailable) as failure:
        lab.connector(timeout=IMPATIENCE).revoke(grant.response)
    registry.revoke(grant.response)

    assert_tells_nothing(failure.value.cause, *(token for token in json.loads(grant.response).values() if isinstance(token, str)))


def test_revocation_by_refused_client(lab: RegistryLab) -> None:
    """A revocation under wrong credentials has not happened."""
    grant = lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)

    with pytest.raises(RegistryUnavailable, match="refuses our client_id or client_secret"):
        lab.connector(secret="wrong").revoke(grant.response)

    assert 1 == len(lab.simulator.ledger.live_pairs(JOSIAH.orcid, CLIENT_ID, lab.now))


def assert_tells_nothing(cause: str, *secrets: str) -> None:
    """A cause is one short line without secrets."""
    assert cause.isprintable()
    assert len(cause) < 300
    assert not [secret for secret in (CLIENT_SECRET, *secrets) if secret in cause]
