"""Several nodes of the companion page on one database: none keeps anything that another would need."""

from collections.abc import Iterable
from itertools import cycle

from werkzeug import Response

from attribute_authority.domain.identifiers import Environment, parse_identifier_text
from attribute_authority.storage.memory import MemoryReplayGuard
from attribute_authority.storage.memory_companion import MemoryAttemptCounter, MemoryLinkingStore, MemoryStateKeeper
from tests.factories import responses
from tests.factories.companion import ORCID, Browser, Ports, ScriptedRegistry, Site


class _Balancer:
    """Gives each request to the next node, as a load balancer without memory does."""

    def __init__(self, nodes: Iterable[Site]) -> None:
        self._nodes = cycle(nodes)

    def __call__(self, environ: dict[str, object], start_response: object) -> Iterable[bytes]:
        return Response.from_app(next(self._nodes).application, environ)(environ, start_response)  # type: ignore[arg-type]


def _nodes(**differing: int) -> tuple[Browser, Ports, ScriptedRegistry]:
    registry = ScriptedRegistry()
    ports = Ports(MemoryLinkingStore(), MemoryStateKeeper(), MemoryAttemptCounter(), MemoryReplayGuard(), registry)
    nodes = [Site(registry=registry, ports=ports, run=name, **differing) for name in ("first-", "second-", "third-")]  # type: ignore[arg-type]
    browser = nodes[0].browser()
    browser.client.application = _Balancer(nodes)
    return browser, ports, registry


def test_each_request_of_a_linking_may_reach_another_node() -> None:
    """Sign-in, ORCID, confirmation and unlinking work with every step at the next of three nodes."""
    browser, ports, _ = _nodes()
    browser.sign_in()
    browser.link()
    known = ports.store.recognise(
        responses.IDP, (parse_identifier_text(f"eppn={responses.PERSON}"),), Environment.PRODUCTION, responses.NOW
    )
    browser.get("/unlink")
    browser.submit("/unlink")

    assert known is not None
    assert known.link is not None
    assert ORCID == known.link.orcid
    assert "Done. Your ORCID iD has been unlinked." in browser.text


def test_a_response_is_refused_by_every_other_node() -> None:
    """What one node has accepted no other accepts again."""
    browser, _, _ = _nodes()
    request = browser.begin_sign_in()
    statuses = [browser.answer(request).status_code for _ in range(3)]

    assert [200, 403, 403] == statuses


def test_attempts_are_counted_across_nodes() -> None:
    """Three nodes do not allow three times as many."""
    browser, _, _ = _nodes(per_minute=2)
    statuses = [browser.get("/login", follow=False).status_code for _ in range(3)]

    assert [303, 303, 429] == statuses
