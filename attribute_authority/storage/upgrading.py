"""Brings a database to the schema of this release; needs no alembic.ini."""

import os

from alembic import command
from alembic.config import Config
from sqlalchemy import URL

from attribute_authority.errors import OperatorError
from attribute_authority.storage.engine import Patience, asking, file_of, make_working_engine, parse_url, writing
from attribute_authority.storage.schema import MIGRATIONS, missing_migrations, pending

__all__ = ["pending", "upgrade"]


def upgrade(url: str) -> tuple[str, ...]:
    """Apply what is not applied yet, all or nothing, and return its names; an SQLite file is made where there is none.

    Two nodes may try at once: the second waits, and finds nothing to do.
    Raises OperatorError for a bad URL, a file that cannot be made, or a database of a later release; CouldNotAsk.
    """
    address = parse_url(url)
    _make_file(address)
    with asking(), make_working_engine(address, Patience()).connect() as connection, writing(connection):
        missing = missing_migrations(connection)
        if missing:
            configuration = _configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
    return missing


def _configuration() -> Config:
    configuration = Config()
    # A percent sign begins an interpolation there.
    configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return configuration


def _make_file(address: URL) -> None:
    """Make the empty file of SQLite, readable by its owner alone: it will hold personal data."""
    file = file_of(address)
    if file is None or file.exists():
        return
    try:
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise OperatorError(f"the database file {file} cannot be made: {error.strerror}") from error
