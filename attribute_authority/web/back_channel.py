"""The back channel: the SOAP door for service providers, and our metadata."""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from attribute_authority.errors import AuthorityError
from attribute_authority.saml.soap import write_fault
from attribute_authority.web.client_key import ClientKeys
from attribute_authority.web.http import Branch, PlainResource
from attribute_authority.web.query_door import PYSAML2_CONTENT_TYPE, Delivery, QueryDoor, Reply
from attribute_authority.web.running import Runner

_XML: Final = b"text/xml; charset=utf-8"
_METADATA: Final = b"application/samlmetadata+xml"
_TEXT: Final = b"text/plain; charset=utf-8"
_MEDIA_TYPES: Final = frozenset({"text/xml", "application/xml", PYSAML2_CONTENT_TYPE})
_CHARACTER_SETS: Final = frozenset({"", "utf-8", "us-ascii"})


class AttributeQueryResource(PlainResource):
    """`POST /saml/attribute-query`; every other method is refused with 405 and Allow (bindings 3.2.3.1)."""

    methods = (b"POST",)

    def __init__(self, door: Callable[[], QueryDoor], client_keys: ClientKeys, runner: Runner) -> None:
        super().__init__()
        self._door = door
        self._client_keys = client_keys
        self._runner = runner

    def render_POST(self, request: Request) -> bytes | int:
        """Answer an AttributeQuery over SOAP 1.1."""
        media_type = read_media_type(request)
        if media_type is None or request.getHeader(b"content-encoding") not in (None, b"identity"):
            return self.reply(request, 415, _TEXT, b"Send SOAP 1.1 as text/xml in UTF-8, not compressed.\n")
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        answered = maybeDeferred(self._respond, request, media_type)
        answered.addErrback(self._crashed)
        answered.addCallback(lambda reply: self._finish(request, gone, reply))
        return NOT_DONE_YET

    def _respond(self, request: Request, media_type: str) -> "Deferred[Reply]":
        door, peer = self._door(), request.getClientAddress().host
        delivery = Delivery(_body(request), media_type, self._client_keys.of(request), peer)
        return self._runner.run(lambda: door.begin(delivery), lambda cause: door.give_up(delivery, cause))

    def _crashed(self, failure: Failure) -> Reply:
        # The named boundary: a defect of ours must neither end the worker nor show itself to the requester.
        door = self._door()
        correlation_id = door.new_correlation_id()
        door.events.fault("defect", correlation_id=correlation_id, traceback=failure.getTraceback())
        return Reply(500, write_fault("Server", f"{AuthorityError.public} ({correlation_id})"))

    def _finish(self, request: Request, gone: "Deferred[None]", reply: Reply) -> None:
        if gone.called:
            return
        request.write(self.reply(request, reply.status, _XML, reply.body))
        request.finish()


class MetadataResource(PlainResource):
    """`GET /metadata`: what we publish about ourselves."""

    def __init__(self, metadata: Callable[[], bytes]) -> None:
        super().__init__()
        self._metadata = metadata

    def render_GET(self, request: Request) -> bytes:
        """Return our EntityDescriptor."""
        return self.reply(request, 200, _METADATA, self._metadata())


def _body(request: Request) -> bytes:
    # Twisted has set `content` by the time that a resource renders.
    return b"" if request.content is None else request.content.read()


def back_channel_root(query_resource: IResource, metadata_resource: IResource, lookup: IResource) -> Resource:
    """Lay out the addresses of the back channel."""
    return Branch(
        {
            b"saml": Branch({b"attribute-query": query_resource}),
            b"metadata": metadata_resource,
            b"api": Branch({b"v1": lookup}),
        }
    )


def read_media_type(request: Request) -> str | None:
    """Return the media type of the body in lower case, or None where it is not SOAP 1.1 in UTF-8, or said twice."""
    values = request.requestHeaders.getRawHeaders(b"content-type") or []
    if len(values) != 1:
        return None
    media_type, _, parameters = values[0].decode("latin-1").lower().partition(";")
    named = dict(parameter.strip().partition("=")[::2] for parameter in parameters.split(";"))
    if media_type.strip() not in _MEDIA_TYPES or named.get("charset", "").strip('"') not in _CHARACTER_SETS:
        return None
    return media_type.strip()
