"""Finding the entry of a person and bringing its values to the state of a delivery, on one connection.

A modification names the very values that it takes away, all or nothing, so that what somebody else changes meanwhile is seen and not
overwritten (RFC 4511, 4.6).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.errors import (
    AuthorityError,
    CouldNotAsk,
    DeliveryDeferred,
    DeliveryRefused,
    OperatorError,
    SinkUnavailable,
    SourceUnavailable,
)
from connectors._deadline import Deadline
from connectors._ldap_access import DirectoryTable, require_base, require_success
from connectors._ldap_change import Change, ValueRule
from connectors._ldap_entry import attribute_values, attributes_to_read, is_asked_about
from connectors._ldap_filter import Question
from connectors._ldap_results import (
    ATTRIBUTE_OR_VALUE_EXISTS,
    CONSTRAINT_VIOLATION,
    INAPPROPRIATE_MATCHING,
    INSUFFICIENT_ACCESS_RIGHTS,
    INVALID_ATTRIBUTE_SYNTAX,
    NO_SUCH_ATTRIBUTE,
    NO_SUCH_OBJECT,
    OBJECT_CLASS_VIOLATION,
    SIZE_LIMIT_EXCEEDED,
    SUCCESS,
    UNDEFINED_ATTRIBUTE_TYPE,
)
from connectors._ldap_session import Answer, Entry, Modification, Session

_OBJECT_CLASS: Final = "objectClass"
_NOBODYS: Final = "0000-0000-0000-0000"

_CHANGED_MEANWHILE: Final = frozenset({NO_SUCH_ATTRIBUTE, ATTRIBUTE_OR_VALUE_EXISTS, NO_SUCH_OBJECT})
"""Results that say that the entry is not what it was when it was read."""

_REFUSALS: Final = frozenset(
    {UNDEFINED_ATTRIBUTE_TYPE, INAPPROPRIATE_MATCHING, CONSTRAINT_VIOLATION, INVALID_ATTRIBUTE_SYNTAX, OBJECT_CLASS_VIOLATION}
)
"""Results that are about this entry and this value. Every other one is about the server, and the next may do better."""

# A single value that came meanwhile breaks a constraint, as others do that hold for good.
_WORTH_ANOTHER_LOOK: Final = _CHANGED_MEANWHILE | {CONSTRAINT_VIOLATION}


@dataclass(frozen=True, slots=True)
class Foresight:
    """What a delivery would change in an entry."""

    entry: Entry
    change: Change
    adds_class: bool = False


class EntryWriter:
    """Writes iDs into entries; threads share it, each with a connection of its own."""

    def __init__(self, settings: DirectoryTable, attribute: str, object_class: str | None, rule: ValueRule) -> None:
        self._settings = settings
        self._attribute = attribute
        self._object_class = object_class
        self._rule = rule
        # Missing rights are everybody's as a rule; just after a modification that was made they are this one entry's.
        self._others_work = False

    def write(self, session: Session, deadline: Deadline, questions: Sequence[Question], delivery: Delivery) -> Receipt:
        """Bring the first entry that a question finds to the state of the delivery, and take former iDs out of those that others find.

        Raises CouldNotAsk where another server may do better; DeliveryDeferred where the entry changed again and again; DeliveryRefused.
        """
        outcome = self._attempt(session, deadline, questions, delivery)
        if isinstance(outcome, Answer) and outcome.code in _WORTH_ANOTHER_LOOK:
            outcome = self._attempt(session, deadline, questions, delivery)
        if isinstance(outcome, Answer):
            raise self._failure(outcome)
        return outcome

    def foresee(self, session: Session, deadline: Deadline, questions: Sequence[Question], delivery: Delivery) -> tuple[Foresight, ...]:
        """Return what `write` would change, entry by entry, none where nobody has any of the identifiers. Raises what it would."""
        found: dict[bytes, Entry] = {}
        for question in questions:
            entry = self._find(session, deadline, question)
            if entry is not None:
                found.setdefault(entry.dn, entry)
                if not delivery.former:
                    break
        if not found and delivery.orcid is not None:
            raise DeliveryRefused("no entry has any of the person's identifiers")
        # What was written under an earlier name stands there still.
        cleared = replace(delivery, orcid=None)
        return tuple(self._compare(entry, session, cleared if number else delivery) for number, entry in enumerate(found.values()))

    def check(self, session: Session, deadline: Deadline) -> None:
        """Ask whether the directory has `base`, and knows the attribute. Raises OperatorError where it does not; CouldNotAsk."""
        require_base(session.search(self._settings.base_search(), deadline), self._settings.base)
        answer = session.compare(self._settings.base, self._attribute, _NOBODYS, deadline)
        if answer.code == UNDEFINED_ATTRIBUTE_TYPE:
            raise OperatorError(f"{answer.result}: attribute {self._attribute!r} is not in the schema of the directory")

    def _attempt(self, session: Session, deadline: Deadline, questions: Sequence[Question], delivery: Delivery) -> Receipt | Answer:
        """Read, compare and write once; returns what the server answered where it did not write."""
        foreseen = self.foresee(session, deadline, questions, delivery)
        for seen in foreseen:
            if seen.change.is_empty:
                continue
            answer = session.modify(seen.entry.dn, self._modifications(seen), deadline)
            if answer.code != SUCCESS:
                return answer
            self._others_work = True
        return Receipt(found=any(seen.change.found for seen in foreseen))

    def _find(self, session: Session, deadline: Deadline, question: Question) -> Entry | None:
        further = (self._attribute,) if self._object_class is None else (self._attribute, _OBJECT_CLASS)
        search = self._settings.search(question.filter, attributes_to_read(question, further))
        with self._about_one_entry():
            answer = session.search(search, deadline)
            if answer.code == SIZE_LIMIT_EXCEEDED or len(answer.entries) > 1:
                raise DeliveryRefused(f"{answer.server}: several entries have the same identifier")
            require_success(answer)
            entry = next(iter(answer.entries), None)
            return entry if entry is not None and is_asked_about(entry, question, answer.server) else None

    def _compare(self, entry: Entry, session: Session, delivery: Delivery) -> Foresight:
        with self._about_one_entry():
            change = self._rule.change(attribute_values(entry, self._attribute, session.server), delivery)
            if self._object_class is None or not change.add:
                return Foresight(entry, change)
            classes = attribute_values(entry, _OBJECT_CLASS, session.server)
        return Foresight(entry, change, self._object_class.lower().encode() not in {name.lower() for name in classes})

    def _modifications(self, seen: Foresight) -> tuple[Modification, ...]:
        values = Modification(self._attribute, seen.change.delete, seen.change.add)
        if not seen.adds_class or self._object_class is None:
            return (values,)
        return (Modification(_OBJECT_CLASS, add=(self._object_class.encode(),)), values)

    def _failure(self, answer: Answer) -> AuthorityError:
        cause = f"{answer.result}: the entry was not modified"
        if answer.code in _CHANGED_MEANWHILE:
            return DeliveryDeferred(f"{cause}, as it changed at the same time")
        if answer.code in _REFUSALS:
            return DeliveryRefused(cause, answer.message or None)
        if answer.code == INSUFFICIENT_ACCESS_RIGHTS:
            return self._one_or_all(f"{cause}: whom we bind as has not the right to", answer.message or None)
        return CouldNotAsk(cause)

    def _one_or_all(self, cause: str, answer: str | None = None) -> AuthorityError:
        if not self._others_work:
            return SinkUnavailable(cause)
        self._others_work = False
        return DeliveryRefused(f"{cause}; others were written just before", answer)

    @contextmanager
    def _about_one_entry(self) -> Iterator[None]:
        try:
            yield
        except SourceUnavailable as failure:
            raise self._one_or_all(failure.cause) from None
