"""The index of trusted entities: one SQLite file, written at once and replaced atomically, read by every worker.

It keeps tens of thousands of entities out of the workers' memory. Instants are checked on every question, so that an index
which nobody renewed stops to trust what has expired in it.
"""

import hashlib
import json
import os
import sqlite3
import tempfile
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from attribute_authority.domain.entity import AttributeName, Entity, Role, Scope
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.saml.metadata_reader import Affiliation

if TYPE_CHECKING:
    from attribute_authority.ports import EntityDirectory

_K = TypeVar("_K")
_V = TypeVar("_V")

_FORMAT = 3
_ABSENT_ENTITIES = 64
"""How many names are remembered that no entity has: those of clients of the lookup door, which are no entities."""

_SCHEMA = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA user_version = {_FORMAT};
CREATE TABLE entity (entity_id TEXT PRIMARY KEY, record TEXT NOT NULL, affiliations TEXT NOT NULL DEFAULT '{{}}');
CREATE TABLE querying_key (digest BLOB, entity_id TEXT, PRIMARY KEY (digest, entity_id)) WITHOUT ROWID;
"""
_ADD_ENTITY = "INSERT OR IGNORE INTO entity (entity_id, record) VALUES (?, ?)"
_SET_AFFILIATIONS = "UPDATE entity SET affiliations = ? WHERE entity_id = ?"
_FIND_ENTITY = "SELECT record, affiliations FROM entity WHERE entity_id = ?"
_ADD_KEY = "INSERT OR IGNORE INTO querying_key (digest, entity_id) VALUES (?, ?)"
_FIND_BY_KEY = "SELECT entity_id FROM querying_key WHERE digest = ? ORDER BY entity_id"
_WRITE_JSON = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class IndexReport:
    """How many entities an index holds, and what was left out on the way, in sentences for the operator."""

    count: int
    warnings: tuple[str, ...] = ()


class MemoryEntityDirectory:
    """Entities that are held in memory; of several with one entityID the first counts."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self._entities: dict[str, Entity] = {}
        for entity in entities:
            self._entities.setdefault(entity.entity_id, entity)
        self._bearers: dict[bytes, set[str]] = {}
        for name, entity in self._entities.items():
            for key in entity.querying_keys:
                self._bearers.setdefault(key, set()).add(name)

    def find_entity(self, entity_id: str, now: datetime) -> Entity | None:
        """Return the entity, or None where it is unknown or expired."""
        entity = self._entities.get(entity_id)
        return entity if entity is not None and _is_valid(entity.valid_until, now) else None

    def find_entities_by_key(self, public_key: bytes, now: datetime) -> tuple[Entity, ...]:
        """Return every entity, not expired, that has the key among its `querying_keys`, by entityID."""
        found = (self.find_entity(name, now) for name in sorted(self._bearers.get(public_key, ())))
        return tuple(entity for entity in found if entity is not None)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A decoded entity, and the instant from which something in it may have expired."""

    entity: Entity
    fresh_until: datetime | None


class SqliteEntityDirectory:
    """Reads an index file; opened with the first question, so that it may be made before a worker forks. Threads may share it."""

    def __init__(self, path: Path, kept_entities: int = 1024) -> None:
        self._path = path
        self._capacity = kept_entities
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bearers: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._absent: OrderedDict[str, bool] = OrderedDict()
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    def find_entity(self, entity_id: str, now: datetime) -> Entity | None:
        """Return the entity, or None where it is unknown or expired. Raises CouldNotAsk where the index cannot be read."""
        with self._lock:
            return self._find(entity_id, now)

    def find_entities_by_key(self, public_key: bytes, now: datetime) -> tuple[Entity, ...]:
        """Return every entity, not expired, that has the key among its `querying_keys`, by entityID. Raises CouldNotAsk."""
        digest = hashlib.sha256(public_key).digest()
        with self._lock:
            names = self._bearers.get(digest) or self._look_up_bearers(digest)
            found = [self._find(name, now) for name in names]
        return tuple(entity for entity in found if entity is not None and public_key in entity.querying_keys)

    def reopen(self) -> None:
        """Forget everything; the next question opens the file that then has the index's name."""
        with self._lock:
            self._kept.clear()
            self._bearers.clear()
            self._absent.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _find(self, entity_id: str, now: datetime) -> Entity | None:
        kept = self._kept.get(entity_id)
        if kept is not None and _is_valid(kept.fresh_until, now):
            self._kept.move_to_end(entity_id)
            return kept.entity
        if entity_id in self._absent:
            return None
        return self._look_up(entity_id, now)

    def _look_up_bearers(self, digest: bytes) -> tuple[str, ...]:
        rows = self._read(_FIND_BY_KEY, digest)
        names = tuple(name for (name,) in rows)
        if names:
            # Only keys that are known: strangers, who may come with any number of keys, push nobody out.
            _keep(self._bearers, digest, names, self._capacity)
        return names

    def _look_up(self, entity_id: str, now: datetime) -> Entity | None:
        self._kept.pop(entity_id, None)
        try:
            rows = self._read(_FIND_ENTITY, entity_id)
        except UnicodeEncodeError:
            # A lone surrogate is a character that no document can hold.
            return None
        if not rows:
            # Apart from those that are there, whom strangers with any number of names would push out. Nobody has the empty name, by which
            # health asks whether the index can be read.
            if entity_id:
                _keep(self._absent, entity_id, True, _ABSENT_ENTITIES)
            return None
        record, affiliations = rows[0]
        kept = _decode(EntityId(entity_id), json.loads(record), json.loads(affiliations), now)
        if not _is_valid(kept.entity.valid_until, now):
            return None
        _keep(self._kept, entity_id, kept, self._capacity)
        return kept.entity

    def _read(self, statement: str, parameter: str | bytes) -> list[tuple[str, ...]]:
        try:
            connection = self._connection or self._open()
            return connection.execute(statement, (parameter,)).fetchall()
        except sqlite3.Error as error:
            raise CouldNotAsk(f"the metadata index {self._path} cannot be read: {error}") from error

    def _open(self) -> sqlite3.Connection:
        # `immutable` spares all locking: the file is never changed, only ever replaced by another one of that name.
        address = f"file:{quote(str(self._path))}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        if connection.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
            connection.close()
            raise CouldNotAsk(f"{self._path} is not a metadata index of this version")
        self._connection = connection
        return connection


