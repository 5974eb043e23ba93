"""Words that go with values: what each problem is called, and scopes, categories and federations in plain language.

Each is a message of the catalogues; `msg` marks it for extraction. A message may hold markup, never anything from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attribute_authority.web.companion.views import ProblemKind


def msg(message: str) -> str:
    """Mark a message for the catalogues; it is translated where it is shown."""
    return message


@dataclass(frozen=True, slots=True)
class ProblemWords:
    """What happened, what to do, and what the button says that begins the step again."""

    title: str
    happened: str
    advice: str
    retry: str


_TRY_AGAIN: Final = msg("Try again")
_SIGN_IN_AGAIN: Final = msg("Sign in again")
_TO_ORCID_AGAIN: Final = msg("Go to ORCID again")

_SIGN_IN_PROBLEMS: Final = {
    ProblemKind.SIGN_IN_FAILED: ProblemWords(
        msg("The sign-in could not be verified"),
        msg("Your home organisation sent an answer. This service could not make sure that it is genuine, recent and meant for us."),
        msg("Sign in again. If the same thing happens, contact support."),
        _SIGN_IN_AGAIN,
    ),
    ProblemKind.SIGN_IN_REFUSED: ProblemWords(
        msg("You were not signed in"),
        msg("Your home organisation did not complete the sign-in. You may have cancelled it, or that login may not use this service."),
        msg("Sign in again. If that does not help, contact the IT support of your home organisation."),
        _SIGN_IN_AGAIN,
    ),
    ProblemKind.SIGN_IN_EXPIRED: ProblemWords(
        msg("This sign-in is over"),
        msg("It took too long, it was used already, or it began in another browser."),
        msg("Sign in again, and finish in the same browser."),
        _SIGN_IN_AGAIN,
    ),
    ProblemKind.UNKNOWN_ORGANISATION: ProblemWords(
        msg("Your home organisation is not known here"),
        msg("The organisation that you chose is not one of those that this service works with."),
        msg("Choose another home organisation. If yours should be known here, contact support."),
        msg("Choose another home organisation"),
    ),
    ProblemKind.SCOPE_NOT_ALLOWED: ProblemWords(
        msg("Your home organisation sent an identifier that is not its own"),
        msg(
            "The identifier ends in a domain that your home organisation may not use. "
            "This service refuses such identifiers, so that nobody can take the place of somebody else."
        ),
        msg("You cannot put this right yourself. Tell the IT support of your home organisation what this page says."),
        _SIGN_IN_AGAIN,
    ),
    ProblemKind.NO_IDENTIFIER: ProblemWords(
        msg("Your home organisation did not say who you are"),
        msg("You signed in, but your home organisation sent no identifier that this service can use."),
        msg(
            "Ask the IT support of your home organisation to release one to this service, "
            'such as <span lang="en">subject-id</span> or <span lang="en">eduPersonPrincipalName</span>.'
        ),
        _SIGN_IN_AGAIN,
    ),
    ProblemKind.SESSION_OVER: ProblemWords(
        msg("You are not signed in any more"),
        msg("For your safety, a session here ends after a while."),
        msg("Sign in again to go on."),
        _SIGN_IN_AGAIN,
    ),
    ProblemKind.SUBJECTS_DIFFER: ProblemWords(
        msg("Your identifiers do not belong together"),
        msg("The identifiers that your home organisation sent belong to more than one person in this service."),
        msg("You cannot put this right yourself. Contact support."),
        _SIGN_IN_AGAIN,
    ),
}

_ORCID_PROBLEMS: Final = {
    ProblemKind.ORCID_DENIED: ProblemWords(
        msg("You did not give permission at ORCID"),
        msg("At ORCID you chose not to tell this service your iD."),
        msg("If that is what you wanted, there is nothing more to do. If not, go to ORCID again and authorise access there."),
        _TO_ORCID_AGAIN,
    ),
    ProblemKind.ORCID_STATE_UNKNOWN: ProblemWords(
        msg("This return from ORCID is not known here"),
        msg("It took too long, it was used already, or it began in another browser."),
        msg("Go to ORCID again, and finish in the same browser."),
        _TO_ORCID_AGAIN,
    ),
    ProblemKind.ORCID_REFUSED: ProblemWords(
        msg("ORCID did not confirm your iD"),
        msg("ORCID did not accept the request, or its answer could not be verified."),
        msg("Go to ORCID again. If the same thing happens, contact support."),
        _TO_ORCID_AGAIN,
    ),
    ProblemKind.ORCID_RECORD_CLOSED: ProblemWords(
        msg("This ORCID record is not active"),
        msg("It was deactivated or locked, or it was merged into another record."),
        msg(
            "If you have another ORCID iD, go to ORCID again and sign in with that one. "
            'Otherwise ask <a href="https://support.orcid.org" hreflang="en">the support of ORCID</a>.'
        ),
        _TO_ORCID_AGAIN,
    ),
    ProblemKind.ORCID_UNAVAILABLE: ProblemWords(
        msg("ORCID cannot be reached at the moment"),
        msg("ORCID does not answer, or is too slow. The fault is not in anything that you did."),
        msg("Try again in a few minutes."),
        _TO_ORCID_AGAIN,
    ),
    ProblemKind.ORCID_TAKEN: ProblemWords(
        msg("This ORCID iD is linked to another login"),
        msg("Somebody has linked this iD under another login of your home organisation. An iD belongs to one person only."),
        msg(
            "If you have two logins at your home organisation, sign in with the other one and unlink the iD there. "
            "If you used the iD of somebody else by mistake, sign out at ORCID and connect your own. Otherwise contact support."
        ),
        _TO_ORCID_AGAIN,
    ),
}

_OTHER_PROBLEMS: Final = {
    ProblemKind.FORM_OVER: ProblemWords(
        msg("This page is out of date"),
        msg("The form was sent already, or you have signed in again or gone on in another window since you opened it."),
        msg("Start this step again."),
        msg("Start this step again"),
    ),
    ProblemKind.TOO_MANY_ATTEMPTS: ProblemWords(
        msg("Too many attempts"),
        msg("There were too many attempts from your network address in a short time. Others may share that address with you."),
        msg("Wait a minute, then try again."),
        _TRY_AGAIN,
    ),
    ProblemKind.NOT_FOUND: ProblemWords(
        msg("Page not found"),
        msg("There is no page at this address. The link may be old, or the address may be mistyped."),
        msg("Go to the start page."),
        _TRY_AGAIN,
    ),
    ProblemKind.METHOD_NOT_ALLOWED: ProblemWords(
        msg("This page cannot be opened in this way"),
        msg("The address is there for something else, such as receiving a form."),
        msg("Go to the start page."),
        _TRY_AGAIN,
    ),
    ProblemKind.UNAVAILABLE: ProblemWords(
        msg("The service is not available at the moment"),
        msg("A part that this service needs cannot be reached. The fault is not in anything that you did."),
        msg("Try again in a few minutes."),
        _TRY_AGAIN,
    ),
    ProblemKind.TOO_SLOW: ProblemWords(
        msg("This took too long"),
        msg("The service could not finish in time."),
        msg("Try again in a few minutes."),
        _TRY_AGAIN,
    ),
    ProblemKind.DEFECT: ProblemWords(
        msg("Something went wrong"),
        msg("The fault is in this service, not in anything that you did."),
        msg("Try again. If the same thing happens, contact support."),
        _TRY_AGAIN,
    ),
}

PROBLEMS: Final[Mapping[ProblemKind, ProblemWords]] = {**_SIGN_IN_PROBLEMS, **_ORCID_PROBLEMS, **_OTHER_PROBLEMS}

UNCERTAIN: Final = frozenset({ProblemKind.FORM_OVER, ProblemKind.UNAVAILABLE, ProblemKind.TOO_SLOW, ProblemKind.DEFECT})
"""Problems that may have come when something was done already, so that no page may say that it was not."""

SCOPES: Final = {
    "openid": msg("to confirm that the iD is yours"),
    "/authenticate": msg("to confirm that the iD is yours"),
    "/read-limited": msg("to read what your record shows to trusted parties"),
    "/activities/update": msg("to add and update affiliations and other activities on your record"),
    "/person/update": msg("to add and update other information about you on your record"),
}
"""What each scope lets this service do, in words that go after "You have permitted this service"; others are shown as they are."""

SOURCES: Final = {
    "companion": msg("You connected it here, and ORCID confirmed it"),
    "manual": msg("The support of this service entered it"),
    "import": msg("Imported from the records of your home organisation"),
}

CATEGORIES: Final = {
    "http://refeds.org/category/research-and-scholarship": msg("services for research and scholarship (REFEDS)"),
    "https://refeds.org/category/research-and-scholarship": msg("services for research and scholarship (REFEDS)"),
    "https://refeds.org/category/personalized": msg("services that need to know who you are (REFEDS)"),
    "https://refeds.org/category/code-of-conduct/v2": msg("services that follow the data protection code of conduct (REFEDS)"),
    "http://www.geant.net/uri/dataprotection-code-of-conduct/v1": msg("services that follow the data protection code of conduct (GÉANT)"),
}

FEDERATIONS: Final = {"http://www.csc.fi/haka": "Haka"}
"""Federations that people know by a name."""
