"""The ports on a database: SQLite or PostgreSQL.

A query is answered on kept connections (`kept`); everything else opens a connection for as long as it works.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import URL, ColumnElement, text

from attribute_authority.delivery_ports import Postbox
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject, Link, NewLink
from attribute_authority.errors import Conflict, CouldNotAsk
from attribute_authority.ports import (
    AttemptCounter,
    BatchSubjectFinder,
    ChangeFeed,
    ClientStore,
    LinkStore,
    OutageBoard,
    PairwiseIndex,
    ReplayGuard,
)
from attribute_authority.storage.engine import Patience, asking, file_of, make_answering_engine, make_working_engine, parse_url
from attribute_authority.storage.kept import KeptConnections
from attribute_authority.storage.sql_answering import Answering
from attribute_authority.storage.sql_attempts import SqlAnsweringAttempts
from attribute_authority.storage.sql_changes import SqlChangeFeed
from attribute_authority.storage.sql_clients import SqlClientStore
from attribute_authority.storage.sql_outages import SqlOutageBoard
from attribute_authority.storage.sql_pairwise import SqlPairwiseIndex
from attribute_authority.storage.sql_parts import Connections
from attribute_authority.storage.sql_posting import Posting
from attribute_authority.storage.sql_reading import count, has_identifier, read_pages
from attribute_authority.storage.sql_replay import SqlReplayGuard
from attribute_authority.storage.sql_withdrawing import withdraw
from attribute_authority.storage.sql_writing import Batch, look_up, store_batch
from attribute_authority.storage.tables import IN_FORCE, link

_BATCH = 100
"""Links of an import per transaction: that long SQLite's other writers wait, the replay guard among them; a few hundredths of a second."""


