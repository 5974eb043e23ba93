"""The operations door: is the process alive, can it answer?"""

import json
from collections.abc import Callable, Sequence
from typing import Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from attribute_authority.web.http import PlainResource

_JSON: Final = b"application/json"


class LiveResource(PlainResource):
    """`GET /health/live`: the process takes requests."""

    def render_GET(self, request: Request) -> bytes:
        """Say so."""
        return self.reply(request, 200, _JSON, b'{"live": true}\n')


class ReadyResource(PlainResource):
    """`GET /health/ready`: everything that an answer needs can be reached; 503 with the reasons otherwise."""

    def __init__(self, reasons: Callable[[], Sequence[str]]) -> None:
        super().__init__()
        self._reasons = reasons

    def render_GET(self, request: Request) -> bytes:
        """Ask, and say what is missing."""
        reasons = list(self._reasons())
        body = json.dumps({"ready": not reasons, "reasons": reasons}).encode() + b"\n"
        return self.reply(request, 503 if reasons else 200, _JSON, body)


def operations_root(reasons: Callable[[], Sequence[str]]) -> Resource:
    """Lay out the addresses of the operations door."""
    root, health = Resource(), Resource()
    health.putChild(b"live", LiveResource())
    health.putChild(b"ready", ReadyResource(reasons))
    root.putChild(b"health", health)
    return root
