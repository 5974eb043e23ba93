"""The walk through the demo without a person: link an iD, see it arrive, unlink it, see it gone; every step is timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attribute_authority.assembly import present
from attribute_authority.demo.authority import run
from attribute_authority.demo.browser import Browser, Page
from attribute_authority.demo.federation import CLIENT_ID, Federation
from attribute_authority.demo.records import AINO
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.errors import CouldNotAsk

PERSON: Final = "subject-id=aino@uni.example"
STRANGER: Final = "subject-id=nobody@uni.example"
_LOGIN: Final = "aino"
_URI: Final = OrcidId(AINO).uri(Environment.SANDBOX)
_POLL_SECONDS: Final = 0.1
_REVOKED_SECONDS: Final = 60
_DELIVERED_SECONDS: Final = 60

Say = Callable[[str], None]
"""Prints a line."""


@dataclass(frozen=True, slots=True)
class _Surfer:
    """A newcomer: one browser for the companion page and the service."""

    browser: Browser
    federation: Federation

    def service_before(self) -> str:
        """Sign in to the service, which learns of no iD."""
        start = self.browser.open(self.federation.service_url)
        home = self._at_home_organisation(self.browser.follow(start, '//a[@id="sign-in"]'))
        _expect(home, '//*[@id="nothing"]')
        return f"signed in as Aino Virtanen; eduPersonOrcid: nothing, told in {_took(home)}"

    def companion_start(self) -> str:
        """Open the companion page."""
        return _heading(self.browser.open(self.federation.companion_url))

    def companion_sign_in(self) -> str:
        """Sign in to the companion page, through discovery and the home organisation."""
        start = self.browser.open(self.federation.companion_url)
        home = self._at_home_organisation(self.browser.follow(start, '//main//a[starts-with(@href, "/login")]'))
        _expect(home, '//main//a[@href="/orcid/authorize"]')
        return _heading(home)

    def connect(self) -> str:
        """Connect the iD at the registry, agree, and see it."""
        home = self.browser.open(self.federation.companion_url)
        asked = self.browser.follow(home, '//main//a[@href="/orcid/authorize"]')
        confirm = self.browser.submit(asked, "//form", './/button[@id="authorize"]', researcher=AINO)
        form = '//form[starts-with(@action, "/confirm/")]'
        _expect(confirm, form)
        linked = self.browser.submit(confirm, form, consent="yes")
        _expect(linked, f'//main//a[@href="{_URI}"]')
        return f"{_heading(linked)}: {_URI}"

    def delivered(self) -> str:
        """Wait until the companion page says that the iD has reached the home organisation's own directory, and see it there."""
        self._await_delivery()
        directory = self.browser.open(self.federation.directory_url)
        _expect(directory, f'//*[@id="people"]//a[@href="{_URI}"]')
        return f"the directory of the home organisation has {_URI}"

    def home_organisation_releases(self) -> str:
        """Sign in to the service anew, and find the iD among what the home organisation itself says."""
        home = self._sign_in_anew()
        _expect(home, f'//*[@id="attributes"]//dt[text()="eduPersonOrcid"]/following-sibling::dd[text()="{_URI}"]')
        return "the identity provider released the iD itself, beside the attribute authority"

    def taken_back(self) -> str:
        """Wait until the directory has the iD no more, and see that the home organisation does not release it either."""
        self._await_delivery()
        directory = self.browser.open(self.federation.directory_url)
        if directory.has(f'//*[@id="people"]//a[@href="{_URI}"]'):
            raise CouldNotAsk("the companion page says that the iD was removed, and the directory still has it")
        home = self._sign_in_anew()
        if home.has('//*[@id="attributes"]//dt[text()="eduPersonOrcid"]'):
            raise CouldNotAsk("the home organisation still releases an iD that was unlinked")
        return "the directory of the home organisation has the iD no more, and its identity provider releases none"

    def service_after(self) -> str:
        """Have the service ask again, which gets the iD now."""
        told = self._ask_again()
        _expect(told, f'//*[@id="answer"]//a[@href="{_URI}"]')
        return f"eduPersonOrcid: {_URI}, told in {_took(told)}"

    def unlink(self) -> str:
        """Unlink the iD."""
        home = self.browser.open(self.federation.companion_url)
        asked = self.browser.follow(home, '//main//a[@href="/unlink"]')
        gone = self.browser.submit(asked, '//form[@action="/unlink"]')
        _expect(gone, '//main//a[@href="/orcid/authorize"]')
        return _heading(gone)

    def service_afterwards(self) -> str:
        """Have the service ask again, which gets nothing any more."""
        told = self._ask_again()
        _expect(told, '//*[@id="nothing"]')
        return f"eduPersonOrcid: nothing, told in {_took(told)}"

    def revoked(self) -> str:
        """Wait until the registry has revoked the permission, and the companion page says so."""
        deadline = time.monotonic() + _REVOKED_SECONDS
        while True:
            page = self.browser.open(self.federation.companion_url)
            if page.has('//*[@aria-labelledby="unlinked"]//*[contains(@class, "progress") and contains(@class, "done")]'):
                break
            if time.monotonic() > deadline:
                raise CouldNotAsk(f"expected the permission to be revoked, found: {page.text}")
            time.sleep(_POLL_SECONDS)
        if self.federation.registry.ledger.live_pairs(AINO, CLIENT_ID, present()):
            raise CouldNotAsk("the companion page says that the permission is revoked, and the registry still has it")
        return "the registry has no permission of Aino Virtanen any more"

    def _at_home_organisation(self, discovery: Page) -> Page:
        name = self.federation.organisations[0].names["en"]
        chosen = self.browser.follow(discovery, f'//*[@id="home-organisations"]//a[text()="{name}"]')
        answered = self.browser.submit(chosen, '//form[@id="sign-in"]', f'.//button[@value="{_LOGIN}"]')
        return self.browser.submit(answered, '//form[@id="saml"]')

    def _sign_in_anew(self) -> Page:
        self.browser.submit(self.browser.open(self.federation.service_url), '//form[@id="sign-out"]')
        start = self.browser.open(self.federation.service_url)
        return self._at_home_organisation(self.browser.follow(start, '//a[@id="sign-in"]'))

    def _await_delivery(self) -> None:
        done = '//*[@id="deliveries"]//*[contains(@class, "progress") and contains(@class, "done")]'
        deadline = time.monotonic() + _DELIVERED_SECONDS
        while not (page := self.browser.open(self.federation.companion_url)).has(done):
            if time.monotonic() > deadline:
                raise CouldNotAsk(f"expected the delivery to be made, found: {page.text}")
            time.sleep(_POLL_SECONDS)

    def _ask_again(self) -> Page:
        return self.browser.submit(self.browser.open(self.federation.service_url), '//form[@id="ask-again"]')


