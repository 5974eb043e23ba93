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


class SourceUnavailable(CouldNotAsk):
    """A home organisation's own system could not be asked; `retry_after` is in how many seconds it will be asked again at the earliest."""

    def __init__(self, cause: str, retry_after: float) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class SinkUnavailable(CouldNotAsk):
    """A home organisation's own system takes nobody's deliveries at the moment; `retry_after` is in seconds, None where it did not say."""

    def __init__(self, cause: str, retry_after: float | None = None) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class DeliveryDeferred(AuthorityError):
    """One delivery cannot be made now, and may succeed later; others can. `retry_after` is in seconds, None where nobody knows."""

    public = "The delivery could not be made yet."

    def __init__(self, cause: str, retry_after: float | None = None) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class DeliveryRefused(AuthorityError):
    """One delivery cannot succeed without a person's doing; `answer` is what the other system said, as it said it.

    The cause goes into the log: it quotes neither the answer nor anything about the researcher.
    """

    public = "The delivery was refused."

    def __init__(self, cause: str, answer: str | None = None) -> None:
        super().__init__(cause)
        self.answer = answer


class TooManyQueries(AuthorityError):
    """A requester asks more than it is allowed, or is shut out for a while; `retry_after` is in seconds."""

    public = "Too many queries from this requester. Please try again later."

    def __init__(self, cause: str, retry_after: float) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class NotAuthenticated(AuthorityError):
    """A caller of the lookup door proves nothing: no token or TLS client key, or one that is unknown, expired or revoked (RFC 6750)."""

    public = "Authenticate with a TLS client key of your metadata or with a bearer token."


class InvalidRequest(AuthorityError):
    """A request to the lookup door that does not fit its description; `faults` are pairs of place and expectation, fit for the caller.

    They quote nothing of what was sent.
    """

    public = "The request does not fit the description of this service."

    def __init__(self, faults: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{place}: {expected}" for place, expected in faults))
        self.faults = faults


class SignInFailed(AuthorityError):
    """A SAML Response at the companion page that proves nothing: signature, audience, Destination, freshness, form (profiles 4.1.4.3)."""

    public = "The sign-in could not be verified."


class SignInRefused(AuthorityError):
    """The home organisation answered that it did not sign the person in (core 3.2.2.1)."""

    public = "The home organisation did not complete the sign-in."


class SignInExpired(AuthorityError):
    """A Response to a sign-in that is unknown, over, used already, or began in another browser."""

    public = "This sign-in is over."


class UnknownHomeOrganisation(AuthorityError):
    """An identity provider that is not in trusted metadata, or cannot be signed in at."""

    public = "This home organisation is not known here."


class ScopeNotAllowed(AuthorityError):
    """A scoped identifier with a scope that the metadata of the identity provider does not give it (shibmd:Scope)."""

    public = "The home organisation sent an identifier that is not its own."


class NoIdentifier(AuthorityError):
    """The home organisation released no identifier by which services could ask about the person."""

    public = "The home organisation did not say who you are."


class SessionOver(AuthorityError):
    """No session, or one that has ended."""

    public = "You are not signed in any more."


class FormOver(AuthorityError):
    """A form without the token of its session, or of a page that is not current any more."""

    public = "This page is not current any more."


class TooManyAttempts(AuthorityError):
    """More attempts from one address than are allowed in a while."""

    public = "There were too many attempts from your network address."


class RegistryDenied(AuthorityError):
    """The researcher said no at ORCID (RFC 6749 section 4.1.2.1: access_denied)."""

    public = "You did not give permission at ORCID."


class RegistryStateUnknown(AuthorityError):
    """A return from ORCID with a state that is unknown, used already, over, or of another browser."""

    public = "This return from ORCID does not belong to anything that began in this browser."


class RegistryRefused(AuthorityError):
    """ORCID did not accept the code, or what it answered proves no iD."""

    public = "ORCID did not confirm your iD."


class RecordClosed(AuthorityError):
    """The ORCID record is deactivated, locked or deprecated."""

    public = "This ORCID record is not active."


class RegistryUnavailable(CouldNotAsk):
    """ORCID is away, too slow, or refuses this service as a whole; nothing was decided about the researcher."""

    public = "ORCID cannot be reached at the moment."


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


class OrcidTaken(Conflict):
    """The iD is linked to another subject of the same home organisation."""


class OtherOrcidLinked(Conflict):
    """The subject has another iD, which would have to be withdrawn first."""


class SubjectsDiffer(Conflict):
    """The identifiers belong to different subjects, or to a subject of another home organisation."""
