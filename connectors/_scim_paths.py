"""Attributes of SCIM resources by their paths; names compare without regard to case (RFC 7643 section 2.1, RFC 7644 section 3.10)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"

_PATH: Final = re.compile(
    r"(?:(?P<schema>urn:[A-Za-z0-9][A-Za-z0-9-]*:[\x21\x23-\x5a\x5e-\x7e]+):)?(?P<name>[A-Za-z][\w-]*)(?:\.(?P<sub>[A-Za-z][\w-]*))?"
)


@dataclass(frozen=True, slots=True)
class AttributePath:
    """Where something stands in a resource: `schema` is the URN of an extension, None where it is the core schema of people."""

    schema: str | None
    name: str
    sub: str | None = None

    def __str__(self) -> str:
        """Write it as requests have it."""
        return f"{'' if self.schema is None else f'{self.schema}:'}{self.name}{'' if self.sub is None else f'.{self.sub}'}"

    def read(self, resource: Mapping[str, Any]) -> Any:
        """Return the value that stands there, None where there is none; of a sub-attribute all values, where there are several."""
        value = member(self._place(resource), self.name)
        if self.sub is None:
            return value
        return [member(one, self.sub) for one in value] if isinstance(value, list) else member(value, self.sub)

    def write(self, resource: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """Return the resource with that value there, or without the attribute where it is None; the path is of no sub-attribute.

        `schemas` names the extension as long as anything of it is there (RFC 7643 section 3.3).
        """
        if self.schema is None:
            return _with(resource, self.name, value)
        extension = _with(self._place(resource), self.name, value)
        schemas = [one for one in _list(member(resource, "schemas")) if str(one).lower() != self.schema.lower()]
        changed = _with(resource, self.schema, extension or None)
        return _with(changed, "schemas", [*schemas, self.schema] if extension else schemas)

    def _place(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        place = resource if self.schema is None else member(resource, self.schema)
        return place if isinstance(place, dict) else {}


def parse_path(text: str) -> AttributePath:
    """Read `name` or `name.sub`, with the URN of an extension and a colon before it. Raises ValueError."""
    match = _PATH.fullmatch(text) if text.isascii() else None
    if match is None:
        raise ValueError("expected the path of an attribute, such as userName or urn:example:scim:2.0:User:eduPersonOrcid")
    schema = match["schema"]
    is_core = schema is not None and schema.lower() == USER_SCHEMA.lower()
    return AttributePath(None if is_core else schema, match["name"], match["sub"])


def member(table: Any, name: str) -> Any:
    """Return what a JSON object has under a name, None where it is not there or there is no object."""
    if not isinstance(table, dict):
        return None
    return next((value for key, value in table.items() if key.lower() == name.lower()), None)


def without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a JSON object without what it has under these names."""
    left_out = {name.lower() for name in names}
    return {key: value for key, value in table.items() if key.lower() not in left_out}


def _with(table: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    return without(table, name) | ({} if value is None else {name: value})


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
