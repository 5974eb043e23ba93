"""Deliveries into a table with one row for each person, whose columns are mapped to what a delivery says.

A row is read first and then changed only as it was read, so that an iD of somebody else's hand stays, whoever else writes meanwhile.
MySQL's ON DUPLICATE KEY is of no use here: it would change the row of whoever has the same iD where that is unique too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    DateTime,
    Executable,
    Select,
    TableClause,
    bindparam,
    column,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, InvalidIdentifier
from connectors._sql_fields import ORCID_FIELDS, PERSON_FIELDS, Fields
from connectors._sql_names import place_table, quote_name
from connectors._sql_transactions import Transaction, Values
from connectors._sql_written import UNKNOWN_PERSON, Written

_KEY: Final = "key"
_SEEN: Final = "seen"


@dataclass(frozen=True, slots=True)
class RowLayout:
    """The table and its columns by field, as configured, and what may be done there."""

    table: str
    columns: Mapping[str, str]
    key: str
    inserts: bool
    deletes: bool
    overwrites: bool


@dataclass(frozen=True, slots=True, repr=False)
class _Row:
    """A row as it was read: the identifier that found it, and what stands for the iD there."""

    key: str
    seen: Any
    orcid: OrcidId | None

    @property
    def is_empty(self) -> bool:
        """Whether no iD stands there, nor anything else."""
        return self.seen is None or _text(self.seen) == ""


class RowWriter:
    """Makes deliveries to one row each, in a database of that backend."""

    def __init__(self, layout: RowLayout, fields: Fields, backend: str) -> None:
        self._layout = layout
        self._fields = fields
        self._backend = backend
        self._columns: dict[str, ColumnClause[Any]] = {field: column(quote_name(name, backend)) for field, name in layout.columns.items()}
        self._table: TableClause = place_table(layout.table, backend, list(self._columns.values()))

    def write(self, delivery: Delivery, transaction: Transaction) -> Written:
        """Bring the person's row to the state of the delivery.

        Raises DeliveryDeferred and DeliveryRefused, and what the transaction raises.
        """
        if delivery.orcid is None and not delivery.former:
            return Written(0)
        rows = self._read_rows(delivery, transaction)
        if delivery.orcid is None:
            return Written(self._clear(delivery, transaction, rows))
        cleared = self._clear(delivery, transaction, rows[1:])
        written = self._link(delivery, transaction, rows[0]) if rows else self._insert(delivery, transaction)
        return written if cleared == 0 else Written(written.rows + cleared)

    def trials(self, delivery: Delivery) -> Iterator[tuple[Executable, Values]]:
        """Yield what there is to be tried, with the values of a delivery that names nobody."""
        row = _Row("nobody@nowhere.invalid", self._fields.former(delivery)[0], None)
        yield self._selection(), {_KEY: row.key}
        yield self._update(row), {**self._written(delivery), _KEY: row.key, _SEEN: row.seen}
        if self._layout.inserts:
            yield self._insertion(self._inserted(delivery))
        if self._layout.deletes:
            yield self._deletion(row), {_KEY: row.key, _SEEN: row.seen}

    def mentions(self, table: str) -> bool:
        """Whether a table may be the one that is written."""
        return self._table.name.lower() == table.lower()

    def _read_rows(self, delivery: Delivery, transaction: Transaction) -> list[_Row]:
        rows = []
        for person in self._fields.of_person(delivery, (self._layout.key,)):
            key = str(person[self._layout.key])
            found = transaction.read(self._selection(), {_KEY: key})
            if len(found) > 1:
                raise DeliveryRefused("several rows are of that identifier")
            for stored, seen in found:
                if _text(stored).lower() == key.lower():
                    rows.append(_Row(key, seen, _orcid(seen, delivery.environment)))
                elif delivery.orcid is not None:
                    raise DeliveryRefused(f"column {self._layout.columns[self._layout.key]}: it takes somebody else's row for the person's")
        return rows

    def _link(self, delivery: Delivery, transaction: Transaction, row: _Row) -> Written:
        if row.orcid is not None and row.orcid == delivery.orcid and not delivery.may_be_ours:
            return Written(0, found=True)
        is_ours = row.orcid is not None and row.orcid in (delivery.orcid, *delivery.former)
        if not (row.is_empty or is_ours or self._layout.overwrites):
            raise DeliveryRefused("another iD stands there, which was not written from here")
        return Written(self._change(transaction, self._update(row), {**self._written(delivery), _KEY: row.key, _SEEN: row.seen}))

    def _insert(self, delivery: Delivery, transaction: Transaction) -> Written:
        if not self._layout.inserts:
            raise DeliveryRefused(UNKNOWN_PERSON)
        statement, values = self._insertion(self._inserted(delivery))
        try:
            return Written(self._change(transaction, statement, values))
        except IntegrityError:
            # MySQL cannot be told which key may be there already, but goes on with the transaction. What is locked is read as it is now.
            again = self._selection().with_for_update()
            if self._backend in ("mysql", "mariadb") and transaction.read(again, {_KEY: values[self._layout.key]}):
                raise _changed_meanwhile() from None
            raise

    def _clear(self, delivery: Delivery, transaction: Transaction, rows: list[_Row]) -> int:
        cleared = 0
        for row in rows:
            if row.orcid is None or row.orcid not in delivery.former:
                continue
            if self._layout.deletes:
                cleared += self._change(transaction, self._deletion(row), {_KEY: row.key, _SEEN: row.seen})
            else:
                none = {field: None for field in self._columns if field in ORCID_FIELDS}
                values = {**self._written(delivery), **none, _KEY: row.key, _SEEN: row.seen}
                cleared += self._change(transaction, self._update(row), values)
        return cleared

    def _change(self, transaction: Transaction, statement: Executable, values: Values) -> int:
        touched = transaction.change(statement, {name: value for name, value in values.items() if name != _SEEN or value is not None})
        if touched == 0:
            raise _changed_meanwhile()
        if touched > 1:
            raise DeliveryRefused(f"{touched} rows would have been changed where one was expected; nothing was")
        return touched

    def _written(self, delivery: Delivery) -> dict[str, Any]:
        return {field: value for field, value in self._fields.of_delivery(delivery).items() if field in self._columns}

    def _inserted(self, delivery: Delivery) -> dict[str, Any]:
        named = tuple(field for field in self._columns if field in PERSON_FIELDS)
        return {**self._written(delivery), **self._fields.of_person(delivery, named)[0]}

    def _selection(self) -> Select[Any, Any]:
        return select(self._key, self._columns["orcid"]).where(self._key == bindparam(_KEY)).limit(2)

    def _update(self, row: _Row) -> Executable:
        # Whose row it is, is the other system's to say.
        written = {one: _parameter(field) for field, one in self._columns.items() if field not in PERSON_FIELDS}
        return update(self._table).where(*self._as_read(row)).values(written)

    def _deletion(self, row: _Row) -> Executable:
        return delete(self._table).where(*self._as_read(row))

    def _insertion(self, values: Values) -> tuple[Executable, Values]:
        written = {self._columns[field]: _parameter(field) for field in values}
        if self._backend == "postgresql":
            return postgresql.insert(self._table).values(written).on_conflict_do_nothing(index_elements=[self._key]).inline(), values
        if self._backend == "sqlite":
            return sqlite.insert(self._table).values(written).on_conflict_do_nothing(index_elements=[self._key]).inline(), values
        return insert(self._table).values(written).inline(), values

    def _as_read(self, row: _Row) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        orcid = self._columns["orcid"]
        return self._key == bindparam(_KEY), orcid.is_(None) if row.seen is None else orcid == bindparam(_SEEN)

    @property
    def _key(self) -> ColumnClause[Any]:
        return self._columns[self._layout.key]


def _parameter(field: str) -> Any:
    return bindparam(field, type_=DateTime(timezone=True)) if field == "changed_at" else bindparam(field)


def _changed_meanwhile() -> DeliveryDeferred:
    return DeliveryDeferred("the row was changed by somebody else meanwhile")


def _orcid(value: object, environment: Environment) -> OrcidId | None:
    try:
        return OrcidId.parse(_text(value), environment)
    except InvalidIdentifier:
        return None


def _text(value: object) -> str:
    # Columns of octets hold text all the same; those of fixed width fill it up with spaces.
    found = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return found.rstrip(" ")
