"""What a failure of a database means to a delivery: somebody's row, a conflict that passes, or the whole of it.

By SQLSTATE (ISO/IEC 9075-2, subclause 24.1; PostgreSQL's appendix A), and by the numbers of MySQL and MariaDB that have no state.
"""

import sqlite3
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from attribute_authority.errors import AuthorityError, DeliveryDeferred, DeliveryRefused, SinkUnavailable

_REFUSING_CLASSES: Final = frozenset({"21", "22", "23", "44", "45", "54", "P0"})
"""Cardinality, data, constraints, check option, limits; 45 and P0 are what a trigger says."""

_REFUSING_NUMBERS: Final = frozenset({3819})
"""A check constraint of MySQL."""

_CONFLICT_CLASS: Final = "40"
_CONFLICT_STATES: Final = frozenset({"55P03"})
_CONFLICT_NUMBERS: Final = frozenset({1020, 1205, 1213})
"""Changed since it was read; waited for a lock for too long; deadlock."""

_CONFIGURED_CLASSES: Final = frozenset({"42", "3F", "0A"})
"""What is named is not there, or may not be done."""

_CONFIGURED_NUMBERS: Final = frozenset({1290, 1792, 1836})
"""Read-only servers and transactions."""

_READ_ONLY: Final = "25006"
_CONFIGURED_SQLITE: Final = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_AUTH})


def judge_failure(failure: DBAPIError, cause: str) -> AuthorityError:
    """Return what is to be raised instead; it quotes the driver's words in the answer of a refusal alone."""
    if failure.connection_invalidated:
        return SinkUnavailable(cause)
    state, number = _codes(failure)
    if state[:2] == _CONFLICT_CLASS or state in _CONFLICT_STATES or number in _CONFLICT_NUMBERS:
        return DeliveryDeferred(cause)
    if is_refusal(failure):
        return DeliveryRefused(cause, first_line(failure))
    return SinkUnavailable(cause)


def is_refusal(failure: DBAPIError) -> bool:
    """Whether the database does not take what it was given."""
    state, number = _codes(failure)
    return isinstance(failure, DataError | IntegrityError) or state[:2] in _REFUSING_CLASSES or number in _REFUSING_NUMBERS


def is_misconfigured(failure: DBAPIError) -> bool:
    """Whether nothing of the kind could ever be done as it is configured here or there."""
    state, number = _codes(failure)
    if isinstance(failure.orig, sqlite3.Error):
        return number in _CONFIGURED_SQLITE
    return state[:2] in _CONFIGURED_CLASSES or state == _READ_ONLY or number in _CONFIGURED_NUMBERS


def first_line(failure: DBAPIError) -> str:
    """Return the driver's own words."""
    words = failure.orig.args[-1] if failure.orig is not None and failure.orig.args else ""
    return next(iter(str(words).splitlines()), "")


def _codes(failure: DBAPIError) -> tuple[str, int | None]:
    origin = failure.orig
    if isinstance(origin, sqlite3.Error):
        # The lower octet is the primary code.
        return "", getattr(origin, "sqlite_errorcode", 0) & 0xFF
    number = next(iter(origin.args), None) if origin is not None else None
    return getattr(origin, "sqlstate", None) or "", number if isinstance(number, int) else None
