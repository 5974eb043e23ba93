"""A browser without JavaScript, as far as the walk through the demo needs one: it follows links and submits forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

import requests
from lxml import html

from attribute_authority.errors import CouldNotAsk

_TIMEOUT_SECONDS: Final = 30
_UNSENT_TYPES: Final = ("submit", "button", "image", "reset", "file")
_SHOWN_LENGTH: Final = 600


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was received."""

    url: str
    status: int
    document: html.HtmlElement

    @property
    def text(self) -> str:
        """What a reader sees in the main part, white space collapsed."""
        main = next(iter(self.document.xpath("//main")), self.document)
        return " ".join(main.text_content().split())

    def find(self, xpath: str) -> html.HtmlElement:
        """Return the first element of an XPath. Raises CouldNotAsk with what the page shows where there is none."""
        found = self.document.xpath(xpath)
        if not found:
            raise CouldNotAsk(f"expected {xpath} at {self.url} (HTTP {self.status}), found: {self.text[:_SHOWN_LENGTH]}")
        element: html.HtmlElement = found[0]
        return element

    def has(self, xpath: str) -> bool:
        """Whether there is such an element."""
        return bool(self.document.xpath(xpath))


class Browser:
    """One browser: its cookies and the page it shows; `session` carries the requests."""

    def __init__(self, session: requests.Session, language: str) -> None:
        self._session = session
        self._session.headers["Accept-Language"] = language

    def open(self, url: str) -> Page:
        """Load an address, following redirects. Raises CouldNotAsk."""
        return self._load(requests.Request("GET", url))

    def follow(self, page: Page, xpath: str) -> Page:
        """Follow a link of a page."""
        return self.open(urljoin(page.url, page.find(xpath).get("href", "")))

    def submit(self, page: Page, form: str, button: str | None = None, **filled: str) -> Page:
        """Submit a form with its fields as they stand, `filled` over them, and the pressed button, an XPath within the form."""
        element = page.find(form)
        fields = {**_fields(element), **filled}
        if button is not None:
            pressed = next(iter(element.xpath(button)), None)
            if pressed is None:
                raise CouldNotAsk(f"expected {button} in {form} at {page.url}")
            fields.update({pressed.get("name"): pressed.get("value", "")} if pressed.get("name") else {})
        address = urljoin(page.url, element.get("action") or page.url)
        if element.get("method", "get").lower() == "get":
            return self._load(requests.Request("GET", address, params=fields))
        return self._load(requests.Request("POST", address, data=fields))

    def _load(self, request: requests.Request) -> Page:
        try:
            answer = self._session.send(self._session.prepare_request(request), timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise CouldNotAsk(f"{request.url} could not be loaded: {error}") from error
        return Page(answer.url, answer.status_code, html.fromstring(answer.content or b"<html/>"))


def _fields(form: html.HtmlElement) -> Mapping[str, str]:
    fields = {}
    for field in form.xpath(".//input[@name]|.//textarea[@name]|.//select[@name]"):
        kind = field.get("type", "text").lower()
        if kind in _UNSENT_TYPES or (kind in ("checkbox", "radio") and field.get("checked") is None):
            continue
        fields[field.get("name")] = field.value if field.tag != "input" else field.get("value", "")
    return fields
