"""What each page shows, as plain values; the templates have nothing else to go by.

A page is a template of the same name: `Start` is rendered by `start.html`, with the view as `page` and the surroundings as `frame`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from attribute_authority.domain.linking import LinkingKind
from attribute_authority.web.companion.delivery_views import Deliveries


@dataclass(frozen=True, slots=True)
class LanguageChoice:
    """A language that the reader may switch to; `url` is this page in it."""

    code: str
    url: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds every page. Addresses are None where the operator gave none; `contact` is an e-mail address.

    `person` is the name of who is signed in, "" where the home organisation gave none, None where nobody is.
    `csrf` is the token for forms of this session, "" without one. A POST of it to `sign_out_url` ends the session.
    """

    language: str
    languages: tuple[LanguageChoice, ...]
    service_name: str | None
    logo_url: str | None
    contact: str | None
    privacy_notice: str | None
    accessibility_statement: str | None
    is_sandbox: bool
    person: str | None
    csrf: str
    home_url: str = "/"
    sign_out_url: str | None = None


@dataclass(frozen=True, slots=True)
class ShownOrcid:
    """An iD as it is displayed: the full https URI, and whether ORCID confirmed here whose it is."""

    uri: str
    is_authenticated: bool = True


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who receives the iD about people of this home organisation, as the release rules say.

    `named` are services by name; the flags tell of rules that go by what metadata says of a service.
    `categories` and `federations` are the URIs of entity categories and registration authorities.
    """

    named: tuple[str, ...]
    categories: tuple[str, ...]
    federations: tuple[str, ...]
    those_that_request_it: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Nobody is signed in: what this is, and the one button. `sign_in_url` begins the sign-in.

    `delivers` tells that there are home organisations whose own systems iDs are sent to.
    """

    sign_in_url: str
    recipients: Recipients | None
    delivers: bool = False


class Notice(StrEnum):
    """What has just been done, told once at the top of the home page."""

    LINKED = "linked"
    REPLACED = "replaced"
    REFRESHED = "refreshed"
    UNLINKED = "unlinked"
    DECLINED = "declined"


class RevocationProgress(StrEnum):
    """How far ORCID knows that a permission was withdrawn. WAITING also says that ORCID could not be reached yet."""

    DUE = "due"
    WAITING = "waiting"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class LinkedOrcid:
    """The link in force; `source` is manual, import or companion; `agreed_at` is None for links that came without consent here.

    `covers_deliveries` tells that the consent is also to deliveries to the home organisation.
    """

    orcid: ShownOrcid
    linked_at: datetime
    source: str
    agreed_at: datetime | None
    scopes: tuple[str, ...]
    covers_deliveries: bool = False


@dataclass(frozen=True, slots=True)
class Home:
    """The home page of somebody who is signed in, linked or not.

    `home_orcid` is the iD that the home organisation itself has, where it differs from the linked one or none is linked.
    `withdrawn` is the iD that was unlinked last, while none is linked; `revocation` how far ORCID knows of it, None where there is
    nothing to revoke. `deliveries` is None where there is nothing to tell; `live_url` is a stream of how they go on.
    """

    organisation: str
    identifier: str
    notice: Notice | None
    link: LinkedOrcid | None
    home_orcid: ShownOrcid | None
    recipients: Recipients
    connect_url: str
    replace_url: str
    unlink_url: str
    withdrawn: ShownOrcid | None
    withdrawn_at: datetime | None
    revocation: RevocationProgress | None
    deliveries: Deliveries | None = None
    live_url: str = "/deliveries/live"


@dataclass(frozen=True, slots=True)
class Confirm:
    """The iD that ORCID returned, beside the home organisation's identity, with an unticked consent.

    The form posts `csrf`, `consent` ("yes"), and for REPLACE also `replace` ("yes"), to `action`; `decline_action` takes `csrf` alone.
    `consent_missing` tells that the form came without a tick that it needs; `has_consent` and `has_replace` are the ticks that it came
    with, which nobody has to make again. `orcid_name` is None where the record hides it. `delivers` tells that the home organisation has
    systems of its own to which the iD is sent.
    """

    kind: LinkingKind
    orcid: ShownOrcid
    orcid_name: str | None
    person: str | None
    organisation: str
    identifier: str
    present: ShownOrcid | None
    home_orcid: ShownOrcid | None
    recipients: Recipients
    scopes: tuple[str, ...]
    sign_out_url: str
    action: str
    decline_action: str
    consent_missing: bool
    has_consent: bool = False
    has_replace: bool = False
    delivers: bool = False


@dataclass(frozen=True, slots=True)
class Unlink:
    """Asks before an iD is unlinked; the form posts `csrf` and `link` to `action`.

    `delivers` tells that it is then removed from systems of the home organisation too.
    """

    orcid: ShownOrcid
    link_id: int
    action: str
    home_url: str
    delivers: bool = False


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The session here has ended; the one at the home organisation may go on."""

    start_url: str


class ProblemKind(StrEnum):
    """What can go wrong, each with its own words; the value stands in the address of the page."""

    SIGN_IN_FAILED = "sign-in-failed"
    SIGN_IN_REFUSED = "sign-in-refused"
    SIGN_IN_EXPIRED = "sign-in-expired"
    UNKNOWN_ORGANISATION = "unknown-organisation"
    SCOPE_NOT_ALLOWED = "scope-not-allowed"
    NO_IDENTIFIER = "no-identifier"
    SESSION_OVER = "session-over"
    FORM_OVER = "form-over"
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    ORCID_DENIED = "orcid-denied"
    ORCID_STATE_UNKNOWN = "orcid-state-unknown"
    ORCID_REFUSED = "orcid-refused"
    ORCID_RECORD_CLOSED = "orcid-record-closed"
    ORCID_UNAVAILABLE = "orcid-unavailable"
    ORCID_TAKEN = "orcid-taken"
    SUBJECTS_DIFFER = "subjects-differ"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    UNAVAILABLE = "unavailable"
    TOO_SLOW = "too-slow"
    DEFECT = "defect"


@dataclass(frozen=True, slots=True)
class Problem:
    """What happened, what to do, and a way back: `retry_url` begins the step again, None where that would not help.

    `reference` is what the log has, for whoever is asked for help; None where there is no line in the log.
    Most pages also say that nothing was changed; those of `words.UNCERTAIN` point to the start page, which shows what is so.
    """

    kind: ProblemKind
    retry_url: str | None
    home_url: str
    reference: str | None


Page = Start | Home | Confirm | Unlink | SignedOut | Problem
