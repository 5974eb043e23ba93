"""The books of deliveries on a database, shared by the threads of whoever delivers."""

from typing import TYPE_CHECKING

from sqlalchemy import text

from attribute_authority.delivery_ports import DeliveryBook, DeliveryNotices, DeliveryQueue, DeliveryReader
from attribute_authority.errors import CouldNotAsk
from attribute_authority.storage.delivery_rules import NewReference, random_reference
from attribute_authority.storage.engine import Patience, make_pooled_engine, parse_url
from attribute_authority.storage.sql_deliveries_book import SqlDeliveryBook
from attribute_authority.storage.sql_deliveries_notices import SqlDeliveryNotices
from attribute_authority.storage.sql_deliveries_queue import SqlDeliveryQueue
from attribute_authority.storage.sql_deliveries_reader import SqlDeliveryReader
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_posting import Posting


class SqlDeliveryStore(SqlDeliveryQueue, SqlDeliveryBook, SqlDeliveryReader, SqlDeliveryNotices):
    """The queue, the books, and what is told of them; make it with `open_delivery_store`, after any fork."""

    def ping(self) -> None:
        """Ask the database for nothing. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def open_delivery_store(
    url: str, patience: Patience | None = None, pool_size: int = 4, *, new_reference: NewReference = random_reference
) -> SqlDeliveryStore:
    """Open the database of the configuration with at most so many connections; its tables must be there (`upgrading.upgrade`).

    Raises OperatorError for a URL of another kind, CouldNotAsk where nothing answers there.
    """
    address = parse_url(url)
    pool = ConnectionPool(make_pooled_engine(address, patience or Patience(), pool_size))
    store = SqlDeliveryStore(pool, Posting(new_reference))
    try:
        store.ping()
    except CouldNotAsk as failed:
        store.close()
        raise CouldNotAsk(f"{address.render_as_string(hide_password=True)}: {failed.cause}") from failed
    return store


if TYPE_CHECKING:
    _hands_out: type[DeliveryQueue] = SqlDeliveryStore
    _keeps_books: type[DeliveryBook] = SqlDeliveryStore
    _reads: type[DeliveryReader] = SqlDeliveryStore
    _tells: type[DeliveryNotices] = SqlDeliveryStore
