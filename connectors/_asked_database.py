"""Somebody else's database: asked with one read-only statement at a time, over a pool of connections, under a deadline that holds.

Whatever the server does, a question ends: connecting is done on threads that can be left behind, since resolving a name cannot be
interrupted, and a connection that gives no answer is shut down.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore, local
from typing import Any, Final

from sqlalchemy import Engine, Executable, QueuePool, Row, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from connectors._database_drivers import DatabaseAddress, make_opener, socket_number
from connectors._socket_watch import Question, SocketWatch

_BUSY_SECONDS: Final = 1.0


class _Current(local):
    """The question that a thread is asking."""

    question: Question


class AskedDatabase:
    """A database that threads share, with at most `pool_size` connections.

    Raises OperatorError where the address names a file that cannot be used.
    """

    def __init__(self, address: DatabaseAddress, pool_size: int) -> None:
        self._address = address
        self._open = make_opener(address)
        self._places = BoundedSemaphore(pool_size)
        self._opening = ThreadPoolExecutor(pool_size, "database-opening")
        self._watch = SocketWatch()
        self._current = _Current()
        self._closed = False
        self._engine = self._make_engine(pool_size)

    def __repr__(self) -> str:
        return f"<AskedDatabase {self.server}>"

    @property
    def server(self) -> str:
        """How causes of failures name it."""
        return self._address.server

    def ask(self, statement: Executable, values: Mapping[str, str]) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the rows, within the time-out of the address; a connection that was lost meanwhile is made afresh, once.

        Raises SourceUnavailable where every connection is in use for all that time, CouldNotAsk for every failure of the database,
        whose cause quotes nothing that was asked; SQLAlchemy's own exception is the cause of that one.
        """
        with self._question() as question:
            try:
                return self._fetch(statement, values)
            except DBAPIError as failure:
                if not failure.connection_invalidated or not question.left():
                    raise self._failure(failure, question) from failure
            except (SQLAlchemyError, UnicodeError) as failure:
                raise self._failure(failure, question) from failure
            try:
                return self._fetch(statement, values)
            except (SQLAlchemyError, UnicodeError) as failure:
                raise self._failure(failure, question) from failure

    def close(self) -> None:
        """Close the connections that are not in use; the others close after their question."""
        self._closed = True
        self._engine.dispose()
        self._opening.shutdown(wait=False, cancel_futures=True)
        self._watch.close()

    @contextmanager
    def _question(self) -> Iterator[Question]:
        if self._closed:
            raise CouldNotAsk(f"{self.server}: closed")
        with self._watch.question(self._address.timeout) as question:
            if not self._places.acquire(timeout=question.left()):
                raise SourceUnavailable(f"{self.server}: every connection is in use", _BUSY_SECONDS)
            try:
                self._current.question = question
                yield question
            finally:
                self._places.release()

    def _fetch(self, statement: Executable, values: Mapping[str, str]) -> Sequence[Row[*tuple[Any, ...]]]:
        with self._engine.connect() as connection:
            try:
                rows = connection.execute(statement, values).fetchall()
            except DBAPIError:
                raise
            except BaseException:
                # What is left of an answer that could not be read would be taken for the answer to the next question.
                connection.invalidate()
                raise
            if self._closed:
                connection.invalidate()
            return rows

    def _make_engine(self, pool_size: int) -> Engine:
        engine = create_engine(
            self._address.url,
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            # Every statement stands by itself and changes nothing, so that there is nothing to roll back.
            pool_reset_on_return=None,
            skip_autocommit_rollback=True,
            isolation_level="AUTOCOMMIT",
            # Parameters hold personal data, so they may not get into a traceback.
            hide_parameters=True,
        )
        event.listen(engine, "checkout", self._hold)
        return engine

    def _connect(self) -> Any:
        question = self._current.question
        opened: Future[Any] = self._opening.submit(self._open)
        try:
            connection = opened.result(question.left())
        except TimeoutError as error:
            opened.cancel()
            opened.add_done_callback(_discard)
            raise CouldNotAsk(f"{self.server}: no connection within {self._address.timeout} s") from error
        self._hold(connection)
        return connection

    def _hold(self, connection: Any, *_: object) -> None:
        number = socket_number(connection)
        if number is not None:
            self._current.question.hold(number)

    def _failure(self, error: Exception, question: Question) -> CouldNotAsk:
        if not question.left():
            return CouldNotAsk(f"{self.server}: no answer within {self._address.timeout} s")
        # The driver's message may quote what was asked or what is stored; its kind and number do not.
        origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        number = getattr(origin, "sqlstate", None) or next(iter(origin.args), None)
        return CouldNotAsk(f"{self.server}: {type(origin).__name__}{_code(number)}")


def _code(number: object) -> str:
    is_code = isinstance(number, int) or (isinstance(number, str) and len(number) == 5 and number.isalnum())
    return f" {number}" if is_code else ""


def _discard(opened: "Future[Any]") -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()
