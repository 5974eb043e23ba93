"""The demo federation as a stage, and somebody who walks over it with a browser.

Everybody who walks is new: the same Aino Virtanen to look at, with a login and records of her own, so that tests share one federation
and nothing else.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from playwright.sync_api import Locator, Page, expect

from attribute_authority.demo.federation import Federation
from attribute_authority.demo.people import UNIVERSITY_PEOPLE, Person
from attribute_authority.demo.records import RECORDS
from attribute_authority.demo.registry_faults import Faults
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.web.companion.catalogues import read_translations
from attribute_authority.web.companion.views import ProblemKind
from attribute_authority.web.companion.words import PROBLEMS
from tests.peers.chromium import Visitor, Window

_PATIENCE_SECONDS = 60

LINKED = "Your ORCID iD is linked"
NOT_LINKED = "Your ORCID iD is not linked"
NEW = "Is this your ORCID iD?"
REPLACE = "Replace your ORCID iD?"
RENEW = "Renew the permission for your ORCID iD?"
UNLINK = "Unlink this ORCID iD?"
SIGNED_OUT = "You have signed out"
START = "Link your ORCID iD to your home organisation"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody whom nobody has seen before; `orcid` and `spare` are the iDs of two records that are theirs.

    `faults` is what goes wrong at the registry in their time: nothing but what a test says.
    """

    login: str
    orcid: str
    spare: str
    faults: Faults


class Stage:
    """The federation, whose `people` and records are those of the demo, with a newcomer in place of Aino Virtanen."""

    def __init__(self, federation: Federation, people: list[Person]) -> None:
        self.federation = federation
        self._people = people
        self._numbers = count(1)

    def newcomer(self) -> Newcomer:
        """Let somebody new take the place of who was new before."""
        number = next(self._numbers)
        newcomer = Newcomer(f"aino{number}", _orcid(2 * number), _orcid(2 * number + 1), Faults())
        self._people[:] = newcomers(newcomer)
        first, *others = RECORDS
        second = replace(first, orcid=newcomer.spare, family_name="Virtanen, another record")
        self.federation.registry.keep_records((replace(first, orcid=newcomer.orcid), second, *others))
        self.federation.registry.faults = newcomer.faults
        return newcomer


