"""The configuration with the tables of every connector that can be named in it."""

from pathlib import Path

from attribute_authority.setting_values import SourceTable
from attribute_authority.settings import ConnectorTables, Settings, read_settings
from connectors import find_kind, kind_names, telling_defects


def read_configuration(path: Path) -> Settings:
    """Read and check a configuration file.

    Raises OperatorError where the file cannot be read, FaultyConfiguration with every fault of its content.
    """
    with telling_defects(f"{path}: a connector fails on its table"):
        return read_settings(path, ConnectorTables(_table, kind_names()))


def _table(kind: str) -> type[SourceTable] | None:
    found = find_kind(kind)
    return None if found is None else found.settings
