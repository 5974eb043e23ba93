"""A million people with an ORCID iD each, put into the authority's own tables by plain SQL, and kept for the next run."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

PEOPLE = 1_000_000

_LINKED_AT = "2026-01-01 00:00:00.000000"
_SUBJECT = "INSERT INTO subject (id, home_organisation, created_at) VALUES (?, ?, ?)"
_IDENTIFIER = "INSERT INTO identifier (subject_id, kind, value, name_qualifier, sp_name_qualifier) VALUES (?, 'eppn', ?, '', '')"
_LINK = "INSERT INTO link (subject_id, orcid, environment, source, linked_at) VALUES (?, ?, 'production', 'import', ?)"


def eppn_of(person: int) -> str:
    """Return the ePPN of a person, numbered from 1."""
    return f"person{person:07d}@uni.example"


def orcid_of(person: int) -> str:
    """Return the bare ORCID iD of a person, from the blocks that ORCID gives out, with its check character (ISO 7064 MOD 11-2)."""
    digits = f"{150_000_000 + person:015d}"
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    bare = digits + "0123456789X"[(12 - total % 11) % 11]
    return "-".join(bare[start : start + 4] for start in range(0, 16, 4))


def populate(database: Path, home_organisation: str) -> None:
    """Fill an empty database, that has its tables, with everybody; from the cache where the same was filled before."""
    cached = _cache_directory() / f"people-{_fingerprint(database, home_organisation)}.db"
    if not cached.exists():
        _fill(database, home_organisation)
        cached.parent.mkdir(parents=True, exist_ok=True)
        unfinished = cached.with_suffix(f".{os.getpid()}")
        shutil.copyfile(database, unfinished)
        for outdated in cached.parent.glob("people-*.db"):
            outdated.unlink(missing_ok=True)
        unfinished.rename(cached)
        return
    for leftover in database.parent.glob(f"{database.name}-*"):
        leftover.unlink()
    shutil.copyfile(cached, database)


def _cache_directory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "orcid-attribute-authority-bench"


def _fingerprint(database: Path, home_organisation: str) -> str:
    with closing(sqlite3.connect(database)) as connection:
        schema = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    return hashlib.sha256(repr((schema, home_organisation, PEOPLE, _LINKED_AT)).encode()).hexdigest()[:16]


def _fill(database: Path, home_organisation: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            connection.executemany(_SUBJECT, ((person, home_organisation, _LINKED_AT) for person in _people()))
            connection.executemany(_IDENTIFIER, ((person, eppn_of(person)) for person in _people()))
            connection.executemany(_LINK, ((person, orcid_of(person), _LINKED_AT) for person in _people()))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _people() -> Iterator[int]:
    return iter(range(1, PEOPLE + 1))
