"""Brings a database to the schema of this release, and tells what is missing; needs no alembic.ini."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection

from attribute_authority.errors import OperatorError
from attribute_authority.storage.engine import Patience, asking, file_of, make_working_engine, parse_url, writing

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(url: str) -> tuple[str, ...]:
    """Apply what is not applied yet, all or nothing, and return its names; an SQLite file is made where there is none.

    Two nodes may try at once: the second waits, and finds nothing to do.
    Raises OperatorError for a bad URL, a file that cannot be made, or a database of a later release; CouldNotAsk.
    """
    address = parse_url(url)
    _make_file(address)
    configuration = _configuration()
    scripts = ScriptDirectory.from_config(configuration)
    with _connected(address) as connection, writing(connection):
        present = MigrationContext.configure(connection).get_current_heads()
        missing = _missing(scripts, present)
        if missing:
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
    return missing


def pending(url: str) -> tuple[str, ...]:
    """Return the names of the migrations that the database lacks, in their order; all of them where there is no SQLite file yet.

    Raises OperatorError for a bad URL or a database of a later release; CouldNotAsk.
    """
    address = parse_url(url)
    scripts = ScriptDirectory.from_config(_configuration())
    file = file_of(address)
    if file is not None and not file.exists():
        return _missing(scripts, ())
    with _connected(address) as connection:
        return _missing(scripts, MigrationContext.configure(connection).get_current_heads())


def _configuration() -> Config:
    configuration = Config()
    # A percent sign begins an interpolation there.
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return configuration


@contextmanager
def _connected(address: URL) -> Iterator[Connection]:
    with asking(), make_working_engine(address, Patience()).connect() as connection:
        yield connection


def _missing(scripts: ScriptDirectory, present: tuple[str, ...]) -> tuple[str, ...]:
    try:
        missing = list(scripts.iterate_revisions("heads", present or "base"))
    except (CommandError, RevisionError) as error:
        raise OperatorError(
            f"the database has the schema {', '.join(present)}, which this release does not know: it was upgraded by a later release"
        ) from error
    return tuple(script.revision for script in reversed(missing))


def _make_file(address: URL) -> None:
    """Make the empty file of SQLite, readable by its owner alone: it will hold personal data."""
    file = file_of(address)
    if file is None or file.exists():
        return
    try:
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise OperatorError(f"the database file {file} cannot be made: {error.strerror}") from error
