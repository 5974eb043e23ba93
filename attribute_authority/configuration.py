"""Reading the configuration: TOML, strict, every fault told together with its file, key and what was expected.

The tables of connectors are those of whatever kinds there are.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, field_validator

from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.setting_faults import write_fault
from attribute_authority.setting_values import SourceTable, Table
from attribute_authority.settings import Settings
from connectors import find_kind, kind_names, telling_defects

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
        sources = organisation.get("source") if isinstance(organisation, dict) else None
        if not isinstance(sources, list):
            continue
        checked = []
        for position, table in enumerate(sources):
            place = ("organisation", number, "source", position)
            kind: type[SourceTable] = _AnyKind
            try:
                kind = _table_of(table)
                checked.append(kind.model_validate(table, context=context))
            except OperatorError as fault:
                yield {"type": "connector", "loc": (*place, "kind"), "msg": fault.cause, "input": None}, kind
            except ValidationError as error:
                yield from (({**fault, "loc": (*place, *fault["loc"])}, kind) for fault in error.errors())
        organisation["source"] = checked


def _table_of(table: object) -> type[SourceTable]:
    name = table.get("kind") if isinstance(table, dict) else None
    found = find_kind(name) if isinstance(name, str) else None
    return _AnyKind if found is None else found.settings


class _AnyKind(SourceTable):
    """Stands in for a kind that is not known, and says so."""

    model_config = ConfigDict(extra="ignore")

    @field_validator("kind")
    @classmethod
    def _is_unknown(cls, _kind: str) -> str:
        raise ValueError(f"expected one of {', '.join(kind_names())}")
