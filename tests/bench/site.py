"""What the two peers written here share: a Twisted site over TLS, trimmed as far as Twisted goes, that says where it listens."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

Answerer = Callable[[bytes], bytes]


class _Page(Resource):
    isLeaf = True

    def __init__(self, answer: Answerer) -> None:
        super().__init__()
        self._answer = answer

    def render_POST(self, request: Request) -> bytes:
        """Answer with whatever the peer makes of the body."""
        request.setHeader("content-type", "text/xml")
        assert request.content is not None
        return self._answer(request.content.read())

    def render_GET(self, request: Request) -> bytes:
        """Answer with whatever the peer makes of no body."""
        return self.render_POST(request)


class _QuietSite(Site):
    def log(self, request: object) -> None:
        """Write no access log."""


def serve(answer: Answerer, key: Path, certificate: Path) -> None:
    """Serve `answer` on a free port of 127.0.0.1 until the process is told to end."""
    tls = PrivateCertificate.loadPEM(key.read_text() + certificate.read_text())

    def listen(reactor: PosixReactorBase) -> Deferred[None]:
        port = reactor.listenSSL(0, _QuietSite(_Page(answer), parsePOSTFormSubmission=False), tls.options(), interface="127.0.0.1")
        url = f"https://127.0.0.1:{port.getHost().port}/"
        print(json.dumps({"event": "listening", "door": "back_channel", "url": url}), file=sys.stderr, flush=True)
        return Deferred()

    react(listen)
