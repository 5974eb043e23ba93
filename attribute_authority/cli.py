"""The command line of the authority; each command is a file of `commands`."""

from pathlib import Path
from typing import Any

import click

from attribute_authority import __version__
from attribute_authority.commands.check import check
from attribute_authority.commands.database import database
from attribute_authority.commands.explain import explain
from attribute_authority.commands.init import init
from attribute_authority.commands.link import link
from attribute_authority.commands.metadata import metadata
from attribute_authority.commands.query import query
from attribute_authority.commands.serve import serve
from attribute_authority.demo.command import demo
from attribute_authority.errors import AuthorityError
from attribute_authority.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, config_path


class FaultNaming(click.Group):
    """Ends a command that fails with the sentences of its faults and exit code 1, never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AuthorityError as fault:
            raise click.ClickException(fault.cause) from fault


@click.group(cls=FaultNaming, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="attribute-authority")
@click.option("--config", type=click.Path(path_type=Path), help=f"Configuration file; otherwise ${CONFIG_VARIABLE}, then {DEFAULT_CONFIG}.")
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Run and look after an ORCID attribute authority."""
    context.obj = config_path(config)


for _command in (init, serve, check, metadata, link, query, explain, database, demo):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    cli(prog_name="attribute-authority")
