"""The whole way in a browser, from a service provider without the iD to one that has it, and back again."""

from playwright.sync_api import expect

from attribute_authority.assembly import present
from attribute_authority.demo.federation import CLIENT_ID
from attribute_authority.demo.records import BJORN, DANA_BEFORE
from attribute_authority.demo.registry_faults import Faults, Trouble
from attribute_authority.web.companion.views import ProblemKind
from tests.browser.stage import LINKED, NEW, NOT_LINKED, RENEW, REPLACE, UNLINK, Stage, Walker, Walkers


def test_linked_id_reaches_the_service_provider(walker: Walker) -> None:
    """Before, the service provider is told nothing; from the confirmation on it is told the iD, also at the next sign-in."""
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


def test_nothing_is_linked_without_consent(walker: Walker) -> None:
    """The consent comes unticked; a form without it is shown again, with what is missing, and links nothing."""
    walker.sign_in()
    walker.connect()
    walker.sees(NEW)
    ticked = walker.page.locator("input:checked").count()
    walker.confirm()
    expect(walker.page.get_by_role("alert")).to_be_focused()
    expect(walker.page.locator("#consent")).to_have_attribute("aria-invalid", "true")
    walker.open()
    walker.sees(NOT_LINKED)

    assert 0 == ticked


def test_declined_permission_is_given_back(walker: Walker, stage: Stage) -> None:
    """Who does not agree is told that nothing was linked, and ORCID is asked to forget the permission."""
    walker.sign_in()
    walker.connect()
    walker.sees(NEW)
    walker.page.locator('form[action^="/decline/"] button').click()
    walker.sees(NOT_LINKED)

    expect(walker.page.get_by_role("status")).to_have_text("You declined. Nothing has been linked or changed.")
    walker.reload_while(lambda: permissions(stage, walker.newcomer.orcid) > 0)


def test_researcher_returns(walker: Walker, walkers: Walkers) -> None:
    """Who has linked an iD and comes back with another browser sees it, since when, where it came from, and who receives it."""
    walker.link()
    later = walkers()
    later.sign_in()
    later.sees(LINKED)
    later.visitor.show("returned")

    expect(later.shows(walker.newcomer.orcid)).to_be_visible()
    expect(later.page.locator("dl time")).not_to_have_count(0)
    expect(later.page.locator("dl").first).to_contain_text("You connected it here, and ORCID confirmed it")
    expect(later.page.locator("main")).to_contain_text("Example Data Archive")


def test_id_is_replaced_after_a_second_tick(walker: Walker) -> None:
    """Another record takes the place of the linked one only where both boxes are ticked, and the service provider is told the new one."""
    walker.link()
    walker.connect_another(walker.newcomer.spare)
    walker.sees(REPLACE)
    walker.visitor.show("replace")
    walker.page.locator("#consent").check()
    walker.confirm()
    expect(walker.page.get_by_role("alert")).to_be_visible()
    walker.visitor.show("second tick missing")
    walker.agree()
    walker.sees(LINKED)

    expect(walker.page.get_by_role("status")).to_have_text("Done. Your ORCID iD has been replaced.")
    expect(walker.shows(walker.newcomer.spare)).to_be_visible()
    walker.sign_in_at_service()
    walker.sees_at_service(walker.newcomer.spare)


def test_permission_is_renewed(walker: Walker, stage: Stage) -> None:
    """The same iD once more, for which ORCID asks nothing, renews the permission; one permission is left at ORCID."""
    walker.link()
    walker.page.locator('main a[href="/orcid/authorize"]').first.click()
    walker.sees(RENEW)
    walker.visitor.show("renew")
    walker.agree()
    walker.sees(LINKED)

    expect(walker.page.get_by_role("status")).to_have_text("Done. The permission has been renewed.")
    walker.reload_while(lambda: permissions(stage, walker.newcomer.orcid) > 1)


def test_unlinked_id_is_released_to_nobody(walker: Walker, stage: Stage) -> None:
    """The service provider is told nothing from that moment, and the page says that ORCID has confirmed it once that is so."""
    walker.link()
    walker.page.locator('main a[href="/unlink"]').click()
    walker.sees(UNLINK)
    walker.visitor.show("asked")
    walker.confirm_unlink()
    walker.sees(NOT_LINKED)
    walker.visitor.show("unlinked")
    walker.sign_in_at_service()
    walker.sees_at_service(None)
    walker.open()
    walker.reload_while(lambda: walker.page.locator("[aria-labelledby=unlinked] .progress.done").count() == 0)

    assert 0 == permissions(stage, walker.newcomer.orcid)


def test_page_tells_that_orcid_is_away_while_it_is(walker: Walker, stage: Stage, faults: Faults) -> None:
    """While ORCID cannot be reached the page does not claim that the permission has ended; the iD is unlinked here all the same."""
    walker.link()
    faults.trouble("/oauth/revoke", Trouble.UNAVAILABLE, times=100)
    walker.unlink()
    walker.sees(NOT_LINKED)
    walker.reload_while(lambda: walker.page.locator("[aria-labelledby=unlinked] .progress.waiting").count() == 0)
    walker.visitor.show("waiting")

    expect(walker.page.locator("[aria-labelledby=unlinked] .progress")).to_contain_text("not withdrawn yet")
    assert 1 == permissions(stage, walker.newcomer.orcid)


def test_linked_id_of_somebody_else_is_left_alone(walker: Walker, walkers: Walkers) -> None:
    """An iD that is linked to another person is refused with the next steps, and stays where it is."""
    walker.link()
    other = walkers()
    other.sign_in("chen")
    other.connect()
    other.sees_problem(ProblemKind.ORCID_TAKEN)
    other.visitor.show("taken")
    other.connect_another(walker.newcomer.spare)
    other.sees(NEW)
    walker.open()

    expect(walker.shows(walker.newcomer.orcid)).to_be_visible()


def test_id_that_the_home_organisation_knows_is_compared(walker: Walker) -> None:
    """The iD that came from the home organisation is shown as unconfirmed before the linking, and as different beside another one."""
    walker.sign_in("dana")
    walker.sees(NOT_LINKED)
    expect(walker.shows(DANA_BEFORE)).to_be_visible()
    walker.visitor.show("known")
    walker.connect()
    walker.sees(NEW)
    walker.visitor.show("different")

    expect(walker.shows(DANA_BEFORE)).to_be_visible()
    expect(walker.page.locator("main")).to_contain_text("Your home organisation has another iD")


def test_hidden_name_is_told(walker: Walker) -> None:
    """A record that hides its name can be confirmed by its iD."""
    walker.sign_in()
    walker.connect(BJORN)
    walker.sees(NEW)
    walker.visitor.show("hidden name")

    expect(walker.page.locator("#at-orcid + .name")).to_have_text("The name on this record is not public.")


def permissions(stage: Stage, orcid: str) -> int:
    """Count the permissions that the registry has of us for a record."""
    return len(stage.federation.registry.ledger.live_pairs(orcid, CLIENT_ID, present()))
