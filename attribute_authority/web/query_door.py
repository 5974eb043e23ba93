"""One AttributeQuery from bytes to bytes: the way through the rooms, in the order of the architecture.

Plain Python without a reactor, so that it runs where it is called: in place where the store is local, on a bounded pool
where the store is across a network and may hang, and its second half on another one where a home organisation has to be asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock

from attribute_authority.core.answering import Answering
from attribute_authority.core.deciding import Decision, Outcome, Unresolved
from attribute_authority.domain.query import Answer, AttributeQuery, NothingToRelease, Recipient, RequesterProfile
from attribute_authority.errors import AuthorityError, CouldNotAsk, SourceUnavailable, TooManyQueries
from attribute_authority.events import EventLog, Pseudonyms, QueryEvent, stopwatch
from attribute_authority.ports import Clock, QueryWatch, RequesterGuard
from attribute_authority.saml.answer import AnswerWriter
from attribute_authority.saml.query import read_message_id, read_query
from attribute_authority.saml.soap import read_envelope, wrap, write_fault
from attribute_authority.saml.verification import Verification
from attribute_authority.web.failures import Fault, public_form
from attribute_authority.web.running import Later

PYSAML2_CONTENT_TYPE = "application/soap+xml"
_DOOR = "attribute-query"

# Causes quote what strangers sent; a line of the log is not theirs to fill.
_LONGEST_CAUSE = 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request body as it arrived: its bytes, media type, the public key of the TLS client, and the peer's address.

    `told` is taken by whoever ends it first, an answer or a deadline, so that there is one event.
    """

    body: bytes
    content_type: str
    client_key: bytes | None
    peer: str | None = None
    told: Lock = field(default_factory=Lock, compare=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status and a SOAP envelope: 200 for every SAML Response, 500 for a SOAP fault (bindings 3.2.3.3)."""

    status: int
    body: bytes


NOBODY = frozenset({Outcome.UNKNOWN, Outcome.NOT_AN_IDENTIFIER})
"""The outcomes that mean that nobody was found; who has many of them may be trying identifiers out."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One query on its way: how it was delivered, what the log will say, when it began by the stopwatch and by the clock."""

    delivery: Delivery
    event: QueryEvent
    started: float
    now: datetime

    def is_first_to_tell(self) -> bool:
        """Whether the event of the query is not written yet, which it will be by the caller."""
        return self.delivery.told.acquire(blocking=False)


@dataclass(frozen=True, slots=True)
class QueryDoor:
    """Answers queries; every failure ends as a Response or fault, and every query as one event."""

    verification: Verification
    answering: Answering
    writer: AnswerWriter
    guard: RequesterGuard
    events: EventLog
    watch: QueryWatch
    pseudonyms: Pseudonyms
    clock: Clock
    new_correlation_id: Callable[[], str]

    def begin(self, delivery: Delivery) -> Reply | Later[Reply]:
        """Answer one delivery, or tell how to go on where a home organisation has to be asked.

        Raises nothing that belongs to the closed set of failures.
        """
        case = _Case(delivery, QueryEvent(self.new_correlation_id(), _DOOR, delivery.peer), stopwatch(), self.clock())
        try:
            query = self._read(case)
            begun = self.answering.begin(query, case.now)
            if isinstance(begun, Unresolved):
                return self._later(case, query, begun)
            return self._tell(case, query, begun)
        except AuthorityError as failure:
            return self._refuse(case, failure)

    def give_up(self, delivery: Delivery, cause: str) -> Reply:
        """Answer that we could not ask, for a delivery whose beginning is not awaited any longer."""
        case = _Case(delivery, QueryEvent(self.new_correlation_id(), _DOOR, delivery.peer), stopwatch(), self.clock())
        return self._refuse(case, CouldNotAsk(cause))

    def _later(self, case: _Case, query: AttributeQuery, unresolved: Unresolved) -> Later[Reply]:
        def finish() -> Reply:
            try:
                return self._tell(case, query, self.answering.finish(query, unresolved))
            except AuthorityError as failure:
                return self._refuse(case, failure)

        # The thread may still be filling in the event while the deadline passes.
        given_up = replace(case, event=replace(case.event))
        return Later(finish, lambda cause: self._refuse(given_up, CouldNotAsk(cause)))

    def _read(self, case: _Case) -> AttributeQuery:
        delivery, event = case.delivery, case.event
        entry = read_envelope(delivery.body)
        event.message_id = read_message_id(entry)
        received = read_query(entry)
        event.requester = received.issuer
        entity, authentication = self.verification.authenticate(received, delivery.client_key, case.now)
        event.signature_algorithm, event.client_key = authentication.signature_algorithm, authentication.client_key
        # First, so that who has got hold of a signed query cannot use up with it what the requester is allowed.
        self.verification.require_new(received, entity, authentication, case.now)
        self.guard.admit(entity.entity_id, 1, case.now)
        return self.verification.accept(received, entity, authentication)

    def _tell(self, case: _Case, query: AttributeQuery, decision: Decision) -> Reply:
        event = case.event
        event.outcome, event.source, event.cause = decision.outcome, decision.source, decision.reason
        event.rule = None if decision.rule is None else decision.rule + 1
        event.subject = self.pseudonyms.of(str(decision.candidates[0])) if decision.candidates else None
        self.guard.learn(query.requester.entity_id, 1, int(decision.outcome in NOBODY), case.now)
        reply = self._write(self.answering.answer(query, decision), case.delivery.content_type, case.now)
        if case.is_first_to_tell():
            self.events.query(event, case.started)
            self.watch.answered(_DOOR, decision.outcome, stopwatch() - case.started)
        return reply

    def _refuse(self, case: _Case, failure: AuthorityError) -> Reply:
        event = case.event
        event.failure, event.cause = type(failure).__name__, failure.cause[:_LONGEST_CAUSE]
        event.retry_after = failure.retry_after if isinstance(failure, SourceUnavailable | TooManyQueries) else None
        if case.is_first_to_tell():
            self.events.query(event, case.started)
            self.watch.refused(_DOOR, event.failure)
        form = public_form(failure, event.correlation_id)
        if isinstance(form, Fault):
            return Reply(500, write_fault(form.code, form.reason))
        return Reply(200, wrap(self.writer.write_error(event.message_id, form, case.now)))

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
