"""Secrets at rest: what is sealed can be read with the sealing keys alone, and only for the purpose that it was sealed for."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from attribute_authority.errors import OperatorError

MINIMAL_KEY_LENGTH: Final = 32
_DERIVED_LENGTH: Final = 32


class Sealer:
    """Seals with the first key and opens with any (Fernet: AES-CBC and HMAC); a key per purpose is derived from each (RFC 5869).

    Keys are octets, at least 32. To roll over, put a new key first and remove the old one when nothing sealed with it is needed.
    """

    def __init__(self, keys: Sequence[bytes], purpose: str) -> None:
        if not keys or any(len(key) < MINIMAL_KEY_LENGTH for key in keys):
            raise OperatorError(f"a sealing key is too short: expected at least {MINIMAL_KEY_LENGTH} random bytes")
        self._fernet = MultiFernet([Fernet(_derive(key, purpose)) for key in keys])

    def seal(self, content: bytes) -> bytes:
        """Return the content sealed, ASCII."""
        return self._fernet.encrypt(content)

    def open(self, sealed: bytes) -> bytes | None:
        """Return the content, or None where it was not sealed with one of the keys for this purpose."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            return None


def _derive(key: bytes, purpose: str) -> bytes:
    return urlsafe_b64encode(HKDF(SHA256(), _DERIVED_LENGTH, salt=None, info=purpose.encode()).derive(key))