class Walker:
    """A visitor on the way through the federation; the steps that a test is not about are taken by one call each."""

    def __init__(self, visitor: Visitor, federation: Federation, newcomer: Newcomer, window: Window) -> None:
        self.visitor = visitor
        self.federation = federation
        self.newcomer = newcomer
        self.language = window.locale.partition("-")[0]
        self._javascript = window.javascript

    @property
    def page(self) -> Page:
        """The first tab."""
        return self.visitor.page

    def open(self, path: str = "/") -> None:
        """Open an address of the companion page."""
        self.page.goto(self.federation.companion_url + path)

    def says(self, message: str) -> str:
        """Return a message of the companion page in the language of the browser."""
        return read_translations(self.language).gettext(message)

    def sees(self, heading: str, page: Page | None = None) -> None:
        """Wait for a page with that heading, which is given in English and translated."""
        expect((page or self.page).get_by_role("heading", level=1)).to_have_text(self.says(heading))

    def sees_problem(self, kind: ProblemKind) -> None:
        """Wait for the page of a problem; there is a way back on it."""
        self.sees(PROBLEMS[kind].title)
        expect(self.page.locator(".actions a").last).to_have_attribute("href", "/")

    def shows(self, orcid: str) -> Locator:
        """Return the links of the present page to a record."""
        return self.page.locator(f'a[href="{uri(orcid)}"]')

    def choose_home(self, login: str | None = None) -> None:
        """On the page of the discovery service, go to the university and sign in there."""
        self.page.locator("#home-organisations a").first.click()
        self.page.locator(f'button[value="{login or self.newcomer.login}"]').click()
        self.leave_home()

    def leave_home(self) -> None:
        """Go on from the page with which the home organisation sends its answer."""
        if not self._javascript:
            self.page.locator("#saml button").click()

    def sign_in(self, login: str | None = None) -> None:
        """Sign in to the companion page."""
        self.open()
        self.page.locator('main a[href="/login"]').click()
        self.choose_home(login)

    def set_out(self) -> None:
        """From the home page, go to ORCID, and wait until it asks."""
        self.page.locator('main a[href="/orcid/authorize"]').first.click()
        expect(self.page.locator("#authorize")).to_be_visible()

    def authorize(self, orcid: str | None = None, page: Page | None = None) -> None:
        """At ORCID, choose a record, unless one is signed in there already, and authorise the access."""
        asked = page or self.page
        asked.bring_to_front()
        expect(asked.locator("#authorize")).to_be_visible()
        if asked.locator("#signed-in").count() == 0:
            asked.locator(f'input[value="{orcid or self.newcomer.orcid}"]').check()
        asked.locator("#authorize").click()

    def connect(self, orcid: str | None = None) -> None:
        """From the home page, go to ORCID and authorise the access."""
        self.set_out()
        self.authorize(orcid)

    def connect_another(self, orcid: str) -> None:
        """Have ORCID ask who one is, though it may know somebody, and authorise the access with another record."""
        self.page.locator('main a[href="/orcid/authorize?prompt=login"]').click()
        self.authorize(orcid)

    def confirm(self) -> None:
        """On the confirmation page, press the button."""
        self.page.locator('form[action^="/confirm/"] button').click()

    def agree(self) -> None:
        """On the confirmation page, agree to everything and confirm."""
        for box in self.page.locator('form[action^="/confirm/"] input[type=checkbox]').all():
            box.check()
        self.confirm()

    def link(self) -> None:
        """Sign in, connect the iD, and agree."""
        self.sign_in()
        self.sees(NOT_LINKED)
        self.connect()
        self.sees(NEW)
        self.agree()
        self.sees(LINKED)

    def reload_while(self, is_so: Callable[[], bool]) -> None:
        """Load the present page again and again, for as long as something goes on."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while is_so():
            assert time.monotonic() < deadline, f"it goes on and on, behind {self.page.url}"
            self.page.reload()

    def confirm_unlink(self) -> None:
        """On the page that asks before unlinking, say yes."""
        self.page.locator('form[action="/unlink"] button').click()

    def unlink(self) -> None:
        """From the home page, unlink."""
        self.page.locator('main a[href="/unlink"]').click()
        self.confirm_unlink()

    def sign_in_at_service(self) -> None:
        """Sign in to the service provider, as its own page offers it."""
        self.page.goto(self.federation.service_url)
        self.page.locator("#sign-in").click()
        self.choose_home()
        expect(self.page.locator("#answer")).to_be_visible()

    def ask_again(self) -> None:
        """Have the service provider, where one is signed in, ask the authority again."""
        self.page.goto(self.federation.service_url)
        self.page.locator("#ask-again button").click()
        expect(self.page.locator("#answer")).to_be_visible()

    def sees_at_service(self, orcid: str | None) -> None:
        """See what the authority has told the service provider: an iD, or nothing."""
        if orcid is None:
            expect(self.page.locator("#nothing")).to_be_visible()
        expect(self.page.locator("#answer a.orcid-id")).to_have_text([] if orcid is None else [uri(orcid)])


Walkers = Callable[..., Walker]
"""Lets in somebody with a window, by default the usual one."""


def newcomers(newcomer: Newcomer) -> Sequence[Person]:
    """Return the people of the university, with the newcomer in place of Aino Virtanen."""
    first, *others = UNIVERSITY_PEOPLE
    return replace(first, login=newcomer.login), *others


def uri(orcid: str) -> str:
    """Return an iD as it is displayed."""
    return OrcidId(orcid).uri(Environment.SANDBOX)


def at(base_url: str, path: str) -> re.Pattern[str]:
    """Return what matches the addresses of a path, with any query."""
    return re.compile(f"{re.escape(base_url + path)}(\\?.*)?$")


def _orcid(number: int) -> str:
    """Return an iD of the range that ORCID gives to nobody, with its check character (ISO/IEC 7064, MOD 11-2)."""
    digits = f"000000001001{number:03}"
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    check = "0123456789X"[(12 - total % 11) % 11]
    return "-".join(f"{digits}{check}"[start : start + 4] for start in range(0, 16, 4))
