"""Where a reader of changes has got to, as a text that only we make; its form may change, and readers keep it as it is.

It is no secret and gives no right: it leads nowhere but to the changes that its reader may see anyway.
The check part tells a damaged cursor from a good one, so that nobody misses changes by a slip.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from typing import Final

_NUMBER_OCTETS: Final = 8
_CHECK_OCTETS: Final = 4
_LARGEST: Final = 2**63 - 1
_PATTERN: Final = "^[A-Za-z0-9_-]{16}$"
CURSOR_SCHEMA: Final = {"type": "string", "pattern": _PATTERN}
"""What a cursor looks like; 12 octets in base64url, of which a text of another length is none."""


def write_cursor(number: int) -> str:
    """Write the cursor behind the change with this number; 0 is the beginning."""
    octets = number.to_bytes(_NUMBER_OCTETS, "big")
    return urlsafe_b64encode(octets + _check(octets)).decode()


def read_cursor(text: str) -> int | None:
    """Return the number of the change that the cursor stands behind; None for what we did not write."""
    try:
        octets = urlsafe_b64decode(text.encode("ascii"))
    except (UnicodeEncodeError, Base64Error):
        octets = b""
    number = int.from_bytes(octets[:_NUMBER_OCTETS], "big")
    return number if number <= _LARGEST and write_cursor(number) == text else None


def _check(octets: bytes) -> bytes:
    return sha256(b"links since " + octets).digest()[:_CHECK_OCTETS]
