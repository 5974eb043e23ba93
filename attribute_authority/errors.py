"""The closed set of failures.

Each class has a public sentence, which may leave the service, and each instance a private cause, which only the log sees.
`web/failures.py` is the one place that maps them to SOAP faults, SAML statuses and HTTP answers;
the command line prints `OperatorError.cause`, because there the reader is the operator.
"""

from typing import ClassVar


class AuthorityError(Exception):
    """Base of every failure that the service itself raises.

    `public` is the sentence for the other side; it never holds details.
    `cause` says what happened, for the log.
    """

    public: ClassVar[str] = "The request could not be served."

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class NotSoap(AuthorityError):
    """The message is not a SOAP 1.1 envelope with one body entry (SOAP 1.1 section 4.4: Client)."""

    public = "The message is not a well-formed SOAP 1.1 envelope with exactly one entry in its Body."


class WrongSoapVersion(AuthorityError):
    """The envelope is of another namespace (SOAP 1.1 section 4.4.1: VersionMismatch)."""

    public = "Only SOAP 1.1 envelopes are understood."


class MustUnderstand(AuthorityError):
    """A mandatory header entry is not known here (SOAP 1.1 section 4.2.3: MustUnderstand)."""

    public = "A SOAP header that must be understood is not known here."


class MalformedQuery(AuthorityError):
    """The SAML message breaks the protocol schema or a processing rule (core 3.2.1)."""

    public = "The request is malformed."


class UnsupportedQuery(AuthorityError):
    """A kind of request or Subject that this authority does not answer."""

    public = "This kind of request or Subject is not supported."


class InvalidAttribute(AuthorityError):
    """An attribute designator of the query cannot be read (core 3.2.2.2: InvalidAttrNameOrValue)."""

    public = "An attribute of the request has an invalid name or value."


class VersionTooHigh(AuthorityError):
    """The SAML version of the request is above 2.0 (core 4.1.3.2)."""

    public = "Only SAML 2.0 is supported."


class VersionTooLow(AuthorityError):
    """The SAML version of the request is below 2.0 (core 4.1.3.2)."""

    public = "Only SAML 2.0 is supported."


class Denied(AuthorityError):
    """The requester is unknown, not authenticated, too late, a replay, or asks for what is not its own."""

    public = "The request was denied."


class CouldNotAsk(AuthorityError):
    """Something that is needed for an answer could not be reached; this is never the same as "no iD"."""

    public = "The service is temporarily unable to answer. Please try again later."


class OperatorError(AuthorityError):
    """A mistake in what the operator gave: configuration, a file, a command's arguments."""

    public = "The operator's input is at fault."


class FaultyConfiguration(OperatorError):
    """All faults of a configuration together, each with file, key and what was expected."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class InvalidIdentifier(OperatorError):
    """A text is not an identifier or ORCID iD of the kind that it was given as."""


class Conflict(OperatorError):
    """Storing would overwrite or contradict what another subject or link already holds."""
