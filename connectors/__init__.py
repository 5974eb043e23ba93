"""Connectors: everything that talks to somebody else's system.

A connector may import the service's ports, domain, errors and the kinds of value in the configuration, and nothing else of it.
A kind of connector is a file here and a line in the CATALOGUE, or an entry point of the group `attribute_authority.connectors`
in another distribution; it is loaded when a configuration names it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from traceback import extract_tb
from typing import Any, Final, Generic, TypeVar

from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.errors import AuthorityError, OperatorError
from attribute_authority.ports import Clock, IdentifierSource, PairwiseIndex
from attribute_authority.setting_values import SinkTable, SourceTable

ENTRY_POINTS: Final = "attribute_authority.connectors"

CATALOGUE: Final = {
    "source": {
        "computed-id": "connectors.shibboleth_ids:COMPUTED_ID",
        "stored-id": "connectors.stored_ids:STORED_ID",
        "ldap": "connectors.ldap:LDAP",
    },
    "sink": {
        "ldap": "connectors.ldap_entries:LDAP_ENTRIES",
        "sql": "connectors.sql:SQL",
        "rest": "connectors.rest:REST",
        "soap-idm": "connectors.soap_idm:SOAP_IDM",
        "scim": "connectors.scim:SCIM",
        "csv": "connectors.csv_file:CSV_FILE",
    },
}
"""Every kind that ships with the service: the `kind` of the configuration, and where its `SourceKind` or `SinkKind` stands."""

Settings = TypeVar("Settings", bound=SourceTable)
SinkSettings = TypeVar("SinkSettings", bound=SinkTable)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a source is given besides its own table: whose it is, whose iDs count, the index for computed identifiers, the clock."""

    home_organisation: EntityId
    environment: Environment
    index: PairwiseIndex
    clock: Clock


@dataclass(frozen=True, slots=True)
class SinkSurroundings:
    """What a sink is given besides its own table: whose it is, whose iDs count, who we are (our entityID), the clock."""

    home_organisation: EntityId
    environment: Environment
    authority: EntityId
    clock: Clock


@dataclass(frozen=True, slots=True)
class SourceKind(Generic[Settings]):
    """A kind of source: the table that configures it, and what opens one, which reads its secrets and asks nobody yet.

    `open` raises OperatorError, naming the file or key, where what is configured cannot be used.
    """

    settings: type[Settings]
    open: Callable[[Settings, Surroundings], IdentifierSource]


@dataclass(frozen=True, slots=True)
class SinkKind(Generic[SinkSettings]):
    """A kind of sink: the table that configures it, and what opens one, which reads its secrets and delivers nothing yet.

    `open` raises OperatorError, naming the file or key, where what is configured cannot be used.
    """

    settings: type[SinkSettings]
    open: Callable[[SinkSettings, SinkSurroundings], Sink]


def find_source_kind(name: str) -> SourceKind[Any] | None:
    """Return a kind of source by its name in the configuration, None where there is none of that name.

    Raises OperatorError where there is one that cannot be loaded, or that is none.
    """
    found = _find("source", name)
    if found is None:
        return None
    if not isinstance(found, SourceKind) or not _is_table(found.settings, SourceTable):
        raise OperatorError(f"the connector {name} is of no use: its entry point leads to no SourceKind with a table of settings")
    return found


def find_sink_kind(name: str) -> SinkKind[Any] | None:
    """Return a kind of sink by its name in the configuration, None where there is none of that name.

    Raises OperatorError where there is one that cannot be loaded, or that is none.
    """
    found = _find("sink", name)
    if found is None:
        return None
    if not isinstance(found, SinkKind) or not _is_table(found.settings, SinkTable):
        raise OperatorError(f"the connector {name} is of no use: its entry point leads to no SinkKind with a table of settings")
    return found


def _find(role: str, name: str) -> object:
    with telling_defects(f"the connector {name} cannot be loaded"):
        place = CATALOGUE[role].get(name)
        if place is not None:
            module, _, attribute = place.partition(":")
            return getattr(import_module(module), attribute)
        points = tuple(entry_points(group=ENTRY_POINTS, name=name))
        return points[0].load() if points else None


def _is_table(settings: object, base: type) -> bool:
    return isinstance(settings, type) and issubclass(settings, base)


@contextmanager
def telling_defects(what: str) -> Iterator[None]:
    """Raise OperatorError where code that may be another party's fails as no connector may, with the kind of failure and its place.

    Its own words are left out, for they may quote a secret.
    """
    try:
        yield
    except AuthorityError:
        raise
    except Exception as defect:
        # The named boundary to code of others: whatever it raises is told.
        raise OperatorError(f"{what}: {describe_defect(defect)}") from defect


def describe_defect(defect: Exception) -> str:
    """Say what kind of failure it is and where it was raised, and for a module that is not there which one."""
    frames = extract_tb(defect.__traceback__)
    place = f", {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    missing = f" of {defect.name}" if isinstance(defect, ImportError) and defect.name else ""
    return f"{type(defect).__name__}{missing}{place}"


def kind_names(role: str) -> tuple[str, ...]:
    """Return the names of every kind of "source" or "sink" that can be configured, and those of other distributions' connectors."""
    ours = CATALOGUE[role]
    return (*ours, *sorted({point.name for point in entry_points(group=ENTRY_POINTS)} - set(ours)))
