"""What every answer of the companion page carries, and what it says when something is away."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from attribute_authority.errors import CouldNotAsk
from attribute_authority.storage.memory import MemoryReplayGuard
from attribute_authority.storage.memory_companion import MemoryAttemptCounter, MemoryLinkingStore, MemoryStateKeeper
from tests.factories import responses
from tests.factories.companion import Browser, Ports, Site

_PAGES = ["/", "/signed-out", "/problem/session-over", "/nowhere", "/confirm/abc", "/metadata", "/static/companion.css"]


def test_no_page_may_load_or_send_anything_elsewhere() -> None:
    """A strict Content-Security-Policy, no framing, no referrer, no sniffing, on every answer whatever it is."""
    browser = Site().browser()
    answers = [browser.get(path, follow=False) for path in _PAGES]

    for answer in answers:
        assert "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert ("no-referrer", "nosniff") == (answer.headers["Referrer-Policy"], answer.headers["X-Content-Type-Options"])


def test_https_is_kept_to() -> None:
    """Strict-Transport-Security goes out where browsers come over https, and nowhere else."""
    over_https, on_this_machine = Site().browser().get("/"), Site(base_url="http://localhost:8080").browser().get("/")

    assert "max-age=31536000" == over_https.headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in on_this_machine.headers


def test_pages_are_kept_nowhere_and_files_for_a_year() -> None:
    """A page is about somebody; a file has its content in its address."""
    browser = Site().browser()
    page = browser.get("/")
    style = browser.page().xpath("string(//link[@rel='stylesheet']/@href)")

    assert "no-store" == page.headers["Cache-Control"]
    assert "immutable" in browser.get(style).headers["Cache-Control"]


def _set_cookies(browser: Browser, path: str) -> list[str]:
    return browser.get(path, follow=False).headers.getlist("Set-Cookie")


def test_the_session_cookie_is_for_this_host_alone_and_stays_at_home() -> None:
    """__Host-, Secure, HttpOnly, SameSite=Lax."""
    browser = Site().browser()
    request = browser.begin_sign_in()
    answer = browser.post("/saml/acs", {"SAMLResponse": browser.response(request)}, follow=False)

    (cookie,) = [line for line in answer.headers.getlist("Set-Cookie") if "session" in line]
    assert cookie.startswith("__Host-session=")
    assert [] == [part for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax") if part not in cookie]
    assert "Domain" not in cookie


def test_the_mark_of_the_browser_comes_with_the_post_of_another_site() -> None:
    """SameSite=None and Secure, so that the home organisation's form brings it; on one machine without https, Lax."""
    (secure,) = _set_cookies(Site().browser(), "/login")
    (plain,) = _set_cookies(Site(base_url="http://localhost:8080").browser(), "/login")

    assert secure.startswith("__Host-browser=")
    assert "SameSite=None" in secure
    assert "Secure" in secure
    assert plain.startswith("companion-browser=")
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain


def test_no_personal_detail_is_logged() -> None:
    """After a whole linking the log has neither identifier, name, iD, token, address nor cookie."""
    site = Site()
    browser = site.browser()
    browser.sign_in(responses.eppn(), responses.attribute("urn:oid:2.16.840.1.113730.3.1.241", "Josiah Carberry"))
    browser.link()
    browser.get("/unlink")
    browser.submit("/unlink")

    logged = site.events()
    told = ("josiah", "Carberry", "0000-0002", "secret", "192.0.2.1", "abc123", "csrf")
    assert [] == [text for text in told if text in logged]
    assert "linked" in logged
    assert "unlinked" in logged


