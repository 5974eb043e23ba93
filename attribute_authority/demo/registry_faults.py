"""What can be wrong with a registry, for tests alone: the demo never makes one of these, and nothing of it is reachable by HTTP."""

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from socket import SHUT_RDWR
from threading import Event, Lock
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from attribute_authority.demo.registry_tokens import SigningKey, make_signing_key

_LONGEST_HANG: Final = 60.0
_DRIP_PAUSE: Final = 0.05


class Trouble(StrEnum):
    """What happens to a request instead of an answer; the ones after GONE happen after the request was served in full."""

    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    TOO_MANY = "429"
    REDIRECT = "redirect"
    GONE = "the connection breaks before anything is done"
    ANSWER_LOST = "the connection breaks after everything was done"
    GARBAGE = "garbage"
    OVERSIZED = "oversized"
    HANG = "no answer until released"
    DRIP = "one octet at a time"


class Forgery(StrEnum):
    """How an id_token is forged."""

    UNSIGNED = "alg none"
    HMAC_WITH_PUBLIC_KEY = "HS256 with the public key as the secret"
    UNKNOWN_KID = "a kid that is not published"
    WITHOUT_KID = "no kid"
    OTHER_KEY = "the published kid, another key"
    TAMPERED = "claims changed after signing"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request that reached the registry."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]


class Faults:
    """What goes wrong next, and a record of every request."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._released = Event()
        self._received: list[ReceivedRequest] = []
        self._troubles: dict[str, deque[Trouble]] = {}
        self._claims: dict[str, Any] = {}
        self._response: dict[str, Any] = {}
        self._forgery: Forgery | None = None

    def trouble(self, path: str, trouble: Trouble, times: int = 1) -> None:
        """Have the next requests to a path end in trouble."""
        with self._lock:
            self._troubles.setdefault(path, deque()).extend([trouble] * times)

    def claims(self, **changes: Any) -> None:
        """Have id_tokens say something else from now on; a claim of None is left out."""
        with self._lock:
            self._claims = changes

    def response(self, **changes: Any) -> None:
        """Have token responses say something else from now on; a key of None is left out."""
        with self._lock:
            self._response = changes

    def forge(self, forgery: Forgery) -> None:
        """Have id_tokens forged from now on."""
        with self._lock:
            self._forgery = forgery

    def release(self) -> None:
        """Let go of everything that hangs or drips, now and later."""
        self._released.set()

    def received(self, path: str | None = None) -> tuple[ReceivedRequest, ...]:
        """Return every request so far, or those to a path."""
        with self._lock:
            return tuple(request for request in self._received if path in (None, request.path))

    def record(self, request: Request) -> None:
        """Note a request; the registry calls this."""
        received = ReceivedRequest(
            request.method, request.path, request.args.to_dict(), request.form.to_dict(), dict(request.headers.items())
        )
        with self._lock:
            self._received.append(received)

    def next_trouble(self, path: str) -> Trouble | None:
        """Take what is to happen to a request to that path; the registry calls this."""
        with self._lock:
            waiting = self._troubles.get(path)
            return waiting.popleft() if waiting else None

    def make(self, trouble: Trouble, request: Request) -> Response:
        """Return the answer of a trouble; breaks the connection or waits where it is that. The registry calls this."""
        if trouble is Trouble.HANG:
            self._released.wait(_LONGEST_HANG)
        if trouble in (Trouble.GONE, Trouble.ANSWER_LOST, Trouble.HANG):
            request.environ["werkzeug.socket"].shutdown(SHUT_RDWR)
            # The server takes this for a browser that went away, and writes no answer.
            raise ConnectionAbortedError
        if trouble is Trouble.DRIP:
            return Response(self._drip(), HTTPStatus.OK, content_type="application/json")
        if trouble is Trouble.REDIRECT:
            return Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": "/elsewhere"})
        bodies = {Trouble.GARBAGE: "<p>all is well</p>", Trouble.OVERSIZED: json.dumps({"access_token": "x" * 1_000_000})}
        status = HTTPStatus.OK if trouble in bodies else HTTPStatus(int(trouble))
        return Response(bodies.get(trouble, "{}"), status, content_type="application/json")

    def id_token(self, claims: dict[str, Any], key: SigningKey) -> str:
        """Return the id_token, forged where that is wanted; the registry calls this."""
        with self._lock:
            changed, forgery = _changed(claims, self._claims), self._forgery
        return key.sign(changed) if forgery is None else _forged(forgery, changed, key)

    def token_response(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return the token response, changed where that is wanted; the registry calls this."""
        with self._lock:
            return _changed(response, self._response)

    def _drip(self) -> Iterator[bytes]:
        yield b"{"
        while not self._released.wait(_DRIP_PAUSE):
            yield b" "


def _changed(content: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**content, **changes}.items() if name not in changes or value is not None}


def _forged(forgery: Forgery, claims: dict[str, Any], key: SigningKey) -> str:
    if forgery is Forgery.UNSIGNED:
        return f"{_part({'alg': 'none', 'kid': key.kid})}.{_part(claims)}."
    if forgery is Forgery.HMAC_WITH_PUBLIC_KEY:
        signed = f"{_part({'alg': 'HS256', 'kid': key.kid})}.{_part(claims)}"
        code = hmac.new(key.pair.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_base64(code)}"
    header, _, signature = key.sign(claims).split(".")
    if forgery is Forgery.TAMPERED:
        return f"{header}.{_part({**claims, 'sub': '0000-0001-5109-3700'})}.{signature}"
    if forgery is Forgery.WITHOUT_KID:
        return f"{_part({'alg': 'RS256'})}.{_part(claims)}.{signature}"
    kid = key.kid if forgery is Forgery.OTHER_KEY else "unpublished"
    return make_signing_key(kid).sign(claims)


def _part(content: Mapping[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
