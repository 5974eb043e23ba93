"""Signed requests by Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), scheme v1: HMAC-SHA256.

What is signed is id, timestamp and body with dots between them. The id is the reference of the delivery, the same at every attempt;
the timestamp is that of the attempt. While secrets are rolled over each of them signs, with spaces between the signatures.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from attribute_authority.errors import OperatorError

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def read_signature_secrets(file: Path) -> tuple[bytes, ...]:
    """Return the secrets of a file, one on each line: base64, which may have the prefix whsec_. Raises OperatorError naming the file."""
    try:
        lines = file.read_text(encoding="ascii").split()
    except OSError as error:
        raise OperatorError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        lines = []
    secrets = tuple(_secret(line) for line in lines)
    if not secrets or not all(_SHORTEST <= len(secret) <= _LONGEST for secret in secrets):
        raise OperatorError(f"{file}: expected secrets of {_SHORTEST} to {_LONGEST} octets, one on each line, in base64")
    return secrets


def signature_headers(secrets: Sequence[bytes], reference: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove where a request comes from and when it was sent."""
    timestamp = str(int(now.timestamp()))
    content = f"{reference}.{timestamp}.".encode() + body
    signatures = (f"v1,{b64encode(hmac.digest(secret, content, 'sha256')).decode()}" for secret in secrets)
    return {"webhook-id": reference, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _secret(line: str) -> bytes:
    try:
        return b64decode(line.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return b""