class IndexWriter:
    """Writes an index beside the present one; `finish` puts it in its place, `discard` leaves the present one as it was."""

    def __init__(self, path: Path) -> None:
        """Raises OperatorError where nothing can be written there."""
        self._path = path
        self._count = 0
        self._affiliations: dict[str, dict[str, str | None]] = {}
        try:
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            os.close(descriptor)
            self._temporary = Path(name)
            self._connection = sqlite3.connect(name)
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._fault(error) from error

    def add_entity(self, entity: Entity) -> bool:
        """Add an entity; False where one with this entityID is there already, which then stays. Raises OperatorError."""
        try:
            added = self._connection.execute(_ADD_ENTITY, (entity.entity_id, _encode(entity))).rowcount == 1
            if added:
                keys = ((hashlib.sha256(key).digest(), entity.entity_id) for key in entity.querying_keys)
                self._connection.executemany(_ADD_KEY, keys)
        except sqlite3.Error as error:
            raise self._fault(error) from error
        self._count += added
        for affiliation in entity.affiliations:
            self.add_affiliation(Affiliation(affiliation, frozenset((entity.entity_id,))))
        return added

    def add_affiliation(self, affiliation: Affiliation) -> None:
        """Add an affiliation for all its members, also those that only another source knows."""
        until = None if affiliation.valid_until is None else affiliation.valid_until.isoformat()
        for member in affiliation.members:
            self._affiliations.setdefault(member, {}).setdefault(affiliation.affiliation_id, until)

    def finish(self, warnings: tuple[str, ...] = ()) -> IndexReport:
        """Replace the present index by this one. Raises OperatorError."""
        try:
            taken = self._drop_namesakes()
            rows = ((_WRITE_JSON(affiliations), member) for member, affiliations in self._affiliations.items())
            self._connection.executemany(_SET_AFFILIATIONS, rows)
            self._connection.commit()
            self._connection.close()
            os.replace(self._temporary, self._path)
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from error
        told = (f"{name}: the affiliation was left out, an entity has this entityID" for name in sorted(taken))
        return IndexReport(self._count, (*warnings, *told))

    def discard(self) -> None:
        """Remove what was written, if it has not become the index."""
        self._connection.close()
        self._temporary.unlink(missing_ok=True)

    def _drop_namesakes(self) -> set[str]:
        """Drop affiliations that bear the name of an entity: their members would be taken for it. Returns those names."""
        names = {name for affiliations in self._affiliations.values() for name in affiliations}
        taken = {name for name in names if self._connection.execute(_FIND_ENTITY, (name,)).fetchone() is not None}
        for affiliations in self._affiliations.values():
            for name in taken.intersection(affiliations):
                del affiliations[name]
        return taken

    def _fault(self, error: sqlite3.Error | OSError) -> OperatorError:
        return OperatorError(f"the metadata index {self._path} cannot be written: {error}")


