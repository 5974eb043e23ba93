"""`metadata`: what we publish about ourselves."""

from pathlib import Path

import click

from attribute_authority.assembly import own_metadata
from attribute_authority.configuration import read_configuration


@click.command()
@click.pass_obj
def metadata(config: Path, /) -> None:
    """Print our SAML metadata, one EntityDescriptor."""
    click.echo(own_metadata(read_configuration(config)).decode(), nl=False)
