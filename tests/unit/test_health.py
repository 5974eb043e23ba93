"""The operations door: whether the process can answer, what works less well, and the metrics."""

import json
from collections.abc import Sequence
from typing import NoReturn

import pytest
from twisted.internet.task import Clock

from attribute_authority.errors import CouldNotAsk
from attribute_authority.web.health import operations_root
from attribute_authority.web.http import BoundedSite
from tests.factories.wires import TIMEOUT, Http, Wire, request

PAUSED = "source directory of https://idp.uni.example/idp: is not asked for a while"
GONE = "database: cannot be reached"
NUMBERS = b"# TYPE attribute_authority_suspicions_total counter\nattribute_authority_suspicions_total 2.0\n"


def away() -> NoReturn:
    """Fail as a board of outages does whose database is away."""
    raise CouldNotAsk("no connection to db.example:5432")


def get(path: str, reasons: Sequence[str] = (), degraded: Sequence[str] | None = (), method: str = "GET") -> Http:
    """Ask the operations door; `degraded` None cannot be told."""
    root = operations_root(lambda: reasons, away if degraded is None else lambda: degraded, lambda: NUMBERS)
    return Wire(BoundedSite(root, Clock(), timeout=TIMEOUT, max_body_bytes=0)).ask(request(method, content_type=None, path=path))


@pytest.mark.parametrize(
    ("reasons", "degraded", "status"),
    [((), (), 200), ((), (PAUSED,), 200), ((GONE,), (), 503), ((GONE,), (PAUSED,), 503)],
)
def test_paused_source_keeps_the_node_in_service(reasons: Sequence[str], degraded: Sequence[str], status: int) -> None:
    """A home organisation's outage is told, but only what no answer can do without makes the node unready."""
    answer = get("/health/ready", reasons, degraded)

    assert status == answer.status
    assert {"ready": not reasons, "reasons": list(reasons), "degraded": list(degraded)} == json.loads(answer.body)


@pytest.mark.parametrize("reasons", [(), (GONE,)])
def test_outages_that_cannot_be_told(reasons: Sequence[str]) -> None:
    """Where even the outages cannot be asked for that is said, without the private cause, and the status is what it would be."""
    answer = get("/health/ready", reasons, None)

    assert (503 if reasons else 200) == answer.status
    assert ["sources: how they fare cannot be told"] == json.loads(answer.body)["degraded"]


def test_alive_whatever_is_missing() -> None:
    """A process that lacks everything is still alive: to restart it would help nobody."""
    assert 200 == get("/health/live", (GONE,), None).status


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
