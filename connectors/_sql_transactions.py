"""Somebody else's database, written to: one transaction at a time, under a deadline after which nothing is sent that changes anything."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, Row, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from attribute_authority.errors import AuthorityError, CouldNotAsk, DeliveryRefused, OperatorError, SinkUnavailable
from connectors._database_drivers import DatabaseAddress
from connectors._socket_watch import Question
from connectors._sql_connections import DatabaseConnections
from connectors._sql_failures import first_line, is_misconfigured, is_refusal, judge_failure

Outcome = TypeVar("Outcome")
Values = Mapping[str, Any]

_EXPLAINED: Final = "explained"
_MORE_THAN_ONE: Final = 2


class _Unfinished(Exception):
    """The connection was lost before anything was committed."""

    def __init__(self, failure: AuthorityError) -> None:
        super().__init__()
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Transaction:
    """What can be done within one; every method raises SinkUnavailable when time is up, and what the database fails with."""

    connection: Connection
    question: Question
    server: str
    overdue: str

    @property
    def backend(self) -> str:
        """The kind of database, as its URL has it."""
        return self.connection.engine.url.get_backend_name()

    def read(self, statement: Executable, values: Values) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return what a statement finds."""
        return self._execute(statement, values).fetchall()

    def change(self, statement: Executable, values: Values) -> int:
        """Return how many rows a statement has touched, those that were so already among them."""
        with self._execute(statement, values) as result:
            # For a statement that returns what it wrote.
            touched = len(result.fetchmany(_MORE_THAN_ONE)) if result.returns_rows else result.rowcount
        if touched < 0:
            raise SinkUnavailable(f"{self.server}: the driver does not say how many rows were changed")
        return touched

    def explain(self, statement: Executable, values: Values) -> None:
        """Have a statement read and planned, and not carried out."""
        self._execute(statement, values, explained=True).close()

    def demand_time(self) -> None:
        """Raise SinkUnavailable when time is up."""
        if not self.question.left():
            raise SinkUnavailable(self.overdue)

    def _execute(self, statement: Executable, values: Values, *, explained: bool = False) -> CursorResult[*tuple[Any, ...]]:
        self.demand_time()
        return self.connection.execute(statement, dict(values), execution_options={_EXPLAINED: explained, "preserve_rowcount": True})


class WrittenDatabase:
    """A database that threads share, with at most `pool_size` connections.

    Raises OperatorError where the address names a file that cannot be used.
    """

    def __init__(self, address: DatabaseAddress, pool_size: int) -> None:
        self._connections = DatabaseConnections(address, pool_size)
        event.listen(self._connections.engine, "begin", self._begin)
        event.listen(self._connections.engine, "before_cursor_execute", _explain, retval=True)

    def __repr__(self) -> str:
        return f"<WrittenDatabase {self.server}>"

    @property
    def server(self) -> str:
        """How causes of failures name it."""
        return self._connections.server

    def commit(self, work: Callable[[Transaction], Outcome]) -> Outcome:
        """Return what the work returns, once it is committed; whatever it raises, nothing of it stays.

        Work whose connection is lost before that is begun again, once. Raises SinkUnavailable, DeliveryDeferred and DeliveryRefused for
        what the database fails with, and SinkUnavailable where it is not known whether it was committed.
        """
        return self._run(work, self._commit)

    def undo(self, work: Callable[[Transaction], Outcome]) -> Outcome:
        """Return what the work returns, and leave everything as it was. Raises as `commit`."""
        return self._run(work, _roll_back)

    def examine(self, work: Callable[[Transaction], None]) -> None:
        """Do work about nobody, and leave everything as it was. Raises OperatorError where it can never succeed; SinkUnavailable."""

        def telling(transaction: Transaction) -> None:
            try:
                work(transaction)
            except DBAPIError as failure:
                if is_misconfigured(failure) or is_refusal(failure):
                    raise OperatorError(f"{self.server}: {first_line(failure)}") from failure
                raise

        self.undo(telling)

    def close(self) -> None:
        """Close the connections that are not in use; the others close after their transaction."""
        self._connections.close()

    def _run(self, work: Callable[[Transaction], Outcome], end: Callable[[Transaction], None]) -> Outcome:
        with _sink_unavailable(), self._connections.question() as question:
            try:
                return self._attempt(work, end, question)
            except _Unfinished as lost:
                if not question.left():
                    raise lost.failure from None
            try:
                return self._attempt(work, end, question)
            except _Unfinished as lost:
                raise lost.failure from None

    def _attempt(self, work: Callable[[Transaction], Outcome], end: Callable[[Transaction], None], question: Question) -> Outcome:
        with self._judging(question), self._connections.engine.connect() as connection:
            transaction = Transaction(connection, question, self.server, self._connections.describe_overdue())
            try:
                made = work(transaction)
                end(transaction)
            except (AuthorityError, DBAPIError):
                _roll_back(transaction)
                raise
            except BaseException:
                # Nobody knows what it still has to say; the database undoes what is not committed.
                connection.invalidate()
                raise
            if self._connections.is_closed:
                connection.invalidate()
            return made

    def _commit(self, transaction: Transaction) -> None:
        _limit_waiting(transaction.connection, transaction.question)
        transaction.demand_time()
        try:
            transaction.connection.commit()
        except DBAPIError as failure:
            if not failure.connection_invalidated and transaction.question.left():
                # The database itself has said that it did not.
                raise
            cause = self._connections.describe(failure, transaction.question)
            transaction.connection.invalidate()
            raise SinkUnavailable(f"{cause}: whether it was committed is not known") from None

    @contextmanager
    def _judging(self, question: Question) -> Iterator[None]:
        # Without the exceptions themselves, whose messages may quote the person.
        try:
            yield
        except DBAPIError as failure:
            cause = self._connections.describe(failure, question)
            if not question.left():
                raise SinkUnavailable(cause) from None
            judged = judge_failure(failure, cause)
            if failure.connection_invalidated:
                raise _Unfinished(judged) from None
            raise judged from None
        except UnicodeError:
            raise DeliveryRefused(
                f"{self.server}: a value of the person's cannot be written, or what stands there cannot be read"
            ) from None
        except SQLAlchemyError as failure:
            raise SinkUnavailable(self._connections.describe(failure, question)) from None

    def _begin(self, connection: Connection) -> None:
        if connection.dialect.name != "sqlite":
            return
        _limit_waiting(connection, self._connections.current_question)
        # Two that have read and then both want to write could only fail.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _roll_back(transaction: Transaction) -> None:
    try:
        transaction.connection.rollback()
    except SQLAlchemyError:
        transaction.connection.invalidate()


def _limit_waiting(connection: Connection, question: Question) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(question.left() * 1000)}")


@contextmanager
def _sink_unavailable() -> Iterator[None]:
    try:
        yield
    except SinkUnavailable:
        raise
    except CouldNotAsk as failure:
        raise SinkUnavailable(failure.cause) from failure


def _explain(*arguments: Any) -> tuple[str, Any]:
    _, _, statement, parameters, context, _ = arguments
    is_explained = context is not None and context.execution_options.get(_EXPLAINED)
    return (f"EXPLAIN {statement}" if is_explained else statement), parameters
