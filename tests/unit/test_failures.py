"""The one mapping from failures to what the other side sees."""

import pytest

from attribute_authority import errors
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.answer import Status
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
    errors.OperatorError: (ns.STATUS_RESPONDER, None),
    errors.InvalidIdentifier: (ns.STATUS_RESPONDER, None),
    errors.Conflict: (ns.STATUS_RESPONDER, None),
}


@pytest.mark.parametrize("kind", list(FAULTS))
def test_faults(kind: type[errors.AuthorityError]) -> None:
    """What is wrong with the envelope is a SOAP fault."""
    assert Fault(FAULTS[kind], f"{kind.public} (id)") == public_form(kind(SECRET), "id")


@pytest.mark.parametrize("kind", list(STATUSES))
def test_statuses(kind: type[errors.AuthorityError]) -> None:
    """What is wrong with the query, or with us, is a SAML status, with the id under which the log tells more."""
    assert Status(*STATUSES[kind], f"{kind.public} (id)") == public_form(kind(SECRET), "id")


def test_every_failure_has_its_form() -> None:
    """No failure of the closed set is forgotten here, and none tells its cause."""
    known = {*FAULTS, *STATUSES, errors.AuthorityError, errors.FaultyConfiguration}
    found = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AuthorityError)}

    assert known == found
    assert not [kind for kind in (*FAULTS, *STATUSES) if SECRET in str(public_form(kind(SECRET), "id"))]
