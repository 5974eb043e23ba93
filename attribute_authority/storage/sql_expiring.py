"""Dropping what has expired, a chunk at a time."""

from datetime import datetime

from sqlalchemy import Connection, Delete, Table, bindparam, delete, select, tuple_

from attribute_authority.storage.tables import Instant

_CHUNK = 1000
"""Rows dropped per transaction, so that nobody who writes one meanwhile waits for long."""


def dropping_expired(table: Table) -> Delete:
    """Return the statement that drops a chunk of a table with a column `expires_at`; PostgreSQL leaves out what another node drops."""
    expired = table.c.expires_at < bindparam("now", type_=Instant)
    chunk = select(*table.primary_key).where(expired).limit(_CHUNK).with_for_update(skip_locked=True)
    return delete(table).where(tuple_(*table.primary_key).in_(chunk))


def drop(connection: Connection, statement: Delete, now: datetime) -> int:
    """Drop chunks until nothing expired before `now` is left; returns how many rows that were. Raises SQLAlchemyError."""
    dropped = 0
    while chunk := connection.execute(statement, {"now": now}).rowcount:
        dropped += chunk
    return dropped
