"""The operations door: whether the process can answer, what works less well, and the metrics."""

import json

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from attribute_authority.web.health import Standing, operations_root
from attribute_authority.web.http import BoundedSite
from tests.factories.wires import TIMEOUT, Http, Wire, request

PAUSED = "source directory of https://idp.uni.example/idp: is not asked for a while"
GONE = "database: cannot be reached"
NUMBERS = b"# TYPE attribute_authority_suspicions_total counter\nattribute_authority_suspicions_total 2.0\n"


def get(path: str, reasons: tuple[str, ...] = (), degraded: tuple[str, ...] = (), method: str = "GET") -> Http:
    """Ask the operations door."""
    root = operations_root(lambda: succeed(Standing(reasons, degraded)), lambda: NUMBERS)
    return Wire(BoundedSite(root, Clock(), timeout=TIMEOUT, max_body_bytes=0)).ask(request(method, content_type=None, path=path))


@pytest.mark.parametrize(
    ("reasons", "degraded", "status"),
    [((), (), 200), ((), (PAUSED,), 200), ((GONE,), (), 503), ((GONE,), (PAUSED,), 503)],
)
def test_paused_source_keeps_the_node_in_service(reasons: tuple[str, ...], degraded: tuple[str, ...], status: int) -> None:
    """A home organisation's outage is told, but only what no answer can do without makes the node unready."""
    answer = get("/health/ready", reasons, degraded)

    assert status == answer.status
    assert {"ready": not reasons, "reasons": list(reasons), "degraded": list(degraded)} == json.loads(answer.body)


def test_nobody_waits_for_what_hangs() -> None:
    """While the database hangs the process is alive for whoever asks, and readiness is told to those who still wait for it."""
    standing: Deferred[Standing] = Deferred()
    site = BoundedSite(operations_root(lambda: standing), Clock(), timeout=TIMEOUT, max_body_bytes=0)
    waiting, gone = Wire(site), Wire(site)
    ready = request("GET", content_type=None, path="/health/ready")
    for wire in (waiting, gone):
        wire.send(ready)
    gone.protocol.connectionLost(Failure(ConnectionDone()))

    assert 200 == Wire(site).ask(request("GET", content_type=None, path="/health/live")).status
    assert [] == waiting.answers()
    standing.callback(Standing((GONE,)))
    assert [503] == [answer.status for answer in waiting.answers()]


def test_alive_whatever_is_missing() -> None:
    """A process that lacks everything is still alive: to restart it would help nobody."""
    assert 200 == get("/health/live", (GONE,)).status


def test_metrics() -> None:
    """The metrics are told in the text format of Prometheus, with the headers of every answer."""
    answer = get("/metrics")

    assert (200, NUMBERS) == (answer.status, answer.body)
    assert {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        "cache-control": "no-cache, no-store, must-revalidate, private",
        "x-content-type-options": "nosniff",
        "content-length": str(len(NUMBERS)),
    }.items() <= answer.headers.items()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/metrics", 405), ("GET", "/metrics/more", 404), ("HEAD", "/metrics", 200)]
)
def test_metrics_are_only_read(method: str, path: str, status: int) -> None:
    """Nothing but reading is served."""
    answer = get(path, method=method)

    assert status == answer.status
    assert NUMBERS != answer.body
