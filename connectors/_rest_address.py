"""An address with places for what a delivery is about: https://idm.uni.example/people/{eppn}."""

import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator

from attribute_authority.errors import DeliveryRefused
from connectors._rest_fields import FieldName, Value
from connectors._web_access import parse_service_url

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_LONGEST: Final = 8_000
"""Octets of an address that every server should take (RFC 9110 section 4.1)."""

_SEPARATOR: Final = re.compile(r"[/\\]")
_NO_SEGMENTS: Final = frozenset({"", ".", ".."})
"""What names another resource than the one below (RFC 3986 section 5.2.4)."""

_PLACES: Final[dict[str, FieldName]] = {
    "eppn": "eppn",
    "unique_id": "unique-id",
    "subject_id": "subject-id",
    "orcid": "orcid-bare",
    "reference": "reference",
}


def _template(text: str) -> str:
    if not set(_PLACE.findall(text)) <= _PLACES.keys():
        raise ValueError(f"expected no other places than {', '.join(f'{{{name}}}' for name in _PLACES)}")
    # What fills a place in the name of the host would lead somewhere else.
    parse_service_url(_PLACE.sub("x", text))
    if _PLACE.search(text.partition("://")[2].partition("/")[0]):
        raise ValueError("expected places in the path or query alone, behind the host and a slash")
    return text


UrlTemplate = Annotated[str, AfterValidator(_template)]


def places(template: str) -> frozenset[FieldName]:
    """Return what an address says of a delivery."""
    return frozenset(_PLACES[name] for name in _PLACE.findall(template))


def fill(template: str, values: Mapping[FieldName, Value]) -> str:
    """Return the address for a delivery, each value percent-encoded as one segment of a path (RFC 3986 section 2.1).

    Raises DeliveryRefused where the person has not what the address asks for, or something that would lead elsewhere.
    """

    def encoded(place: re.Match[str]) -> str:
        value = values[_PLACES[place[1]]]
        if not isinstance(value, str):
            raise DeliveryRefused(f"the person has no {_PLACES[place[1]]}, which the address asks for")
        # Proxies decode %2F before they take dots away.
        if not _NO_SEGMENTS.isdisjoint(_SEPARATOR.split(value)):
            raise DeliveryRefused(f"the {_PLACES[place[1]]} of the person would make the address lead elsewhere")
        return quote(value, safe="")

    address = _PLACE.sub(encoded, template)
    if len(address) > _LONGEST:
        raise DeliveryRefused(f"the address would be longer than {_LONGEST} octets")
    return address


def origin(template: str) -> str:
    """Return scheme and host of an address."""
    parts = urlsplit(template)
    return f"{parts.scheme}://{parts.netloc}/"