def write_index(path: Path, entities: Iterable[Entity], affiliations: Iterable[Affiliation] = ()) -> IndexReport:
    """Write an index of these entities and put it in place of `path`; of several with one entityID the first counts.

    Raises OperatorError where it cannot be written; what stood there before then stays.
    """
    writer = IndexWriter(path)
    try:
        repeated = tuple(entity.entity_id for entity in entities if not writer.add_entity(entity))
        for affiliation in affiliations:
            writer.add_affiliation(affiliation)
        return writer.finish(tuple(f"{name}: a further entity with this entityID was left out" for name in repeated))
    finally:
        writer.discard()


def _keep(cache: OrderedDict[_K, _V], key: _K, value: _V, capacity: int) -> None:
    cache[key] = value
    if len(cache) > capacity:
        cache.popitem(last=False)


def _is_valid(valid_until: datetime | None, now: datetime) -> bool:
    return valid_until is None or now < valid_until


def _encode(entity: Entity) -> str:
    record = {
        "roles": sorted(entity.roles),
        "keys": _texts_of(entity.querying_keys),
        "attributes": _names_by_format(entity.requested_attributes),
        "categories": sorted(entity.entity_categories),
        "authority": entity.registration_authority,
        "scopes": [(scope.value, scope.regexp) for scope in entity.scopes],
        "until": None if entity.valid_until is None else entity.valid_until.isoformat(),
        # Most identity providers are nothing else: their keys are the same in both places, and need not stand twice.
        "asserting": None if entity.asserting_keys == entity.querying_keys else _texts_of(entity.asserting_keys),
        "sign_on": entity.sign_on_url,
        "names": entity.display_names,
    }
    return _WRITE_JSON(record)


def _texts_of(keys: Iterable[bytes]) -> list[str]:
    return [b64encode(key).decode() for key in keys]


def _names_by_format(attributes: Iterable[AttributeName]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for attribute in attributes:
        names.setdefault(attribute.name_format, []).append(attribute.name)
    return names


def _decode(entity_id: EntityId, record: dict[str, Any], affiliations: dict[str, str | None], now: datetime) -> _Kept:
    expiries = {EntityId(name): _instant(until) for name, until in affiliations.items()}
    current = {name: until for name, until in expiries.items() if _is_valid(until, now)}
    keys = tuple(map(b64decode, record["keys"]))
    entity = Entity(
        entity_id=entity_id,
        roles=frozenset(map(Role, record["roles"])),
        querying_keys=keys,
        requested_attributes=frozenset(AttributeName(name, form) for form, names in record["attributes"].items() for name in names),
        entity_categories=frozenset(record["categories"]),
        registration_authority=record["authority"],
        affiliations=frozenset(current),
        scopes=tuple(Scope(value, regexp) for value, regexp in record["scopes"]),
        valid_until=_instant(record["until"]),
        asserting_keys=keys if record["asserting"] is None else tuple(map(b64decode, record["asserting"])),
        sign_on_url=record["sign_on"],
        display_names=tuple((language, name) for language, name in record["names"]),
    )
    instants = (until for until in (entity.valid_until, *current.values()) if until is not None)
    return _Kept(entity, min(instants, default=None))


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


if TYPE_CHECKING:
    _memory_conforms: type[EntityDirectory] = MemoryEntityDirectory
    _sqlite_conforms: type[EntityDirectory] = SqliteEntityDirectory
