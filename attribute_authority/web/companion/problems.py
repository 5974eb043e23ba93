"""The one mapping from failures to what a researcher reads; what is not listed is "something went wrong", without detail."""

from typing import Final

from attribute_authority import errors
from attribute_authority.web.companion.views import Problem, ProblemKind

_PROBLEMS: Final[dict[type[errors.AuthorityError], tuple[ProblemKind, int]]] = {
    errors.SignInFailed: (ProblemKind.SIGN_IN_FAILED, 403),
    errors.SignInRefused: (ProblemKind.SIGN_IN_REFUSED, 403),
    errors.SignInExpired: (ProblemKind.SIGN_IN_EXPIRED, 403),
    errors.UnknownHomeOrganisation: (ProblemKind.UNKNOWN_ORGANISATION, 403),
    errors.ScopeNotAllowed: (ProblemKind.SCOPE_NOT_ALLOWED, 403),
    errors.NoIdentifier: (ProblemKind.NO_IDENTIFIER, 403),
    errors.SessionOver: (ProblemKind.SESSION_OVER, 403),
    errors.FormOver: (ProblemKind.FORM_OVER, 403),
    errors.TooManyAttempts: (ProblemKind.TOO_MANY_ATTEMPTS, 429),
    errors.RegistryDenied: (ProblemKind.ORCID_DENIED, 403),
    errors.RegistryStateUnknown: (ProblemKind.ORCID_STATE_UNKNOWN, 403),
    errors.RegistryRefused: (ProblemKind.ORCID_REFUSED, 502),
    errors.RecordClosed: (ProblemKind.ORCID_RECORD_CLOSED, 409),
    errors.RegistryUnavailable: (ProblemKind.ORCID_UNAVAILABLE, 503),
    errors.OrcidTaken: (ProblemKind.ORCID_TAKEN, 409),
    errors.OtherOrcidLinked: (ProblemKind.FORM_OVER, 409),
    errors.SubjectsDiffer: (ProblemKind.SUBJECTS_DIFFER, 409),
    errors.CouldNotAsk: (ProblemKind.UNAVAILABLE, 503),
}
_SIGN_IN_AGAIN: Final = "/login"
_CONNECT_AGAIN: Final = "/orcid/authorize"
_CONNECT_OTHER: Final = "/orcid/authorize?prompt=login"
_RETRIES: Final = {
    ProblemKind.SIGN_IN_FAILED: _SIGN_IN_AGAIN,
    ProblemKind.SIGN_IN_REFUSED: _SIGN_IN_AGAIN,
    ProblemKind.SIGN_IN_EXPIRED: _SIGN_IN_AGAIN,
    ProblemKind.UNKNOWN_ORGANISATION: _SIGN_IN_AGAIN,
    ProblemKind.SESSION_OVER: _SIGN_IN_AGAIN,
    ProblemKind.ORCID_DENIED: _CONNECT_AGAIN,
    ProblemKind.ORCID_STATE_UNKNOWN: _CONNECT_AGAIN,
    ProblemKind.ORCID_REFUSED: _CONNECT_AGAIN,
    ProblemKind.ORCID_RECORD_CLOSED: _CONNECT_OTHER,
    ProblemKind.ORCID_UNAVAILABLE: _CONNECT_AGAIN,
    ProblemKind.ORCID_TAKEN: _CONNECT_OTHER,
}


def problem_of(failure: errors.AuthorityError) -> tuple[ProblemKind, int]:
    """Return what the researcher reads about a failure, and the HTTP status."""
    return _PROBLEMS.get(type(failure), (ProblemKind.DEFECT, 500))


def problem_page(kind: ProblemKind, reference: str | None) -> Problem:
    """Return the page of a problem; `reference` is what the log has of it."""
    return Problem(kind, _RETRIES.get(kind), "/", reference)


def problem_address(kind: ProblemKind, reference: str | None) -> str:
    """Return where the words for a problem can be read once more."""
    return f"/problem/{kind}" if reference is None else f"/problem/{kind}?reference={reference}"
