"""What an attacker gets a browser to do, or a researcher tries with the address line, links and unlinks nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Route
from werkzeug.wrappers import Response

from attribute_authority.demo.registry_faults import Faults
from attribute_authority.demo.sites import HOST, listen, serve
from attribute_authority.web.companion.views import ProblemKind
from tests.browser.stage import LINKED, NEW, NOT_LINKED, Walker, Walkers


def test_tampered_state_is_refused(walker: Walker, faults: Faults) -> None:
    """A return from ORCID with a state that is not ours is refused before the code is looked at."""
    walker.sign_in()
    walker.set_out()
    state = parse_qs(urlsplit(walker.page.url).query)["state"][0]
    walker.page.goto(walker.page.url.replace(state, f"{state[:-4]}AAAA"))
    walker.authorize()
    walker.sees_problem(ProblemKind.ORCID_STATE_UNKNOWN)
    walker.visitor.show("refused")

    assert () == faults.received("/oauth/token")


def test_return_from_orcid_is_good_once(walker: Walker, faults: Faults) -> None:
    """The address of a return, loaded again, is refused; the code is exchanged once, and the confirmation that was under way goes on."""
    walker.sign_in()
    walker.set_out()
    with walker.page.expect_request("**/orcid/callback?**") as returned:
        walker.authorize()
    walker.sees(NEW)
    confirmation = walker.page.url
    walker.page.goto(returned.value.url)
    walker.sees_problem(ProblemKind.ORCID_STATE_UNKNOWN)
    walker.visitor.show("replayed")
    walker.page.goto(confirmation)
    walker.agree()
    walker.sees(LINKED)

    assert 1 == len(faults.received("/oauth/token"))


def test_return_that_somebody_else_began_is_refused(walker: Walker, walkers: Walkers, faults: Faults) -> None:
    """An attacker's return from ORCID, followed by a signed-in victim, links the attacker's iD to nobody (login CSRF)."""
    attacker = walkers()
    attacker.sign_in("dana")
    attacker.set_out()
    returned: list[str] = []
    attacker.visitor.context.route("**/oauth/authorize?**", lambda route: keep_redirect(route, returned))
    attacker.authorize(walker.newcomer.spare)
    attacker.page.get_by_text("kept").wait_for()
    walker.sign_in()
    walker.sees(NOT_LINKED)
    walker.page.goto(returned[0])
    walker.sees_problem(ProblemKind.ORCID_STATE_UNKNOWN)
    walker.open()
    walker.sees(NOT_LINKED)

    assert () == faults.received("/oauth/token")


def test_form_without_its_token_stores_nothing(walker: Walker) -> None:
    """A confirmation whose form has another token than that of the session is refused, and stays open."""
    walker.sign_in()
    walker.connect()
    walker.sees(NEW)
    confirmation = walker.page.url
    walker.page.evaluate("document.querySelectorAll('input[name=csrf]').forEach(field => { field.value = 'forged' })")
    walker.agree()
    walker.sees_problem(ProblemKind.FORM_OVER)
    walker.visitor.show("refused")
    walker.open()
    walker.sees(NOT_LINKED)
    walker.page.goto(confirmation)
    walker.agree()

    walker.sees(LINKED)


def test_form_of_another_site_unlinks_nothing(walker: Walker) -> None:
    """A form that another site sends comes without the session (SameSite), so that the link stays."""
    walker.link()
    form = f"<form method=post action='{walker.federation.companion_url}/unlink'><button>Win a prize</button></form>"
    with other_site(form) as address:
        walker.page.goto(address)
        walker.page.get_by_role("button").click()
        walker.sees_problem(ProblemKind.SESSION_OVER)
    walker.open()

    walker.sees(LINKED)


def test_page_is_shown_in_no_frame(walker: Walker) -> None:
    """Another site cannot put a page of ours into a frame and have it clicked unseen."""
    with (
        other_site(f"<iframe src='{walker.federation.companion_url}/'></iframe>") as address,
        walker.page.expect_console_message(lambda message: "frame-ancestors 'none'" in message.text),
    ):
        walker.page.goto(address)
    walker.visitor.watch.forgive("frame-ancestors")
    (framed,) = walker.page.frames[1:]
    framed.wait_for_url("chrome-error://chromewebdata/", wait_until="commit")

    assert 0 == framed.locator(".brand").count()


def test_proposal_of_somebody_else_cannot_be_seen(walker: Walker, walkers: Walkers) -> None:
    """The address of a confirmation shows nothing to whoever else is signed in."""
    walker.sign_in()
    walker.connect()
    walker.sees(NEW)
    other = walkers()
    other.sign_in("chen")
    other.sees(NOT_LINKED)
    other.page.goto(walker.page.url)

    other.sees_problem(ProblemKind.FORM_OVER)


def test_deep_link_leads_nowhere_else(walker: Walker) -> None:
    """A sign-in whose destination is somebody else's address ends at home."""
    walker.open("/login?to=https://attacker.example/")
    walker.choose_home()

    walker.sees(NOT_LINKED)
    assert walker.page.url == f"{walker.federation.companion_url}/"


def keep_redirect(route: Route, kept: list[str]) -> None:
    """Have the browser stay where it is sent away from, and keep the address to which it would have gone."""
    answer = route.fetch(max_redirects=0)
    kept.append(answer.headers["location"])
    route.fulfill(status=200, content_type="text/html", body="<!doctype html><title>Kept</title><p>kept")


@contextmanager
def other_site(body: str) -> Iterator[str]:
    """Serve a page of an attacker, on a site other than ours as browsers see it, and give its address."""
    page = Response(f"<!doctype html><title>Prizes</title><link rel=icon href=data:,>{body}", content_type="text/html")
    with serve(page, listen()) as address:
        yield address.replace("localhost", HOST)
