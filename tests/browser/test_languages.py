"""Finnish, Swedish and English: by the browser, by choice, and remembered."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from attribute_authority.web.companion.views import ProblemKind
from tests.browser.stage import LINKED, NEW, NOT_LINKED, START, UNLINK, Walker, Walkers
from tests.peers.chromium import Window


@pytest.mark.parametrize("locale", ["fi-FI", "sv-FI", "en-GB"])
def test_whole_way_in_the_language_of_the_browser(walkers: Walkers, locale: str) -> None:
    """Somebody whose browser speaks a language links an iD and unlinks it in that language; ORCID is asked for one that it has.

    On the way the service bears the name that it has on its own pages.
    """
    walker = walkers(Window(locale=locale))
    walker.open()
    walker.sees(START)
    speaks(walker, walker.language)
    service = walker.page.locator(".brand span").inner_text()
    walker.page.locator('main a[href="/login"]').click()
    expect(walker.page.locator("main p strong")).to_have_text(service)
    speaks(walker, walker.language)
    walker.choose_home()
    walker.sees(NOT_LINKED)
    walker.set_out()
    asked = parse_qs(urlsplit(walker.page.url).query)["lang"]
    walker.authorize()
    walker.sees(NEW)
    walker.visitor.show("confirm")
    walker.agree()
    walker.sees(LINKED)
    walker.visitor.show("linked")
    walker.page.locator('main a[href="/unlink"]').click()
    walker.sees(UNLINK)
    walker.confirm_unlink()
    walker.sees(NOT_LINKED)
    speaks(walker, walker.language)
    walker.visitor.show("unlinked")

    assert ["en"] == asked


def test_other_language_gets_english(walkers: Walkers) -> None:
    """A browser that speaks none of the three is answered in English."""
    walker = walkers(Window(locale="de-DE"))
    walker.open()

    speaks(walker, "en")


def test_chosen_language_stays(walker: Walker) -> None:
    """A language chosen on a page shows that page in it, and every page after it, also on the way through the federation."""
    walker.open()
    choose(walker, "sv")
    walker.sign_in()
    speaks(walker, "sv")
    walker.connect()
    walker.visitor.show("confirm in Swedish")
    choose(walker, "fi")
    expect(walker.page.locator("#consent")).to_be_visible()
    walker.agree()
    expect(walker.shows(walker.newcomer.orcid)).to_be_visible()
    speaks(walker, "fi")
    walker.sign_in_at_service()

    speaks(walker, "fi")


def test_problem_can_be_read_in_another_language(walker: Walker) -> None:
    """The page of a problem can be switched too, and keeps the reference for support."""
    walker.sign_in("eero")
    walker.sees_problem(ProblemKind.SCOPE_NOT_ALLOWED)
    reference = walker.page.locator("code.reference").inner_text()
    choose(walker, "fi")

    expect(walker.page.locator("code.reference")).to_have_text(reference)
    walker.visitor.show("in Finnish")


def test_form_with_a_missing_tick_can_be_read_in_another_language(walker: Walker) -> None:
    """The answer to a form has no address of its own; its language can be switched all the same, and the confirmation goes on."""
    walker.sign_in()
    walker.connect()
    walker.sees(NEW)
    walker.confirm()
    expect(walker.page.get_by_role("alert")).to_be_visible()
    choose(walker, "sv")
    walker.agree()

    expect(walker.shows(walker.newcomer.orcid)).to_be_visible()


def choose(walker: Walker, language: str) -> None:
    """Switch the language of the present page."""
    walker.page.locator(f'nav a[hreflang="{language}"]').click()
    speaks(walker, language)
    expect(walker.page.locator(f'nav a[hreflang="{language}"]')).to_have_attribute("aria-current", "true")


def speaks(walker: Walker, language: str) -> None:
    """Wait for a page in that language."""
    expect(walker.page.locator("html")).to_have_attribute("lang", language)
