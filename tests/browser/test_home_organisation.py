"""The iD on its way into the home organisation's own directory and out of it again, as a researcher sees it."""

from playwright.sync_api import Locator, expect

from tests.browser.stage import LINKED, NEW, NOT_LINKED, Walker, Walkers, uri
from tests.peers.chromium import Window

_TAKES_NONE = "Your home organisation does not take deliveries"


def _told(walker: Walker) -> Locator:
    return walker.page.locator("#deliveries")


def _in_directory(walker: Walker) -> Locator:
    walker.page.goto(walker.federation.directory_url)
    return walker.page.locator(f'#people a[href="{uri(walker.newcomer.orcid)}"]')


def _released_by_home_organisation(walker: Walker) -> Locator:
    walker.sign_in_at_service()
    return walker.page.locator("#attributes dt", has_text="eduPersonOrcid")


def test_the_delivery_is_seen_to_arrive(walker: Walker) -> None:
    """Without loading the page again it says that the iD was delivered, with a reference; then the home organisation releases it itself."""
    walker.link()
    expect(_told(walker)).to_contain_text("Delivered.")
    expect(_told(walker).locator("code.reference")).to_have_count(1)
    expect(_in_directory(walker)).to_have_count(1)
    expect(_released_by_home_organisation(walker)).to_have_count(1)


def test_the_withdrawal_is_seen_to_arrive(walker: Walker) -> None:
    """After unlinking the page says by itself that the iD was removed; the directory and the next login have it no more."""
    walker.link()
    expect(_told(walker)).to_contain_text("Delivered.")
    walker.unlink()
    walker.sees(NOT_LINKED)
    expect(_told(walker)).to_contain_text("Removed.")
    expect(_in_directory(walker)).to_have_count(0)
    expect(_released_by_home_organisation(walker)).to_have_count(0)


def test_a_replaced_id_takes_the_place_of_the_other(walker: Walker) -> None:
    """The directory has the new iD and not the former one."""
    walker.link()
    expect(_told(walker)).to_contain_text("Delivered.")
    walker.connect_another(walker.newcomer.spare)
    walker.agree()
    walker.sees(LINKED)
    expect(_told(walker)).to_contain_text("Delivered.")
    expect(_in_directory(walker)).to_have_count(0)
    expect(walker.page.locator(f'#people a[href="{uri(walker.newcomer.spare)}"]')).to_have_count(1)


def test_without_scripts_the_page_is_loaded_again(walkers: Walkers) -> None:
    """Whoever allows no scripts sees the same after loading the page again."""
    walker = walkers(Window(javascript=False))
    walker.link()
    walker.reload_while(lambda: "Delivered." not in (_told(walker).text_content() or ""))
    expect(_told(walker).locator("code.reference")).to_have_count(1)


def test_an_organisation_without_sinks_says_so(walker: Walker) -> None:
    """Somebody of an organisation that takes no deliveries reads that the iD is linked and released, and goes nowhere else."""
    walker.open()
    walker.page.locator('main a[href="/login"]').click()
    walker.page.locator("#home-organisations a").nth(1).click()
    walker.page.locator("button[value=gita]").click()
    walker.leave_home()
    walker.sees(NOT_LINKED)
    walker.connect()
    walker.sees(NEW)
    walker.agree()
    walker.sees(LINKED)
    expect(_told(walker)).to_contain_text(_TAKES_NONE)
    walker.unlink()
    walker.sees(NOT_LINKED)
