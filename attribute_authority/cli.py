"""The command line of the authority; each command is a file of `commands`, loaded when it is called.

A worker of `serve` lives for months and should not carry what only other commands need.
"""

import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import click

from attribute_authority import __version__
from attribute_authority.configuration import CONFIG_VARIABLE, DEFAULT_CONFIG, config_path
from attribute_authority.errors import AuthorityError

_COMMANDS: Final = {
    "init": "attribute_authority.commands.init",
    "serve": "attribute_authority.commands.serve",
    "check": "attribute_authority.commands.check",
    "metadata": "attribute_authority.commands.metadata",
    "link": "attribute_authority.commands.link",
    "deliveries": "attribute_authority.commands.deliveries",
    "client": "attribute_authority.commands.client",
    "query": "attribute_authority.commands.query",
    "explain": "attribute_authority.commands.explain",
    "database": "attribute_authority.commands.database",
    "prepare": "attribute_authority.commands.prepare",
    "demo": "attribute_authority.demo.command",
}


class Commands(click.Group):
    """Finds commands by name, and ends one that fails with the sentences of its faults and exit code 1, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of their use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None where there is none of that name."""
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(import_module(module), cmd_name)
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AuthorityError as fault:
            raise click.ClickException(fault.cause) from fault


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="attribute-authority")
@click.option("--config", type=click.Path(path_type=Path), help=f"Configuration file; otherwise ${CONFIG_VARIABLE}, then {DEFAULT_CONFIG}.")
@click.pass_context
def cli(context: click.Context, /, config: Path | None) -> None:
    """Run and look after an ORCID attribute authority."""
    context.obj = config_path(config)


def main() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that is not UTF-8 may show a letter as an escape, and is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
    cli(prog_name="attribute-authority")
