"""Researchers go back, open two windows, leave and come again by other doors; the companion page keeps its ground."""

from playwright.sync_api import Page, expect

from attribute_authority.demo.federation import CLIENT_ID
from attribute_authority.web.companion.views import ProblemKind
from tests.browser.stage import LINKED, NEW, NOT_LINKED, REPLACE, SIGNED_OUT, START, UNLINK, Walker, Walkers


def test_back_after_the_confirmation_leads_home(walker: Walker) -> None:
    """The back button shows no form that was sent already, but how things stand."""
    walker.link()
    walker.page.go_back()

    walker.sees(LINKED)
    assert walker.page.url == f"{walker.federation.companion_url}/"


def test_two_windows_may_link_the_same_id(walker: Walker) -> None:
    """Two authorizations side by side both come back; the second confirmation renews what the first has linked."""
    second = two_at_orcid(walker)
    walker.authorize()
    walker.sees(NEW)
    walker.authorize(page=second)
    walker.sees(NEW, second)
    walker.agree()
    walker.sees(LINKED)
    agree(second)
    walker.sees(LINKED, second)

    expect(second.get_by_role("status")).to_have_text("Done. The permission has been renewed.")


def test_second_window_replaces_nothing_silently(walker: Walker) -> None:
    """A confirmation that was opened when nothing was linked replaces nothing that was linked since, but asks."""
    second = two_at_orcid(walker)
    walker.authorize()
    walker.authorize(walker.newcomer.spare, second)
    walker.sees(NEW, second)
    walker.agree()
    walker.sees(LINKED)
    agree(second)
    walker.sees(REPLACE, second)
    walker.visitor.show("asked", second)
    walker.open()

    expect(walker.shows(walker.newcomer.orcid)).to_be_visible()


def test_form_of_a_session_that_is_over_does_nothing(walker: Walker) -> None:
    """Who confirms after the session has ended is told so, signs in again, and finds everything as it was."""
    walker.link()
    walker.open("/unlink")
    end_session(walker)
    walker.confirm_unlink()
    walker.sees_problem(ProblemKind.SESSION_OVER)
    walker.visitor.show("over")
    walker.page.locator('.actions a[href="/login"]').click()
    walker.choose_home()

    walker.sees(LINKED)


def test_link_of_a_session_that_is_over_leads_through_the_sign_in(walker: Walker) -> None:
    """Who sets out for ORCID after the session has ended signs in first, and sets out again from the home page."""
    walker.sign_in()
    walker.sees(NOT_LINKED)
    end_session(walker)
    walker.page.locator('main a[href="/orcid/authorize"]').click()
    walker.choose_home()
    walker.sees(NOT_LINKED)
    walker.connect()

    walker.sees(NEW)


def test_return_from_orcid_after_the_session_is_refused(walker: Walker) -> None:
    """Who stays at ORCID for longer than the session lasts is told so, and links nothing."""
    walker.sign_in()
    walker.set_out()
    end_session(walker)
    walker.authorize()

    walker.sees_problem(ProblemKind.SESSION_OVER)


def test_session_ends_with_the_sign_out(walker: Walker) -> None:
    """After signing out the browser shows nothing of the person, not even with the cookie that it had."""
    walker.link()
    before = walker.visitor.context.cookies()
    walker.page.locator('form[action="/logout"] button').click()
    walker.sees(SIGNED_OUT)
    walker.visitor.show("signed out")
    walker.visitor.context.add_cookies([{"name": one["name"], "value": one["value"], "url": f"{walker.page.url}"} for one in before])
    walker.open()

    walker.sees(START)


def test_researcher_whom_orcid_sends_signs_in_and_confirms(walker: Walker) -> None:
    """From ORCID's institutional sign-in, without a session here: the home organisation signs in, and the iD waits for confirmation."""
    walker.page.goto(f"{walker.federation.registry_url}/institutional-signin?client_id={CLIENT_ID}")
    walker.page.locator(f'input[value="{walker.newcomer.orcid}"]').check()
    walker.visitor.show("institutional sign-in")
    walker.page.locator("#connect").click()
    walker.choose_home()
    walker.sees(NEW)
    address = walker.page.url
    walker.agree()

    walker.sees(LINKED)
    assert "code=" not in address


def test_researcher_whom_orcid_sends_need_not_sign_in_twice(walker: Walker) -> None:
    """With a session here, ORCID's institutional sign-in leads straight to the confirmation."""
    walker.sign_in()
    walker.sees(NOT_LINKED)
    walker.page.goto(f"{walker.federation.registry_url}/institutional-signin?client_id={CLIENT_ID}")
    walker.page.locator(f'input[value="{walker.newcomer.orcid}"]').check()
    walker.page.locator("#connect").click()

    walker.sees(NEW)


def test_deep_link_survives_the_sign_in(walker: Walker, walkers: Walkers) -> None:
    """Who opens the address for unlinking without a session arrives there after the sign-in, and nothing is unlinked by that."""
    walker.link()
    later = walkers()
    later.open("/unlink")
    later.choose_home()
    later.sees(UNLINK)
    later.page.locator('main a[href="/"]').click()

    later.sees(LINKED)


def two_at_orcid(walker: Walker) -> Page:
    """Go to ORCID with two tabs, and return the second."""
    walker.sign_in()
    walker.sees(NOT_LINKED)
    second = walker.visitor.open_tab()
    second.goto(f"{walker.federation.companion_url}/orcid/authorize")
    walker.set_out()
    return second


def agree(page: Page) -> None:
    """Agree on a confirmation page."""
    page.bring_to_front()
    page.locator("#consent").check()
    page.locator('form[action^="/confirm/"] button').click()


def end_session(walker: Walker) -> None:
    """Have the browser lose its session, as it does when the session's time is up."""
    walker.visitor.context.clear_cookies(name="companion-session")
