"""What an operator is told about each fault of a configuration: the file, the key, what was expected, and what was found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from attribute_authority.setting_values import Table

_EXPECTED: Final = {
    "bool_type": "expected true or false",
    "dict_type": "expected a table",
    "enum": "expected {expected}",
    "float_type": "expected a number",
    "greater_than": "expected a number above {gt:g}",
    "int_type": "expected an integer",
    "less_than_equal": "expected a number of at most {le:g}",
    "literal_error": "expected {expected}",
    "missing": "is missing",
    "model_type": "expected a table",
    "string_too_short": "expected a text that is not empty",
    "string_type": "expected a text in quotation marks",
    "too_long": "at most {max_length} entries are expected",
    "too_short": "at least one entry is expected",
    "tuple_type": "expected an array",
}
"""What an operator is told for each of pydantic's error types; the types that are not here carry a sentence of ours."""


def write_fault(path: Path, fault: Mapping[str, Any], table: type[Table]) -> str:
    """Write a fault that pydantic has found, as a sentence; `table` is the kind of table at the beginning of its location."""
    location: tuple[str | int, ...] = tuple(part for part in fault["loc"] if part != "[key]")
    if fault["type"] == "extra_forbidden":
        return f"{path}: {_key(location)}: is not known, expected one of {', '.join(_known_keys(location, table))}"
    template = _EXPECTED.get(fault["type"])
    expected = fault["msg"].removeprefix("Value error, ")
    if template is not None:
        expected = template.format(**fault.get("ctx", {}))
    # Whatever stands there may hold the password of the database.
    found = "" if location[-1:] == ("url",) or not expected.startswith("expected") else f", found {_found(fault['input'])}"
    return f"{path}: {_key(location)}: {expected}{found}"


def _known_keys(location: tuple[str | int, ...], table: type[Table]) -> tuple[str, ...]:
    for name in location[:-1]:
        if isinstance(name, str) and name in table.model_fields:
            table = _table_in(table.model_fields[name].annotation) or table
    return tuple(table.model_fields)


def _table_in(annotation: object) -> type[Table] | None:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return next((table for part in get_args(annotation) if (table := _table_in(part)) is not None), None)


def _found(value: object) -> str:
    if isinstance(value, str) and "@" in value and "://" in value:
        return "a URL with a password or name in it"
    if isinstance(value, dict):
        return "a table; a table of an array stands in double brackets, [[…]]"
    return "an array" if isinstance(value, list) else json.dumps(value, ensure_ascii=False, default=str)


def _key(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text or "the file"
