"""Which parked deliveries the organisations have not been told of yet."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from attribute_authority.domain.delivery import DeliveryRecord
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.storage.engine import writing
from attribute_authority.storage.sql_deliveries import to_records
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.tables import UNTOLD, delivery


class SqlDeliveryNotices:
    """Hands out what has to be told."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def claim_untold(
        self, home_organisation: EntityId, now: datetime, lease: timedelta, limit: int, waited: timedelta
    ) -> tuple[DeliveryRecord, ...]:
        """Return parked deliveries that nobody has told of, once the oldest has waited so long, and lease them. Raises CouldNotAsk."""
        idle = or_(delivery.c.telling_until.is_(None), delivery.c.telling_until <= now)
        untold = select(delivery).where(delivery.c.home_organisation == home_organisation, UNTOLD, idle).order_by(delivery.c.ended_at)
        oldest = untold.where(delivery.c.ended_at <= now - waited).limit(1)
        with self._pool.connection() as connection:
            # Most of the time there is nothing to tell, and nobody is kept from writing.
            if connection.execute(oldest).first() is None:
                return ()
            with writing(connection):
                if connection.execute(oldest).first() is None:
                    return ()
                rows = connection.execute(untold.order_by(delivery.c.id).limit(limit)).all()
                leased = update(delivery).where(delivery.c.id.in_([row.id for row in rows]))
                connection.execute(leased.values(telling_until=now + lease))
                return tuple(to_records(connection, rows))

    def record_told(self, references: Collection[str], now: datetime) -> None:
        """Note that the organisation was told of them; one that was tried again meanwhile is told of anew. Raises CouldNotAsk."""
        if not references:
            return
        told = update(delivery).where(delivery.c.reference.in_(references), delivery.c.telling_until.is_not(None))
        with self._pool.connection() as connection, writing(connection):
            connection.execute(told.values(told_at=now, telling_until=None))
