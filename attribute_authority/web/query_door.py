"""One AttributeQuery from bytes to bytes: the way through the rooms, in the order of the architecture.

Plain Python without a reactor, so that it runs where it is called: in place where the store is local, on a bounded pool
where the store is across a network and may hang.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from attribute_authority.core.answering import Answering
from attribute_authority.domain.query import Answer, NothingToRelease, Recipient, RequesterProfile
from attribute_authority.errors import AuthorityError, CouldNotAsk
from attribute_authority.events import EventLog, Pseudonyms, QueryEvent, stopwatch
from attribute_authority.ports import Clock
from attribute_authority.saml.answer import AnswerWriter
from attribute_authority.saml.query import read_message_id, read_query
from attribute_authority.saml.soap import read_envelope, wrap, write_fault
from attribute_authority.saml.verification import Verification
from attribute_authority.web.failures import Fault, public_form

PYSAML2_CONTENT_TYPE = "application/soap+xml"

# Causes quote what strangers sent; a line of the log is not theirs to fill.
_LONGEST_CAUSE = 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request body as it arrived: its bytes, media type, the public key of the TLS client, and the peer's address."""

    body: bytes
    content_type: str
    client_key: bytes | None
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status and a SOAP envelope: 200 for every SAML Response, 500 for a SOAP fault (bindings 3.2.3.3)."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class QueryDoor:
    """Answers queries; every failure ends as a Response or fault, and every query as one event."""

    verification: Verification
    answering: Answering
    writer: AnswerWriter
    events: EventLog
    pseudonyms: Pseudonyms
    clock: Clock
    new_correlation_id: Callable[[], str]

    def respond(self, delivery: Delivery) -> Reply:
        """Answer one delivery. Raises nothing that belongs to the closed set of failures."""
        started = stopwatch()
        event = QueryEvent(self.new_correlation_id(), delivery.peer)
        now = self.clock()
        try:
            reply = self._answer(delivery, event, now)
        except AuthorityError as failure:
            reply = self.refuse(failure, event, now)
        self.events.query(event, started)
        return reply

    def give_up(self, delivery: Delivery, cause: str) -> Reply:
        """Answer that we could not ask, for a delivery whose answer is not awaited any longer."""
        event = QueryEvent(self.new_correlation_id(), delivery.peer)
        reply = self.refuse(CouldNotAsk(cause), event, self.clock())
        self.events.query(event, stopwatch())
        return reply

    def refuse(self, failure: AuthorityError, event: QueryEvent, now: datetime) -> Reply:
        """Put a failure into its public form, and its cause into the event."""
        event.failure, event.cause = type(failure).__name__, failure.cause[:_LONGEST_CAUSE]
        form = public_form(failure, event.correlation_id)
        if isinstance(form, Fault):
            return Reply(500, write_fault(form.code, form.reason))
        return Reply(200, wrap(self.writer.write_error(event.message_id, form, now)))

    def _answer(self, delivery: Delivery, event: QueryEvent, now: datetime) -> Reply:
        entry = read_envelope(delivery.body)
        event.message_id = read_message_id(entry)
        received = read_query(entry)
        event.requester = received.issuer
        entity, authentication = self.verification.authenticate(received, delivery.client_key, now)
        event.signature_algorithm, event.client_key = authentication.signature_algorithm, authentication.client_key
        query = self.verification.accept(received, entity, authentication, now)
        decision = self.answering.decide(query)
        event.outcome = decision.outcome
        event.rule = None if decision.rule is None else decision.rule + 1
        event.subject = self.pseudonyms.of(str(decision.candidates[0])) if decision.candidates else None
        return self._write(self.answering.answer(query, decision), delivery.content_type, now)

    def _write(self, answer: Answer, content_type: str, now: datetime) -> Reply:
        profile = self.answering.profile(answer.requester)
        recipient = answer.requester if _wants_recipient(profile, content_type) else None
        bare = profile.nothing_to_release is NothingToRelease.BARE_ASSERTION
        return Reply(200, wrap(self.writer.write_answer(answer, now, recipient=recipient, bare_assertion=bare)))


def _wants_recipient(profile: RequesterProfile, content_type: str) -> bool:
    # pysaml2 refuses a SubjectConfirmationData without Recipient, SimpleSAMLphp one with a Recipient that is not its own URL;
    # pysaml2 alone posts SOAP 1.1 under the media type of SOAP 1.2.
    if profile.recipient is Recipient.AUTO:
        return content_type == PYSAML2_CONTENT_TYPE
    return profile.recipient is Recipient.ALWAYS
