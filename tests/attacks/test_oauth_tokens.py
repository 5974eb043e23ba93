"""Tokens that prove nothing: what a hostile or broken way to the registry could hand to the connector."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Barrier, Thread

import pytest
import requests

from attribute_authority.demo.registry_faults import Forgery, Trouble
from attribute_authority.errors import RegistryRefused, RegistryUnavailable
from tests.factories.registries import (
    CLIENT_ID,
    CLIENT_SECRET,
    CONNECT_URI,
    HIDDEN,
    JOSIAH,
    NONCE,
    ORCID,
    OTHER_CLIENT_ID,
    REDIRECT_URI,
    START,
    RegistryLab,
    running_registry,
    signing_key,
)

TOKEN = "/oauth/token"
SKEW = timedelta(minutes=2)


@pytest.fixture
def lab() -> Iterator[RegistryLab]:
    """Run a registry."""
    with running_registry() as running:
        yield running


def seconds(after: timedelta) -> int:
    """Return an instant of the registry's clock as a claim."""
    return int((START + after).timestamp())


def assert_refused(lab: RegistryLab, cause: str) -> None:
    """A code is refused for a cause, after one token request, and the useless tokens are given back."""
    code = lab.code()
    with pytest.raises(RegistryRefused, match=cause) as failure:
        lab.connector().exchange(code, REDIRECT_URI, NONCE, lab.now)

    assert 1 == len(lab.faults.received(TOKEN))
    assert () == lab.simulator.ledger.live_pairs(JOSIAH.orcid, CLIENT_ID, lab.now)
    assert not [secret for secret in (code, CLIENT_SECRET, NONCE, JOSIAH.orcid) if secret in failure.value.cause]


def test_untampered_token(lab: RegistryLab) -> None:
    """The counterpart of every attack here: what nobody touched is taken."""
    assert ORCID == lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).orcid


@pytest.mark.parametrize(
    ("forgery", "cause"),
    [
        (Forgery.UNSIGNED, "not signed with RS256"),
        (Forgery.HMAC_WITH_PUBLIC_KEY, "not signed with RS256"),
        (Forgery.UNKNOWN_KID, "does not publish"),
        (Forgery.WITHOUT_KID, "does not name its key"),
        (Forgery.OTHER_KEY, "signature"),
        (Forgery.TAMPERED, "signature"),
    ],
)
def test_forged_id_token(lab: RegistryLab, forgery: Forgery, cause: str) -> None:
    """An id_token that the registry did not sign is refused."""
    lab.faults.forge(forgery)

    assert_refused(lab, cause)


@pytest.mark.parametrize("id_token", ["nonsense", "a.b", "a.b.c", "....", "é.é.é", "\ud800", "W10.W10.W10", f"{'W' * 20_000}.e30.e30"])
def test_id_token_that_is_none(lab: RegistryLab, id_token: str) -> None:
    """A text that is no signed token is refused."""
    lab.faults.response(id_token=id_token)

    assert_refused(lab, "compact form|not signed with")


@pytest.mark.parametrize("id_token", [None, "", 7, {}])
def test_missing_id_token(lab: RegistryLab, id_token: object) -> None:
    """With openid an iD without id_token is refused, whatever else the response names."""
    lab.faults.response(id_token=id_token)

    assert_refused(lab, "no id_token")


@pytest.mark.parametrize("audience", [None, OTHER_CLIENT_ID, [], [OTHER_CLIENT_ID], {CLIENT_ID: 1}, CLIENT_ID.lower(), 7])
def test_id_token_for_another_client(lab: RegistryLab, audience: object) -> None:
    """An id_token that another client got cannot be passed on to us."""
    lab.faults.claims(aud=audience)

    assert_refused(lab, "for another client")


@pytest.mark.parametrize(("audience", "party"), [(CLIENT_ID, OTHER_CLIENT_ID), ([CLIENT_ID, OTHER_CLIENT_ID], None)])
def test_id_token_issued_to_another_client(lab: RegistryLab, audience: object, party: str | None) -> None:
    """Where somebody else is the authorized party, or several audiences leave it open, the id_token is refused."""
    lab.faults.claims(aud=audience, azp=party)

    assert_refused(lab, "azp")


