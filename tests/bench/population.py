"""A million people with an ORCID iD each, put into the authority's own tables by plain SQL, and kept for the next run.

Beside them there are some whose link was withdrawn, and some of another home organisation. Their identifiers lie spread among those of
the million, because identifiers that lie together are found a little faster.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

PEOPLE = 1_000_000
OTHERS = 4_000
"""How many have withdrawn, and how many belong to another home organisation."""

OTHER_ORGANISATION = "https://idp.other.example/idp"

_LINKED_AT = "2026-01-01 00:00:00.000000"
_WITHDRAWN_AT = "2026-01-02 00:00:00.000000"
_SUBJECT = "INSERT INTO subject (id, home_organisation, created_at) VALUES (?, ?, ?)"
_IDENTIFIER = "INSERT INTO identifier (subject_id, kind, value, name_qualifier, sp_name_qualifier) VALUES (?, 'eppn', ?, '', '')"
_LINK = "INSERT INTO link (subject_id, orcid, environment, source, linked_at) VALUES (?, ?, 'production', 'import', ?)"
_WITHDRAW = "UPDATE link SET withdrawn_at = ? WHERE subject_id BETWEEN ? AND ?"
_CHANGES = """
INSERT INTO link_change (subject_id, link_id, environment, home_organisation, kind, changed_at)
SELECT link.subject_id, link.id, link.environment, subject.home_organisation, '{kind}', link.{instant}
FROM link JOIN subject ON subject.id = link.subject_id WHERE link.{instant} IS NOT NULL ORDER BY link.id
"""


def eppn_of(person: int) -> str:
    """Return the ePPN of a person, numbered from 1."""
    return f"person{person:07d}@uni.example"


def withdrawn_eppn(number: int) -> str:
    """Return the ePPN of somebody who has withdrawn, numbered from 1 to OTHERS."""
    return _eppn_among(number, "w")


def withheld_eppn(number: int) -> str:
    """Return the ePPN of somebody of the other home organisation, numbered from 1 to OTHERS."""
    return _eppn_among(number, "x")


def unknown_eppn(number: int) -> str:
    """Return an ePPN that nobody has, numbered from 1 to OTHERS."""
    return _eppn_among(number, "y")


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


def _eppn_among(number: int, mark: str) -> str:
    return f"person{number * (PEOPLE // OTHERS):07d}{mark}@uni.example"


def _cache_directory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "orcid-attribute-authority-bench"


def _fingerprint(database: Path, home_organisation: str) -> str:
    with closing(sqlite3.connect(database)) as connection:
        schema = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    return hashlib.sha256(repr((schema, home_organisation, Path(__file__).read_bytes())).encode()).hexdigest()[:16]


def _fill(database: Path, home_organisation: str) -> None:
    withdrawn, withheld = PEOPLE + 1, PEOPLE + OTHERS + 1
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            connection.executemany(_SUBJECT, _subjects(home_organisation, withheld))
            connection.executemany(_IDENTIFIER, _identifiers())
            connection.executemany(_LINK, ((number, orcid_of(number), _LINKED_AT) for number in range(1, withheld + OTHERS)))
            connection.execute(_WITHDRAW, (_WITHDRAWN_AT, withdrawn, withheld - 1))
            connection.execute(_CHANGES.format(kind="linked", instant="linked_at"))
            connection.execute(_CHANGES.format(kind="withdrawn", instant="withdrawn_at"))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _subjects(home_organisation: str, withheld: int) -> Iterator[tuple[int, str, str]]:
    for number in range(1, withheld + OTHERS):
        yield number, home_organisation if number < withheld else OTHER_ORGANISATION, _LINKED_AT


def _identifiers() -> Iterator[tuple[int, str]]:
    for person in range(1, PEOPLE + 1):
        yield person, eppn_of(person)
    for number in range(1, OTHERS + 1):
        yield PEOPLE + number, withdrawn_eppn(number)
        yield PEOPLE + OTHERS + number, withheld_eppn(number)
