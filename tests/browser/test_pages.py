"""Every page in every state is for everybody: in any window, by keyboard, without scripts, with a screen reader, on a slow line."""

from collections.abc import Sequence

import pytest
from playwright.sync_api import expect

from attribute_authority.web.companion.views import ProblemKind
from tests.browser.axe import assert_accessible
from tests.browser.stage import LINKED, NEW, NOT_LINKED, START, UNLINK, Walker, Walkers
from tests.browser.tour import assert_no_sideways_scrolling, focus, octets, tour
from tests.peers.chromium import Window

HEAVIEST = 100_000
NARROW = 320
LONGEST = (ProblemKind.SCOPE_NOT_ALLOWED, ProblemKind.NO_IDENTIFIER, ProblemKind.ORCID_TAKEN, ProblemKind.TOO_MANY_ATTEMPTS)


# The problems differ in words alone, and are all seen once.
@pytest.mark.parametrize(
    ("window", "problems"),
    [
        (Window(), tuple(ProblemKind)),
        (Window(dark=True, locale="sv-SE"), (ProblemKind.ORCID_TAKEN,)),
        (Window(locale="fi-FI", width=NARROW), LONGEST),
    ],
    ids=["wide", "dark", "narrow"],
)
def test_every_page_is_for_everybody(walkers: Walkers, window: Window, problems: Sequence[ProblemKind]) -> None:
    """axe-core finds nothing on any page, none scrolls sideways, and each weighs less than 100 kB with everything on it."""
    walker = walkers(window)
    for name in tour(walker, problems):
        walker.visitor.show(name)
        assert_accessible(walker.page)
        assert_no_sideways_scrolling(walker.page)

        assert octets(walker.page) < HEAVIEST, name


def test_whole_way_without_scripts(walkers: Walkers) -> None:
    """Without JavaScript an iD is linked, shown at the service provider, and unlinked."""
    walker = walkers(Window(javascript=False))
    walker.link()
    walker.sign_in_at_service()
    walker.sees_at_service(walker.newcomer.orcid)
    walker.open()
    walker.unlink()
    walker.sees(NOT_LINKED)
    walker.ask_again()

    walker.sees_at_service(None)


def test_companion_page_brings_one_script_at_most(walker: Walker) -> None:
    """No page of the companion has any script but the one that follows deliveries, which is ours and in no page's text."""
    walker.sign_in()
    walker.sees(NOT_LINKED)
    assert 0 == walker.page.locator("script").count()
    walker.set_out()
    walker.authorize()
    walker.sees(NEW)
    assert 0 == walker.page.locator("script").count()
    walker.agree()
    walker.sees(LINKED)
    scripts = walker.page.locator("script").all()

    assert len(scripts) <= 1
    assert all((script.get_attribute("src") or "").startswith("/static/") and not script.text_content() for script in scripts)


def test_whole_way_by_keyboard(walker: Walker) -> None:
    """An iD is linked and unlinked with Tab, Enter and Space alone, and the focus can be seen wherever it is."""
    page = walker.page
    walker.open()
    press(walker, 'main a[href="/login"]')
    press(walker, "#home-organisations a")
    press(walker, f'button[value="{walker.newcomer.login}"]')
    walker.sees(NOT_LINKED)
    press(walker, 'main a[href="/orcid/authorize"]')
    press(walker, "input[name=researcher]", "Space")
    press(walker, "#authorize")
    walker.sees(NEW)
    press(walker, "#consent", "Space")
    expect(page.locator("#consent")).to_be_checked()
    press(walker, 'form[action^="/confirm/"] button')
    walker.sees(LINKED)
    press(walker, 'main a[href="/unlink"]')
    walker.sees(UNLINK)
    press(walker, 'form[action="/unlink"] button')

    walker.sees(NOT_LINKED)


def test_first_stop_of_the_keyboard_skips_to_the_content(walker: Walker) -> None:
    """The first stop is a link to the content, which shows itself there, and the next stop after it is in the content."""
    walker.open()
    walker.page.keyboard.press("Tab")
    expect(walker.page.locator("a.skip")).to_be_focused()
    expect(walker.page.locator("a.skip")).to_be_in_viewport(ratio=1)
    walker.visitor.show("skip link")
    walker.page.keyboard.press("Enter")
    walker.page.keyboard.press("Tab")

    assert walker.page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_missing_tick_takes_the_focus(walker: Walker) -> None:
    """A form that comes back has the focus on what is missing, and a link from there to the box."""
    walker.sign_in()
    walker.connect()
    walker.sees(NEW)
    walker.confirm()
    expect(walker.page.get_by_role("alert")).to_be_focused()
    press(walker, 'a[href="#consent"]')
    walker.visitor.show("tick missing")

    expect(walker.page.locator("#consent")).to_be_focused()


def test_start_page_tells_what_it_is_for(walker: Walker) -> None:
    """There is one button, and ORCID is a link with its name as ORCID writes it."""
    walker.open()
    walker.sees(START)

    expect(walker.page.locator("main .button")).to_have_count(1)
    expect(walker.page.locator('main a[href="https://orcid.org"]')).to_have_text("ORCID®")


def press(walker: Walker, selector: str, key: str = "Enter") -> None:
    """Go to an element with Tab and press a key there."""
    walker.page.locator(selector).first.wait_for()
    focus(walker.page, selector)
    walker.page.keyboard.press(key)
