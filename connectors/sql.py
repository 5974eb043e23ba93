"""A database as a sink: an IdM's own table, written by two configured statements, or by its mapped columns.

    [[organisation.sink]]
    kind = "sql"
    url = "postgresql+psycopg://orcid@idm-db.uni.example/idm"
    password_file = "idm-db.password"
    tls_ca = "idm-ca.pem"
    link = "UPDATE person SET orcid = :orcid WHERE eppn = :eppn"
    withdraw = "UPDATE person SET orcid = NULL WHERE eppn = :eppn AND orcid = :former"

or, instead of the two statements:

    table = "person_orcid"
    columns = { eppn = "person", orcid = "orcid", changed_at = "updated", reference = "delivery" }
    key = "eppn"

Everything that belongs to one delivery is one transaction. Instants are in UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Final, Literal, Protocol, Self

from pydantic import Field, model_validator
from sqlalchemy import Executable, make_url, text

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.errors import OperatorError, SinkUnavailable
from attribute_authority.setting_values import FilePath, SinkTable
from connectors import SinkKind, SinkSurroundings
from connectors._sql_address import ServerUrl, demand_encryption, make_address
from connectors._sql_fields import Fields, Form, nobodys_delivery
from connectors._sql_names import ColumnName, TableName
from connectors._sql_rows import RowLayout, RowWriter
from connectors._sql_statements import LinkStatement, WithdrawStatement, make_statement_writer
from connectors._sql_transactions import Transaction, Values, WrittenDatabase
from connectors._sql_written import Written

_BY_STATEMENTS: Final = frozenset({"link", "withdraw", "rows"})
_BY_COLUMNS: Final = frozenset({"table", "columns", "key", "mode", "on_withdrawal", "overwrite"})
_NEEDED_BY_STATEMENTS: Final = frozenset({"link", "withdraw"})
_NEEDED_BY_COLUMNS: Final = frozenset({"table", "columns", "key"})

_WITHOUT_TRANSACTIONS: Final = text(
    "SELECT t.table_name FROM information_schema.tables t JOIN information_schema.engines e ON e.engine = t.engine"
    " WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' AND e.transactions <> 'YES'"
)

Column = Literal[
    "orcid", "orcid_bare", "orcid_uri", "eppn", "unique_id", "subject_id", "pairwise_id", "reference", "changed_at", "home_organisation"
]
PersonColumn = Literal["eppn", "unique_id", "subject_id", "pairwise_id"]


class SqlSettings(SinkTable):
    """`[[organisation.sink]]` with kind "sql"; `connections` is how many each process has at most. `value` is the form of iDs.

    Either `link` and `withdraw`, where `rows` is how many rows each touches, or `table`, `columns` and `key`, the field by which a row
    is found.
    """

    kind: Literal["sql"]
    url: ServerUrl
    password_file: FilePath | None = None
    tls_ca: FilePath | None = None
    value: Form = "uri"
    link: LinkStatement | None = None
    withdraw: WithdrawStatement | None = None
    rows: Literal["one", "any"] = "one"
    table: TableName | None = None
    columns: dict[Column, ColumnName] = Field({})
    key: PersonColumn | None = None
    mode: Literal["upsert", "update"] = "upsert"
    on_withdrawal: Literal["null", "delete"] = "null"
    overwrite: bool = False

    @model_validator(mode="after")
    def _encrypted_across_a_network(self) -> Self:
        demand_encryption(self.url, self.tls_ca)
        return self

    @model_validator(mode="after")
    def _one_way_to_write(self) -> Self:
        by_statements, by_columns = self.model_fields_set & _BY_STATEMENTS, self.model_fields_set & _BY_COLUMNS
        if bool(by_statements) == bool(by_columns):
            raise ValueError("expected either link and withdraw, or table, columns and key")
        missing = _NEEDED_BY_STATEMENTS - by_statements if by_statements else _NEEDED_BY_COLUMNS - by_columns
        if missing:
            raise ValueError(f"expected {' and '.join(sorted(missing))} beside {', '.join(sorted(by_statements | by_columns))}")
        return self

    @model_validator(mode="after")
    def _columns_that_tell_whose_and_what(self) -> Self:
        if self.key is not None and not {self.key, "orcid"} <= self.columns.keys():
            raise ValueError(f"columns: expected those of {self.key}, the key, and of orcid")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError("columns: one stands there twice")
        return self


class Writer(Protocol):
    """A way to write deliveries."""

    def write(self, delivery: Delivery, transaction: Transaction) -> Written:
        """Bring the person to the state of the delivery."""
        ...

    def trials(self, delivery: Delivery) -> Iterator[tuple[Executable, Values]]:
        """Yield every kind of statement, with the values of a delivery that names nobody."""
        ...

    def mentions(self, table: str) -> bool:
        """Whether a table may be one of those that are written."""
        ...


@dataclass(frozen=True, slots=True)
class SqlSink:
    """The database of one home organisation."""

    database: WrittenDatabase = field(repr=False)
    writer: Writer = field(repr=False)
    surroundings: SinkSurroundings = field(repr=False)
    _has_transactions: Event = field(default_factory=Event, repr=False)

    def deliver(self, delivery: Delivery) -> Receipt:
        """Write the delivery in one transaction."""
        return Receipt(found=self.database.commit(partial(self._write, delivery)).found)

    def rehearse(self, delivery: Delivery) -> str:
        """Write the delivery in a transaction that is rolled back, and say how many rows it touched."""
        return str(self.database.undo(partial(self._write, delivery)))

    def check(self) -> None:
        """Have every statement planned, with values of nobody. Raises CouldNotAsk; OperatorError where one cannot work."""
        self._has_transactions.clear()
        try:
            self.database.examine(self._try_statements)
        except _NoTransactions as failure:
            raise OperatorError(failure.cause) from None

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def _write(self, delivery: Delivery, transaction: Transaction) -> Written:
        self._demand_transactions(transaction)
        return self.writer.write(delivery, transaction)

    def _try_statements(self, transaction: Transaction) -> None:
        home_organisation, environment = self.surroundings.home_organisation, self.surroundings.environment
        for statement, values in self.writer.trials(nobodys_delivery(home_organisation, environment, self.surroundings.clock())):
            transaction.explain(statement, values)
        self._demand_transactions(transaction)

    def _demand_transactions(self, transaction: Transaction) -> None:
        # MySQL changes a table of some engines at once, and undoes nothing there.
        if transaction.backend not in ("mysql", "mariadb") or self._has_transactions.is_set():
            return
        for (name,) in transaction.read(_WITHOUT_TRANSACTIONS, {}):
            if self.writer.mentions(name):
                raise _NoTransactions(f"{self.database.server}: the engine of a table that is written has no transactions: expected InnoDB")
        self._has_transactions.set()


class _NoTransactions(SinkUnavailable):
    """What is written could not be undone."""


def _open(settings: SqlSettings, surroundings: SinkSurroundings) -> SqlSink:
    url = make_url(settings.url)
    address = make_address(url, settings.password_file, settings.tls_ca, settings.timeout, writes=True)
    writer = _make_writer(settings, Fields(settings.value, surroundings.authority), url.get_backend_name())
    return SqlSink(WrittenDatabase(address, settings.connections), writer, surroundings)


def _make_writer(settings: SqlSettings, fields: Fields, backend: str) -> Writer:
    if settings.link is not None and settings.withdraw is not None:
        return make_statement_writer(settings.link, settings.withdraw, fields, backend, one=settings.rows == "one")
    layout = RowLayout(
        table=settings.table or "",
        columns=dict(settings.columns.items()),
        key=settings.key or "",
        inserts=settings.mode == "upsert",
        deletes=settings.on_withdrawal == "delete",
        overwrites=settings.overwrite,
    )
    return RowWriter(layout, fields, backend)


SQL: Final = SinkKind(SqlSettings, _open)
"""`kind = "sql"`."""
