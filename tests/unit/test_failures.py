"""The one mapping from failures to what the other side sees."""

import pytest

from attribute_authority import errors
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.answer import Status
from attribute_authority.web.companion.problems import problem_of
from attribute_authority.web.companion.views import ProblemKind
from attribute_authority.web.failures import Fault, public_form

SECRET = "what happened, in detail"
FAULTS: dict[type[errors.AuthorityError], str] = {
    errors.NotSoap: "Client",
    errors.WrongSoapVersion: "VersionMismatch",
    errors.MustUnderstand: "MustUnderstand",
}
STATUSES: dict[type[errors.AuthorityError], tuple[str, str | None]] = {
    errors.MalformedQuery: (ns.STATUS_REQUESTER, None),
    errors.UnsupportedQuery: (ns.STATUS_REQUESTER, ns.STATUS_REQUEST_UNSUPPORTED),
    errors.InvalidAttribute: (ns.STATUS_REQUESTER, ns.STATUS_INVALID_ATTR_NAME_OR_VALUE),
    errors.Denied: (ns.STATUS_REQUESTER, ns.STATUS_REQUEST_DENIED),
    errors.VersionTooHigh: (ns.STATUS_VERSION_MISMATCH, ns.STATUS_REQUEST_VERSION_TOO_HIGH),
    errors.VersionTooLow: (ns.STATUS_VERSION_MISMATCH, ns.STATUS_REQUEST_VERSION_TOO_LOW),
    errors.CouldNotAsk: (ns.STATUS_RESPONDER, None),
    errors.SourceUnavailable: (ns.STATUS_RESPONDER, None),
    errors.TooManyQueries: (ns.STATUS_REQUESTER, ns.STATUS_REQUEST_DENIED),
    errors.OperatorError: (ns.STATUS_RESPONDER, None),
    errors.InvalidIdentifier: (ns.STATUS_RESPONDER, None),
    errors.Conflict: (ns.STATUS_RESPONDER, None),
}
PAGES: dict[type[errors.AuthorityError], tuple[ProblemKind, int]] = {
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
    errors.RegistryUnavailable: (ProblemKind.ORCID_UNAVAILABLE, 503),
    errors.RecordClosed: (ProblemKind.ORCID_RECORD_CLOSED, 409),
    errors.OrcidTaken: (ProblemKind.ORCID_TAKEN, 409),
    errors.OtherOrcidLinked: (ProblemKind.FORM_OVER, 409),
    errors.SubjectsDiffer: (ProblemKind.SUBJECTS_DIFFER, 409),
}
LOOKUPS: tuple[type[errors.AuthorityError], ...] = (errors.NotAuthenticated, errors.InvalidRequest)
"""These are of the lookup door alone, which has its own form for every failure."""
DELIVERIES: tuple[type[errors.AuthorityError], ...] = (errors.SinkUnavailable, errors.DeliveryDeferred, errors.DeliveryRefused)
"""These end in the books of deliveries; nobody outside waits for them."""


def failure(kind: type[errors.AuthorityError]) -> errors.AuthorityError:
    """Make a failure of that kind."""
    if issubclass(kind, errors.SourceUnavailable | errors.TooManyQueries):
        return kind(SECRET, 5.0)
    return kind(SECRET)


@pytest.mark.parametrize("kind", list(FAULTS))
def test_faults(kind: type[errors.AuthorityError]) -> None:
    """What is wrong with the envelope is a SOAP fault."""
    assert Fault(FAULTS[kind], f"{kind.public} (id)") == public_form(failure(kind), "id")


@pytest.mark.parametrize("kind", list(STATUSES))
def test_statuses(kind: type[errors.AuthorityError]) -> None:
    """What is wrong with the query, or with us, is a SAML status, with the id under which the log tells more."""
    assert Status(*STATUSES[kind], f"{kind.public} (id)") == public_form(failure(kind), "id")


@pytest.mark.parametrize("kind", [*PAGES, *FAULTS, *STATUSES])
def test_pages(kind: type[errors.AuthorityError]) -> None:
    """What goes wrong on the companion page has a page of its own; anything else is a defect, but for what cannot be asked."""
    expected = (ProblemKind.UNAVAILABLE, 503) if kind is errors.CouldNotAsk else PAGES.get(kind, (ProblemKind.DEFECT, 500))

    assert expected == problem_of(failure(kind))


def test_every_failure_has_its_form() -> None:
    """No failure of the closed set is forgotten here, and none tells its cause."""
    known = {*FAULTS, *STATUSES, *PAGES, *LOOKUPS, *DELIVERIES, errors.AuthorityError, errors.FaultyConfiguration}
    found = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AuthorityError)}

    assert known == found
    assert not [kind for kind in (*FAULTS, *STATUSES) if SECRET in str(public_form(failure(kind), "id"))]
