"""The operations door: is the process alive, can it answer, what does it lack, and what has it counted?"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from attribute_authority.web.http import PlainResource

_JSON: Final = b"application/json"
_PROMETHEUS_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"


class LiveResource(PlainResource):
    """`GET /health/live`: the process takes requests."""

    def render_GET(self, request: Request) -> bytes:
        """Say so."""
        return self.reply(request, 200, _JSON, b'{"live": true}\n')


@dataclass(frozen=True, slots=True)
class Standing:
    """How the process stands: `reasons` why nothing can be answered, and what works less well, each a sentence."""

    reasons: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


class ReadyResource(PlainResource):
    """`GET /health/ready`: everything that an answer needs can be reached; 503 with the reasons otherwise.

    What is `degraded` is told too, but leaves the answer at 200: one home organisation's outage must not take a whole node out of
    service. The answer may be long in coming where the database hangs; nobody else waits for it, least of all `/health/live`.
    """

    def __init__(self, standing: "Callable[[], Deferred[Standing]]") -> None:
        super().__init__()
        self._standing = standing

    def render_GET(self, request: Request) -> int:
        """Ask, and say what is missing."""
        gone = request.notifyFinish()
        gone.addErrback(lambda _: None)
        self._standing().addCallback(lambda standing: None if gone.called else self._tell(request, standing))
        return NOT_DONE_YET

    def _tell(self, request: Request, standing: Standing) -> None:
        told = {"ready": not standing.reasons, "reasons": standing.reasons, "degraded": standing.degraded}
        request.write(self.reply(request, 503 if standing.reasons else 200, _JSON, json.dumps(told).encode() + b"\n"))
        request.finish()


class MetricsResource(PlainResource):
    """`GET /metrics`: the numbers of every worker, in the text format of Prometheus."""

    def __init__(self, metrics: Callable[[], bytes]) -> None:
        super().__init__()
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes:
        """Write them."""
        return self.reply(request, 200, _PROMETHEUS_TEXT, self._metrics())


def operations_root(standing: "Callable[[], Deferred[Standing]]", metrics: Callable[[], bytes] = bytes) -> Resource:
    """Lay out the addresses of the operations door; each argument is called for every request, and `standing` never fails."""
    root, health = Resource(), Resource()
    health.putChild(b"live", LiveResource())
    health.putChild(b"ready", ReadyResource(standing))
    root.putChild(b"health", health)
    root.putChild(b"metrics", MetricsResource(metrics))
    return root
