"""The operations door: is the process alive, can it answer, what does it lack, and what has it counted?"""

import json
from collections.abc import Callable, Sequence
from typing import Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from attribute_authority.errors import CouldNotAsk
from attribute_authority.web.http import PlainResource

Sentences = Callable[[], Sequence[str]]
_JSON: Final = b"application/json"
_PROMETHEUS_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"


class LiveResource(PlainResource):
    """`GET /health/live`: the process takes requests."""

    def render_GET(self, request: Request) -> bytes:
        """Say so."""
        return self.reply(request, 200, _JSON, b'{"live": true}\n')


class ReadyResource(PlainResource):
    """`GET /health/ready`: everything that an answer needs can be reached; 503 with the reasons otherwise.

    What is `degraded` is told too, but leaves the answer at 200: one home organisation's outage must not take a whole node out of
    service.
    """

    def __init__(self, reasons: Sentences, degraded: Sentences) -> None:
        super().__init__()
        self._reasons = reasons
        self._degraded = degraded

    def render_GET(self, request: Request) -> bytes:
        """Ask, and say what is missing."""
        reasons = list(self._reasons())
        body = json.dumps({"ready": not reasons, "reasons": reasons, "degraded": self._shortcomings()}).encode() + b"\n"
        return self.reply(request, 503 if reasons else 200, _JSON, body)

    def _shortcomings(self) -> list[str]:
        try:
            return list(self._degraded())
        except CouldNotAsk:
            return ["sources: how they fare cannot be told"]


class MetricsResource(PlainResource):
    """`GET /metrics`: the numbers of every worker, in the text format of Prometheus."""

    def __init__(self, metrics: Callable[[], bytes]) -> None:
        super().__init__()
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes:
        """Write them."""
        return self.reply(request, 200, _PROMETHEUS_TEXT, self._metrics())


def operations_root(reasons: Sentences, degraded: Sentences = tuple, metrics: Callable[[], bytes] = bytes) -> Resource:
    """Lay out the addresses of the operations door; each argument is called for every request.

    `reasons` say why nothing can be answered, `degraded` what works less well (may raise CouldNotAsk).
    """
    root, health = Resource(), Resource()
    health.putChild(b"live", LiveResource())
    health.putChild(b"ready", ReadyResource(reasons, degraded))
    root.putChild(b"health", health)
    root.putChild(b"metrics", MetricsResource(metrics))
    return root
