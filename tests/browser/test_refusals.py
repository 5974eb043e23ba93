"""What goes wrong at ORCID or at the home organisation ends on a page that says so, with a way back and nothing half-done."""

import pytest

from attribute_authority.demo.records import DANA_BEFORE, HENRIK
from attribute_authority.demo.registry_faults import Faults, Trouble
from attribute_authority.web.companion.views import ProblemKind
from tests.browser.stage import NEW, NOT_LINKED, Walker


def test_denial_at_orcid_can_be_reconsidered(walker: Walker) -> None:
    """Who denies the access is told so, and gets through from there after all."""
    walker.sign_in()
    walker.set_out()
    walker.page.locator("#deny").click()
    walker.sees_problem(ProblemKind.ORCID_DENIED)
    walker.visitor.show("denied")
    walker.page.locator('.actions a[href="/orcid/authorize"]').click()
    walker.authorize()

    walker.sees(NEW)


@pytest.mark.parametrize("trouble", [Trouble.UNAVAILABLE, Trouble.GARBAGE, Trouble.GONE])
def test_orcid_that_is_down_is_told_and_can_be_tried_again(walker: Walker, faults: Faults, trouble: Trouble) -> None:
    """While ORCID does not exchange the code nothing is linked; when it is back, the button on the page leads on."""
    walker.sign_in()
    faults.trouble("/oauth/token", trouble)
    walker.connect()
    walker.sees_problem(ProblemKind.ORCID_UNAVAILABLE)
    walker.visitor.show("down")
    walker.page.locator('.actions a[href="/orcid/authorize"]').click()
    walker.authorize()

    walker.sees(NEW)


def test_slow_orcid_keeps_nobody_else_waiting(walker: Walker, faults: Faults) -> None:
    """While ORCID does not answer other pages do, and the one that waits for it ends with a page of its own."""
    walker.sign_in()
    faults.trouble("/oauth/token", Trouble.HANG)
    walker.set_out()
    walker.page.locator(f'input[value="{walker.newcomer.orcid}"]').check()
    other = walker.visitor.open_tab()
    with walker.page.expect_request("**/orcid/callback?**"):
        walker.page.locator("#authorize").click(no_wait_after=True)
    other.goto(walker.federation.companion_url)
    walker.sees(NOT_LINKED, other)
    waiting = walker.page.url
    walker.sees_problem(ProblemKind.ORCID_UNAVAILABLE)

    assert waiting.startswith(walker.federation.registry_url)


@pytest.mark.parametrize("orcid", [DANA_BEFORE, HENRIK], ids=["deprecated", "locked"])
def test_closed_record_is_not_linked(walker: Walker, orcid: str) -> None:
    """A record that gave way to another one, or is locked, is refused, and the button leads to where another one can be chosen."""
    walker.sign_in()
    walker.connect(orcid)
    walker.sees_problem(ProblemKind.ORCID_RECORD_CLOSED)
    walker.visitor.show("closed")
    walker.connect_another(walker.newcomer.orcid)

    walker.sees(NEW)


def test_other_scope_than_asked_for_is_refused(walker: Walker, faults: Faults) -> None:
    """A token whose scope does not authenticate the researcher proves nothing."""
    faults.response(scope="/read-public")
    walker.sign_in()
    walker.connect()
    walker.sees_problem(ProblemKind.ORCID_REFUSED)
    walker.visitor.show("scope")
    walker.open()

    walker.sees(NOT_LINKED)


def test_record_of_somebody_else_in_the_token_response_is_refused(walker: Walker, faults: Faults) -> None:
    """A token response that names another iD than its id_token is refused."""
    faults.response(orcid=walker.newcomer.spare)
    walker.sign_in()
    walker.connect()

    walker.sees_problem(ProblemKind.ORCID_REFUSED)


@pytest.mark.parametrize(
    ("login", "kind"), [("eero", ProblemKind.SCOPE_NOT_ALLOWED), ("fanny", ProblemKind.NO_IDENTIFIER)], ids=["scope", "no-identifier"]
)
def test_home_organisation_that_cannot_be_believed_signs_nobody_in(walker: Walker, login: str, kind: ProblemKind) -> None:
    """An identifier in a foreign scope, or none at all: the page says what to tell the home organisation, and there is no session."""
    walker.sign_in(login)
    walker.sees_problem(kind)
    walker.visitor.show("refused")
    kept = {cookie["name"] for cookie in walker.visitor.context.cookies()}

    assert "companion-session" not in kept


def test_cancelled_sign_in_can_be_begun_again(walker: Walker) -> None:
    """Who cancels at the home organisation is told so, and gets in from there after all."""
    walker.open()
    walker.page.locator('main a[href="/login"]').click()
    walker.page.locator("#home-organisations a").first.click()
    walker.page.locator('button[name="cancel"]').click()
    walker.leave_home()
    walker.sees_problem(ProblemKind.SIGN_IN_REFUSED)
    walker.visitor.show("cancelled")
    walker.page.locator('.actions a[href="/login"]').click()
    walker.choose_home()

    walker.sees(NOT_LINKED)


def test_page_behind_an_unknown_address_leads_back(walker: Walker) -> None:
    """An address that leads nowhere says so, in the browser's language, with the status of HTTP that says the same."""
    answer = walker.page.goto(f"{walker.federation.companion_url}/nowhere")
    walker.sees_problem(ProblemKind.NOT_FOUND)

    assert answer is not None
    assert 404 == answer.status
