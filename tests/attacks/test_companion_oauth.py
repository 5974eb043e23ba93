"""Attacks on the way to ORCID and back: what comes with a code is believed only where it began here, once, in this browser."""

import pytest

from attribute_authority.domain.identifiers import Environment, parse_identifier_text
from attribute_authority.saml import namespaces as ns
from tests.factories import responses
from tests.factories.companion import BASE, ORCID, OTHER_ORCID, Browser, Site, grant

VICTIM = parse_identifier_text(f"eppn={responses.PERSON}")
ATTACKER = "mallory@uni.example"


def _signed_in(site: Site, eppn: str = responses.PERSON) -> Browser:
    browser = site.browser()
    browser.sign_in(responses.eppn(eppn), responses.attribute(ns.UNIQUE_ID_OID_URN, f"{eppn.partition('@')[0]}1@uni.example"))
    return browser


def _is_linked(site: Site) -> bool:
    known = site.store.find_subject(VICTIM, Environment.PRODUCTION)
    return known is not None and known.orcid is not None


def test_login_csrf_with_the_attackers_code_and_state() -> None:
    """A callback that the attacker began, opened in the victim's browser, exchanges nothing."""
    site = Site()
    attacker, victim = _signed_in(site, ATTACKER), _signed_in(site)
    state = attacker.go_to_orcid()["state"]

    answer = victim.get(f"/orcid/callback?code=of-the-attacker&state={state}")

    assert (403, []) == (answer.status_code, site.registry.exchanged)


def test_code_injection_without_a_state() -> None:
    """A code that comes without a state exchanges nothing."""
    site = Site()
    victim = _signed_in(site)

    answer = victim.get("/orcid/callback?code=stolen")

    assert (403, []) == (answer.status_code, site.registry.exchanged)


@pytest.mark.parametrize("state", ["", "made-up", "secret-1", "%00", "a" * 5000])
def test_a_made_up_state(state: str) -> None:
    """A state that was never given out exchanges nothing, whatever it looks like."""
    site = Site()
    victim = _signed_in(site)
    victim.go_to_orcid()

    answer = victim.get(f"/orcid/callback?code=abc&state={state}")

    assert (403, []) == (answer.status_code, site.registry.exchanged)


def test_a_state_works_once() -> None:
    """A callback that is loaded again, by a reload or from a history, exchanges no second code."""
    site = Site()
    victim = _signed_in(site)
    state = victim.go_to_orcid()["state"]
    site.registry.answers.append(grant())
    victim.get(f"/orcid/callback?code=first&state={state}")

    answer = victim.get(f"/orcid/callback?code=second&state={state}")

    assert (403, ["first"]) == (answer.status_code, [code for code, *_ in site.registry.exchanged])


def test_a_state_is_spent_also_by_a_refusal() -> None:
    """After a denial the same state is good for nothing."""
    site = Site()
    victim = _signed_in(site)
    state = victim.go_to_orcid()["state"]
    victim.get(f"/orcid/callback?error=access_denied&state={state}")

    answer = victim.get(f"/orcid/callback?code=abc&state={state}")

    assert (403, []) == (answer.status_code, site.registry.exchanged)


def test_a_state_of_an_earlier_session_of_the_same_browser() -> None:
    """After another person has signed in, a return of the former one is not theirs."""
    site = Site()
    browser = _signed_in(site, ATTACKER)
    state = browser.go_to_orcid()["state"]
    browser.sign_in(responses.eppn(), begin="/login")

    answer = browser.get(f"/orcid/callback?code=of-the-attacker&state={state}")

    assert (403, []) == (answer.status_code, site.registry.exchanged)


def test_mix_up_with_another_authorization_server() -> None:
    """A return that names another issuer is refused before its code goes anywhere (RFC 9207)."""
    site = Site()
    victim = _signed_in(site)
    state = victim.go_to_orcid()["state"]

    answer = victim.get(f"/orcid/callback?code=abc&state={state}&iss=https%3A%2F%2Forcid.evil.example")

    assert (502, []) == (answer.status_code, site.registry.exchanged)


def test_the_issuer_of_the_registry_itself_is_taken() -> None:
    """A registry that begins to name itself breaks nothing."""
    site = Site()
    site.registry.answers.append(grant())
    victim = _signed_in(site)
    state = victim.go_to_orcid()["state"]

    victim.get(f"/orcid/callback?code=abc&state={state}&iss=https%3A%2F%2Forcid.org")

    assert "Is this your ORCID iD?" in victim.text


def test_every_authorization_has_a_state_and_nonce_of_its_own() -> None:
    """Neither is ever used twice, and the nonce that went out is the one that the id_token must bear."""
    site = Site()
    site.registry.answers.append(grant())
    victim = _signed_in(site)
    first, second = victim.go_to_orcid(), victim.go_to_orcid()

    victim.get(f"/orcid/callback?code=abc&state={second['state']}")

    assert 4 == len({first["state"], first["nonce"], second["state"], second["nonce"]})
    assert [("abc", f"{BASE}/orcid/callback", second["nonce"])] == site.registry.exchanged