def test_no_personal_detail_stands_in_an_address() -> None:
    """Neither our redirects nor what is sent to the registry names the person."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    sent = browser.go_to_orcid()
    answer = browser.connect()

    assert "josiah" not in f"{sent} {answer.request.url} {browser.page().xpath('//@href | //@action')}"


def test_a_failure_has_a_reference_that_the_log_has_too() -> None:
    """Whoever asks for help can be found in the log."""
    site = Site()
    browser = site.browser()
    browser.get("/orcid/callback?code=a&state=b")

    failed = [json.loads(line) for line in site.events().splitlines() if "failure" in line]
    assert failed[-1]["correlation_id"] in browser.text


def test_a_problem_can_be_read_in_each_language() -> None:
    """Also a page that answered a POST is in reach of the language switch."""
    browser = Site().browser()
    browser.post("/saml/acs", {"SAMLResponse": "rubbish"})
    in_finnish = browser.page().xpath("string(//a[@lang='fi']/@href)")

    answer = browser.get(in_finnish)

    assert (200, "fi") == (answer.status_code, browser.page().get("lang"))


@pytest.mark.parametrize("path", ["/problem/made-up", "/static/../app.py", "/static/nothing.css", "/%2e%2e/etc/passwd", "/nowhere"])
def test_an_address_that_has_nothing(path: str) -> None:
    """404, as a page or as plain text, and never a trace of where files lie."""
    assert 404 == Site().browser().get(path).status_code


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("GET", "/saml/acs"), ("GET", "/logout"), ("PUT", "/unlink"), ("DELETE", "/confirm/a")]
)
def test_a_method_that_an_address_does_not_take(method: str, path: str) -> None:
    """405 with what it takes (RFC 9110 section 15.5.6)."""
    answer = Site().browser().client.open(path, method=method)

    assert 405 == answer.status_code
    assert answer.headers["Allow"]


def test_a_defect_shows_itself_in_the_log_alone() -> None:
    """What we did not think of ends on a page without detail; operators get the traceback."""
    site = Site()
    browser = site.browser()
    browser.sign_in()

    answer = browser.connect(ZeroDivisionError("a defect"))

    assert 500 == answer.status_code
    assert "ZeroDivisionError" not in answer.text
    assert "ZeroDivisionError" in site.events()


class _Away:
    """A port whose every method fails."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> None:
            raise CouldNotAsk("away")

        return fail


@pytest.mark.parametrize("away", ["store", "states", "attempts", "replays"])
def test_every_page_answers_while_the_database_is_away(away: str) -> None:
    """Whichever table cannot be asked, each step ends with 503 on a page, or does not need it."""
    memory = Ports(MemoryLinkingStore(), MemoryStateKeeper(), MemoryAttemptCounter(), MemoryReplayGuard(), Site().registry)
    site = Site(ports=memory)
    browser = site.browser()
    browser.sign_in()
    asked = browser.begin_sign_in()
    broken = Site(ports=replace(memory, **{away: _Away()}), now=site.now + timedelta(seconds=1))
    browser.client.application = broken.application
    answers = [
        browser.get(path, follow=False).status_code
        for path in ("/", "/login", "/orcid/authorize", "/orcid/callback", "/unlink", "/confirm/a")
    ]
    answers += [browser.answer(asked).status_code, browser.post("/unlink", {"csrf": ""}).status_code]

    assert {200, 303, 403, 503} >= set(answers)
    assert 503 in answers


def test_every_page_answers_while_metadata_cannot_be_read() -> None:
    """An index that is away is no unknown home organisation: 503, and the start page says so too."""
    site = Site(known=_Away())
    browser = site.browser()

    assert [503, 503] == [browser.get(path).status_code for path in ("/", "/login")]


def test_a_page_that_needs_no_database_answers_without_one() -> None:
    """The words for a problem can be read whatever is away."""
    away = _Away()
    site = Site(ports=Ports(away, away, away, away, Site().registry))

    assert 200 == site.browser().get("/problem/unavailable").status_code


def test_head_is_answered() -> None:
    """Monitors ask with HEAD."""
    answer = Site().browser().client.head("/")

    assert (200, b"") == (answer.status_code, answer.data)
