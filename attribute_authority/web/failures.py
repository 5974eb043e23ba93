"""The one mapping from failures to what the other side sees; what is not listed is "could not serve", without detail."""

from dataclasses import dataclass
from typing import Final

from attribute_authority import errors
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.answer import Status

_FAULT_CODES: Final[dict[type[errors.AuthorityError], str]] = {
    errors.NotSoap: "Client",
    errors.WrongSoapVersion: "VersionMismatch",
    errors.MustUnderstand: "MustUnderstand",
}
_STATUS_CODES: Final[dict[type[errors.AuthorityError], tuple[str, str | None]]] = {
    errors.MalformedQuery: (ns.STATUS_REQUESTER, None),
    errors.UnsupportedQuery: (ns.STATUS_REQUESTER, ns.STATUS_REQUEST_UNSUPPORTED),
    errors.InvalidAttribute: (ns.STATUS_REQUESTER, ns.STATUS_INVALID_ATTR_NAME_OR_VALUE),
    errors.Denied: (ns.STATUS_REQUESTER, ns.STATUS_REQUEST_DENIED),
    errors.TooManyQueries: (ns.STATUS_REQUESTER, ns.STATUS_REQUEST_DENIED),
    errors.VersionTooHigh: (ns.STATUS_VERSION_MISMATCH, ns.STATUS_REQUEST_VERSION_TOO_HIGH),
    errors.VersionTooLow: (ns.STATUS_VERSION_MISMATCH, ns.STATUS_REQUEST_VERSION_TOO_LOW),
    errors.CouldNotAsk: (ns.STATUS_RESPONDER, None),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault: code and sentence."""

    code: str
    reason: str


def public_form(failure: errors.AuthorityError, correlation_id: str) -> Fault | Status:
    """Return the SOAP fault or SAML status for a failure, with its public sentence and the id under which the log tells more."""
    kind = type(failure)
    sentence = f"{kind.public} ({correlation_id})"
    if kind in _FAULT_CODES:
        return Fault(_FAULT_CODES[kind], sentence)
    code, second = _STATUS_CODES.get(kind, (ns.STATUS_RESPONDER, None))
    return Status(code, second, sentence)
