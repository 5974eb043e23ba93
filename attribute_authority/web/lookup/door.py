"""The three questions of the lookup door from call to reply: one person, many people, and what has changed.

Plain Python without a reactor, run like the door for attribute queries: in place where the store is local, on a pool where it is not,
and on another one where home organisations have to be asked, or many people are asked about at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from attribute_authority.core.deciding import Deciding, Decision, Question, Unresolved
from attribute_authority.core.looking_up import Caller, LookingUp, followed_organisations, question_of
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.release import may_ask
from attribute_authority.errors import CouldNotAsk, Denied, InvalidRequest
from attribute_authority.events import EventLog, Pseudonyms
from attribute_authority.ports import BatchSubjectFinder, ChangeFeed, ClientStore, Clock, EntityDirectory, QueryWatch, RequesterGuard
from attribute_authority.web.lookup.answers import write_batch, write_links, write_orcid
from attribute_authority.web.lookup.callers import Recognition, choose
from attribute_authority.web.lookup.case import Call, Case, Telling
from attribute_authority.web.lookup.problems import Reply
from attribute_authority.web.lookup.query_string import read_query
from attribute_authority.web.lookup.questions import (
    CallerParameters,
    IdentifierQuestion,
    LinksParameters,
    LookupBatch,
    LookupParameters,
    read_model,
)
from attribute_authority.web.lookup.strict_json import read_json
from attribute_authority.web.query_door import NOBODY
from attribute_authority.web.running import Later

LOOKUP: Final = "lookup"
BATCH: Final = "lookup-batch"
LINKS: Final = "links"
JSON: Final = b"application/json"

# Kept, but asked for anew each time: a withdrawal counts at once, and who did not hear of one gets no octet twice.
_REVALIDATE: Final = b"private, no-cache"
_VARY: Final = (b"vary", b"Authorization")
_PATIENCE: Final = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class LookupDoor:
    """Answers calls; every failure ends as a problem document, and every call as one event.

    `patience` is how long the sources are asked for one batch; it ends before the deadline of the pool, so that what is known is told.
    """

    deciding: Deciding
    subjects: BatchSubjectFinder
    clients: ClientStore
    changes: ChangeFeed
    directory: EntityDirectory
    guard: RequesterGuard
    events: EventLog
    watch: QueryWatch
    pseudonyms: Pseudonyms
    clock: Clock
    new_correlation_id: Callable[[], str]
    patience: timedelta = _PATIENCE

    def look_up(self, call: Call) -> Reply | Later[Reply]:
        """Answer about one person, or tell how to go on where a home organisation has to be asked."""
        case = self._telling.open(LOOKUP, call)
        return self._telling.attempt(case, lambda: self._look_up(case))

    def look_up_batch(self, call: Call) -> Reply | Later[Reply]:
        """Tell how to answer about many people, for whoever proves who they are."""
        case = self._telling.open(BATCH, call)
        return self._telling.attempt(case, lambda: self._begin_batch(case))

    def read_links(self, call: Call) -> Reply | Later[Reply]:
        """Answer what has changed."""
        case = self._telling.open(LINKS, call)
        return self._telling.attempt(case, lambda: self._read_links(case))

    def give_up(self, door: str, call: Call, cause: str) -> Reply:
        """Answer that we could not ask, for a call whose beginning is not awaited any longer."""
        return self._telling.refuse(self._telling.open(door, call), CouldNotAsk(cause))

    @property
    def _telling(self) -> Telling:
        return Telling(self.events, self.watch, self.clock, self.new_correlation_id)

    def _look_up(self, case: Case) -> Reply | Later[Reply]:
        callers = self._recognise(case)
        parameters = read_model(LookupParameters, read_query(case.call.query), "query")
        caller = self._let_in(case, choose(callers, parameters.requester))
        question = _placed("query", lambda: question_of(caller, parameters.asked()))
        self.guard.admit(caller.entity.entity_id, 1, case.now)
        begun = self.deciding.begin(question, case.now)
        if isinstance(begun, Unresolved):
            return self._telling.later(case, lambda: self._tell(case, caller, self.deciding.finish(begun)))
        return self._tell(case, caller, begun)

    def _tell(self, case: Case, caller: Caller, decision: Decision) -> Reply:
        event = case.event
        event.outcome, event.source, event.cause = decision.outcome, decision.source, decision.reason
        event.rule = None if decision.rule is None else decision.rule + 1
        event.subject = self.pseudonyms.of(str(decision.candidates[0]))
        self.guard.learn(caller.entity.entity_id, 1, int(decision.outcome in NOBODY), case.now)
        return self._telling.answer(case, _revalidated(write_orcid(decision.orcid, self.deciding.environment)))

    def _begin_batch(self, case: Case) -> Later[Reply]:
        # Whom nobody knows takes no thread from others.
        callers = self._recognise(case)
        parameters = read_model(CallerParameters, read_query(case.call.query), "query")
        caller = self._let_in(case, choose(callers, parameters.requester))
        return self._telling.later(case, lambda: self._look_up_batch(case, caller))

    def _look_up_batch(self, case: Case, caller: Caller) -> Reply:
        batch = read_model(LookupBatch, read_json(case.call.body), "body")
        questions = [_numbered(caller, number, asked) for number, asked in enumerate(batch.identifiers)]
        case.event.asked = len(questions)
        self.guard.admit(caller.entity.entity_id, len(questions), case.now)
        until = case.now + self.patience
        found = LookingUp(self.deciding, self.subjects).look_up(questions, case.now, lambda: self.clock() >= until)
        return self._tell_batch(case, caller, found)

    def _tell_batch(self, case: Case, caller: Caller, found: Sequence[Decision | CouldNotAsk]) -> Reply:
        decisions = [decision for decision in found if isinstance(decision, Decision)]
        failure = next((one for one in found if isinstance(one, CouldNotAsk)), None)
        event = case.event
        event.released = sum(decision.orcid is not None for decision in decisions)
        event.outcome, event.cause = ("answered", None) if failure is None else ("partly-answered", failure.cause)
        unknown = sum(decision.outcome in NOBODY for decision in decisions)
        self.guard.learn(caller.entity.entity_id, len(decisions), unknown, case.now)
        environment = self.deciding.environment
        results = [write_orcid(one.orcid, environment) if isinstance(one, Decision) else None for one in found]
        return self._telling.answer(case, Reply(200, JSON, write_batch(results), (_VARY,)))

    def _read_links(self, case: Case) -> Later[Reply]:
        callers = self._recognise(case)
        parameters = read_model(LinksParameters, read_query(case.call.query), "query")
        caller = self._let_in(case, choose(callers, parameters.requester))
        organisations = followed_organisations(self.deciding.rules, caller)
        self.guard.admit(caller.entity.entity_id, 1, case.now)
        # A page of many organisations is many rows, for which no query should have to wait.
        return self._telling.later(case, lambda: self._tell_links(case, organisations, parameters))

    def _tell_links(self, case: Case, organisations: frozenset[EntityId], parameters: LinksParameters) -> Reply:
        page = self.changes.read_changes(organisations, self.deciding.environment, parameters.since or 0, parameters.limit)
        case.event.outcome, case.event.released = "answered", len(page.changes)
        return self._telling.answer(case, _revalidated(write_links(page)))

    def _recognise(self, case: Case) -> tuple[Caller, ...]:
        credentials = case.call.credentials
        callers = Recognition(self.clients, self.directory).recognise(credentials, case.now)
        case.event.client_key = not credentials.authorization
        if len(callers) == 1:
            case.event.requester = callers[0].entity.entity_id
        return callers

    def _let_in(self, case: Case, caller: Caller) -> Caller:
        case.event.requester = caller.entity.entity_id
        if not may_ask(self.deciding.rules, caller.entity):
            raise Denied(f"{caller.entity.entity_id} has no role that queries, and no release rule names it")
        return caller


def _revalidated(body: bytes) -> Reply:
    etag = b'"%s"' % sha256(body).hexdigest()[:32].encode()
    return Reply(200, JSON, body, (_VARY, (b"etag", etag)), _REVALIDATE)


def _numbered(caller: Caller, number: int, asked: IdentifierQuestion) -> Question:
    return _placed(f"body.identifiers[{number}]", lambda: question_of(caller, asked.asked()))


def _placed(place: str, make: Callable[[], Question]) -> Question:
    try:
        return make()
    except InvalidRequest as fault:
        raise InvalidRequest(tuple((f"{place}.{name}", expected) for name, expected in fault.faults)) from None