@pytest.mark.parametrize("audience", [[CLIENT_ID], [CLIENT_ID, OTHER_CLIENT_ID]])
def test_audience_with_our_client_as_party(lab: RegistryLab, audience: list[str]) -> None:
    """Several audiences are no obstacle where we are the authorized party."""
    lab.faults.claims(aud=audience, azp=CLIENT_ID)

    assert ORCID == lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).orcid


@pytest.mark.parametrize("issuer", [None, "https://orcid.org", "https://evil.example", "", ["https://orcid.org"], {}])
def test_id_token_of_another_issuer(lab: RegistryLab, issuer: object) -> None:
    """An id_token of another registry, or of none, is refused (mix-up)."""
    lab.faults.claims(iss=issuer)

    assert_refused(lab, "another issuer")


@pytest.mark.parametrize("expiry", [None, seconds(-SKEW), 0, -1, "9999999999", True, float("nan"), []])
def test_expired_id_token(lab: RegistryLab, expiry: object) -> None:
    """An id_token that is over, or that does not say when it is, is refused."""
    lab.faults.claims(exp=expiry)

    assert_refused(lab, "expired")


@pytest.mark.parametrize("issued", [None, seconds(SKEW + timedelta(seconds=1)), float("inf"), float("nan"), "now"])
def test_id_token_from_the_future(lab: RegistryLab, issued: object) -> None:
    """An id_token that is not issued yet is refused."""
    lab.faults.claims(iat=issued)

    assert_refused(lab, "not issued yet")


def test_id_token_that_is_not_valid_yet(lab: RegistryLab) -> None:
    """An id_token that is for later is refused."""
    lab.faults.claims(nbf=seconds(SKEW + timedelta(seconds=1)))

    assert_refused(lab, "not valid yet")


def test_small_clock_skew(lab: RegistryLab) -> None:
    """Clocks that are two minutes apart are no obstacle."""
    lab.faults.claims(exp=seconds(-SKEW) + 1, iat=seconds(SKEW), nbf=seconds(SKEW))

    assert ORCID == lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).orcid


@pytest.mark.parametrize("nonce", [None, "", "another-nonce", NONCE.upper(), [NONCE], 7, "é"])
def test_code_injection(lab: RegistryLab, nonce: object) -> None:
    """A code of another flow does not become an iD of this one: the nonce is not ours."""
    lab.faults.claims(nonce=nonce)

    assert_refused(lab, "nonce")


def test_code_of_a_flow_passed_off_as_one_without(lab: RegistryLab) -> None:
    """A code that somebody got with a nonce is not one with which ORCID sent a researcher by itself."""
    code = lab.code(redirect_uri=CONNECT_URI)

    with pytest.raises(RegistryRefused, match="nonce"):
        lab.connector().exchange(code, CONNECT_URI, None, lab.now)


def test_code_of_one_redirect_uri_at_the_other(lab: RegistryLab) -> None:
    """A code for the callback is not taken at the address for those who come from ORCID."""
    code = lab.code()

    with pytest.raises(RegistryRefused, match="Redirect URI mismatch"):
        lab.connector().exchange(code, CONNECT_URI, None, lab.now)


def test_code_of_another_client(lab: RegistryLab) -> None:
    """A code that was issued to another client is refused by the registry."""
    with pytest.raises(RegistryRefused, match="invalid_grant"):
        lab.connector().exchange(lab.code(client_id=OTHER_CLIENT_ID), REDIRECT_URI, NONCE, lab.now)


@pytest.mark.parametrize("code", ["", " ", "a b", "a\nb", "ä", "\ud800", "\x00", "x" * 513])
def test_code_that_is_none(lab: RegistryLab, code: str) -> None:
    """What cannot be a code is not even sent."""
    with pytest.raises(RegistryRefused):
        lab.connector().exchange(code, REDIRECT_URI, NONCE, lab.now)

    assert () == lab.faults.received()