def test_an_attackers_code_at_the_cross_link_is_shown_and_never_stored_by_itself() -> None:
    """Whoever is sent to /orcid/connect with a foreign code sees the foreign iD, unticked, and nothing is linked."""
    site = Site()
    site.registry.answers.append(grant(OTHER_ORCID, "Mallory"))
    victim = _signed_in(site)

    victim.get("/orcid/connect?code=of-the-attacker")

    assert "Mallory" in victim.text
    assert not _is_linked(site)


def test_a_cross_link_does_not_change_a_confirmation_that_is_open() -> None:
    """The page that the victim has open stores the iD that it shows, whatever is opened behind its back."""
    site = Site()
    victim = _signed_in(site)
    victim.connect(grant(ORCID))
    shown = victim.page()
    site.registry.answers.append(grant(OTHER_ORCID, "Mallory"))
    victim.get("/orcid/connect?code=of-the-attacker")
    (form,) = [form for form in shown.forms if (form.action or "").startswith("/confirm/")]

    victim.post(form.action, {"csrf": form.fields["csrf"], "consent": "yes"})

    known = site.store.find_subject(VICTIM, Environment.PRODUCTION)
    assert known is not None
    assert ORCID == known.orcid


def test_the_code_of_a_cross_link_leaves_the_address_at_once() -> None:
    """The first answer is a redirect to an address without it."""
    victim = _signed_in(Site())

    answer = victim.get("/orcid/connect?code=secret-code", follow=False)

    assert (303, "/orcid/connect") == (answer.status_code, answer.headers["Location"])


def test_the_proposal_of_another_session() -> None:
    """A confirmation address of somebody else's session shows and stores nothing."""
    site = Site()
    attacker, victim = _signed_in(site, ATTACKER), _signed_in(site)
    attacker.connect()
    (form,) = [form for form in attacker.page().forms if (form.action or "").startswith("/confirm/")]
    victim.get("/")
    (own,) = [form for form in victim.page().forms if form.action == "/logout"]

    answer = victim.post(form.action, {"csrf": own.fields["csrf"], "consent": "yes"})

    assert 403 == answer.status_code
    assert not _is_linked(site)


@pytest.mark.parametrize("token", ["", "guessed", "ä"])
@pytest.mark.parametrize("step", ["/confirm/", "/decline/", "/unlink", "/logout"])
def test_csrf_on_every_form(step: str, token: str) -> None:
    """A form without the token of its session changes nothing."""
    site = Site()
    victim = _signed_in(site)
    victim.link()
    victim.connect()
    page = victim.page()
    address = next((form.action for form in page.forms if (form.action or "").startswith(step)), step)
    (link,) = site.store.find_links()

    answer = victim.post(address, {"csrf": token, "consent": "yes", "link": str(link.link_id)})

    assert 403 == answer.status_code
    assert (link,) == tuple(site.store.find_links())


@pytest.mark.parametrize("step", ["/confirm/abc", "/decline/abc", "/unlink"])
def test_forms_need_a_session(step: str) -> None:
    """Without a session a form leads to the sign-in."""
    browser = Site().browser()

    answer = browser.post(step, {"csrf": "", "consent": "yes"})

    assert 403 == answer.status_code
    assert "/login" in browser.page().xpath("//main//a/@href")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "home%0d%0aSet-Cookie:x=y", "javascript:alert(1)"]
)
def test_open_redirect(target: str) -> None:
    """Where a sign-in leads is one of a few names; anything else leads home."""
    site = Site()
    browser = site.browser()

    answer = browser.sign_in(begin=f"/login?to={target}")

    assert "/" == answer.request.path


def test_session_fixation() -> None:
    """A session cookie that somebody else has set opens nothing after the sign-in: every sign-in has a new one."""
    site = Site()
    browser = site.browser()
    browser.client.set_cookie("__Host-session", "planted", domain="orcid.example.org", secure=True)

    browser.sign_in()

    cookie = browser.client.get_cookie("__Host-session", "orcid.example.org")
    assert cookie is not None
    assert cookie.value != "planted"


def test_a_forged_done_claims_nothing() -> None:
    """An address that says that an iD was linked makes no page say so where none is."""
    browser = _signed_in(Site())

    browser.get("/?done=linked")

    assert "Done." not in browser.text


def test_the_id_is_never_read_from_the_browser() -> None:
    """Fields that name an iD are passed over: what is stored is what the registry granted."""
    site = Site()
    victim = _signed_in(site)
    victim.connect(grant(ORCID))

    victim.submit("/confirm/", consent="yes", orcid=OTHER_ORCID.value)

    known = site.store.find_subject(VICTIM, Environment.PRODUCTION)
    assert known is not None
    assert ORCID == known.orcid
