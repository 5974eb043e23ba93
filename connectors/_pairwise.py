"""Pairwise identifiers as the Shibboleth identity provider computes and writes them.

id = encode(H(recipient "!" source value "!" salt)), with text in UTF-8 and nothing trimmed or folded; the identity provider itself
is no part of it. Encodings are those of RFC 4648, in one line and padded; base32 in upper case.
"""

import hashlib
import hmac
from base64 import b32decode, b32encode, b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

Algorithm = Literal["SHA-1", "SHA-256", "SHA-384", "SHA-512"]
Encoding = Literal["base64", "base32"]
Part = Literal["whole", "local-part"]

_FORMAT: Final = b"1"
_BASE32_GROUP: Final = 8
_HASHES: Final[dict[str, Callable[[bytes], "HASH"]]] = {
    # It is what deployed identity providers use; the salt, not the hash, is what protects the identifiers.
    "SHA-1": partial(hashlib.sha1, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}


def encode(digest: bytes, encoding: Encoding) -> str:
    """Write a digest as the identity provider does."""
    return (b64encode if encoding == "base64" else b32encode)(digest).decode("ascii")


def decode(text: str, encoding: Encoding) -> bytes | None:
    """Read what `encode` wrote; None for everything else, other spellings of the same octets included."""
    try:
        digest = b64decode(text, validate=True) if encoding == "base64" else b32decode(text)
    except ValueError:
        return None
    return digest if encode(digest, encoding) == text else None


def decode_folded(text: str) -> bytes | None:
    """Read the unique part of a pairwise-id: base32 in either case, with its padding or without any; None for everything else."""
    bare = text.rstrip("=")
    padded = bare + "=" * (-len(bare) % _BASE32_GROUP)
    return decode(padded.upper(), "base32") if text.isascii() and text in (bare, padded) else None


@dataclass(frozen=True, slots=True)
class PairwiseHash:
    """How one identity provider computes its pairwise identifiers: with which salt, which hash, and from which part of a value."""

    salt: bytes = field(repr=False)
    algorithm: Algorithm
    part: Part

    def towards(self, recipient: str) -> Callable[[str], bytes]:
        """Return what computes, for a service provider or affiliation, the digest of the value of a person's identifier."""
        # What every value has before it is hashed once, which makes a million of them a third quicker.
        begun, after = _HASHES[self.algorithm](f"{recipient}!".encode()), b"!" + self.salt

        def whole(value: str) -> bytes:
            hashed = begun.copy()
            hashed.update(value.encode() + after)
            return hashed.digest()

        def local_part(value: str) -> bytes:
            return whole(value.partition("@")[0])

        return whole if self.part == "whole" else local_part

    @property
    def length(self) -> int:
        """Return the octets of a digest."""
        return _HASHES[self.algorithm](b"").digest_size

    def fingerprint(self, kind: str) -> str:
        """Return what stands for all of this, and for the kind of identifier that is computed from, without telling the salt."""
        message = b"\0".join((_FORMAT, self.algorithm.encode(), self.part.encode(), kind.encode()))
        return hmac.new(self.salt, message, hashlib.sha256).hexdigest()
