"""`database`: looking after the schema."""

from pathlib import Path

import click

from attribute_authority.configuration import read_configuration
from attribute_authority.storage.upgrading import upgrade


@click.group()
def database() -> None:
    """Look after the database."""


@database.command("upgrade")
@click.pass_obj
def upgrade_database(config: Path, /) -> None:
    """Apply the migrations that are not applied yet."""
    applied = upgrade(read_configuration(config).database.url)
    click.echo("\n".join(f"applied {name}" for name in applied) or "The database is up to date.")
