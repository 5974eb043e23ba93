"""A linking from the first page to the last, and what a linked researcher can do."""

from datetime import timedelta

import pytest

from attribute_authority.domain.identifiers import Environment, parse_identifier_text
from attribute_authority.domain.link import LinkSource, NewLink
from attribute_authority.errors import RecordClosed, RegistryRefused, RegistryUnavailable
from attribute_authority.saml import namespaces as ns
from attribute_authority.web.companion.consent import CONSENT_VERSION
from tests.factories import responses
from tests.factories.companion import BASE, ORCID, OTHER_ORCID, SERVICE, SESSION_SECONDS, Site, grant

PERSON = parse_identifier_text(f"eppn={responses.PERSON}")


def _linked_orcid(site: Site) -> str | None:
    known = site.store.find_subject(PERSON, Environment.PRODUCTION)
    return None if known is None or known.orcid is None else known.orcid.value


def _linked_by_hand(site: Site, orcid: str = OTHER_ORCID.value, person: str = str(PERSON)) -> None:
    identifiers = (parse_identifier_text(person),)
    site.store.add_link(
        NewLink(responses.IDP, identifiers, type(ORCID)(orcid), Environment.PRODUCTION, LinkSource.IMPORT, site.now - timedelta(days=1))
    )


def test_a_researcher_links_an_id() -> None:
    """Sign-in, permission and consent store the link, which is found by the identifier of the sign-in."""
    site = Site()
    browser = site.browser()
    browser.sign_in()

    browser.link()

    assert ORCID.value == _linked_orcid(site)
    assert "Done. Your ORCID iD has been linked." in browser.text


def test_every_identifier_of_the_sign_in_is_kept() -> None:
    """Whichever identifier a service provider later asks with, it finds the person."""
    site = Site()
    browser = site.browser()
    browser.sign_in(responses.eppn(), responses.attribute(ns.SUBJECT_ID, "abc123@uni.example"))

    browser.link()

    (link,) = site.store.find_links()
    assert {PERSON, parse_identifier_text("subject-id=abc123@uni.example")} < set(link.identifiers)


def test_identifiers_that_come_later_are_kept_too() -> None:
    """When the home organisation begins to release another identifier, the next visit makes the person known by it."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.link()

    site.browser().sign_in(responses.eppn(), responses.attribute(ns.SUBJECT_ID, "abc123@uni.example"))

    known = site.store.find_subject(parse_identifier_text("subject-id=abc123@uni.example"), Environment.PRODUCTION)
    assert known is not None
    assert ORCID == known.orcid


def test_the_consent_is_stored_with_version_language_and_instant() -> None:
    """What was agreed to, in which language and when, is kept with the link."""
    site = Site()
    browser = site.browser("fi")
    browser.sign_in()

    browser.link()

    standing = site.store.recognise(responses.IDP, (PERSON,), Environment.PRODUCTION, site.now)
    assert standing is not None
    assert standing.consent is not None
    assert (CONSENT_VERSION, "fi", site.now) == (standing.consent.text_version, standing.consent.language, standing.consent.given_at)


def test_nothing_is_stored_without_consent() -> None:
    """A form without the tick shows the page again and stores nothing."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.connect()

    answer = browser.submit("/confirm/")

    assert (422, None) == (answer.status_code, _linked_orcid(site))


def test_the_consent_is_not_ticked_beforehand() -> None:
    """The researcher ticks it, nobody else."""
    browser = Site().browser()
    browser.sign_in()
    browser.connect()

    assert [] == browser.page().xpath("//input[@type='checkbox'][@checked]")


def test_the_confirmation_shows_both_sides_and_who_receives_the_id() -> None:
    """The iD with the name on the record, the home organisation's identity, and the services that may receive it."""
    browser = Site().browser()
    browser.sign_in()

    browser.connect()

    shown = (ORCID.uri(Environment.PRODUCTION), "Josiah Carberry", "University", responses.PERSON, "Research Portal")
    assert [] == [text for text in shown if text not in browser.text]


def test_declining_gives_the_permission_back() -> None:
    """A grant that is not wanted is due for revocation at once, and nothing is linked."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.connect()

    browser.submit("/decline/")

    due = site.store.claim_revocations(site.now, timedelta(minutes=1), 10)
    assert (1, None) == (len(due), _linked_orcid(site))


def test_a_grant_that_is_never_confirmed_is_revoked_when_its_time_is_up() -> None:
    """A researcher who closes the window leaves no permission behind that serves nothing."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.connect()

    waiting = site.store.claim_revocations(site.now, timedelta(minutes=1), 10)
    later = site.store.claim_revocations(site.now + timedelta(seconds=SESSION_SECONDS), timedelta(minutes=1), 10)

    assert (0, 1) == (len(waiting), len(later))


