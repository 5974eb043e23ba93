"""The whole way in a browser, from a service provider without the iD to one that has it, and back again."""

import time

from playwright.sync_api import expect

from attribute_authority.assembly import present
from attribute_authority.demo.federation import CLIENT_ID
from attribute_authority.demo.records import BJORN, DANA_BEFORE
from attribute_authority.demo.registry_faults import Faults, Trouble
from tests.browser.stage import LINKED, NEW, NOT_LINKED, RENEW, REPLACE, UNLINK, Stage, Walker, uri

_REVOKED_SECONDS = 60


def permissions(stage: Stage, orcid: str) -> int:
    """Count the permissions that the registry has of us for a record."""
    return len(stage.federation.registry.ledger.live_pairs(orcid, CLIENT_ID, present()))


def test_linked_id_reaches_the_service_provider(walker: Walker) -> None:
    """Before, the service provider is told nothing; from the moment of the confirmation it is told the iD, also at the next sign-in."""
    walker.sign_in_at_service()
    walker.sees_at_service(None)
    walker.visitor.show("service before")
    walker.link()
    walker.visitor.show("linked")
    walker.ask_again()
    walker.sees_at_service(walker.newcomer.orcid)
    walker.page.locator("#sign-out button").click()
    walker.sign_in_at_service()

    walker.sees_at_service(walker.newcomer.orcid)


def test_nothing_is_ticked_beforehand_and_nothing_linked_without_consent(walker: Walker) -> None:
    """The consent comes unticked; a form without it is shown again, with what is missing, and links nothing."""
    walker.sign_in()
    walker.connect()
    walker.sees(NEW)
    ticked = walker.page.locator("input:checked").count()
    walker.page.locator('form[action^="/confirm/"] button').click()
    expect(walker.page.get_by_role("alert")).to_contain_text("Nothing has been linked yet")
    expect(walker.page.locator("#consent")).to_have_attribute("aria-invalid", "true")
    walker.open()
    walker.sees(NOT_LINKED)

    assert 0 == ticked


def test_researcher_returns(walker: Walker, walkers: "Walkers") -> None:
    """Who has linked an iD and comes back with another browser sees it, since when, and where it came from."""
    walker.link()
    later = walkers()
    later.sign_in()
    later.sees(LINKED)
    expect(later.shows(walker.newcomer.orcid)).to_be_visible()
    expect(later.page.locator("dl time")).to_have_count(2)
    expect(later.page.locator("main")).to_contain_text("You connected it here, and ORCID confirmed it")
    expect(later.page.locator("main")).to_contain_text("Example Data Archive")


def test_iD_is_replaced_after_a_second_tick(walker: Walker, stage: Stage) -> None:  # noqa: N802 - ORCID spells it so
    """Another record takes the place of the linked one only where both boxes are ticked; the first permission is revoked."""
    walker.link()
    walker.sign_out_at_orcid()
    walker.open()
    walker.connect(walker.newcomer.spare)
    walker.sees(REPLACE)
    walker.page.locator("#consent").check()
    walker.page.locator('form[action^="/confirm/"] button').click()
    walker.sees(REPLACE)
    walker.visitor.show("second tick missing")
    expect(walker.page.get_by_role("alert")).to_be_visible()
    walker.agree()
    walker.sees(LINKED)
    expect(walker.page.get_by_role("status")).to_have_text("Done. Your ORCID iD has been replaced.")
    expect(walker.shows(walker.newcomer.spare)).to_be_visible()
    walker.sign_in_at_service()

    walker.sees_at_service(walker.newcomer.spare)
    await_no_permission(stage, walker.newcomer.orcid)
