"""Every page of the companion in every state, as views with plausible content; what is rendered, checked and looked at."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from attribute_authority.domain.linking import LinkingKind
from attribute_authority.web.companion.delivery_views import Deliveries, DeliveryProgress, ShownDelivery
from attribute_authority.web.companion.languages import LANGUAGES
from attribute_authority.web.companion.views import (
    Confirm,
    Frame,
    Home,
    LanguageChoice,
    LinkedOrcid,
    Notice,
    Page,
    Problem,
    ProblemKind,
    Recipients,
    RevocationProgress,
    ShownOrcid,
    SignedOut,
    Start,
    Unlink,
)

LINKED_AT: Final = datetime(2026, 11, 21, 7, 5, tzinfo=UTC)
ORCID: Final = ShownOrcid("https://orcid.org/0000-0002-1825-0097")
OTHER_ORCID: Final = ShownOrcid("https://orcid.org/0000-0001-5109-3700")
UNCONFIRMED_ORCID: Final = replace(ORCID, is_authenticated=False)
HOME_ORCID: Final = replace(OTHER_ORCID, is_authenticated=False)
PERSON: Final = "Aino Meikäläinen"
ORGANISATION: Final = "Järvenseudun yliopisto"
IDENTIFIER: Final = "ameikala@jarvenseutu.example"
SUPPORT: Final = "tuki@jarvenseutu.example"
REFERENCE: Final = "D-7K2M-9QXB-44ZT"
EVERY_RECIPIENT: Final = Recipients(
    named=("Qvain", "Tutkimustietovaranto"),
    categories=("http://refeds.org/category/research-and-scholarship", "https://category.example/other"),
    federations=("http://www.csc.fi/haka", "https://federation.example/"),
    those_that_request_it=True,
)
NO_RECIPIENT: Final = Recipients(named=(), categories=(), federations=(), those_that_request_it=False)

LINK: Final = LinkedOrcid(ORCID, LINKED_AT, "companion", LINKED_AT, ("openid", "/read-limited"))
HOME: Final = Home(
    organisation=ORGANISATION,
    identifier=IDENTIFIER,
    notice=None,
    link=None,
    home_orcid=None,
    recipients=EVERY_RECIPIENT,
    connect_url="/orcid/start",
    replace_url="/orcid/start?prompt=login",
    unlink_url="/unlink",
    withdrawn=None,
    withdrawn_at=None,
    revocation=None,
)
CONFIRM: Final = Confirm(
    kind=LinkingKind.NEW,
    orcid=ORCID,
    orcid_name="Aino M. Meikäläinen",
    person=PERSON,
    organisation=ORGANISATION,
    identifier=IDENTIFIER,
    present=None,
    home_orcid=None,
    recipients=EVERY_RECIPIENT,
    scopes=("openid",),
    sign_out_url="https://orcid.org/signout",
    action="/confirm",
    decline_action="/decline",
    consent_missing=False,
)
REPLACING: Final = replace(CONFIRM, kind=LinkingKind.REPLACE, present=OTHER_ORCID)


def frame(language: str = "en", *, person: str | None = None, bare: bool = False) -> Frame:
    """Return surroundings: with everything that an operator can give, or `bare`, with nothing."""
    choices = tuple(LanguageChoice(code, f"/?lang={code}") for code in LANGUAGES)
    if bare:
        return Frame(language, choices, None, None, None, None, None, False, person, "")
    return Frame(
        language=language,
        languages=choices,
        service_name="ORCID-linkki",
        logo_url=None,
        contact="orcid@palvelu.example",
        privacy_notice="https://palvelu.example/privacy",
        accessibility_statement="https://palvelu.example/accessibility",
        is_sandbox=True,
        person=person,
        csrf="" if person is None else "csrf-token",
        sign_out_url="/sign-out",
    )


def delivery(progress: DeliveryProgress, *, is_removal: bool = False, system: str | None = None, is_told: bool = False) -> ShownDelivery:
    """Return how a system fares, with all that is known in that state."""
    at = None if progress in (DeliveryProgress.UNDER_WAY, DeliveryProgress.UNSENT) else LINKED_AT
    return ShownDelivery(system, progress, is_removal, at, None if progress is DeliveryProgress.UNSENT else REFERENCE, is_told)


def deliveries(*systems: ShownDelivery, contact: str | None = SUPPORT) -> Deliveries:
    """Return how the systems of the home organisation fare."""
    return Deliveries(ORGANISATION, contact, systems)


def _delivery_pages() -> dict[str, Home]:
    linked, unlinked = replace(HOME, link=LINK), replace(HOME, withdrawn=ORCID, withdrawn_at=LINKED_AT)
    everything = deliveries(*(delivery(progress, system=f"crm-{progress}") for progress in DeliveryProgress))
    told = deliveries(delivery(DeliveryProgress.PARKED, is_told=True), contact=None)
    pages = {
        "home-delivers-nowhere": replace(linked, deliveries=deliveries()),
        "home-delivers-to-several": replace(linked, deliveries=everything),
        "home-delivery-told": replace(linked, deliveries=told),
        "home-delivery-agreed": replace(linked, link=replace(LINK, covers_deliveries=True), deliveries=everything),
    }
    for progress in DeliveryProgress:
        pages[f"home-delivery-{progress}"] = replace(linked, deliveries=deliveries(delivery(progress)))
        pages[f"home-removal-{progress}"] = replace(unlinked, deliveries=deliveries(delivery(progress, is_removal=True)))
    return pages


def _home_pages() -> dict[str, Home]:
    linked = replace(HOME, link=LINK)
    unlinked = replace(HOME, withdrawn=ORCID, withdrawn_at=LINKED_AT)
    pages = {
        "home-new": HOME,
        "home-nobody-receives": replace(HOME, recipients=NO_RECIPIENT),
        "home-organisation-has-one": replace(HOME, home_orcid=HOME_ORCID),
        "home-linked": linked,
        "home-linked-other": replace(linked, home_orcid=HOME_ORCID),
        "home-scope-unknown": replace(linked, link=replace(LINK, scopes=("/something-else",))),
        "home-scope-none": replace(linked, link=replace(LINK, scopes=())),
        "home-imported": replace(linked, link=replace(LINK, orcid=UNCONFIRMED_ORCID, source="import", agreed_at=None, scopes=())),
        "home-entered": replace(linked, link=replace(LINK, orcid=UNCONFIRMED_ORCID, source="manual", agreed_at=None, scopes=())),
        "home-withdrawn": unlinked,
    }
    pages |= _delivery_pages()
    pages |= {f"home-notice-{notice}": replace(linked, notice=notice) for notice in Notice}
    pages |= {f"home-revocation-{far}": replace(unlinked, notice=Notice.UNLINKED, revocation=far) for far in RevocationProgress}
    return pages


def every_page() -> dict[str, Page]:
    """Return every page in every state, by a name for it."""
    confirms = {
        "confirm-new": CONFIRM,
        "confirm-replace": REPLACING,
        "confirm-refresh": replace(CONFIRM, kind=LinkingKind.REFRESH, present=ORCID),
        "confirm-nameless": replace(CONFIRM, orcid_name=None, person=None),
        "confirm-organisation-has-other": replace(CONFIRM, home_orcid=HOME_ORCID),
        "confirm-delivers": replace(CONFIRM, delivers=True),
        "confirm-nobody-receives": replace(CONFIRM, recipients=NO_RECIPIENT, scopes=()),
        "confirm-missing": replace(CONFIRM, consent_missing=True),
        "confirm-replace-missing": replace(REPLACING, consent_missing=True),
    }
    problems = {f"problem-{kind}": Problem(kind, "/again", "/", "7c0e4a91b2") for kind in ProblemKind}
    return {
        "start": Start("/sign-in", EVERY_RECIPIENT),
        "start-silent": Start("/sign-in", None),
        "start-delivers": Start("/sign-in", EVERY_RECIPIENT, delivers=True),
        **_home_pages(),
        **confirms,
        "unlink": Unlink(ORCID, 7, "/unlink", "/"),
        "unlink-delivers": Unlink(ORCID, 7, "/unlink", "/", delivers=True),
        "signed-out": SignedOut("/"),
        **problems,
        "problem-without-retry": Problem(ProblemKind.ORCID_TAKEN, None, "/", None),
    }


def person_on(page: Page) -> str | None:
    """Return who is signed in on a page: nobody where no session is needed."""
    return PERSON if isinstance(page, Home | Confirm | Unlink) else None
