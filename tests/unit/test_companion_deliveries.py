"""How deliveries fare, on the home page of the person whom they are about."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from attribute_authority.domain.delivery import DeliveryState
from attribute_authority.web.companion.consent import CONSENT_VERSION, DELIVERY_CONSENT_VERSION
from attribute_authority.web.companion.deliveries import Destination, describe_destinations
from tests.factories import responses
from tests.factories.companion import OTHER_ORCID, Browser, Site
from tests.factories.companion_deliveries import delivering_site, delivery_record, linked_browser

_SECOND = timedelta(seconds=1)


def _progress(browser: Browser) -> list[str]:
    browser.get("/")
    return [str(shown) for shown in browser.page().xpath("//section[@id = 'deliveries']//p[starts-with(@class, 'progress')]/@class")]


def test_an_organisation_without_deliveries_says_so() -> None:
    """Whoever is linked there reads that the iD is linked and released, and that nothing is sent; nobody else reads of deliveries."""
    browser = Site().browser()
    browser.sign_in()
    before = browser.text
    browser.link()

    assert "Delivery to your home organisation" not in before
    assert "Your iD is linked, and this service releases it. Your home organisation does not take deliveries" in browser.text
    assert [] == browser.page().xpath("//script")


def test_nothing_is_asked_where_there_are_no_deliveries() -> None:
    """The books are not opened for a home organisation without sinks."""
    site = Site()
    linked_browser(site)

    assert 0 == site.books.asked


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "under-way"),
        ({"attempts": 1, "in_hand": True}, "under-way"),
        ({"attempts": 3, "due_at": responses.NOW - _SECOND}, "under-way"),
        ({"attempts": 3, "due_at": responses.NOW + _SECOND}, "waiting"),
        ({"state": DeliveryState.DELIVERED, "due_at": None, "ended_at": responses.NOW}, "done"),
        ({"state": DeliveryState.PARKED, "due_at": None, "ended_at": responses.NOW}, "parked"),
        ({"state": DeliveryState.CANCELLED, "due_at": None}, "stopped"),
        ({"state": DeliveryState.SUPERSEDED, "due_at": None}, "stopped"),
        ({"orcid": OTHER_ORCID, "state": DeliveryState.DELIVERED}, "unsent"),
    ],
)
def test_a_delivery_fares(changes: dict[str, Any], shown: str) -> None:
    """Each state in the books is told; what is there of another iD tells nothing of the one in force."""
    site = delivering_site("crm")
    browser = linked_browser(site)
    site.books.records.append(replace(delivery_record(site), **changes))

    assert [f"progress {shown}"] == _progress(browser)


def test_a_delivery_that_waits_tells_until_when() -> None:
    """The next attempt is told in the time of Finland, beside the reference."""
    site = delivering_site("crm")
    browser = linked_browser(site)
    record = replace(delivery_record(site), attempts=2, due_at=responses.NOW + timedelta(hours=1))
    site.books.records.append(record)
    browser.get("/")

    (told,) = browser.page().xpath("//section[@id = 'deliveries']//dl")
    assert record.reference in told.text_content()
    assert record.due_at is not None
    assert [record.due_at] == [
        record.due_at.fromisoformat(time).astimezone(record.due_at.tzinfo) for time in told.xpath(".//time/@datetime")
    ]


def test_what_the_other_system_said_stays_with_support() -> None:
    """Its words are not shown; the organisation's support is."""
    site = delivering_site("crm", contact="idm@uni.example")
    browser = linked_browser(site)
    refused = replace(delivery_record(site), state=DeliveryState.PARKED, ended_at=responses.NOW, message="ORA-00942", told_at=responses.NOW)
    site.books.records.append(refused)
    browser.get("/")

    assert "ORA-00942" not in browser.text
    assert "Its IT support has been told." in browser.text
    assert "Write to idm@uni.example." in browser.text


def test_several_systems_are_told_apart() -> None:
    """Each sink has its own part with its name; one to which nothing was written is told too."""
    site = delivering_site("crm", "hr")
    browser = linked_browser(site)
    site.books.records.append(replace(delivery_record(site, "hr"), state=DeliveryState.DELIVERED, ended_at=responses.NOW))

    assert ["progress unsent", "progress done"] == _progress(browser)
    assert ["crm", "hr"] == [
        heading.text_content().rpartition(": ")[2] for heading in browser.page().xpath("//h3") if ":" in heading.text_content()
    ]


