"""Which deliveries an operator means, by references or by place and state."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from attribute_authority.commands.options import TEXT
from attribute_authority.domain.delivery import DeliverySelection, DeliveryState, SinkName
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import OperatorError
from attribute_authority.settings import Settings

OPEN: Final = (DeliveryState.PARKED, DeliveryState.PENDING)
"""The states of deliveries with which something can be done."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator means: `references`, or of an organisation what is in one of `states`, at all its sinks where none is named."""

    references: tuple[str, ...]
    organisation: str | None
    sink: str | None
    states: frozenset[DeliveryState]

    def selections(self) -> Iterator[DeliverySelection]:
        """Yield what the books are asked for."""
        if self.organisation is None:
            yield from (DeliverySelection(reference=reference) for reference in self.references)
        else:
            yield DeliverySelection(EntityId(self.organisation), self.sink, self.states)

    def selections_of(self, sinks: Sequence[SinkName]) -> Iterator[DeliverySelection]:
        """Yield the same, and of the organisation these sinks alone."""
        if self.organisation is None:
            yield from self.selections()
        else:
            yield from (DeliverySelection(sink.home_organisation, sink.name, self.states) for sink in sinks)


def place_options(*, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --organisation and --sink."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        command = click.option("--sink", type=TEXT, metavar="NAME", help="The name of a sink; otherwise all of them.")(command)
        explained = "The home organisation's identity provider."
        return click.option("--organisation", type=TEXT, required=required, metavar="ENTITYID", help=explained)(command)

    return add


def wanted_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments and options of which `read_wanted` makes a Wanted."""
    states = click.Choice([state.value for state in OPEN])
    command = click.option("--state", "states", type=states, multiple=True, help="Only those in this state; otherwise both.")(command)
    return click.argument("references", type=TEXT, nargs=-1, metavar="[REFERENCE]...")(place_options()(command))


def read_wanted(references: tuple[str, ...], organisation: str | None, sink: str | None, states: tuple[str, ...]) -> Wanted:
    """Make a Wanted, or end with wrong usage."""
    if bool(references) == (organisation is not None):
        raise click.UsageError("Say which: either REFERENCE, one or more, or --organisation ENTITYID.")
    if references and (sink is not None or states):
        raise click.UsageError("--sink and --state go with --organisation.")
    return Wanted(tuple(dict.fromkeys(references)), organisation, sink, frozenset(map(DeliveryState, states)) or frozenset(OPEN))


def configured_sinks(settings: Settings, organisation: str, sink: str | None) -> tuple[SinkName, ...]:
    """Return the sinks that are meant. Raises OperatorError naming those that are configured where these are not."""
    home_organisation = EntityId(organisation)
    names = settings.sinks.get(home_organisation)
    if names is None:
        raise OperatorError(f"no sink of {organisation} is configured: there are sinks of {', '.join(sorted(settings.sinks)) or 'nobody'}")
    if sink is not None and sink not in names:
        raise OperatorError(f"{organisation} has no sink {sink!r} in the configuration: there are {', '.join(names)}")
    return tuple(SinkName(home_organisation, name) for name in names if sink in (None, name))


def refuse_former(sinks: Sequence[SinkName], configured: Sequence[SinkName]) -> None:
    """Raise OperatorError where one of the sinks is not configured any more, naming those that are."""
    for sink in sinks:
        if sink not in configured:
            raise OperatorError(f"{sink} is not configured any more: there are {', '.join(map(str, configured)) or 'none'}")
