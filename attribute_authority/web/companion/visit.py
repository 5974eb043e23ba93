"""One request to the companion page, and what every step needs to answer it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from werkzeug import Request, Response

from attribute_authority.core.linking import Linking
from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.linking import Standing
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.errors import FormOver, SessionOver
from attribute_authority.events import EventLog, PageEvent, Pseudonyms
from attribute_authority.ports import Clock, EntityDirectory, Registry, ReplayGuard
from attribute_authority.web.companion.addresses import AttemptLimits
from attribute_authority.web.companion.cookies import Cookies
from attribute_authority.web.companion.deliveries import Delivering
from attribute_authority.web.companion.delivery_views import Deliveries
from attribute_authority.web.companion.languages import LANGUAGES
from attribute_authority.web.companion.pages import Pages
from attribute_authority.web.companion.recipients import describe_recipients
from attribute_authority.web.companion.sessions import Session, Sessions
from attribute_authority.web.companion.views import Frame, LanguageChoice, Page, Recipients

_LARGEST_FORM: Final = 10_000


@dataclass(frozen=True, slots=True)
class Appearance:
    """How the operator presents the service; texts and addresses by language."""

    names: dict[str, str]
    logo_url: str | None
    contact: str | None
    privacy_notices: dict[str, str]
    accessibility_statements: dict[str, str]
    is_sandbox: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, with what has been read from it."""

    request: Request
    language: str
    session: Session | None
    event: PageEvent
    parts: "Parts"

    def signed_in(self) -> Session:
        """Return the session. Raises SessionOver where there is none."""
        if self.session is None:
            raise SessionOver("the page needs a session, and there is none")
        return self.session

    def check_form(self) -> Session:
        """Return the session of a form that was sent from one of its own pages. Raises SessionOver, FormOver."""
        session = self.signed_in()
        if (self.request.content_length or 0) > _LARGEST_FORM:
            raise FormOver("the form is larger than any of ours")
        if not compare_digest(self.request.form.get("csrf", "").encode(), session.csrf.encode()):
            raise FormOver("the form has not the token of the session")
        return session

    def show(self, page: Page | Deliveries, status: int = 200, languages_at: str | None = None) -> Response:
        """Render a page; `languages_at` is where it can be read in another language, by default its own address."""
        body = self.parts.pages.render(page, self._frame(languages_at or self.request.path))
        return Response(body, status, content_type="text/html; charset=utf-8")

    def go(self, address: str) -> Response:
        """Send the browser on to an address of our own or of a partner; whatever it did here, it goes there with GET."""
        return Response(status=303, headers={"Location": address}, content_type="text/plain; charset=utf-8")

    def recipients(self, home_organisation: EntityId | None) -> Recipients:
        """Tell who receives the iD about people of a home organisation. Raises CouldNotAsk."""
        parts = self.parts
        return describe_recipients(parts.rules, home_organisation, parts.directory, language=self.language, now=parts.clock())

    def deliveries(self, home_organisation: EntityId, standing: Standing | None) -> Deliveries | None:
        """Tell how deliveries about a person fare, None where there is nothing to tell. Raises CouldNotAsk."""
        if standing is None:
            return None
        name = self.organisation(home_organisation)
        return self.parts.delivering.describe(home_organisation, name, standing, self.parts.clock())

    def organisation(self, home_organisation: EntityId) -> str:
        """Return the name of a home organisation in the language of the page. Raises CouldNotAsk."""
        entity = self.parts.directory.find_entity(home_organisation, self.parts.clock()) or Entity(home_organisation)
        return entity.name(self.language)

    def _frame(self, languages_at: str) -> Frame:
        appearance, session = self.parts.appearance, self.session
        joint = "&" if "?" in languages_at else "?"
        return Frame(
            language=self.language,
            languages=tuple(LanguageChoice(code, f"{languages_at}{joint}lang={code}") for code in LANGUAGES),
            service_name=_in_language(appearance.names, self.language),
            logo_url=appearance.logo_url,
            contact=appearance.contact,
            privacy_notice=_in_language(appearance.privacy_notices, self.language),
            accessibility_statement=_in_language(appearance.accessibility_statements, self.language),
            is_sandbox=appearance.is_sandbox,
            person=None if session is None else session.person.name or "",
            csrf="" if session is None else session.csrf,
            sign_out_url=None if session is None else "/logout",
        )


def _in_language(texts: dict[str, str], language: str) -> str | None:
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), None)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the steps work with; everything that they share between requests is behind a port.

    `base_url` is ours as browsers see it, `new_secret` makes 256 random bits as text.
    """

    base_url: str
    pages: Pages
    appearance: Appearance
    cookies: Cookies
    sessions: Sessions
    limits: AttemptLimits
    linking: Linking
    delivering: Delivering
    registry: Registry
    directory: EntityDirectory
    replays: ReplayGuard
    rules: Sequence[ReleaseRule]
    metadata: bytes
    events: EventLog
    pseudonyms: Pseudonyms
    clock: Clock
    new_secret: Callable[[], str]
    new_correlation_id: Callable[[], str]
