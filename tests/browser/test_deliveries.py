"""How deliveries fare, as a browser shows it: by itself with scripts, after a reload without, and for everybody."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from twisted.internet.epollreactor import EPollReactor
from twisted.python.threadpool import ThreadPool

from attribute_authority.domain.delivery import DeliveryState
from attribute_authority.web.companion.door import CompanionDoor
from attribute_authority.web.companion.live import StreamingSite
from tests.browser.axe import assert_accessible
from tests.browser.tour import assert_no_sideways_scrolling
from tests.factories import responses
from tests.factories.companion import Site
from tests.factories.companion_deliveries import delivering_site, delivery_record, linked_browser
from tests.peers.chromium import Visitor, Visitors, Window

_SUPPORT = "idm@uni.example"


class Served:
    """The companion page of somebody who has linked an iD, at `url`, with books that a test writes."""

    def __init__(self, site: Site, url: str) -> None:
        self.url = url
        self._site = site
        self._browser = linked_browser(site)
        site.books.records[:] = [delivery_record(site, sink) for sink in site.destinations[responses.IDP].sinks]

    def fares(self, sink: str, **changes: Any) -> None:
        """Have the delivery to a system fare differently."""
        records = self._site.books.records
        records[:] = [replace(record, **changes) if record.sink.name == sink else record for record in records]

    def open(self, visitor: Visitor) -> Page:
        """Open the home page with a session."""
        cookie = self._browser.client.get_cookie("companion-session", domain="localhost")
        assert cookie is not None
        visitor.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.url}])
        visitor.page.goto(self.url)
        return visitor.page


Serve = Callable[..., Served]


@contextmanager
def _serving(*sinks: str) -> Iterator[Served]:
    # A reactor of its own: that of the module can run once in a process.
    reactor, pool = EPollReactor(), ThreadPool(1, 4)
    site = delivering_site(*sinks, contact=_SUPPORT)
    door = CompanionDoor(reactor, pool, lambda: site.application, 20.0)
    streaming = StreamingSite(door, reactor, door.streams, timeout=30.0, max_body_bytes=100_000)
    # Until the reactor runs its port may be opened from here.
    port = reactor.listenTCP(0, streaming, interface="127.0.0.1")
    site.move_to(f"http://localhost:{port.getHost().port}")
    pool.start()
    thread = Thread(target=reactor.run, kwargs={"installSignalHandlers": False}, daemon=True)
    thread.start()
    try:
        yield Served(site, site.base_url)
    finally:
        reactor.callFromThread(reactor.stop)
        thread.join()
        pool.stop()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves the page of somebody whose home organisation has these sinks."""
    with ExitStack() as stack:
        yield lambda *sinks: stack.enter_context(_serving(*sinks))


def shown(page: Page) -> Locator:
    """Return the words that tell how the deliveries fare."""
    return page.locator("#deliveries .progress b")


def test_delivery_is_followed_without_a_reload(serve: Serve, visitors: Visitors) -> None:
    """Each state comes by itself and is accessible; the focus stays where it is, and in the end nothing is asked any more."""
    served = serve("crm")
    visitor = visitors.enter()
    page = served.open(visitor)
    page.locator("#unlink + p + p a").focus()
    for changes, words in (
        ({}, "Under way."),
        ({"attempts": 1, "due_at": responses.NOW + timedelta(minutes=2)}, "Not delivered yet."),
        ({"state": DeliveryState.DELIVERED, "due_at": None, "ended_at": responses.NOW}, "Delivered."),
    ):
        served.fares("crm", **changes)
        expect(shown(page)).to_have_text(words)
        visitor.show(words)
        assert_accessible(page)

        expect(page.locator("#unlink + p + p a")).to_be_focused()
    expect(page.locator(".hint")).to_have_count(0)
    expect(page.locator("#deliveries time")).to_have_count(1)
    expect(page.locator("#deliveries code")).to_have_text("7c0e4a91b2-crm")


def test_delivery_is_followed_by_reloads_without_scripts(serve: Serve, visitors: Visitors) -> None:
    """Whoever allows no scripts sees the same after loading the page again, and is told so."""
    served = serve("crm")
    page = served.open(visitors.enter(Window(javascript=False)))
    expect(shown(page)).to_have_text("Under way.")
    expect(page.locator(".hint")).to_contain_text("load the page again")
    served.fares("crm", state=DeliveryState.DELIVERED, ended_at=responses.NOW)
    page.reload()

    expect(shown(page)).to_have_text("Delivered.")


def test_what_has_the_focus_does_not_move(serve: Serve, visitors: Visitors) -> None:
    """While the focus is among the deliveries they stay as they are, and what has changed comes when it leaves."""
    served = serve("crm", "hr")
    served.fares("crm", state=DeliveryState.PARKED, ended_at=responses.NOW)
    page = served.open(visitors.enter())
    other = served.open(visitors.enter())
    support = page.locator(f'#deliveries a[href="mailto:{_SUPPORT}"]')
    support.focus()
    served.fares("hr", state=DeliveryState.DELIVERED, ended_at=responses.NOW)
    expect(shown(other)).to_have_text(["Help is needed.", "Delivered."])
    page.wait_for_function("stream.readyState === EventSource.CLOSED")
    expect(support).to_be_focused()
    expect(shown(page)).to_have_text(["Help is needed.", "Under way."])
    page.keyboard.press("Tab")

    expect(shown(page)).to_have_text(["Help is needed.", "Delivered."])


@pytest.mark.parametrize(
    "window", [Window(locale="fi-FI", width=320), Window(locale="sv-FI", dark=True)], ids=["narrow Finnish", "dark Swedish"]
)
def test_every_state_is_for_everybody(serve: Serve, visitors: Visitors, window: Window) -> None:
    """All states at once, in a narrow window and in a dark one, break no rule of accessibility and do not scroll sideways."""
    served = serve("crm", "hr", "identity-management", "repository", "intranet")
    served.fares("crm", state=DeliveryState.PARKED, ended_at=responses.NOW)
    served.fares("hr", state=DeliveryState.CANCELLED)
    served.fares("identity-management", attempts=1, due_at=responses.NOW + timedelta(minutes=2))
    served.fares("repository", orcid=None)
    visitor = visitors.enter(window)
    page = served.open(visitor)
    expect(shown(page)).to_have_count(5)
    visitor.show("every state")

    assert_accessible(page)
    assert_no_sideways_scrolling(page)
