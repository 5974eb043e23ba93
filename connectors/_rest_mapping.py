"""A body with the fields of the other system: which of them holds what."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from attribute_authority.setting_values import Table
from connectors._rest_fields import FieldName, Value


class Constant(Table):
    """A value that is the same in every delivery."""

    value: str | int | float | bool


def _path(text: str) -> str:
    if not text.isprintable() or not all(text.split(".")):
        raise ValueError('expected the name of a field, such as "orcid", or the path to a nested one, such as "person.orcid"')
    return text


FieldPath = Annotated[str, AfterValidator(_path)]
MappingTable = Annotated[dict[FieldPath, FieldName | Constant], Field(min_length=1)]


def contradictions(paths: Iterable[str]) -> list[str]:
    """Return the paths of fields that would have to be both a value and an object with fields."""
    known = set(paths)
    return sorted(path for path in known if any(other.startswith(f"{path}.") for other in known))


def map_fields(mapping: Mapping[str, FieldName | Constant], values: Mapping[FieldName, Value], leaves_out_absent: bool) -> dict[str, Any]:
    """Return the body: objects as the paths tell, null or nothing for what is absent."""
    body: dict[str, Any] = {}
    for path, what in mapping.items():
        value = what.value if isinstance(what, Constant) else values[what]
        if value is None and leaves_out_absent:
            continue
        *parents, name = path.split(".")
        place = body
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return body
