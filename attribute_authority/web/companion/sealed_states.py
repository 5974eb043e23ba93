"""What is remembered between two requests: rows of the database, sealed, under the digest of a secret that the browser holds.

Neither a stolen database nor a stolen backup lets anybody take over a session: it has the secrets in no form that can be used.
"""

from datetime import datetime
from hashlib import sha256
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from attribute_authority.ports import StateKeeper
from attribute_authority.sealing import Sealer

Kept = TypeVar("Kept")


class SealedStates(Generic[Kept]):
    """States of one kind; `model` is a frozen dataclass."""

    def __init__(self, states: StateKeeper, sealer: Sealer, kind: str, model: type[Kept]) -> None:
        self._states = states
        self._sealer = sealer
        self._kind = kind
        self._adapter = TypeAdapter(model)

    def keep(self, secret: str, value: Kept, expires_at: datetime) -> None:
        """Store a value, in place of what was there. Raises CouldNotAsk."""
        self._states.keep(self._key(secret), self._sealer.seal(self._adapter.dump_json(value)), expires_at)

    def read(self, secret: str, now: datetime) -> Kept | None:
        """Return the value, or None where there is none that is still valid. Raises CouldNotAsk."""
        return self._open(self._states.read(self._key(secret), now))

    def take(self, secret: str, now: datetime) -> Kept | None:
        """Remove the value and return it; of several that take it at once one gets it. Raises CouldNotAsk."""
        return self._open(self._states.take(self._key(secret), now))

    def _key(self, secret: str) -> str:
        return digest(f"{self._kind}:{secret}")

    def _open(self, sealed: bytes | None) -> Kept | None:
        content = None if sealed is None else self._sealer.open(sealed)
        if content is None:
            return None
        try:
            return self._adapter.validate_json(content)
        except ValidationError:
            # Written by another release; whoever comes with it begins again.
            return None


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal; of a random secret it tells nothing about the secret."""
    return sha256(text.encode()).hexdigest()
