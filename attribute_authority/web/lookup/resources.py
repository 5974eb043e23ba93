"""The addresses below /api/v1, and what HTTP adds to a reply: methods, media types, validators, and the boundary for our own defects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from attribute_authority.errors import AuthorityError
from attribute_authority.web.client_key import ClientKeys
from attribute_authority.web.lookup.callers import Credentials
from attribute_authority.web.lookup.case import Call
from attribute_authority.web.lookup.door import BATCH, LINKS, LOOKUP, LookupDoor
from attribute_authority.web.lookup.problems import Reply, problem
from attribute_authority.web.running import Later, Runner

_READING: Final = (b"GET", b"HEAD")
_CHARACTER_SETS: Final = frozenset({"", "utf-8"})

Begin = Callable[[LookupDoor, Call], Reply | Later[Reply]]


@dataclass(frozen=True, slots=True)
class Serving:
    """What every address needs: the present door, what finds the TLS client's key, and where answers are made."""

    door: Callable[[], LookupDoor]
    client_keys: ClientKeys
    runner: Runner


class LookupRoot(Resource):
    """`/api/v1`: leads to what is below it; everything else is a problem document of status 404."""

    def __init__(self, children: Mapping[bytes, IResource]) -> None:
        super().__init__()
        for name, child in children.items():
            self.putChild(name, child)

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Lead nowhere."""
        return LookupRoot({})

    def render(self, request: Request) -> bytes:
        """Say that there is nothing."""
        return _write(request, problem(404))


class LookupResource(Resource):
    """One address that a door answers at."""

    isLeaf = True

    def __init__(self, serving: Serving, name: str, begin: Begin, methods: tuple[bytes, ...] = _READING) -> None:
        super().__init__()
        self._serving = serving
        self._name = name
        self._begin = begin
        self._methods = methods

    def render(self, request: Request) -> bytes | int:
        """Answer, now or later."""
        refusal = _refusal(request, self._methods)
        if refusal is not None:
            return _write(request, refusal)
        answered = maybeDeferred(self._respond, request)
        answered.addErrback(self._crashed)
        if answered.called and isinstance(answered.result, Reply):
            # There is nobody who could have gone meanwhile.
            _send(request, answered.result)
            return NOT_DONE_YET
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        answered.addCallback(lambda reply: _finish(request, gone, reply))
        return NOT_DONE_YET

    def _respond(self, request: Request) -> "Deferred[Reply]":
        door, begin = self._serving.door(), self._begin
        call = _read_call(request, self._serving.client_keys)
        return self._serving.runner.run(lambda: begin(door, call), lambda cause: door.give_up(self._name, call, cause))

    def _crashed(self, failure: Failure) -> Reply:
        # The named boundary: a defect of ours must neither end the worker nor show itself to the caller.
        door = self._serving.door()
        correlation_id = door.new_correlation_id()
        door.events.fault("defect", correlation_id=correlation_id, traceback=failure.getTraceback())
        return problem(500, detail=AuthorityError.public, correlationId=correlation_id)


class DescriptionResource(Resource):
    """The OpenAPI document, for everybody."""

    isLeaf = True

    def __init__(self, description: Callable[[], Reply]) -> None:
        super().__init__()
        self._description = description

    def render(self, request: Request) -> int:
        """Write the document."""
        # Not returned: a length would be put on an answer that has no body, and does not tell of the one that it stands for.
        request.write(_write(request, _refusal(request, _READING) or self._description()))
        request.finish()
        return NOT_DONE_YET


def lookup_root(door: Callable[[], LookupDoor], client_keys: ClientKeys, runner: Runner) -> IResource:
    """Lay out the addresses below /api/v1; `door` gives the door of the present configuration."""
    serving = Serving(door, client_keys, runner)
    return LookupRoot(
        {
            b"orcid": LookupResource(serving, LOOKUP, LookupDoor.look_up),
            b"orcid:lookup": LookupResource(serving, BATCH, LookupDoor.look_up_batch, (b"POST",)),
            b"links": LookupResource(serving, LINKS, LookupDoor.read_links),
            b"openapi.json": DescriptionResource(_describe),
        }
    )


def _describe() -> Reply:
    # Seldom asked for, and no worker should carry it before.
    from attribute_authority.web.lookup.openapi import describe

    return describe()


def _refusal(request: Request, methods: tuple[bytes, ...]) -> Reply | None:
    """Return what is wrong with the request before anybody looks at who sends it."""
    if request.postpath:
        return problem(404)
    if request.method not in methods:
        return problem(405, ((b"allow", b", ".join(methods)),))
    if request.method == b"POST" and not _is_json(request):
        return problem(415, detail="Send application/json in UTF-8, not compressed.")
    return None


def _is_json(request: Request) -> bool:
    values = request.requestHeaders.getRawHeaders(b"content-type") or []
    if len(values) != 1 or request.getHeader(b"content-encoding") not in (None, b"identity"):
        return False
    media_type, _, parameters = values[0].decode("latin-1").lower().partition(";")
    named = dict(parameter.strip().partition("=")[::2] for parameter in parameters.split(";"))
    return media_type.strip() == "application/json" and named.get("charset", "").strip('"') in _CHARACTER_SETS


def _read_call(request: Request, client_keys: ClientKeys) -> Call:
    authorization = tuple(request.requestHeaders.getRawHeaders(b"authorization") or ())
    credentials = Credentials(authorization, None if authorization else client_keys.of(request))
    body = b"" if request.content is None else request.content.read()
    return Call(request.uri.partition(b"?")[2], credentials, request.getClientAddress().host, body)


def _finish(request: Request, gone: "Deferred[None]", reply: Reply) -> None:
    if not gone.called:
        _send(request, reply)


def _send(request: Request, reply: Reply) -> None:
    request.write(_write(request, reply))
    request.finish()


def _write(request: Request, reply: Reply) -> bytes:
    """Set the head of an answer and return its body; nothing but the head where the caller has the same octets already."""
    headers = request.responseHeaders
    headers.removeHeader(b"server")
    headers.setRawHeaders(b"cache-control", (reply.cache_control,))
    headers.setRawHeaders(b"x-content-type-options", (b"nosniff",))
    for name, value in reply.headers:
        headers.setRawHeaders(name, (value,))
    if _is_held(request, headers.getRawHeaders(b"etag")):
        request.setResponseCode(304)
        headers.removeHeader(b"content-type")
        return b""
    request.setResponseCode(reply.status)
    headers.setRawHeaders(b"content-type", (reply.media_type,))
    headers.setRawHeaders(b"content-length", (b"%d" % len(reply.body),))
    return reply.body


def _is_held(request: Request, etags: Sequence[bytes] | None) -> bool:
    """Whether If-None-Match names the present octets (RFC 9110 section 13.1.2)."""
    if not etags:
        return False
    held = request.requestHeaders.getRawHeaders(b"if-none-match") or ()
    tags = {tag.strip().removeprefix(b"W/") for line in held for tag in line.split(b",")}
    return b"*" in tags or etags[0] in tags
