"""Attacks on the sign-in that go beyond one Response: browsers, replays, rates."""

from datetime import timedelta

import pytest

from tests.factories import responses
from tests.factories.companion import Site, good_response


def test_a_response_to_a_sign_in_of_another_browser() -> None:
    """Login CSRF: the attacker's Response, posted by the victim's browser, begins no session."""
    site = Site()
    attacker, victim = site.browser(), site.browser()
    request = attacker.begin_sign_in()
    victim.begin_sign_in()

    answer = victim.answer(request)

    assert 403 == answer.status_code
    assert victim.client.get_cookie("__Host-session", "orcid.example.org") is None


def test_a_stranger_cannot_use_up_a_sign_in() -> None:
    """Whoever knows the id of a request, but has not its browser, leaves it to its owner."""
    site = Site()
    owner = site.browser()
    request = owner.begin_sign_in()
    site.browser().answer(request)

    assert 200 == owner.answer(request).status_code


def test_a_response_without_the_mark_of_any_browser() -> None:
    """A browser that never began a sign-in cannot finish one."""
    site = Site()
    request = site.browser().begin_sign_in()

    assert 403 == site.browser().answer(request).status_code


def test_a_response_works_once() -> None:
    """The same Response again, from the same browser, begins no second session."""
    site = Site()
    browser = site.browser()
    request = browser.begin_sign_in()
    browser.answer(request)

    assert 403 == browser.answer(request).status_code


def test_an_assertion_works_once_also_in_another_response() -> None:
    """An assertion that was used is refused when it answers another request of the same browser."""
    site = Site()
    browser = site.browser()
    first, second = browser.begin_sign_in(), browser.begin_sign_in()
    browser.post("/saml/acs", {"SAMLResponse": responses.encoded(good_response(site.now, first, message_id="_same"))})

    answer = browser.post("/saml/acs", {"SAMLResponse": responses.encoded(good_response(site.now, second, message_id="_same"))})

    assert 403 == answer.status_code


def test_an_unsolicited_response() -> None:
    """A Response that answers no request is refused."""
    site = Site()
    browser = site.browser()
    browser.begin_sign_in()

    assert 403 == browser.answer("_never-sent").status_code


def test_a_response_after_too_long() -> None:
    """A sign-in that took longer than half an hour begins again."""
    site = Site()
    browser = site.browser()
    request = browser.begin_sign_in()
    site.now += timedelta(minutes=31)

    assert 403 == browser.answer(request).status_code


@pytest.mark.parametrize("form", [{}, {"SAMLResponse": ""}, {"SAMLResponse": "%%%"}, {"SAMLResponse": "PGE+"}, {"RelayState": "x"}])
def test_rubbish_at_the_acs(form: dict[str, str]) -> None:
    """What is no Response ends on a page that says so, without detail."""
    browser = Site().browser()

    answer = browser.post("/saml/acs", form)

    assert 403 == answer.status_code
    assert "Traceback" not in answer.text


def test_two_windows_sign_in_side_by_side() -> None:
    """Each window's Response answers its own request, in whichever order they come."""
    site = Site()
    browser = site.browser()
    first, second = browser.begin_sign_in(), browser.begin_sign_in()

    statuses = [browser.answer(request).status_code for request in (second, first)]

    assert [200, 200] == statuses


@pytest.mark.parametrize("path", ["/login", "/orcid/callback?code=a&state=b", "/orcid/connect?code=a", "/orcid/authorize"])
def test_one_address_may_not_try_for_ever(path: str) -> None:
    """Beyond the limit of a minute the page says so, with 429."""
    site = Site(per_minute=3)
    browser = site.browser()
    browser.sign_in()
    statuses = [browser.get(path, follow=False).status_code for _ in range(4)]

    assert 429 == statuses[-1]


def test_the_acs_is_limited_too() -> None:
    """Rubbish costs work, so it is limited as well."""
    browser = Site(per_minute=3).browser()
    statuses = [browser.post("/saml/acs", {"SAMLResponse": "x"}).status_code for _ in range(4)]

    assert [403, 403, 403, 429] == statuses


def test_the_limit_is_for_one_address_and_one_minute() -> None:
    """Others are not affected, and a minute later neither is the first."""
    site = Site(per_minute=1)
    busy, other = site.browser(address="192.0.2.1"), site.browser(address="192.0.2.2")
    first = [busy.get("/login", follow=False).status_code for _ in range(2)]
    others = other.get("/login", follow=False).status_code
    site.now += timedelta(minutes=1)

    assert ([303, 429], 303, 303) == (first, others, busy.get("/login", follow=False).status_code)


def test_an_ipv6_household_is_one_address() -> None:
    """Whoever has a /64 does not get a limit for each of its addresses."""
    site = Site(per_minute=1)
    site.browser(address="2001:db8::1").get("/login", follow=False)

    assert 429 == site.browser(address="2001:db8::2").get("/login", follow=False).status_code


def test_a_forged_forwarding_buys_no_attempts() -> None:
    """X-Forwarded-For of a browser that comes straight is passed over, and behind a proxy only the last address counts."""
    site = Site(per_minute=1)
    straight, behind = site.browser(address="192.0.2.1"), site.browser(address="127.0.0.1")
    straight.get("/login", follow=False)
    behind.get("/login", follow=False, headers={"X-Forwarded-For": "203.0.113.1, 192.0.2.9"})

    assert 429 == straight.get("/login", follow=False, headers={"X-Forwarded-For": "198.51.100.7"}).status_code
    assert 429 == behind.get("/login", follow=False, headers={"X-Forwarded-For": "203.0.113.2, 192.0.2.9"}).status_code
