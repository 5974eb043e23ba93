"""The query of an address, read strictly: what can be understood in two ways is refused, so that nobody is asked about by mistake."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from attribute_authority.errors import InvalidRequest

_ENCODED: Final = re.compile(rb"(?:[^%+]|%[0-9A-Fa-f]{2})*")
_EXPECTED: Final = "expected percent-encoding, with %25 for a per cent sign, %2B for a plus sign, %20 for a space"


def read_query(query: bytes) -> dict[str, str]:
    """Return the parameters by name.

    A plus sign stands for itself in one standard (RFC 3986) and for a space in another (HTML forms), so it must be written %2B.
    Raises InvalidRequest for that, for octets that are not UTF-8 in percent-encoding, and for a parameter that is there twice.
    """
    read: dict[str, str] = {}
    for part in query.split(b"&") if query else ():
        name, _, value = part.partition(b"=")
        decoded = _decode(name)
        if decoded in read:
            raise InvalidRequest((("query", "expected each parameter once"),))
        read[decoded] = _decode(value)
    return read


def _decode(octets: bytes) -> str:
    if b"%" in octets or b"+" in octets:
        if not _ENCODED.fullmatch(octets):
            raise InvalidRequest((("query", _EXPECTED),))
        octets = unquote_to_bytes(octets)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise InvalidRequest((("query", "expected UTF-8 in percent-encoding"),)) from None
