"""A pool of connections to somebody else's database, each used under a deadline that holds.

Whatever the server does, what is asked of it ends: connecting is done on threads that can be left behind, since resolving a name cannot
be interrupted, and a connection that gives no answer is shut down.
"""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore, local
from typing import Any, Final

from sqlalchemy import Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from connectors._database_drivers import DatabaseAddress, make_opener, socket_number
from connectors._socket_watch import Question, SocketWatch

_BUSY_SECONDS: Final = 1.0
_SQLITE_STEPS: Final = 10_000
"""After how many steps of its virtual machine SQLite looks at the clock."""


class _Current(local):
    """The question that a thread is asking."""

    question: Question


class DatabaseConnections:
    """The connections to one database, which threads share, at most `pool_size`; `options` are those of SQLAlchemy's engine.

    Nothing is rolled back when a connection is given back: whoever takes one leaves it as it was.
    Raises OperatorError where the address names a file that cannot be used.
    """

    def __init__(self, address: DatabaseAddress, pool_size: int, **options: Any) -> None:
        self._address = address
        self._open = make_opener(address)
        self._places = BoundedSemaphore(pool_size)
        self._opening = ThreadPoolExecutor(pool_size, "database-opening")
        self._watch = SocketWatch()
        self._current = _Current()
        self.is_closed = False
        self.engine = self._make_engine(pool_size, options)

    def __repr__(self) -> str:
        return f"<DatabaseConnections {self.server}>"

    @property
    def server(self) -> str:
        """How causes of failures name it."""
        return self._address.server

    @property
    def current_question(self) -> Question:
        """What the thread is at, within the block of `question`."""
        return self._current.question

    @contextmanager
    def question(self) -> Iterator[Question]:
        """Have a place for one connection, and its deadline, for the block.

        Raises SourceUnavailable where every connection is in use for all that time, CouldNotAsk where all is closed.
        """
        if self.is_closed:
            raise CouldNotAsk(f"{self.server}: closed")
        with self._watch.question(self._address.timeout) as question:
            if not self._places.acquire(timeout=question.left()):
                raise SourceUnavailable(f"{self.server}: every connection is in use", _BUSY_SECONDS)
            try:
                self._current.question = question
                yield question
            finally:
                self._places.release()

    def describe(self, error: BaseException, question: Question) -> str:
        """Say what failed without the driver's message, which may quote what was asked or what is stored; its kind and number do not."""
        if not question.left():
            return self.describe_overdue()
        origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        number = getattr(origin, "sqlstate", None) or next(iter(origin.args), None)
        return f"{self.server}: {type(origin).__name__}{_code(number)}"

    def describe_overdue(self) -> str:
        """Say that time is up."""
        return f"{self.server}: no answer within {self._address.timeout} s"

    def close(self) -> None:
        """Close the connections that are not in use; whoever uses one closes it when done, as `is_closed` tells."""
        self.is_closed = True
        self.engine.dispose()
        self._opening.shutdown(wait=False, cancel_futures=True)
        self._watch.close()

    def _make_engine(self, pool_size: int, options: dict[str, Any]) -> Engine:
        engine = create_engine(
            self._address.url,
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            # Parameters hold personal data, so they may not get into a traceback.
            hide_parameters=True,
            **options,
        )
        event.listen(engine, "checkout", self._hold)
        return engine

    def _connect(self) -> Any:
        question = self._current.question
        try:
            opened: Future[Any] = self._opening.submit(self._open)
        except RuntimeError as error:
            # Closed between the beginning of the question and this.
            raise CouldNotAsk(f"{self.server}: closed") from error
        try:
            connection = opened.result(question.left())
        except TimeoutError as error:
            opened.cancel()
            opened.add_done_callback(_discard)
            raise CouldNotAsk(f"{self.server}: no connection within {self._address.timeout} s") from error
        self._hold(connection)
        return connection

    def _hold(self, connection: Any, *_: object) -> None:
        question = self._current.question
        if isinstance(connection, sqlite3.Connection):
            # There is no socket to be shut down; it stops by itself.
            connection.set_progress_handler(lambda: not question.left(), _SQLITE_STEPS)
            return
        number = socket_number(connection)
        if number is not None:
            question.hold(number)


def _code(number: object) -> str:
    is_code = isinstance(number, int) or (isinstance(number, str) and len(number) == 5 and number.isalnum())
    return f" {number}" if is_code else ""


def _discard(opened: "Future[Any]") -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()
