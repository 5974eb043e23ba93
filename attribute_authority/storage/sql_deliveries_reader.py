"""How a person's deliveries stand, out of the database."""

from collections.abc import Collection

from sqlalchemy import func, select

from attribute_authority.domain.delivery import DeliveryRecord, SinkName
from attribute_authority.domain.identifiers import Environment
from attribute_authority.storage.sql_deliveries import HIGHEST_ROW_NUMBER, to_records
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.tables import delivery


class SqlDeliveryReader:
    """Reads the newest deliveries about a person."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def read_deliveries(self, subject_id: int, environment: Environment, sinks: Collection[SinkName]) -> tuple[DeliveryRecord, ...]:
        """Return the newest delivery to each of the sinks about a person, in the order of the sinks' names. Raises CouldNotAsk."""
        if not sinks or not 0 < subject_id <= HIGHEST_ROW_NUMBER:
            return ()
        newest = (
            select(func.max(delivery.c.id))
            .where(
                delivery.c.subject_id == subject_id,
                delivery.c.environment == environment.value,
                delivery.c.home_organisation.in_({sink.home_organisation for sink in sinks}),
                delivery.c.sink.in_({sink.name for sink in sinks}),
            )
            .group_by(delivery.c.home_organisation, delivery.c.sink)
        )
        with self._pool.connection() as connection:
            records = to_records(connection, connection.execute(select(delivery).where(delivery.c.id.in_(newest))).all())
        wanted = set(sinks)
        return tuple(sorted((record for record in records if record.sink in wanted), key=lambda record: record.sink))
