"""nginx with the published snippet in front of the back channel: whose certificate arrives, what passes, and what is logged."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests

from tests.interop.test_nginx import DEADLINE_SECONDS, upstream
from tests.peers.lab import KeyPair, make_key_pair
from tests.peers.nginx import BACK_CHANNEL, ReverseProxy, reverse_proxy

__all__ = ["upstream"]

HEADER = "X-Client-Certificate"
ASKED = "/api/v1/orcid?eppn=josiah%40uni.example"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody outside, with or without a certificate."""

    proxy: ReverseProxy
    keys: KeyPair | None = None

    def get(self, target: str, **headers: str) -> requests.Response:
        """Ask over TLS."""
        shown = None if self.keys is None else (str(self.keys.certificate), str(self.keys.key))
        return requests.get(
            self.proxy.url + target, headers=headers, cert=shown, verify=str(self.proxy.certificate), timeout=DEADLINE_SECONDS
        )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: int) -> Iterator[ReverseProxy]:
    """An nginx with the published snippet."""
    with reverse_proxy(tmp_path_factory.mktemp("nginx"), upstream, snippet=BACK_CHANNEL) as running:
        yield running


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """The keys of an identity provider, self-signed."""
    return make_key_pair(tmp_path_factory.mktemp("keys"), "idp")


def test_certificate_of_the_caller_arrives(proxy: ReverseProxy, keys: KeyPair) -> None:
    """A self-signed client certificate is taken and handed over at the lookup door, in the form that the authority reads."""
    heard = Caller(proxy, keys).get(ASKED).json()

    assert ASKED == heard["target"]
    assert [keys.certificate.read_text().strip()] == [unquote(value).strip() for value in heard["headers"][HEADER.lower()]]


@pytest.mark.parametrize("target", [ASKED, "/saml/attribute-query"])
def test_forged_certificate_header_never_arrives(proxy: ReverseProxy, target: str) -> None:
    """Who shows no certificate cannot claim one in a header."""
    heard = Caller(proxy).get(target, **{HEADER: "forged"}).json()["headers"]

    assert "forged" not in "".join(heard.get(HEADER.lower(), []))


def test_token_arrives_and_answers_keep_their_length(proxy: ReverseProxy) -> None:
    """A bearer token passes, and the answer has a Content-Length although the caller would take it compressed."""
    answer = Caller(proxy).get(ASKED, Authorization="Bearer aa_x")

    assert ["Bearer aa_x"] == answer.json()["headers"]["authorization"]
    assert str(len(answer.content)) == answer.headers["Content-Length"]


@pytest.mark.parametrize("target", ["/", "/api/v2/orcid", "/health/ready", "/metrics"])
def test_other_addresses_lead_nowhere(proxy: ReverseProxy, target: str) -> None:
    """Only what the back channel has is passed on."""
    assert 404 == Caller(proxy).get(target).status_code


def test_people_in_addresses_are_not_logged(tmp_path: Path, upstream: int) -> None:
    """The lookup door has identifiers in its addresses, and nginx writes none of them down."""
    with reverse_proxy(tmp_path / "nginx", upstream, snippet=BACK_CHANNEL) as own:
        Caller(own).get(ASKED).raise_for_status()
        Caller(own).get("/metadata").raise_for_status()

    assert "/metadata" in own.access_log
    assert "josiah" not in own.access_log + own.server.said
    assert "[warn]" not in own.server.said
