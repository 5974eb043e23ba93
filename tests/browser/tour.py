"""A tour of every page in every state: of the companion page, and of the demo federation around it."""

from collections.abc import Iterable, Iterator

from playwright.sync_api import Page, expect

from attribute_authority.demo.federation import CLIENT_ID
from attribute_authority.demo.registry_faults import Trouble
from attribute_authority.web.companion.views import ProblemKind
from tests.browser.stage import LINKED, NEW, NOT_LINKED, RENEW, REPLACE, SIGNED_OUT, START, UNLINK, Walker


def tour(walker: Walker, problems: Iterable[ProblemKind] = ProblemKind) -> Iterator[str]:
    """Lead the newcomer from page to page; each is ready in the first tab when its name comes. Of the problems, some or all are shown."""
    yield from _service_and_sign_in(walker)
    yield from _first_link(walker)
    yield from _changes(walker)
    yield from _farewell(walker)
    yield from _problems(walker, problems)
    yield from _registry(walker)


def _service_and_sign_in(walker: Walker) -> Iterator[str]:
    page = walker.page
    page.goto(walker.federation.service_url)
    yield "service provider"
    page.locator("#sign-in").click()
    page.locator("#home-organisations").wait_for()
    yield "discovery service"
    page.locator("#home-organisations a").first.click()
    page.locator("form#sign-in").wait_for()
    yield "identity provider"
    page.locator(f'button[value="{walker.newcomer.login}"]').click()
    walker.leave_home()
    page.locator("#nothing").wait_for()
    yield "service provider, told nothing"
    page.goto(walker.federation.organisations[0].base_url)
    yield "identity provider, by itself"
    page.goto(walker.federation.discovery_url)
    yield "demo problem"


def _first_link(walker: Walker) -> Iterator[str]:
    walker.open()
    walker.sees(START)
    yield "start"
    walker.page.locator('main a[href="/login"]').click()
    walker.choose_home()
    walker.sees(NOT_LINKED)
    yield "home, unlinked"
    walker.set_out()
    yield "registry asks"
    walker.authorize()
    walker.sees(NEW)
    yield "confirm new"
    walker.confirm()
    walker.page.get_by_role("alert").wait_for()
    yield "confirm new, tick missing"
    walker.agree()
    walker.sees(LINKED)
    yield "home, just linked"
    walker.open()
    walker.sees(LINKED)
    yield "home, linked"
    walker.ask_again()
    walker.sees_at_service(walker.newcomer.orcid)
    yield "service provider, told the iD"


def _changes(walker: Walker) -> Iterator[str]:
    walker.open()
    walker.page.locator('main a[href="/orcid/authorize"]').first.click()
    walker.sees(RENEW)
    yield "confirm renewal"
    walker.confirm()
    walker.page.get_by_role("alert").wait_for()
    yield "confirm renewal, tick missing"
    walker.page.locator('form[action^="/decline/"] button').click()
    walker.sees(LINKED)
    yield "home, declined"
    walker.connect_another(walker.newcomer.spare)
    walker.sees(REPLACE)
    yield "confirm replacement"
    walker.confirm()
    walker.page.get_by_role("alert").wait_for()
    yield "confirm replacement, ticks missing"


def _farewell(walker: Walker) -> Iterator[str]:
    walker.newcomer.faults.trouble("/oauth/revoke", Trouble.UNAVAILABLE, times=100)
    walker.open("/unlink")
    walker.sees(UNLINK)
    yield "unlink"
    walker.confirm_unlink()
    walker.sees(NOT_LINKED)
    yield "home, just unlinked"
    walker.reload_while(lambda: walker.page.locator("[aria-labelledby=unlinked] .progress.waiting").count() == 0)
    yield "home, unlinked while ORCID is away"
    walker.page.locator('form[action="/logout"] button').click()
    walker.sees(SIGNED_OUT)
    yield "signed out"


def _problems(walker: Walker, problems: Iterable[ProblemKind]) -> Iterator[str]:
    for kind in problems:
        walker.open(f"/problem/{kind}")
        walker.sees_problem(kind)
        yield f"problem {kind}"
    walker.open("/nowhere")
    walker.sees_problem(ProblemKind.NOT_FOUND)
    yield "nowhere"
    walker.sign_in("eero")
    walker.sees_problem(ProblemKind.SCOPE_NOT_ALLOWED)
    yield "problem with a reference"


def _registry(walker: Walker) -> Iterator[str]:
    registry = walker.federation.registry_url
    for name, path in (
        ("registry", "/"),
        ("registry, institutional sign-in", f"/institutional-signin?client_id={CLIENT_ID}"),
        ("registry, signed out", "/signout"),
        ("registry refuses", "/oauth/authorize?client_id=unknown"),
    ):
        walker.page.goto(registry + path)
        yield name


def assert_no_sideways_scrolling(page: Page) -> None:
    """Fail where a page is wider than its window, and with what sticks out."""
    widest = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > innerWidth + 0.5)
            .map(one => `${one.tagName.toLowerCase()}.${one.className} ${Math.ceil(one.getBoundingClientRect().right)}px`)"""
    )
    scrolls = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")

    assert not scrolls, f"{page.url} ({page.title()}) scrolls sideways: {widest}"


def octets(page: Page) -> int:
    """Return how much the present page and everything that it shows weigh as they are sent, headers left out."""
    return int(
        page.evaluate(
            """['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))
                .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
        )
    )


def focus(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus; fail where that is hidden on any of the stops, or never comes."""
    page.wait_for_load_state()
    for _ in range(100):
        page.keyboard.press("Tab")
        stop, outline = page.evaluate(
            """() => { const one = document.activeElement, style = getComputedStyle(one);
                return [one.outerHTML.slice(0, 200), style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth)] }"""
        )

        assert outline >= 2, f"{page.url}: the focus cannot be seen on {stop}"
        if page.locator(selector).first.evaluate("one => one === document.activeElement"):
            expect(page.locator(selector).first).to_be_in_viewport()
            return
    raise AssertionError(f"{page.url}: the keyboard never comes to {selector}")
