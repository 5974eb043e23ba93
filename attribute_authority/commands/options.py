"""Options that several commands share."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from attribute_authority.domain.identifiers import Identifier, IdentifierKind, parse_identifier, parse_identifier_text


def is_utf8(text: str) -> bool:
    """Whether a text that came from outside can be stored and sent: octets that are not UTF-8 arrive as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Text(click.ParamType[str]):
    """Text that is UTF-8."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or end with wrong usage."""
        if not is_utf8(value):
            self.fail(f"{value!r} is not UTF-8.", param, ctx)
        return value


TEXT = _Text()


def identifier_options(*, multiple: bool, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --id, as parameter `ids`, and the qualifiers of a persistent identifier or pairwise-id."""
    explained = f"Identifier; KIND is one of {', '.join(IdentifierKind)}{'; may be repeated' if multiple else ''}."

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--sp-name-qualifier", type=TEXT, metavar="ENTITYID", help="Service provider that the identifier was issued for."),
            click.option("--name-qualifier", type=TEXT, metavar="ENTITYID", help="Identity provider that issued the identifier."),
            click.option("--id", "ids", type=TEXT, multiple=multiple, required=required, metavar="KIND=VALUE", help=explained),
        ):
            command = option(command)
        return command

    return add


def read_identifiers(texts: Sequence[str], name_qualifier: str | None, sp_name_qualifier: str | None) -> tuple[Identifier, ...]:
    """Read KIND=VALUE texts; the qualifiers go to the kinds that have them. Raises InvalidIdentifier."""
    return tuple(_read_identifier(text, name_qualifier, sp_name_qualifier) for text in texts)


def _read_identifier(text: str, name_qualifier: str | None, sp_name_qualifier: str | None) -> Identifier:
    kind, _, value = text.partition("=")
    if kind not in set(IdentifierKind):
        raise click.BadOptionUsage("ids", f"--id {text!r}: expected KIND=VALUE with KIND one of {', '.join(IdentifierKind)}.")
    if kind == IdentifierKind.PERSISTENT and "!" not in value:
        return parse_identifier(IdentifierKind.PERSISTENT, value, name_qualifier, sp_name_qualifier)
    if kind == IdentifierKind.PAIRWISE_ID and "!" not in value:
        return parse_identifier(IdentifierKind.PAIRWISE_ID, value, None, sp_name_qualifier)
    return parse_identifier_text(text)