class SqlStore(SqlAnsweringAttempts, SqlOutageBoard, SqlClientStore, SqlChangeFeed, SqlPairwiseIndex):
    """Every port of the back channel, the lookup door and the command line, on one database.

    Make it with `open_store`, in the process that uses it (after any fork).
    `is_local` tells that a lookup is a matter of microseconds and may run where it is called, on any one thread;
    otherwise every lookup is a round trip on a network and belongs on a pool of threads.
    """

    def __init__(self, url: URL, patience: Patience, posting: Posting | None = None) -> None:
        self._posting = posting or Posting()
        self.is_local = file_of(url) is not None
        self._working = make_working_engine(url, patience)
        answering = make_answering_engine(url, patience)
        self._kept = KeptConnections(answering)
        super().__init__(Connections(self._working, answering, self._kept))
        self._answering = Answering(self._kept)
        self._replay = SqlReplayGuard(answering, self._kept)

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Return the person with that identifier and the present iD of `environment`, or None. Raises CouldNotAsk."""
        return self._answering.find_subject(identifier, environment)

    def is_withdrawn(self, orcid: OrcidId, home_organisation: EntityId, environment: Environment) -> bool:
        """Whether somebody of the home organisation has withdrawn that iD and nobody of it has it linked now. Raises CouldNotAsk."""
        return self._answering.is_withdrawn(orcid, home_organisation, environment)

    def find_subjects(self, identifiers: Collection[Identifier], environment: Environment) -> dict[Identifier, KnownSubject]:
        """Return what `find_subject` would for each identifier that is known; the others are absent. Raises CouldNotAsk."""
        return self._answering.find_subjects(identifiers, environment)

    def is_first(self, issuer: EntityId, message_id: str, expires_at: datetime) -> bool:
        """Record the message; True when it was not seen before. Raises CouldNotAsk."""
        return self._replay.is_first(issuer, message_id, expires_at)

    def forget_expired(self, now: datetime) -> int:
        """Drop records whose `expires_at` lies before `now`; returns how many. Raises CouldNotAsk."""
        return self._replay.forget_expired(now)

    def use_sinks(self, sinks: Mapping[EntityId, Sequence[str]]) -> None:
        """Write deliveries to these sinks, by home organisation, from now on."""
        self._posting.use_sinks(sinks)

    def add_link(self, new: NewLink) -> Link:
        """Store a link and every identifier of its subject. Raises Conflict and CouldNotAsk."""
        with asking(), self._working.connect() as connection:
            outcome = store_batch(connection, [new], self._posting)[0]
        if isinstance(outcome, Conflict):
            raise outcome
        return outcome

    def add_links(self, news: Iterable[NewLink]) -> Iterator[Link | Conflict]:
        """Store many links in transactions of a hundred, and yield each outcome when it is committed. Raises CouldNotAsk."""
        remaining = iter(news)
        with asking(), self._working.connect() as connection:
            while batch := list(islice(remaining, _BATCH)):
                yield from store_batch(connection, batch, self._posting)

    def check_links(self, news: Iterable[NewLink]) -> Iterator[Conflict | None]:
        """Yield what stands in the way of each link, or None, and store nothing; no writer is held back. Raises CouldNotAsk."""
        remaining = iter(news)
        rehearsal = Batch()
        with asking(), self._working.connect() as connection:
            while batch := list(islice(remaining, _BATCH)):
                look_up(connection, batch, rehearsal)
                for new in batch:
                    outcome = rehearsal.try_link(new)
                    yield outcome if isinstance(outcome, Conflict) else None

    def withdraw_link(self, link_id: int, now: datetime) -> Link | None:
        """Withdraw a link, and make what ORCID granted for it due for revocation.

        From this instant on it is released to nobody. None where no such link is in force. Raises CouldNotAsk.
        """
        with asking(), self._working.connect() as connection:
            return withdraw(connection, link_id, now, self._posting)

    def find_links(self, identifier: Identifier | None = None, orcid: OrcidId | None = None, withdrawn: bool = False) -> Iterator[Link]:
        """Yield links in the order of link_id, a page at a time. Raises CouldNotAsk."""
        conditions = _conditions(withdrawn)
        if identifier is not None:
            conditions.append(has_identifier(identifier))
        if orcid is not None:
            conditions.append(link.c.orcid == orcid.value)
        with asking(), self._working.connect() as connection:
            yield from read_pages(connection, conditions)

    def count_links(self, withdrawn: bool = False) -> int:
        """Return how many links are in force, with `withdrawn` also the others. Raises CouldNotAsk."""
        with asking(), self._working.connect() as connection:
            return count(connection, _conditions(withdrawn))

    def ping(self) -> None:
        """Ask the database for nothing, on a connection of its own. Raises CouldNotAsk."""
        with asking(), self._working.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self._kept.close()


def open_store(url: str, patience: Patience | None = None, posting: Posting | None = None) -> SqlStore:
    """Open the database of the configuration; the file or the database must be there (`upgrading.upgrade` makes the tables).

    With `posting` a test gives the references and the clock of deliveries.
    Raises OperatorError for a URL of another kind, CouldNotAsk where nothing answers there.
    """
    address = parse_url(url)
    store = SqlStore(address, patience or Patience(), posting)
    try:
        store.ping()
    except CouldNotAsk as failed:
        raise CouldNotAsk(f"{address.render_as_string(hide_password=True)}: {failed.cause}") from failed
    return store


def _conditions(withdrawn: bool) -> list[ColumnElement[bool]]:
    return [] if withdrawn else [IN_FORCE]


if TYPE_CHECKING:
    _keeps_links: type[LinkStore] = SqlStore
    _finds: type[BatchSubjectFinder] = SqlStore
    _guards: type[ReplayGuard] = SqlStore
    _counts: type[AttemptCounter] = SqlStore
    _tells_outages: type[OutageBoard] = SqlStore
    _keeps_clients: type[ClientStore] = SqlStore
    _tells_changes: type[ChangeFeed] = SqlStore
    _indexes: type[PairwiseIndex] = SqlStore
    _posts: type[Postbox] = SqlStore