def test_another_id_is_replaced_only_where_that_is_ticked_too() -> None:
    """A subject that has an iD keeps it until the researcher says that it shall be replaced."""
    site = Site()
    _linked_by_hand(site)
    browser = site.browser()
    browser.sign_in()
    browser.connect()

    browser.submit("/confirm/", consent="yes")
    kept = _linked_orcid(site)
    browser.submit("/confirm/", consent="yes", replace="yes")

    assert (OTHER_ORCID.value, ORCID.value) == (kept, _linked_orcid(site))
    assert "Done. Your ORCID iD has been replaced." in browser.text


def test_a_tick_that_was_made_need_not_be_made_again() -> None:
    """Where only the second one is missing, the page has the first, and asks for the other alone."""
    site = Site()
    _linked_by_hand(site)
    browser = site.browser()
    browser.sign_in()
    browser.connect()

    browser.submit("/confirm/", consent="yes")

    page = browser.page()
    assert ["consent"] == page.xpath("//input[@checked]/@name")
    assert ["replace"] == page.xpath("//input[@aria-invalid]/@name")
    assert ["#replace"] == page.xpath("//*[@role='alert']//a/@href")


def test_a_tick_to_replace_means_the_id_that_was_shown() -> None:
    """Where yet another iD was linked since the page was shown, the page is shown again."""
    site = Site()
    _linked_by_hand(site)
    browser = site.browser()
    browser.sign_in()
    browser.connect()
    (present,) = site.store.find_links()
    site.store.withdraw_link(present.link_id, site.now)
    _linked_by_hand(site, "0000-0002-9079-593X")

    answer = browser.submit("/confirm/", consent="yes", replace="yes")

    assert (422, "0000-0002-9079-593X") == (answer.status_code, _linked_orcid(site))


def test_an_id_of_somebody_else_is_not_taken() -> None:
    """The page explains and points to the contact; the permission is given back."""
    site = Site()
    _linked_by_hand(site, ORCID.value, "eppn=somebody.else@uni.example")
    browser = site.browser()
    browser.sign_in()

    answer = browser.connect()

    assert (409, None) == (answer.status_code, _linked_orcid(site))
    assert "orcid@example.org" in browser.page().xpath("string(//main//a[starts-with(@href, 'mailto:')]/@href)")
    assert 1 == len(site.store.claim_revocations(site.now, timedelta(minutes=1), 10))


def test_the_permission_can_be_renewed() -> None:
    """The same iD again keeps the link and its date, and gives the earlier permission back."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.link()
    (before,) = site.store.find_links()
    site.now += timedelta(minutes=5)

    browser.link()

    assert (before,) == tuple(site.store.find_links(withdrawn=True))
    assert "Done. The permission has been renewed." in browser.text
    assert 1 == len(site.store.claim_revocations(site.now, timedelta(minutes=1), 10))


def test_unlinking_withdraws_at_once_and_has_the_permission_revoked() -> None:
    """From that moment nothing is released, and the page says truthfully that ORCID is still to be told."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.link()
    browser.get("/unlink")

    browser.submit("/unlink")

    assert _linked_orcid(site) is None
    assert "Done. Your ORCID iD has been unlinked." in browser.text
    assert 1 == len(site.store.claim_revocations(site.now, timedelta(minutes=1), 10))


def test_an_id_of_the_home_organisation_that_differs_is_shown() -> None:
    """Home page and confirmation tell the researcher about the other iD."""
    site = Site()
    browser = site.browser()
    browser.sign_in(responses.eppn(), responses.attribute(ns.EDU_PERSON_ORCID, OTHER_ORCID.uri(Environment.PRODUCTION)))
    at_home = OTHER_ORCID.value in browser.text

    browser.connect()

    assert (True, True) == (at_home, OTHER_ORCID.value in browser.text)


def test_the_back_button_after_linking_leads_home() -> None:
    """The confirmation page cannot be sent a second time: it is over, and the link is there once."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.connect()
    (form,) = [form for form in browser.page().forms if (form.action or "").startswith("/confirm/")]
    browser.submit("/confirm/", consent="yes")

    again = browser.post(form.action, {"csrf": form.fields["csrf"], "consent": "yes"})

    assert 1 == len(tuple(site.store.find_links(withdrawn=True)))
    assert "Your ORCID iD is linked" in browser.text
    assert again.status_code == 200


def test_two_windows_each_confirm_what_they_show() -> None:
    """A second authorization in another window does not change what the first one's page stores."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.connect(grant(ORCID))
    first = browser.page()
    browser.connect(grant(OTHER_ORCID))
    (form,) = [form for form in first.forms if (form.action or "").startswith("/confirm/")]

    browser.post(form.action, {"csrf": form.fields["csrf"], "consent": "yes"})

    assert ORCID.value == _linked_orcid(site)


