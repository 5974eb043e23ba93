"""Debian's Chromium, driven by Playwright, and a watch on everything that a page should not do.

Nothing leaves the machine: names other than localhost do not resolve. Every visitor has a fresh context, as if the browser had just
been installed, and whatever goes wrong behind a page is kept for the end of the test: errors in the console, violations of the
Content-Security-Policy (which the browser reports there), exceptions in scripts, and requests to other hosts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.peers import missing, require

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
_EXPECTED_HOSTS = frozenset({"localhost", "127.0.0.1"})
_NETWORK_SCHEMES = frozenset({"http", "https", "ws", "wss", "ftp"})
_DEADLINE_MILLISECONDS = 30_000


@dataclass(frozen=True, slots=True)
class Window:
    """What a visitor brings: the language of the browser, the size of the window in CSS pixels, and habits.

    With `trusting` any TLS certificate is good enough.
    """

    locale: str = "en-GB"
    width: int = 1280
    height: int = 800
    javascript: bool = True
    dark: bool = False
    trusting: bool = False


class Watch:
    """Collects the offences of all pages of one visitor."""

    def __init__(self, context: BrowserContext) -> None:
        self._offences: list[tuple[str, str]] = []
        self._refused: set[str] = set()
        context.on("console", self._console)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("weberror", lambda error: self._offences.append(("", f"exception: {error.error}")))

    @property
    def offences(self) -> tuple[str, ...]:
        """One sentence each, in their order; that a whole page came with an error status is what that page is about, and no offence."""
        return tuple(sentence for refused, sentence in self._offences if refused not in self._refused)

    def forgive(self, pattern: str) -> None:
        """Drop the offences in which a regular expression is found: those that a test brings about on purpose."""
        self._offences = [offence for offence in self._offences if not re.search(pattern, offence[1])]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            place = message.location["url"]
            refused = place if message.text.startswith("Failed to load resource") else ""
            self._offences.append((refused, f"console: {message.text} ({place})"))

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in _NETWORK_SCHEMES and address.hostname not in _EXPECTED_HOSTS:
            self._offences.append(("", f"request to another host: {request.url}"))

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.request.is_navigation_request():
            self._refused.add(response.url)


class Visitor:
    """Somebody with a browser: `page` is the first tab, and `open_tab` opens more with the same cookies."""

    def __init__(self, context: BrowserContext, pictures: Path, steps: Iterator[int]) -> None:
        self._context = context
        self._pictures = pictures
        self._steps = steps
        self.watch = Watch(context)
        self.page = context.new_page()

    @property
    def context(self) -> BrowserContext:
        """The cookies and tabs of this visitor."""
        return self._context

    def open_tab(self) -> Page:
        """Open another tab."""
        return self._context.new_page()

    def show(self, step: str, page: Page | None = None) -> None:
        """Save a picture of the whole page, the first tab unless another is given, named by the number and name of the step."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        picture = self._pictures / f"{next(self._steps):02d}-{slug(step)}.png"
        (page or self.page).screenshot(path=picture, full_page=True, animations="disabled")

    def leave(self) -> None:
        """Save a last picture, and close every tab."""
        for page in self._context.pages:
            self.show("end", page)
        self._context.close()


class Visitors:
    """Lets visitors in, and knows them all until the end of the test; pictures go below one directory."""

    def __init__(self, browser: Browser, pictures: Path) -> None:
        self._browser = browser
        self._pictures = pictures
        self._steps = count(1)
        self._present: list[Visitor] = []

    def enter(self, window: Window | None = None) -> Visitor:
        """Let in somebody who was never here before."""
        chosen = window or Window()
        context = self._browser.new_context(
            locale=chosen.locale,
            viewport={"width": chosen.width, "height": chosen.height},
            java_script_enabled=chosen.javascript,
            color_scheme="dark" if chosen.dark else "light",
            ignore_https_errors=chosen.trusting,
            accept_downloads=False,
        )
        context.set_default_timeout(_DEADLINE_MILLISECONDS)
        visitor = Visitor(context, self._pictures, self._steps)
        self._present.append(visitor)
        return visitor

    def leave(self) -> tuple[str, ...]:
        """Let everybody leave, and return the offences of all."""
        for visitor in self._present:
            visitor.leave()
        return tuple(offence for visitor in self._present for offence in visitor.watch.offences)


def slug(text: str) -> str:
    """Return a text as a part of a file name."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


@contextmanager
def launched() -> Iterator[Browser]:
    """Run one browser, for as many visitors as come."""
    # The same browser without a desktop window behind each visitor, which costs a second of the processor: taken where it is installed.
    chromium = shutil.which("chromium-headless-shell") or require("chromium", "chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed (Python package playwright)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
