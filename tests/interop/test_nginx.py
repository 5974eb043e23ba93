"""nginx with the published snippet in front of the companion pages: who the visitor is, what passes, and what is logged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests

from tests.peers.nginx import ReverseProxy, reverse_proxy

DEADLINE_SECONDS = 30
FORGED = {
    "X-Forwarded-For": "192.0.2.1, 192.0.2.2",
    "X-Forwarded-Host": "attacker.example",
    "X-Forwarded-Proto": "http",
    "Forwarded": "for=192.0.2.1",
}


class Echo(BaseHTTPRequestHandler):
    """Answers with what arrived: method, target, headers by name in lower case, all values of each, and the length of the body."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Tell what arrived."""
        length = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        headers = {name.lower(): self.headers.get_all(name) for name in self.headers}
        answer = json.dumps({"method": self.command, "target": self.path, "headers": headers, "length": length}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Strict-Transport-Security", "max-age=1")
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody outside, who trusts the certificate of the proxy."""

    proxy: ReverseProxy

    def get(self, target: str, headers: dict[str, str] | None = None) -> requests.Response:
        """Ask for a page over TLS."""
        return requests.get(self.proxy.url + target, headers=headers, verify=str(self.proxy.certificate), timeout=DEADLINE_SECONDS)

    def post(self, target: str, body: bytes) -> requests.Response:
        """Send a body over TLS."""
        return requests.post(self.proxy.url + target, data=body, verify=str(self.proxy.certificate), timeout=DEADLINE_SECONDS)


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    """The port of an echo on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(DEADLINE_SECONDS)


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, upstream: int) -> Iterator[Visitor]:
    """Somebody before an nginx with the published snippet."""
    with reverse_proxy(tmp_path_factory.mktemp("nginx"), upstream) as proxy:
        yield Visitor(proxy)


def test_forged_forwarding_headers_are_replaced(visitor: Visitor) -> None:
    """Whatever a visitor claims about its address, the companion hears the address that nginx saw, and that alone."""
    heard = visitor.get("/", FORGED).json()["headers"]

    assert ["127.0.0.1"] == heard["x-forwarded-for"]
    assert ["https"] == heard["x-forwarded-proto"]
    assert not {"forwarded", "x-forwarded-host"} & heard.keys()


def test_host_and_target_arrive_as_they_were_sent(visitor: Visitor) -> None:
    """The companion sees the host name, and path and query byte for byte."""
    heard = visitor.get("/orcid/callback?code=a%2Fb&state=%C3%A4").json()

    assert "/orcid/callback?code=a%2Fb&state=%C3%A4" == heard["target"]
    assert ["localhost"] == heard["headers"]["host"]


@pytest.mark.parametrize("length", [64 * 1024, 256 * 1024])
def test_long_form_passes(visitor: Visitor, length: int) -> None:
    """A SAML Response in a form of 64 kB arrives whole, and so does the longest that is let through."""
    assert length == visitor.post("/saml/acs", b"x" * length).json()["length"]


def test_outsized_form_is_refused(visitor: Visitor) -> None:
    """What is longer than any form of the pages does not reach the companion."""
    assert 413 == visitor.post("/saml/acs", b"x" * (256 * 1024 + 1)).status_code


def test_plain_http_is_sent_to_https(visitor: Visitor) -> None:
    """A visitor without TLS is sent to the same page over TLS, at the configured name and not at the one that the request names."""
    answer = requests.get(
        f"{visitor.proxy.plain_url}/start?lang=fi", headers={"Host": "attacker.example"}, allow_redirects=False, timeout=DEADLINE_SECONDS
    )

    assert (301, "https://localhost/start?lang=fi") == (answer.status_code, answer.headers["Location"])


def test_security_headers_are_left_to_the_companion(visitor: Visitor) -> None:
    """Strict-Transport-Security arrives once, as the companion sent it, and nginx does not tell its version."""
    headers = visitor.get("/").headers

    assert ("max-age=1", "nginx") == (headers["Strict-Transport-Security"], headers["Server"])


def test_queries_stay_out_of_the_log(tmp_path: Path, upstream: int) -> None:
    """Codes and messages, which travel in the query, are not logged, with TLS or without, and nginx finds no fault with the snippet."""
    with reverse_proxy(tmp_path / "nginx", upstream) as proxy:
        Visitor(proxy).get("/orcid/callback?code=secret").raise_for_status()
        requests.get(f"{proxy.plain_url}/orcid/callback?code=secret", allow_redirects=False, timeout=DEADLINE_SECONDS)

    assert "[warn]" not in proxy.server.said
    assert 2 == proxy.access_log.count("/orcid/callback")
    assert "secret" not in proxy.access_log + proxy.server.said