def test_a_session_ends_when_its_time_is_up() -> None:
    """After its lifetime the next step asks to sign in again, and stores nothing."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    browser.connect()
    site.now += timedelta(seconds=SESSION_SECONDS)

    answer = browser.submit("/confirm/", consent="yes")

    assert (403, None) == (answer.status_code, _linked_orcid(site))
    assert "/login" in browser.page().xpath("//main//a/@href")


def test_signing_out_ends_the_session_for_good() -> None:
    """A copy of the cookie opens nothing afterwards."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    cookie = browser.client.get_cookie("__Host-session", "orcid.example.org")
    assert cookie is not None
    browser.submit("/logout")
    thief = site.browser()
    thief.client.set_cookie("__Host-session", cookie.value, domain="orcid.example.org", secure=True)

    thief.get("/")

    assert "Link your ORCID iD" in thief.text


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (RegistryUnavailable("down"), 503),
        (RegistryRefused("no"), 502),
        (RecordClosed("deprecated"), 409),
    ],
)
def test_a_failure_at_orcid_ends_on_a_page_with_a_way_back(failure: Exception, status: int) -> None:
    """The researcher reads what happened, nothing is stored, and the step can be begun again."""
    site = Site()
    browser = site.browser()
    browser.sign_in()

    answer = browser.connect(failure)

    assert (status, None) == (answer.status_code, _linked_orcid(site))
    assert "/orcid/authorize" in browser.page().xpath("string(//main//a[contains(@class, 'primary')]/@href)")


def test_a_no_at_orcid_ends_on_a_page_with_a_way_back() -> None:
    """Denial at ORCID asks the registry for nothing and stores nothing."""
    site = Site()
    browser = site.browser()
    browser.sign_in()
    state = browser.go_to_orcid()["state"]

    answer = browser.get(f"/orcid/callback?error=access_denied&error_description=User%20denied%20access&state={state}")

    assert (403, []) == (answer.status_code, site.registry.exchanged)
    assert "/orcid/authorize" in browser.page().xpath("//main//a/@href")


def test_a_deep_link_survives_the_sign_in() -> None:
    """Who opens the page to unlink without being signed in is there after the sign-in."""
    site = Site()
    first = site.browser()
    first.sign_in()
    first.link()
    browser = site.browser()

    answer = browser.sign_in(begin="/unlink")

    assert "/unlink" == answer.request.path


@pytest.mark.parametrize("begin", ["/login", "/login?to=connect", "/login?to=unlink", "/orcid/authorize"])
def test_the_answer_to_a_response_stays_with_us(begin: str) -> None:
    """A home organisation whose form may lead to us alone is not stopped: no sign-in leads straight on to ORCID."""
    browser = Site().browser()

    answer = browser.post("/saml/acs", {"SAMLResponse": browser.response(browser.begin_sign_in(begin))}, follow=False)
    while answer.status_code == 303:
        assert answer.headers["Location"].startswith("/")
        answer = browser.get(answer.headers["Location"], follow=False)

    assert 200 == answer.status_code


def test_a_sign_in_goes_through_the_discovery_service() -> None:
    """The discovery service gets our entityID and where to return; what it returns is where the AuthnRequest goes."""
    site = Site(discovery=True)
    browser = site.browser()

    asked = browser.get("/login?to=unlink", follow=False)
    returned = browser.get(f"/login?to=unlink&discovered=&entityID={responses.OTHER_IDP}", follow=False)

    assert asked.headers["Location"].startswith("https://ds.example.org/choose?entityID=https%3A%2F%2Forcid.example.org%2Fsaml&return=")
    assert returned.headers["Location"].startswith("https://idp.uni.example/sso?SAMLRequest=")


def test_a_discovery_service_that_returns_nothing_leads_to_the_start_page() -> None:
    """Who cancels there is not sent in a circle."""
    browser = Site(discovery=True).browser()

    answer = browser.get("/login?to=home&discovered=")

    assert "/" == answer.request.path


def test_a_researcher_who_comes_from_orcid_signs_in_and_confirms() -> None:
    """A code without our state is kept out of the address, survives the sign-in, and is exchanged with the redirect URI it was made for."""
    site = Site()
    site.registry.answers.append(grant())
    browser = site.browser()

    browser.sign_in(begin="/orcid/connect?code=from-orcid")

    assert [("from-orcid", f"{BASE}/orcid/connect", None)] == site.registry.exchanged
    assert "Is this your ORCID iD?" in browser.text


@pytest.mark.parametrize(("language", "words"), [("fi", "ORCID"), ("sv", "ORCID"), ("en", "ORCID")])
def test_the_language_follows_the_browser_and_the_choice_is_remembered(language: str, words: str) -> None:
    """Accept-Language decides first, the switch decides from then on."""
    browser = Site().browser("de;q=0.9, en;q=0.1")
    browser.get(f"/?lang={language}")

    browser.get("/")

    assert language == browser.page().get("lang")
    assert words in browser.text


def test_the_service_is_named_in_the_language_of_the_page() -> None:
    """Recipients stand there by the names of their metadata."""
    browser = Site().browser("fi")
    browser.sign_in()

    browser.connect()

    assert "Tutkimusportaali" in browser.text
    assert SERVICE not in browser.text
