"""The reference back end of sources and of the lookup door: what their ports mean, in the plainest form; for tests and for reading."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from attribute_authority.domain.client import Bearer, Client, NewClient
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.source import Outage, PairwiseIndexName
from attribute_authority.errors import Conflict, SourceUnavailable
from attribute_authority.ports import ClientStore, OutageBoard, PairwiseIndex
from attribute_authority.storage.memory import MemoryLinkStore

DigestOf = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class _Built:
    """An index, and the last change that is in it; it has whole digests."""

    through: int
    texts: dict[bytes, list[str]] = field(default_factory=dict)


class MemoryPairwiseIndex:
    """Keeps indexes of the people of a store in memory, in this process."""

    def __init__(self, links: MemoryLinkStore) -> None:
        self._links = links
        self._lock = threading.Lock()
        self._built: dict[PairwiseIndexName, _Built] = {}
        self._being_built: set[PairwiseIndexName] = set()

    def find_sources(self, name: PairwiseIndexName, digest: bytes) -> tuple[str, ...] | None:
        """Return the values that the digest was computed from. None where there is no index of that name."""
        with self._lock:
            built = self._built.get(name)
            return None if built is None else tuple(built.texts.get(digest, ()))

    def build(self, name: PairwiseIndexName, digest_of: DigestOf, now: datetime) -> int:
        """Compute the index of everybody who has a link in force; returns how many there are. Raises SourceUnavailable meanwhile."""
        with self._lock:
            if name in self._being_built:
                raise SourceUnavailable(f"the index of computed identifiers for {name.recipient} is being built", 1)
            self._being_built.add(name)
        try:
            built = self._compute(name, digest_of)
            with self._lock:
                self._built[name] = built
        finally:
            with self._lock:
                self._being_built.discard(name)
        return sum(map(len, built.texts.values()))

    def follow(self, name: PairwiseIndexName, digest_of: DigestOf) -> int:
        """Compute a complete index anew where anything changed since; returns how many changes there were."""
        with self._lock:
            built = self._built.get(name)
        if built is None:
            return 0
        present = self._compute(name, digest_of)
        with self._lock:
            self._built[name] = present
        return len([number for number in self._links.changes_of(name.home_organisation) if built.through < number <= present.through])

    def names(self, home_organisation: EntityId | None = None) -> tuple[PairwiseIndexName, ...]:
        """Return the names of the complete indexes of a home organisation, with None of all."""
        with self._lock:
            return tuple(name for name in self._built if home_organisation in (None, name.home_organisation))

    def drop(self, name: PairwiseIndexName) -> None:
        """Drop an index."""
        with self._lock:
            self._built.pop(name, None)

    def _compute(self, name: PairwiseIndexName, digest_of: DigestOf) -> _Built:
        # The number first: what comes in between is then computed twice, never left out.
        built = _Built(max(self._links.changes_of(name.home_organisation), default=0))
        for text in self._links.texts_of(name.home_organisation, name.kind):
            built.texts.setdefault(digest_of(text), []).append(text)
        return built


class MemoryOutageBoard:
    """Keeps outages in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outages: dict[str, Outage] = {}

    def read_outage(self, source: str) -> Outage | None:
        """Return the outage of a source, None where none is recorded."""
        with self._lock:
            return self._outages.get(source)

    def claim_trial(self, seen: Outage, until: datetime) -> bool:
        """Put off the end of an outage from that of `seen` to `until`; of several that try at once one gets True."""
        with self._lock:
            present = self._outages.get(seen.source)
            if present is None or present.until != seen.until:
                return False
            self._outages[seen.source] = replace(present, until=until)
            return True

    def record_outage(self, outage: Outage) -> None:
        """Record an outage in place of an earlier one of that source."""
        with self._lock:
            self._outages[outage.source] = outage

    def clear_outage(self, source: str) -> None:
        """Note that a source can be asked again."""
        with self._lock:
            self._outages.pop(source, None)

    def list_outages(self) -> tuple[Outage, ...]:
        """Return every outage on record, by name of source."""
        with self._lock:
            return tuple(self._outages[source] for source in sorted(self._outages))


class MemoryClientStore:
    """Keeps clients in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[bytes, Client] = {}

    def add_client(self, new: NewClient) -> Client:
        """Register a client. Raises Conflict where one of that name, or with that token, is there."""
        with self._lock:
            if new.token_digest in self._clients or self._find(new.name) is not None:
                raise Conflict(f"a client of the name {new.name!r}, or with its token, is there already")
            number = len(self._clients) + 1
            client = Client(number, new.name, new.entity_id, new.home_organisations, new.created_at, new.expires_at, None)
            self._clients[new.token_digest] = client
            return client

    def find_bearer(self, token_digest: bytes, now: datetime) -> Bearer | None:
        """Return whoever brings the token, None where it is unknown, expired or revoked at `now`."""
        with self._lock:
            client = self._clients.get(token_digest)
        if client is None or client.revoked_at is not None:
            return None
        return client.bearer if client.expires_at is None or client.expires_at > now else None

    def revoke_client(self, name: str, now: datetime) -> Client | None:
        """Revoke the token of a client, at once and for good. None where no client of that name is in force."""
        with self._lock:
            found = self._find(name)
            if found is None:
                return None
            self._clients[found] = replace(self._clients[found], revoked_at=now)
            return self._clients[found]

    def list_clients(self) -> tuple[Client, ...]:
        """Return every client, revoked ones too, in the order of registration."""
        with self._lock:
            return tuple(self._clients.values())

    def _find(self, name: str) -> bytes | None:
        return next((digest for digest, client in self._clients.items() if client.name == name and client.revoked_at is None), None)


if TYPE_CHECKING:
    _indexes: type[PairwiseIndex] = MemoryPairwiseIndex
    _tells_outages: type[OutageBoard] = MemoryOutageBoard
    _keeps_clients: type[ClientStore] = MemoryClientStore
