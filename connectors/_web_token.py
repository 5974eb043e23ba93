"""An access token by client credentials (RFC 6749 section 4.4), kept until shortly before it ends."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from threading import Lock
from typing import Final
from urllib.parse import urlencode

from attribute_authority.errors import SinkUnavailable
from attribute_authority.ports import Clock
from connectors._deadline import Deadline
from connectors._web_access import TokenRequest
from connectors._web_answer import Answer, retry_after
from connectors._web_exchange import Request, server_of

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_AHEAD: Final = timedelta(seconds=30)
"""How long before its end a token is used no more, so that it does not end on its way."""

_LIFETIME: Final = 300
"""Seconds that a token is kept whose lifetime the server does not tell."""

_LONGEST_LIFETIME: Final = 86_400
_REFUSALS: Final = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)
"""The words of RFC 6749 section 5.2, which may be repeated: they are the standard's own."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    good_until: datetime


class TokenKeeper:
    """Fetches a token where there is none that is good for a while. Threads share it; one of them fetches."""

    def __init__(self, asked: TokenRequest, exchange: Callable[[Request, Deadline], Answer], clock: Clock) -> None:
        self._asked = asked
        self._exchange = exchange
        self._clock = clock
        self._fetching = Lock()
        self._token: _Token | None = None

    def token(self, deadline: Deadline, refused: str | None = None) -> str:
        """Return a token, another than the one that was refused. Raises SinkUnavailable."""
        try:
            fetches = self._fetching.acquire(timeout=deadline.remaining())
        except TimeoutError:
            fetches = False
        if not fetches:
            raise SinkUnavailable(f"{server_of(self._asked.url)}: no access token in time")
        try:
            if self._token is None or self._token.text == refused or self._token.good_until <= self._clock():
                self._token = None
                self._token = self._fetch(deadline)
            return self._token.text
        finally:
            self._fetching.release()

    def _fetch(self, deadline: Deadline) -> _Token:
        form = {"grant_type": "client_credentials"} | ({} if self._asked.scope is None else {"scope": self._asked.scope})
        headers = {
            "Accept": "application/json",
            "Authorization": self._asked.authorization,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        begun = self._clock()
        answer = self._exchange(Request("POST", self._asked.url, headers, urlencode(form).encode()), deadline)
        content = _parse_object(answer.body)
        if answer.status != HTTPStatus.OK:
            word = content.get("error")
            told = f" ({word})" if isinstance(word, str) and word in _REFUSALS else ""
            raise SinkUnavailable(f"{self._where}: no token: HTTP status {answer.status}{told}", retry_after(answer, self._clock()))
        token, kind = content.get("access_token"), content.get("token_type")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not isinstance(kind, str) or kind.lower() != "bearer":
            raise SinkUnavailable(f"{self._where}: the answer holds no bearer token")
        return _Token(token, begun + timedelta(seconds=_lifetime(content.get("expires_in"))) - _AHEAD)

    @property
    def _where(self) -> str:
        return f"the token endpoint at {server_of(self._asked.url)}"


def _lifetime(told: object) -> int:
    # Some servers write it as a text.
    seconds = int(told) if isinstance(told, str) and re.fullmatch(r"[0-9]{1,9}", told) else told
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        return _LIFETIME
    return min(seconds, _LONGEST_LIFETIME)


def _parse_object(body: bytes) -> dict[str, object]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
