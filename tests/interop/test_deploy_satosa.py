"""The published micro-service for SATOSA, against a lookup door that answers well, badly, or not at all.

SATOSA itself is not among the dependencies of this project: the micro-service runs with stand-ins for the one class that it imports
and for the internal data of a login, which know nothing but what SATOSA 8 has under these names.
"""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.peers.lookup_server import Answer, LookupServer, lookup_server

SNIPPETS = Path(__file__).parents[2] / "deploy" / "satosa"
ORCID = "https://orcid.org/0000-0002-1825-0097"
HOME = "https://idp.uni.example/idp"
ATTRIBUTE = "edupersonorcid"


class ResponseMicroService:
    """The base class of SATOSA: `next` is set by SATOSA, and called by `process`."""

    def __init__(self, name: str, base_url: str, **_others: object) -> None:
        self.name, self.base_url, self.next = name, base_url, lambda _context, data: data

    def process(self, context: object, data: object) -> object:
        """Hand over to the next micro-service."""
        return self.next(context, data)


@dataclass(frozen=True, slots=True)
class AuthenticationInformation:
    """Who authenticated the person."""

    issuer: str


@dataclass(frozen=True, slots=True)
class InternalData:
    """A login."""

    auth_info: AuthenticationInformation
    attributes: dict[str, Any] = field(default_factory=dict)


def read_yaml(name: str) -> Any:
    """Read a published file as SATOSA does, where `!ENV` is a variable of the environment."""
    yaml = import_module("yaml")
    loader: Any = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!ENV", lambda reader, node: {"ORCID_TOKEN": "secret\n"}[reader.construct_scalar(node)])
    return yaml.load((SNIPPETS / name).read_text(encoding="utf-8"), loader)


def listing(*values: object) -> Answer:
    """Answer as the lookup door does."""
    return Answer(json.dumps({"eduPersonOrcid": values}).encode())


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LookupServer]:
    """The server of this module."""
    with lookup_server(tmp_path_factory.mktemp("lookup")) as server:
        yield server


@pytest.fixture
def server(running_server: LookupServer) -> LookupServer:
    """The server, which was not asked yet and knows one iD."""
    running_server.asked.clear()
    running_server.answer = listing(ORCID)
    return running_server


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The published file, imported as SATOSA imports it."""
    base = ModuleType("satosa.micro_services.base")
    base.ResponseMicroService = ResponseMicroService  # type: ignore[attr-defined]
    for module in (ModuleType("satosa"), ModuleType("satosa.micro_services"), base):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = spec_from_file_location("orcid_lookup", SNIPPETS / "orcid_lookup.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True)
class Proxy:
    """The micro-service as it is published; only address, certificate and time-out differ."""

    plugin: ModuleType
    server: LookupServer

    def service(self, **changes: object) -> Any:
        """Make the micro-service as SATOSA does; a change to None takes a setting away."""
        published = read_yaml("orcid_lookup.yaml")
        place = {"url": self.server.url, "certificate": str(self.server.keys.certificate)}
        config = {name: value for name, value in (published["config"] | place | changes).items() if value is not None}
        module, _dot, name = published["module"].rpartition(".")

        assert self.plugin.__name__ == module
        return getattr(self.plugin, name)(internal_attributes={}, config=config, name=published["name"], base_url="https://proxy.example")


@pytest.fixture
def proxy(plugin: ModuleType, server: LookupServer) -> Proxy:
    """A proxy before the server."""
    return Proxy(plugin, server)


def log_in(service: Any, issuer: str = HOME, **attributes: Any) -> Any:
    """Let somebody log in, by default Josiah with his ePPN, and return the attribute."""
    brought = attributes or {"edupersonprincipalname": ["josiah@uni.example"]}
    data = InternalData(AuthenticationInformation(issuer), dict(brought))

    assert data is service.process(None, data)
    assert {**brought, ATTRIBUTE: None} == {**data.attributes, ATTRIBUTE: None}
    return data.attributes.get(ATTRIBUTE)


def test_login_receives_the_orcid(proxy: Proxy, server: LookupServer) -> None:
    """The attribute is added, and the door was asked with the ePPN and the token."""
    received = log_in(proxy.service())
    ((path, headers),) = server.asked

    assert ([ORCID], "Bearer secret") == (received, headers["authorization"])
    assert {"eppn": ["josiah@uni.example"]} == parse_qs(urlsplit(path).query)


def test_first_identifier_is_asked_with(proxy: Proxy, server: LookupServer) -> None:
    """Of several identifiers the first of the configuration is sent."""
    log_in(proxy.service(), edupersonprincipalname=["josiah@uni.example"], subjectid=["j0s1ah@uni.example"])

    assert {"subject-id": ["j0s1ah@uni.example"]} == parse_qs(urlsplit(server.asked[0][0]).query)


UNASKED: dict[str, dict[str, Any]] = {
    "nothing": {"mail": ["josiah@uni.example"]},
    "empty": {"edupersonprincipalname": []},
    "two": {"edupersonprincipalname": ["josiah@uni.example", "other@uni.example"]},
    "foreign scope": {"edupersonprincipalname": ["maija@other.example"]},
    "foreign issuer": {"issuer": "https://idp.other.example/idp", "edupersonprincipalname": ["josiah@uni.example"]},
}


@pytest.mark.parametrize("name", UNASKED)
def test_nobody_is_asked_about(proxy: Proxy, server: LookupServer, name: str) -> None:
    """Without one identifier in a scope of the issuer's nothing is asked."""
    assert log_in(proxy.service(), **UNASKED[name]) is None
    assert [] == server.asked


