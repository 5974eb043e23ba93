"""Deliveries by two configured statements, one that links and one that withdraws; every value is a parameter of theirs.

A statement that names `:former` is run once for each iD that must not stand there any more. Where linking does not name it and
withdrawing does, former iDs are withdrawn first, in the same transaction.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import AfterValidator
from sqlalchemy import DateTime, TextClause, bindparam, text

from attribute_authority.domain.delivery import Delivery
from attribute_authority.errors import DeliveryRefused
from connectors._sql_fields import DELIVERY_FIELDS, FORMER, ORCID_FIELDS, PERSON_FIELDS, Fields
from connectors._sql_transactions import Transaction, Values
from connectors._sql_written import UNKNOWN_PERSON, Written

_BEGINNINGS: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE")
_FIELDS: Final = (*ORCID_FIELDS, FORMER, *PERSON_FIELDS, *DELIVERY_FIELDS)
_FIRST_WORD: Final = re.compile(r"\s*([A-Za-z]+)\s")
_COUNTED_TWICE: Final = re.compile(r"^\s*REPLACE\s|\sON\s+DUPLICATE\s+KEY\s", re.IGNORECASE)
"""Statements of which MySQL counts a row that was there before as two."""


def parameters(statement: str) -> frozenset[str]:
    """Return the names of the parameters of a statement."""
    return frozenset(_text(statement).compile().params)


def _text(statement: str) -> TextClause:
    # SQLAlchemy sees no parameter before a cast of PostgreSQL's.
    return text(statement.replace("::", r"\:\:"))


def _statement(found: str) -> str:
    first = _FIRST_WORD.match(found)
    if first is None or first[1].upper() not in _BEGINNINGS:
        raise ValueError(f"expected a statement that begins with {', '.join(_BEGINNINGS)}")
    if ";" in found or "\0" in found:
        raise ValueError("expected one statement, without a semicolon")
    named = parameters(found)
    if not named <= set(_FIELDS):
        unknown = ", ".join(f":{name}" for name in sorted(named - set(_FIELDS)))
        raise ValueError(f"{unknown}: expected none but the parameters {', '.join(f':{name}' for name in _FIELDS)}")
    if not named & PERSON_FIELDS.keys():
        raise ValueError(f"expected a statement about one person, by {', '.join(f':{name}' for name in PERSON_FIELDS)}")
    return found


def _link(found: str) -> str:
    if not parameters(found) & set(ORCID_FIELDS):
        raise ValueError(f"expected a statement that writes {' or '.join(f':{name}' for name in ORCID_FIELDS)}")
    return found


def _withdraw(found: str) -> str:
    if parameters(found) & set(ORCID_FIELDS):
        raise ValueError("expected a statement without the iD, of which there is none any more: the one that was is :former")
    return found


LinkStatement = Annotated[str, AfterValidator(_statement), AfterValidator(_link)]
WithdrawStatement = Annotated[str, AfterValidator(_statement), AfterValidator(_withdraw)]


@dataclass(frozen=True, slots=True)
class _Statement:
    text: TextClause = field(repr=False)
    names: frozenset[str]
    counts_twice: bool

    @property
    def people(self) -> tuple[str, ...]:
        """The fields that tell whose it is, in one order."""
        return tuple(name for name in PERSON_FIELDS if name in self.names)

    def values(self, *found: Values) -> dict[str, Any]:
        """Return what it names."""
        return {name: value for values in found for name, value in values.items() if name in self.names}

    def run(self, transaction: Transaction, values: Values) -> int:
        """Return how many rows it has touched."""
        touched = transaction.change(self.text, values)
        return 1 if self.counts_twice and touched == 2 else touched


@dataclass(frozen=True, slots=True)
class StatementWriter:
    """Makes deliveries by statements; with `one` each touches one row at most, and linking somebody's."""

    link: _Statement
    withdraw: _Statement
    fields: Fields
    one: bool

    def write(self, delivery: Delivery, transaction: Transaction) -> Written:
        """Bring the person to the state of the delivery. Raises DeliveryRefused, and what the transaction raises."""
        if delivery.orcid is None:
            return Written(self._withdraw_all(delivery, transaction))
        clears = FORMER in self.withdraw.names and FORMER not in self.link.names
        cleared = self._withdraw_all(delivery, transaction) if clears else 0
        linked = self._link_one(delivery, transaction)
        if linked == 0 and self.one:
            raise DeliveryRefused(UNKNOWN_PERSON)
        return Written(cleared + linked)

    def trials(self, delivery: Delivery) -> Iterator[tuple[TextClause, Values]]:
        """Yield what there is to be tried, with the values of a delivery that names nobody."""
        for statement in (self.link, self.withdraw):
            for person in self.fields.of_person(delivery, statement.people):
                for former in self.fields.former(delivery):
                    yield statement.text, statement.values(person, self.fields.of_delivery(delivery), {FORMER: former})

    def mentions(self, table: str) -> bool:
        """Whether a table may be one of those that are written."""
        return any(re.search(rf"(?<!\w){re.escape(table)}(?!\w)", one.text.text, re.IGNORECASE) for one in (self.link, self.withdraw))

    def _link_one(self, delivery: Delivery, transaction: Transaction) -> int:
        former = self.fields.former(delivery) if FORMER in self.link.names else ()
        for person in self.fields.of_person(delivery, self.link.people):
            touched = self._run(self.link, delivery, transaction, person, former or (None,))
            if touched:
                return touched
        return 0

    def _withdraw_all(self, delivery: Delivery, transaction: Transaction) -> int:
        former = self.fields.former(delivery)
        if not former:
            # Whatever stands there is not ours.
            return 0
        people = self.fields.of_person(delivery, self.withdraw.people)
        once = former if FORMER in self.withdraw.names else former[:1]
        return sum(self._run(self.withdraw, delivery, transaction, person, once) for person in people)

    def _run(
        self, statement: _Statement, delivery: Delivery, transaction: Transaction, person: Values, former: Sequence[str | None]
    ) -> int:
        touched = 0
        for one in former:
            rows = statement.run(transaction, statement.values(person, self.fields.of_delivery(delivery), {FORMER: one}))
            if rows > 1 and self.one:
                raise DeliveryRefused(f"{rows} rows would have been changed where one was expected; nothing was")
            touched += rows
        return touched


def make_statement_writer(link: str, withdraw: str, fields: Fields, backend: str, *, one: bool) -> StatementWriter:
    """Return what makes deliveries by these statements."""
    return StatementWriter(_make_statement(link, backend), _make_statement(withdraw, backend), fields, one)


def _make_statement(statement: str, backend: str) -> _Statement:
    names = parameters(statement)
    instants = [bindparam("changed_at", type_=DateTime(timezone=True))] if "changed_at" in names else []
    counts_twice = backend in ("mysql", "mariadb") and _COUNTED_TWICE.search(statement) is not None
    return _Statement(_text(statement).bindparams(*instants), names, counts_twice)
