"""The replay guard on a database: the primary key decides who was first, among all workers and nodes."""

import hashlib
from datetime import datetime

from sqlalchemy import Engine, insert

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import CouldNotAsk
from attribute_authority.storage.engine import asking
from attribute_authority.storage.kept import DriverConnection, KeptConnections
from attribute_authority.storage.sql_expiring import drop, dropping_expired
from attribute_authority.storage.tables import seen_message

_LONGEST_ID = 256
"""Longer message ids are remembered by their SHA-256: an index of PostgreSQL has limited room, and a requester may not fill the disk."""

DROP_EXPIRED = dropping_expired(seen_message)


class SqlReplayGuard:
    """Remembers message ids in the table `seen_message`."""

    def __init__(self, engine: Engine, kept: KeptConnections) -> None:
        self._engine = engine
        self._kept = kept
        sql, self._in_order = kept.compile(insert(seen_message).inline())
        # Both databases spell it so; SQLAlchemy has it only in the one dialect or the other, each of which costs memory to load.
        self._sql = f"{sql} ON CONFLICT DO NOTHING"

    def is_first(self, issuer: EntityId, message_id: str, expires_at: datetime) -> bool:
        """Record the message; True when it was not seen before. Raises CouldNotAsk."""
        instant = self._kept.write_instant(expires_at)
        parameters = self._in_order({"issuer": issuer, "message_id": bounded(message_id), "expires_at": instant})

        def record(connection: DriverConnection) -> bool:
            return connection.execute(self._sql, parameters).rowcount == 1

        def record_again(connection: DriverConnection) -> bool:
            # The first attempt may have been committed before the connection broke, so a record that is there now may be our own.
            # Calling that a replay would refuse an honest requester for good, calling it first might let a replay through.
            if record(connection):
                return True
            raise CouldNotAsk("the connection to the database broke while a message was recorded; whether it was the first is not known")

        return self._kept.ask(record, record_again)

    def forget_expired(self, now: datetime) -> int:
        """Drop records whose `expires_at` lies before `now`; returns how many. Raises CouldNotAsk."""
        with asking(), self._engine.connect() as connection:
            return drop(connection, DROP_EXPIRED, now)


def bounded(message_id: str) -> str:
    """Return what a message is remembered by: its id, or a digest of a long one."""
    if len(message_id) <= _LONGEST_ID:
        return message_id
    return "sha256:" + hashlib.sha256(message_id.encode()).hexdigest()
