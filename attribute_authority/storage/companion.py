"""The ports of the companion page on a database, shared by the threads of a worker."""

from typing import TYPE_CHECKING

from sqlalchemy import text

from attribute_authority.delivery_ports import DeliveryReader, Postbox
from attribute_authority.errors import CouldNotAsk
from attribute_authority.ports import AttemptCounter, LinkingStore, ReplayGuard, StateKeeper
from attribute_authority.storage.delivery_rules import NewReference, random_reference
from attribute_authority.storage.engine import Patience, file_of, make_pooled_engine, parse_url
from attribute_authority.storage.sql_deliveries_reader import SqlDeliveryReader
from attribute_authority.storage.sql_linking import SqlLinkingStore
from attribute_authority.storage.sql_pool import ConnectionPool
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.sql_states import PooledReplayGuard, SqlAttemptCounter, SqlStateKeeper


class SqlCompanionStore(SqlStateKeeper, SqlAttemptCounter, PooledReplayGuard, SqlLinkingStore, SqlDeliveryReader):
    """States, attempts, messages seen, linkings and their deliveries on one database; make it with `open_companion_store`, after any fork.

    Every method may be called by several threads at once, and waits for the database at most as long as its `Patience` says.
    `is_local` tells that the database is a file of this machine.
    """

    def __init__(self, pool: ConnectionPool, is_local: bool, posting: Posting) -> None:
        super().__init__(pool)
        self._posting = posting
        self.is_local = is_local

    def ping(self) -> None:
        """Ask the database for nothing. Raises CouldNotAsk."""
        with self._pool.connection() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def open_companion_store(
    url: str, patience: Patience | None = None, pool_size: int = 16, *, new_reference: NewReference = random_reference
) -> SqlCompanionStore:
    """Open the database of the configuration with at most so many connections; its tables must be there (`upgrading.upgrade`).

    Raises OperatorError for a URL of another kind, CouldNotAsk where nothing answers there.
    """
    address = parse_url(url)
    pool = ConnectionPool(make_pooled_engine(address, patience or Patience(), pool_size))
    store = SqlCompanionStore(pool, file_of(address) is not None, Posting(new_reference))
    try:
        store.ping()
    except CouldNotAsk as failed:
        store.close()
        raise CouldNotAsk(f"{address.render_as_string(hide_password=True)}: {failed.cause}") from failed
    return store


if TYPE_CHECKING:
    _keeps_states: type[StateKeeper] = SqlCompanionStore
    _counts: type[AttemptCounter] = SqlCompanionStore
    _guards: type[ReplayGuard] = SqlCompanionStore
    _keeps_linkings: type[LinkingStore] = SqlCompanionStore
    _posts: type[Postbox] = SqlCompanionStore
    _reads_deliveries: type[DeliveryReader] = SqlCompanionStore
