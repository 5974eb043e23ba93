"""JSON read strictly (RFC 8259, I-JSON of RFC 7493): UTF-8, each name once in an object, no NaN, nothing nested without end."""

import json
from typing import Any, NoReturn

from attribute_authority.errors import InvalidRequest

_EXPECTED = "expected JSON in UTF-8, with each name once in an object"


def read_json(octets: bytes) -> Any:
    """Return the value of a JSON text. Raises InvalidRequest."""
    try:
        return json.loads(octets.decode(), object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        # The first is also what bytes that are not UTF-8, and numbers of thousands of digits, end in.
        raise InvalidRequest((("body", _EXPECTED),)) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(_EXPECTED)
    return members


def _refuse(_constant: str) -> NoReturn:
    raise ValueError(_EXPECTED)
