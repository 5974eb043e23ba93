"""What the simulated ORCID registry knows: researchers, clients, codes and tokens."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from threading import Lock
from typing import Final
from uuid import uuid4

CODE_LIFETIME: Final = timedelta(minutes=10)
TOKEN_LIFETIME: Final = timedelta(seconds=631_138_518)
CODE_LENGTH: Final = 6

NewToken = Callable[[], str]
"""Returns a fresh text that nobody can guess."""


def new_uuid() -> str:
    """Return a random UUID, the form of ORCID's tokens."""
    return str(uuid4())


class Standing(StrEnum):
    """How a record stands; only an active one can be read."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    DEACTIVATED = "deactivated"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Researcher:
    """Somebody with a record. `public_name` is None where the record hides the name.

    `primary` is the iD that a deprecated one gave way to.
    """

    orcid: str
    given_name: str
    family_name: str
    public_name: str | None
    standing: Standing = Standing.ACTIVE
    primary: str | None = None


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client: its secret, the redirect URIs that are registered, and the scopes that it may ask for.

    `connect_uri`, one of the redirect URIs, is where researchers are sent who come from their institution's sign-in at ORCID.
    """

    name: str
    secret: str
    redirect_uris: frozenset[str]
    scopes: frozenset[str] = frozenset({"openid", "/authenticate", "/read-limited", "/activities/update", "/person/update", "/read-public"})
    connect_uri: str | None = None
    is_locked: bool = False


@dataclass(frozen=True, slots=True)
class OauthError:
    """An error of the token endpoint (RFC 6749 section 5.2)."""

    status: int
    error: str
    description: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a researcher allowed a client."""

    client_id: str
    orcid: str
    scopes: tuple[str, ...]
    redirect_uri: str
    nonce: str | None
    given_at: datetime


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token and the refresh token beside it."""

    access_token: str
    refresh_token: str
    authorization: Authorization
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Code:
    authorization: Authorization
    expires_at: datetime
    spent: bool = False
    pair: TokenPair | None = None


class Ledger:
    """Codes and tokens, in memory, for any number of threads."""

    def __init__(self, new_token: NewToken) -> None:
        self._new_token = new_token
        self._lock = Lock()
        self._codes: dict[str, _Code] = {}
        self._pairs: list[TokenPair] = []

    def issue_code(self, authorization: Authorization) -> str:
        """Return a code that can be redeemed once, for ten minutes."""
        code = self._new_token().replace("-", "")[:CODE_LENGTH]
        with self._lock:
            self._codes[code] = _Code(authorization, authorization.given_at + CODE_LIFETIME)
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str | None, now: datetime) -> TokenPair | OauthError:
        """Return tokens for a code, the first time; the second time, those of the first are revoked."""
        with self._lock:
            known = self._codes.get(code)
            if known is None or known.authorization.client_id != client_id:
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_grant", f"Invalid authorization code: {code}")
            if known.spent:
                self._pairs = [pair for pair in self._pairs if pair != known.pair]
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_grant", f"Reused authorization code: {code}")
            self._codes[code] = replace(known, spent=True)
            if now >= known.expires_at:
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_request", "Authorization code has expired")
            if redirect_uri != known.authorization.redirect_uri:
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_grant", "Redirect URI mismatch.")
            pair = self._issue(known.authorization, now)
            self._codes[code] = replace(known, spent=True, pair=pair)
            return pair

    def refresh(self, refresh_token: str, client_id: str, scopes: tuple[str, ...], now: datetime) -> TokenPair | OauthError:
        """Return a new pair in place of the old one, with some of its scopes, or all where none are named."""
        with self._lock:
            old = next((pair for pair in self._pairs if pair.refresh_token == refresh_token), None)
            if old is None or old.authorization.client_id != client_id:
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_grant", f"Invalid refresh token: {refresh_token}")
            if not set(scopes) <= set(old.authorization.scopes):
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_scope", "The scopes go beyond those of the refresh token")
            self._pairs.remove(old)
            return self._issue(replace(old.authorization, scopes=scopes or old.authorization.scopes), now)

    def revoke(self, token: str, client_id: str) -> None:
        """Revoke a token and the one that it is paired with; nothing happens where it is unknown or somebody else's."""
        with self._lock:
            self._pairs = [
                pair
                for pair in self._pairs
                if pair.authorization.client_id != client_id or token not in (pair.access_token, pair.refresh_token)
            ]

    def find_live(self, access_token: str, now: datetime) -> TokenPair | None:
        """Return the pair of an access token that is still good."""
        with self._lock:
            return next((pair for pair in self._pairs if pair.access_token == access_token and now < pair.expires_at), None)

    def trusts(self, orcid: str, client_id: str, scopes: tuple[str, ...], now: datetime) -> bool:
        """Whether a live token with the same scopes says that the researcher need not be asked again."""
        return any(set(pair.authorization.scopes) == set(scopes) for pair in self.live_pairs(orcid, client_id, now))

    def live_pairs(self, orcid: str, client_id: str, now: datetime) -> tuple[TokenPair, ...]:
        """Return the pairs by which a client is on a researcher's list of trusted organisations."""
        with self._lock:
            return tuple(
                pair
                for pair in self._pairs
                if (pair.authorization.orcid, pair.authorization.client_id) == (orcid, client_id) and now < pair.expires_at
            )

    def _issue(self, authorization: Authorization, now: datetime) -> TokenPair:
        pair = TokenPair(self._new_token(), self._new_token(), authorization, now + TOKEN_LIFETIME)
        self._pairs.append(pair)
        return pair