def walk(browser: Browser, federation: Federation, say: Say, stopwatch: Callable[[], float]) -> None:
    """Take every step, telling its number, what came of it and its milliseconds; `stopwatch` counts seconds.

    Raises CouldNotAsk with what was seen where a step fails.
    """
    surfer = _Surfer(browser, federation)
    config = federation.config
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("The service, before an iD is linked", surfer.service_before),
        ("The companion page", surfer.companion_start),
        ("Signing in there, through discovery and the home organisation", surfer.companion_sign_in),
        ("Connecting the iD at ORCID, and agreeing", surfer.connect),
        ("The service asks again, by a signed AttributeQuery", surfer.service_after),
        ("The delivery to the home organisation", surfer.delivered),
        ("Signing in to the service anew", surfer.home_organisation_releases),
        ("An operator looks the delivery up", lambda: _run(config, "deliveries", "list")),
        ("An operator asks", lambda: _run(config, "query", "--id", PERSON)),
        ("An operator asks about somebody unknown", lambda: _run(config, "query", "--id", STRANGER)),
        (
            "An operator wants to know why",
            lambda: _run(config, "explain", "--requester", federation.service_entity_id, "--id", PERSON),
        ),
        ("Unlinking", surfer.unlink),
        ("The service asks once more", surfer.service_afterwards),
        ("The home organisation, once the withdrawal is delivered", surfer.taken_back),
        ("The permission at ORCID", surfer.revoked),
    )
    for number, (title, step) in enumerate(steps, 2):
        started = stopwatch()
        try:
            seen = step()
        except CouldNotAsk as fault:
            raise CouldNotAsk(f"step {number}, {title}: {fault.cause}") from fault
        tell(say, number, title, stopwatch() - started)
        say("".join(f"     {line}\n" for line in seen.splitlines()).rstrip("\n"))


def tell(say: Say, number: int, title: str, seconds: float) -> None:
    """Say that a step is done, and how long it took."""
    say(f"{number:2}. {title} ({seconds * 1000:.0f} ms)")


def _run(config: Path, *arguments: str) -> str:
    return f"$ attribute-authority {' '.join(arguments)}\n{run(config, *arguments)}"


def _expect(page: Page, xpath: str) -> None:
    page.find(xpath)


def _heading(page: Page) -> str:
    return " ".join(page.find("//h1").text_content().split())


def _took(page: Page) -> str:
    milliseconds = page.find('//*[@id="milliseconds"]').text_content()
    return f"{milliseconds} ms"
