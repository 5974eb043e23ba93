"""Reading the configuration: TOML, strict, every fault told together with its file, key and what was expected.

The tables of connectors are those of whatever kinds there are.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, ValidationError, field_validator

from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.setting_faults import write_fault
from attribute_authority.setting_values import SinkTable, SourceTable, Table
from attribute_authority.settings import Settings
from connectors import find_sink_kind, find_source_kind, kind_names, telling_defects

CONFIG_VARIABLE = "ATTRIBUTE_AUTHORITY_CONFIG"
DEFAULT_CONFIG = Path("conf/authority.toml")


def config_path(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the configuration file: the one given, or of the environment, or the default."""
    return given or Path(environment.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def read_configuration(path: Path) -> Settings:
    """Read and check a configuration file.

    Raises OperatorError where the file cannot be read, FaultyConfiguration with every fault of its content.
    """
    with telling_defects(f"{path}: a connector fails on its table"):
        return _read(path)


def _read(path: Path) -> Settings:
    content = _read_toml(path)
    context = {"directory": path.absolute().parent}
    # The tables of connectors are checked first, each by its own kind, which the other tables do not know; what fails is left out.
    faults = [write_fault(path, fault, table) for fault, table in _read_connector_tables(content, context)]
    try:
        settings = Settings.model_validate(content, context=context)
    except ValidationError as error:
        faults = [write_fault(path, dict(fault), Settings) for fault in error.errors()] + faults
        raise FaultyConfiguration(tuple(faults)) from error
    if faults:
        raise FaultyConfiguration(tuple(faults))
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(
            f"{path}: cannot be read: {error.strerror}. Write one with `attribute-authority init`, or name it with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: expected TOML in UTF-8: {error}") from error


def _read_connector_tables(content: dict[str, Any], context: dict[str, Any]) -> Iterator[tuple[Mapping[str, Any], type[Table]]]:
    """Put a checked table in the place of every connector's, and yield each fault with the kind of table that it is in."""
    organisations = content.get("organisation")
    for number, organisation in enumerate(organisations if isinstance(organisations, list) else ()):
        for role, table_of in _ROLES.items():
            tables = organisation.get(role) if isinstance(organisation, dict) else None
            if isinstance(tables, list):
                checked: list[Table] = []
                organisation[role] = checked
                yield from _read_tables(tables, table_of, (("organisation", number, role), context), checked)


def _read_tables(
    tables: list[Any],
    table_of: Callable[[object], type[Table]],
    around: tuple[tuple[str | int, ...], dict[str, Any]],
    checked: list[Table],
) -> Iterator[tuple[Mapping[str, Any], type[Table]]]:
    above, context = around
    for position, table in enumerate(tables):
        place = (*above, position)
        kind: type[Table] = _AnySource
        try:
            kind = table_of(table)
            checked.append(kind.model_validate(table, context=context))
        except OperatorError as failed:
            yield {"type": "connector", "loc": (*place, "kind"), "msg": failed.cause, "input": None}, kind
        except ValidationError as error:
            for fault in error.errors():
                yield {**fault, "loc": (*place, *fault["loc"])}, kind


def _source_table(table: object) -> type[SourceTable]:
    name = _kind_named(table)
    found = None if name is None else find_source_kind(name)
    return _AnySource if found is None else found.settings


def _sink_table(table: object) -> type[SinkTable]:
    name = _kind_named(table)
    found = None if name is None else find_sink_kind(name)
    return _AnySink if found is None else found.settings


def _kind_named(table: object) -> str | None:
    name = table.get("kind") if isinstance(table, dict) else None
    return name if isinstance(name, str) else None


class _AnySource(SourceTable):
    """Stands in for a kind that is not known, and says so."""

    model_config = ConfigDict(extra="ignore")

    @field_validator("kind")
    @classmethod
    def _is_unknown(cls, _kind: str) -> str:
        raise ValueError(f"expected one of {', '.join(kind_names('source'))}")


class _AnySink(SinkTable):
    """Stands in for a kind that is not known, and says so."""

    model_config = ConfigDict(extra="ignore")

    @field_validator("kind")
    @classmethod
    def _is_unknown(cls, _kind: str) -> str:
        raise ValueError(f"expected one of {', '.join(kind_names('sink'))}")


_ROLES: Final[Mapping[str, Callable[[object], type[Table]]]] = {"source": _source_table, "sink": _sink_table}
