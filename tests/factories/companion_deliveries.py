"""A companion page whose home organisation takes deliveries, and what the books have of them."""

from attribute_authority.domain.delivery import DeliveryRecord, DeliveryState, SinkName
from attribute_authority.domain.identifiers import Environment
from attribute_authority.web.companion.deliveries import Destination
from tests.factories import responses
from tests.factories.companion import ORCID, Browser, Site

REFERENCE = "7c0e4a91b2"


def delivering_site(*sinks: str, contact: str | None = None) -> Site:
    """Return a site whose home organisation has these sinks."""
    return Site(destinations={responses.IDP: Destination(sinks, contact)} if sinks else {})


def linked_browser(site: Site) -> Browser:
    """Return the browser of somebody who has just linked an iD."""
    browser = site.browser()
    browser.sign_in()
    browser.link()
    return browser


def delivery_record(site: Site, sink: str = "crm") -> DeliveryRecord:
    """Return a delivery of the iD of the usual person that has just been written."""
    return DeliveryRecord(
        reference=f"{REFERENCE}-{sink}",
        sink=SinkName(responses.IDP, sink),
        subject_id=site.standing().subject_id,
        identifiers=(),
        orcid=ORCID,
        environment=Environment.PRODUCTION,
        state=DeliveryState.PENDING,
        changed_at=site.now,
        created_at=site.now,
        attempts=0,
        due_at=site.now,
        in_hand=False,
        ended_at=None,
        message=None,
        told_at=None,
    )