def test_a_withdrawal_is_followed_too() -> None:
    """Whoever has unlinked sees whether the iD is gone from the organisation's system."""
    site = delivering_site("crm")
    browser = linked_browser(site)
    browser.get("/unlink")
    asked = browser.text
    browser.submit("/unlink")
    site.books.records.append(replace(delivery_record(site), orcid=None, state=DeliveryState.DELIVERED, ended_at=site.now))

    assert "It is removed from the systems of your home organisation to which it was delivered." in asked
    assert ["progress done"] == _progress(browser)
    assert "Removed. What we had delivered does not stand there any more." in browser.text


def test_a_withdrawal_that_was_not_written_is_told() -> None:
    """Where only the delivery of the iD stands in the books, nobody reads that it was removed."""
    site = delivering_site("crm")
    browser = linked_browser(site)
    site.books.records.append(replace(delivery_record(site), state=DeliveryState.DELIVERED, ended_at=site.now))
    browser.get("/unlink")
    browser.submit("/unlink")

    assert ["progress unsent"] == _progress(browser)
    assert "The system has not been told that the iD was unlinked." in browser.text


def test_whoever_unlinked_before_any_delivery_reads_of_none() -> None:
    """What was never sent anywhere need not be removed."""
    site = delivering_site("crm")
    browser = linked_browser(site)
    browser.get("/unlink")
    browser.submit("/unlink")

    assert "Delivery to your home organisation" not in browser.text


@pytest.mark.parametrize(("sinks", "version"), [((), CONSENT_VERSION), (("crm",), DELIVERY_CONSENT_VERSION)])
def test_consent_is_to_the_text_that_was_shown(sinks: tuple[str, ...], version: str) -> None:
    """Only where the iD is sent to the organisation's own systems does the text say so, and the version with it."""
    site = delivering_site(*sinks)
    browser = site.browser()
    browser.sign_in()
    browser.connect()
    shown = "Your home organisation also takes your iD into systems of its own." in browser.text
    browser.submit("/confirm/", consent="yes")
    standing = site.standing()

    assert standing.consent is not None
    assert (bool(sinks), version) == (shown, standing.consent.text_version)
    assert bool(sinks) == ("sent to its own systems, and released" in browser.text)


def test_the_start_page_tells_of_deliveries_where_there_are_any() -> None:
    """What happens with an iD is told in full before anybody signs in."""
    browser = delivering_site("crm").browser()
    browser.get("/")
    told = browser.text
    other = Site().browser()
    other.get("/")

    assert ("takes iDs into systems of its own" in told, "takes iDs into systems of its own" in other.text) == (True, False)


def test_the_part_is_sent_by_itself() -> None:
    """`/deliveries` has what the page has, in the language that is asked for, and no event of it is written."""
    site = delivering_site("crm")
    browser = linked_browser(site)
    site.books.records.append(delivery_record(site))
    written = site.events()
    part = browser.get("/deliveries?lang=sv")

    assert ("yes", "text/html; charset=utf-8") == (part.headers["Deliveries-Under-Way"], part.content_type)
    assert "På gång." in part.text
    assert "<html" not in part.text
    assert written == site.events()


def test_the_part_of_nobody_is_refused() -> None:
    """Without a session there is nothing to show, and the log has the reference of the page that says so."""
    site = delivering_site("crm")
    browser = site.browser()

    assert 403 == browser.get("/deliveries").status_code
    assert "SessionOver" in site.events()


def test_the_part_of_somebody_who_has_nothing_is_empty() -> None:
    """Somebody who has linked nothing gets no part, and nothing is under way."""
    browser = delivering_site("crm").browser()
    browser.sign_in()
    part = browser.get("/deliveries")

    assert (200, "", "no") == (part.status_code, part.text, part.headers["Deliveries-Under-Way"])


def test_somebody_who_opens_the_stream_as_a_page_sees_the_page() -> None:
    """A browser that follows the address of the stream ends at home."""
    browser = delivering_site("crm").browser()

    assert "/" == browser.get("/deliveries/live", follow=False).headers["Location"]


def test_destinations_have_addresses_without_their_scheme() -> None:
    """The contact of an organisation is configured as mailto and shown as an address."""
    found = describe_destinations({responses.IDP: ("crm", "hr")}, {responses.IDP: "mailto:idm@uni.example"})

    assert {responses.IDP: Destination(("crm", "hr"), "idm@uni.example")} == found
    assert {responses.IDP: Destination(("crm",), None)} == describe_destinations({responses.IDP: ("crm",)}, {})
