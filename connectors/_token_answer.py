"""What the token and revocation endpoints answer, read with distrust (RFC 6749 sections 5.1 and 5.2, RFC 7009 section 2.2)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, quote_plus

import requests

from attribute_authority.errors import RegistryRefused, RegistryUnavailable

_SCOPES: Final = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_ABOUT_THE_CODE: Final = frozenset({"invalid_grant", "invalid_request", "invalid_scope", "access_denied"})
_ABOUT_THE_CLIENT: Final = frozenset({"invalid_client", "unauthorized_client"})
_ABOUT_THE_TOKEN: Final = frozenset({"invalid_token", "invalid_grant", "invalid_request"})
_CLIENT_REFUSED: Final = "the registry refuses our client_id or client_secret"
_LONGEST_CAUSE: Final = 240
_LONGEST_NAME: Final = 200
_LONGEST_LIFETIME: Final = 10**10


class Secrets:
    """What must not be told, whatever the other side says back to us."""

    def __init__(self, *secrets: str) -> None:
        self._forms = tuple(form for secret in secrets for form in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]))

    def hide(self, text: str) -> str:
        """Return the text without the secrets, on one line, shortened: for the log."""
        for form in self._forms:
            text = text.replace(form, "…")
        line = "".join(character if character.isprintable() else " " for character in text)
        return line if len(line) <= _LONGEST_CAUSE else f"{line[: _LONGEST_CAUSE - 1]}…"


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A token response; nothing in it is proven yet. `text` is all of it, JSON. Absent values are None."""

    text: str = field(repr=False)
    scopes: tuple[str, ...]
    orcid: object
    id_token: str | None = field(repr=False)
    name: str | None
    expires_in: timedelta | None
    tokens: tuple[tuple[str, str], ...] = field(repr=False)


def text_of(response: requests.Response) -> str:
    """Return the body of an answer as text; JSON is UTF-8 (RFC 8259 section 8.1), whatever a header says."""
    return response.content.decode("utf-8", "replace")


def parse_object(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object, or None where the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def judge(response: requests.Response, asked: tuple[str, ...], secrets: Secrets) -> TokenAnswer:
    """Read what the token endpoint answered to a code; where it names no scopes, they are those that were asked for.

    Raises RegistryRefused where it does not take the code, RegistryUnavailable for everything else that brings no token.
    """
    answer = parse_object(text_of(response))
    if response.status_code != HTTPStatus.OK or answer is None or "error" in answer:
        raise _failure(response.status_code, answer or {}, secrets)
    access_token = answer.get("access_token")
    if not isinstance(access_token, str) or not access_token:
        raise RegistryUnavailable("the token response has no access_token")
    return TokenAnswer(
        text=text_of(response),
        scopes=_scopes(answer.get("scope"), asked),
        orcid=answer.get("orcid"),
        id_token=_text(answer.get("id_token")),
        name=_name(answer.get("name")),
        expires_in=_lifetime(answer.get("expires_in")),
        tokens=tuple((name, token) for name in ("refresh_token", "access_token") if (token := _text(answer.get(name)))),
    )


def revocation_refusal(response: requests.Response, secrets: Secrets) -> str | None:
    """Return why the revocation endpoint did not do it, or None where it did or the token was not valid any more."""
    if response.status_code == HTTPStatus.OK:
        return None
    answer = parse_object(text_of(response)) or {}
    error = answer.get("error")
    if response.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED) and isinstance(error, str) and error in _ABOUT_THE_TOKEN:
        return None
    return _failure(response.status_code, answer, secrets).cause


def _failure(status: int, answer: Mapping[str, Any], secrets: Secrets) -> RegistryRefused | RegistryUnavailable:
    error = answer.get("error")
    told = secrets.hide(f"HTTP status {status}, error {error}: {answer.get('error_description')}")
    if error in [*_ABOUT_THE_CLIENT]:
        return RegistryUnavailable(f"{_CLIENT_REFUSED}: {told}")
    client_error = status == HTTPStatus.OK or HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if client_error and status != HTTPStatus.TOO_MANY_REQUESTS and error in [*_ABOUT_THE_CODE]:
        return RegistryRefused(told)
    if status == HTTPStatus.UNAUTHORIZED:
        return RegistryUnavailable(f"{_CLIENT_REFUSED}: {told}")
    return RegistryUnavailable(told)


def _scopes(value: object, asked: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return asked
    if not isinstance(value, str) or _SCOPES.fullmatch(value) is None:
        raise RegistryUnavailable("the token response has a scope that is none (RFC 6749 section 3.3)")
    return tuple(value.split())


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _name(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    printable = "".join(character if character.isprintable() else " " for character in value)
    return " ".join(printable.split())[:_LONGEST_NAME] or None


def _lifetime(value: object) -> timedelta | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < len(str(_LONGEST_LIFETIME)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LONGEST_LIFETIME:
        return None
    return timedelta(seconds=value)