def test_parameters_in_a_code(lab: RegistryLab) -> None:
    """A code with parameters of the request in it stays a code."""
    code = "x&redirect_uri=http://evil.example&client_id=APP-OTHER#%00+"

    with pytest.raises(RegistryRefused, match="invalid_grant"):
        lab.connector().exchange(code, REDIRECT_URI, NONCE, lab.now)
    (request,) = lab.faults.received(TOKEN)

    assert (code, REDIRECT_URI, CLIENT_ID) == (request.form["code"], request.form["redirect_uri"], request.form["client_id"])


@pytest.mark.parametrize("subject", [None, "", HIDDEN.orcid, 7, "0000-0002-1825-0098", "https://evil.example/0000-0002-1825-0097"])
def test_subject_that_differs(lab: RegistryLab, subject: object) -> None:
    """The id_token and the token response must name the same iD."""
    lab.faults.claims(sub=subject)

    assert_refused(lab, "iD|different researchers")


def test_orcid_that_differs(lab: RegistryLab) -> None:
    """The iD beside the id_token does not override the one in it."""
    lab.faults.response(orcid=HIDDEN.orcid)

    assert_refused(lab, "different researchers")


def test_orcid_in_the_id_token_alone(lab: RegistryLab) -> None:
    """The id_token alone is enough."""
    lab.faults.response(orcid=None)

    assert ORCID == lab.connector().exchange(lab.code(), REDIRECT_URI, NONCE, lab.now).orcid


@pytest.mark.parametrize("trouble", [Trouble.GONE, Trouble.ANSWER_LOST, Trouble.HANG, Trouble.SERVER_ERROR, Trouble.REDIRECT])
def test_code_replayed_by_a_retrying_layer(lab: RegistryLab, trouble: Trouble) -> None:
    """When the connection breaks nobody knows whether the code is spent: no layer sends it a second time."""
    code = lab.code()
    lab.faults.trouble(TOKEN, trouble)

    with pytest.raises(RegistryUnavailable):
        lab.connector(timeout=0.3).exchange(code, REDIRECT_URI, NONCE, lab.now)

    assert [code] == [request.form.get("code") for request in lab.faults.received() if request.method == "POST" and "code" in request.form]


def test_code_raced(lab: RegistryLab) -> None:
    """Of two exchanges of one code at the same instant at most one brings an iD."""
    code, registry, barrier = lab.code(), lab.connector(), Barrier(2)
    outcomes: list[str] = []

    def exchange() -> None:
        barrier.wait()
        try:
            outcomes.append(registry.exchange(code, REDIRECT_URI, NONCE, lab.now).orcid.value)
        except RegistryRefused:
            outcomes.append("refused")

    threads = [Thread(target=exchange) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted([JOSIAH.orcid, "refused"]) == sorted(outcomes)


def test_withdrawn_key(lab: RegistryLab) -> None:
    """A key that the registry does not publish any more is not believed for longer than keys are kept."""
    registry, old = lab.connector(), signing_key()
    registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)
    lab.simulator.rotate_keys(signing_key("key-2"))
    lab.clock.turn(timedelta(hours=1))
    forged = old.sign(
        {
            "iss": lab.url,
            "aud": CLIENT_ID,
            "sub": JOSIAH.orcid,
            "exp": seconds(timedelta(days=1)),
            "iat": seconds(timedelta(0)),
            "nonce": NONCE,
        }
    )
    lab.faults.response(id_token=forged)

    with pytest.raises(RegistryRefused, match="does not publish"):
        registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)


def test_unknown_keys_do_not_hammer(lab: RegistryLab) -> None:
    """However many id_tokens name unknown keys, the keys are fetched once a minute."""
    registry = lab.connector()
    lab.faults.forge(Forgery.UNKNOWN_KID)
    for _ in range(3):
        with pytest.raises(RegistryRefused):
            registry.exchange(lab.code(), REDIRECT_URI, NONCE, lab.now)

    assert 1 == len(lab.faults.received("/oauth/jwks"))


def test_proxy_from_the_environment(lab: RegistryLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who sets an environment variable sees our secret."""
    code = lab.code()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert ORCID == lab.connector().exchange(code, REDIRECT_URI, NONCE, lab.now).orcid
    with pytest.raises(requests.ConnectionError):
        requests.get(lab.url, timeout=5)
