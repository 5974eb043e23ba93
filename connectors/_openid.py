"""An ID Token and the keys that it is verified with (OpenID Connect Core 3.1.3.7; RFC 7515, 7517, 7519)."""

import hmac
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from attribute_authority.errors import RegistryRefused, RegistryUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

ALGORITHM: Final = "RS256"
MINIMAL_MODULUS: Final = 2048
CLOCK_SKEW: Final = timedelta(seconds=120)

_KEYS_GOOD_FOR: Final = timedelta(hours=1)
_KEYS_ASKED_AGAIN_AFTER: Final = timedelta(minutes=1)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

JwkSet = Mapping[str, Any]
"""A JWK Set as it was read from JSON (RFC 7517 section 5)."""


class KeyCache:
    """The public keys of an OpenID provider, by `kid`, for all threads of a process.

    `fetch` returns the JWK Set or raises RegistryUnavailable. Keys are kept for an hour; for a `kid` that is not among them they are
    fetched again, at most once a minute. `patience` is how many seconds a thread waits for another one that is fetching.
    """

    def __init__(self, fetch: Callable[[], JwkSet], patience: float) -> None:
        self._fetch = fetch
        self._patience = patience
        self._lock = Lock()
        self._keys: Mapping[str, RSAKey] = {}
        self._fetched_at = _NEVER

    def prepare(self, now: datetime) -> None:
        """Fetch the keys where there are none that are still good. Raises RegistryUnavailable."""
        with self._turn():
            if not self._age(now) < _KEYS_GOOD_FOR:
                self._renew(now)

    def find(self, kid: str, now: datetime) -> RSAKey | None:
        """Return the key, or None where the provider has none of that name. Raises RegistryUnavailable."""
        with self._turn():
            age = self._age(now)
            if not age < _KEYS_GOOD_FOR or (kid not in self._keys and age >= _KEYS_ASKED_AGAIN_AFTER):
                self._renew(now)
            return self._keys.get(kid)

    @contextmanager
    def _turn(self) -> "Iterator[None]":
        if not self._lock.acquire(timeout=self._patience):
            raise RegistryUnavailable("the keys are being fetched by another thread, which takes too long")
        try:
            yield
        finally:
            self._lock.release()

    def _age(self, now: datetime) -> timedelta:
        # A clock that was set back makes the keys look as if they came from the future: old then, rather than young for long.
        age = now - self._fetched_at
        return age if age >= timedelta(0) else timedelta.max

    def _renew(self, now: datetime) -> None:
        self._keys = _usable_keys(self._fetch())
        self._fetched_at = now


def _usable_keys(key_set: JwkSet) -> Mapping[str, RSAKey]:
    entries = key_set.get("keys")
    if not isinstance(entries, list):
        raise RegistryUnavailable("the JWK Set has no keys")
    keys = (key for entry in entries if (key := _usable_key(entry)) is not None)
    return {key.kid: key for key in keys if key.kid is not None}


def _usable_key(entry: object) -> RSAKey | None:
    if not isinstance(entry, dict) or entry.get("kty") != "RSA" or not isinstance(entry.get("kid"), str):
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", ALGORITHM) != ALGORITHM or "d" in entry:
        return None
    modulus = entry.get("n")
    # Six bits a character: what is too short to be a key of this size is not even looked at.
    if not isinstance(modulus, str) or len(modulus) * 6 < MINIMAL_MODULUS:
        return None
    with suppress(JoseError, ValueError):
        return RSAKey.import_key({name: entry[name] for name in ("kty", "kid", "n", "e") if name in entry})
    return None


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID Token must say. `nonce` is None where no authentication request of ours preceded; there must be none then."""

    issuers: frozenset[str]
    client_id: str
    nonce: str | None


def verified_claims(id_token: str, keys: KeyCache, expected: Expected, now: datetime) -> Mapping[str, Any]:
    """Return the claims of an ID Token after every check.

    Raises RegistryRefused where one fails, RegistryUnavailable where the keys cannot be had.
    """
    kid = _kid(id_token)
    key = keys.find(kid, now)
    if key is None:
        raise RegistryRefused("the id_token is signed with a key that the registry does not publish")
    try:
        claims = jwt.decode(id_token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, RecursionError) as error:
        raise RegistryRefused(f"the signature of the id_token does not hold: {type(error).__name__}") from None
    _check_audience(claims, expected)
    _check_times(claims, now)
    _check_nonce(claims.get("nonce"), expected.nonce)
    return claims


def _kid(id_token: str) -> str:
    try:
        header = jws.extract_compact(id_token.encode()).headers()
    except (JoseError, ValueError, RecursionError) as error:
        raise RegistryRefused(f"the id_token is no signed token in compact form: {type(error).__name__}") from None
    if header.get("alg") != ALGORITHM:
        raise RegistryRefused(f"the id_token is not signed with {ALGORITHM}")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise RegistryRefused("the id_token does not name its key")
    return kid


def _check_audience(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") not in [*expected.issuers]:
        raise RegistryRefused("the id_token is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise RegistryRefused("the id_token is for another client")
    party = claims.get("azp")
    if (party is not None or len(audiences) > 1) and party != expected.client_id:
        raise RegistryRefused("the id_token was issued to another client (azp)")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    earliest, latest = (now - CLOCK_SKEW).timestamp(), (now + CLOCK_SKEW).timestamp()
    # Asked so that what is not a number at all (NaN) fails too.
    if not _number(claims.get("exp")) > earliest:
        raise RegistryRefused("the id_token has expired, or never expires")
    if not _number(claims.get("iat"), absent=latest + 1) <= latest:
        raise RegistryRefused("the id_token is not issued yet")
    if not _number(claims.get("nbf"), absent=earliest) <= latest:
        raise RegistryRefused("the id_token is not valid yet")


def _number(value: object, absent: float = 0.0) -> float:
    if value is None:
        return absent
    return value if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _check_nonce(claimed: object, expected: str | None) -> None:
    if expected is None and claimed is not None:
        # A code of a flow that began in some browser, passed off as one that came from the registry by itself.
        raise RegistryRefused("the id_token answers an authentication request that was not made here (nonce)")
    if expected is not None and not (isinstance(claimed, str) and hmac.compare_digest(_octets(claimed), _octets(expected))):
        raise RegistryRefused("the id_token answers another authentication request (nonce)")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
