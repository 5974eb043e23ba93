"""Which migrations a database lacks; told without Alembic, so that a serving process need not carry it."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from attribute_authority.errors import OperatorError
from attribute_authority.storage.engine import Patience, asking, file_of, make_working_engine, parse_url

MIGRATIONS = Path(__file__).parent / "migrations"


def migration_names() -> tuple[str, ...]:
    """Return the names of all migrations of this release, in their order: a file is named m, a number that orders it, and its subject."""
    return tuple(sorted(path.stem.removeprefix("m") for path in (MIGRATIONS / "versions").glob("m*.py")))


def pending(url: str) -> tuple[str, ...]:
    """Return the names of the migrations that the database lacks, in their order; all of them where there is no SQLite file yet.

    Raises OperatorError for a bad URL or a database of a later release; CouldNotAsk.
    """
    address = parse_url(url)
    file = file_of(address)
    if file is not None and not file.exists():
        return migration_names()
    with asking(), make_working_engine(address, Patience()).connect() as connection:
        return missing_migrations(connection)


def missing_migrations(connection: Connection) -> tuple[str, ...]:
    """Return the names of the migrations that were not applied yet. Raises OperatorError for a database of a later release."""
    names = migration_names()
    present = _present(connection)
    if present is None:
        return names
    if present not in names:
        raise OperatorError(f"the database has the schema {present}, which this release does not know: it was upgraded by a later release")
    return names[names.index(present) + 1 :]


def _present(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