def test_scopes_can_be_left_to_others(proxy: Proxy) -> None:
    """Without the setting every identity provider is believed."""
    assert [ORCID] == log_in(proxy.service(scopes=None), "https://idp.other.example/idp", edupersonprincipalname=["josiah@uni.example"])


def test_orcid_of_an_identity_provider_does_not_stay(proxy: Proxy, server: LookupServer) -> None:
    """An iD that did not come from the authority is taken away."""
    server.answer = listing()

    assert log_in(proxy.service(), edupersonprincipalname=["josiah@uni.example"], edupersonorcid=["https://orcid.org/x"]) is None


FAILURES = {
    "unauthorised": Answer(b"{}", 401),
    "too many": Answer(b"{}", 429, headers=(("Retry-After", "1"),)),
    "unavailable": Answer(b"{}", 503),
    "redirected": Answer(b"", 302, headers=(("Location", "https://localhost:1/"),)),
    "no JSON": Answer(b'{"eduPersonOrcid": ['),
    "not UTF-8": Answer(b"\xff"),
    "too long": listing(*["x" * 100] * 200),
    "cut off": Answer(listing(ORCID).body, length=1000),
    "silent": None,
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure_leaves_the_login_as_it_was(proxy: Proxy, server: LookupServer, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """The login goes on, the log says so without naming anybody, and the next login does not ask."""
    server.answer = FAILURES[name]
    service = proxy.service(timeout=0.1 if server.answer is None else 2)
    with caplog.at_level(logging.WARNING, "orcid_lookup"):
        received = log_in(service), log_in(service)

    assert ((None, None), 1, 1) == (received, len(server.asked), len(caplog.records))
    assert [] == [word for word in ("josiah", "secret", "0000-") if word in caplog.text]


def test_after_the_pause_it_asks_again(proxy: Proxy, server: LookupServer) -> None:
    """A door that is back is found."""
    service = proxy.service(pause=0)
    server.answer = Answer(b"{}", 503)
    before = log_in(service)
    server.answer = listing(ORCID)

    assert (None, [ORCID]) == (before, log_in(service))


QUIET = (listing(), Answer(b"[]"), Answer(b"null"), Answer(b"{}"), Answer(b'{"eduPersonOrcid": "x"}'), Answer(b"{}", 400))


@pytest.mark.parametrize("number", range(len(QUIET)))
def test_person_without_an_orcid_is_no_failure(proxy: Proxy, server: LookupServer, number: int) -> None:
    """No attribute, and the next login asks."""
    server.answer = QUIET[number]
    service = proxy.service()

    assert (None, None, 2) == (log_in(service), log_in(service), len(server.asked))


def test_nothing_but_orcid_uris_is_taken(proxy: Proxy, server: LookupServer) -> None:
    """Values that are not the https URI of an iD are left out."""
    server.answer = listing(ORCID, f"{ORCID}\n", "http://orcid.org/0000-0002-1825-0097", "0000-0002-1825-0097", 7, None, [ORCID])

    assert [ORCID] == log_in(proxy.service())


def test_client_key_can_take_the_place_of_the_token(proxy: Proxy, server: LookupServer) -> None:
    """With a key of its own the proxy sends no token; with neither it does not start."""
    key = {"client_certificate": str(server.keys.certificate), "client_key": str(server.keys.key)}

    assert [ORCID] == log_in(proxy.service(token=None, **key))
    assert "authorization" not in server.asked[0][1]
    with pytest.raises(ValueError, match="token"):
        proxy.service(token=None)


def test_attributes_are_mapped() -> None:
    """The attributes that the micro-service names are in the published map."""
    mapped = read_yaml("internal_attributes.yaml")["attributes"]
    config = read_yaml("orcid_lookup.yaml")["config"]

    assert {config["attribute"], *config["identifiers"].values()} == mapped.keys()
