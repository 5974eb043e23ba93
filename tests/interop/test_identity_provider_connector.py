"""The published HTTP connector, in the double of the Shibboleth identity provider: what it asks, and what it takes for an answer."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from tests.peers.lookup_server import Answer, LookupServer, lookup_server, make_localhost_keys
from tests.peers.shibboleth_idp import SNIPPETS, IdentityProvider, LoginBlocked, Settings, form_escape
from tests.peers.shibboleth_idp_script import Response, ScriptEngine, ScriptFailed, Version, later_syntax, script_engine

ORCID = "https://orcid.org/0000-0002-1825-0097"
SERVICE_PROVIDER = "https://sp.example.org/shibboleth"
SCRIPT = (SNIPPETS / "orcid.js").read_text(encoding="utf-8")


def listing(*values: object) -> Answer:
    """Answer as the lookup door does."""
    return Answer(json.dumps({"eduPersonOrcid": values}).encode())


@pytest.fixture(scope="module")
def engine() -> Iterator[ScriptEngine]:
    """The script engine of this module."""
    with script_engine() as running:
        yield running


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LookupServer]:
    """The server of this module."""
    with lookup_server(tmp_path_factory.mktemp("lookup")) as server:
        yield server


@pytest.fixture
def server(running_server: LookupServer) -> LookupServer:
    """The server, which was not asked yet."""
    running_server.asked.clear()
    running_server.answer = listing(ORCID)
    return running_server


@pytest.fixture
def settings(tmp_path: Path, server: LookupServer) -> Settings:
    """What a deployer sets, with the files where the snippets want them."""
    for directory in ("conf", "credentials"):
        (tmp_path / directory).mkdir()
    (tmp_path / "conf" / "orcid.js").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "credentials" / "orcid-authority-tls.crt").write_bytes(server.keys.certificate.read_bytes())
    return Settings({"idp.home": str(tmp_path), "idp.scope": "uni.example", "orcid.lookup": server.url, "orcid.token": "secret"})


@pytest.fixture
def idp(settings: Settings, engine: ScriptEngine) -> IdentityProvider:
    """An identity provider of version 5 as it is published."""
    return IdentityProvider(settings, engine)


@pytest.mark.parametrize("version", Version)
def test_login_releases_the_orcid(idp: IdentityProvider, engine: ScriptEngine, version: Version) -> None:
    """In both versions the service provider of the filter policy receives the iD under its SAML name."""
    of_version = replace(idp, engine=replace(engine, version=version))

    assert {"urn:oid:1.3.6.1.4.1.5923.1.1.1.16": (ORCID,)} == of_version.log_in("josiah", SERVICE_PROVIDER)


def test_other_service_providers_receive_nothing(idp: IdentityProvider) -> None:
    """The filter policy names who receives the iD."""
    assert {} == idp.log_in("josiah", "https://other.example.org/shibboleth")


def test_question_names_the_principal_in_the_scope(idp: IdentityProvider, server: LookupServer) -> None:
    """The door is asked for the ePPN that login name and scope make, with the token."""
    idp.resolve("josiah")
    ((path, headers),) = server.asked

    assert {"eppn": ["josiah@uni.example"]} == parse_qs(urlsplit(path).query)
    assert "Bearer secret" == headers["authorization"]


@pytest.mark.parametrize("principal", ["a&requester=x", "a#b", "ä ö", "a+b", "a%40b", "$resolutionContext", "a'b\"c", "~*"])
def test_principal_cannot_change_the_question(idp: IdentityProvider, server: LookupServer, principal: str) -> None:
    """Whatever somebody is called stays the value of the one parameter."""
    idp.resolve(principal)
    ((path, _headers),) = server.asked

    assert {"eppn": [f"{principal}@uni.example"]} == parse_qs(urlsplit(path).query, strict_parsing=True)


def test_form_escaping_is_that_of_the_identity_provider() -> None:
    """The double escapes as Guava documents it."""
    assert "a-b_c.d*e%7Ef+g%40h%2Bi%C3%A4" == form_escape("a-b_c.d*e~f g@h+iä")


BAD_ANSWERS = {
    "unauthorised": (Answer(b"{}", 401, "application/problem+json"), "status unacceptable: 401"),
    "forbidden": (Answer(b"{}", 403, "application/problem+json"), "status unacceptable: 403"),
    "too many": (Answer(b"{}", 429, "application/problem+json", headers=(("Retry-After", "1"),)), "status unacceptable: 429"),
    "unavailable": (Answer(b"{}", 503, "application/problem+json", headers=(("Retry-After", "1"),)), "status unacceptable: 503"),
    "redirected": (Answer(b"", 302, headers=(("Location", "https://localhost:1/"),)), "status unacceptable: 302"),
    "page": (Answer(b"<html>", media_type="text/html"), "Content-Type unacceptable: text/html"),
    "chunked": (Answer(listing(ORCID).body, length=None), "Content-Length"),
    "too long": (Answer(listing(*["x" * 100] * 200).body), "Content-Length"),
    "compressed": (Answer(listing(ORCID).body, headers=(("Content-Encoding", "gzip"),)), "Content-Length"),
    "cut off": (Answer(listing(ORCID).body, length=1000), "HTTP request failed"),
    "no JSON": (Answer(b'{"eduPersonOrcid": ['), "SyntaxError"),
    "empty": (Answer(b""), "SyntaxError"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answer_leaves_the_login_as_it_was(idp: IdentityProvider, server: LookupServer, name: str) -> None:
    """An answer that is none is logged, and the person logs in without the attribute."""
    server.answer, expected = BAD_ANSWERS[name]
    resolution = idp.resolve("josiah")

    assert {} == resolution.attributes
    assert expected in (resolution.failure or "")


def test_silent_server_costs_a_time_out(settings: Settings, engine: ScriptEngine, server: LookupServer) -> None:
    """A server that takes the question and says nothing does not hold the login."""
    server.answer = None
    impatient = replace(settings, properties={**settings.properties, "orcid.timeout": "PT0.1S"})

    assert "HTTP request failed: TimeoutError" == IdentityProvider(impatient, engine).resolve("josiah").failure


def test_server_with_another_key_hears_nothing(idp: IdentityProvider, settings: Settings, server: LookupServer, tmp_path: Path) -> None:
    """The token goes to the server of the pinned certificate alone."""
    other = make_localhost_keys(tmp_path, "other")
    other.certificate.replace(Path(settings.known["idp.home"]) / "credentials" / "orcid-authority-tls.crt")

    assert idp.resolve("josiah").failure is not None
    assert [] == server.asked


FOREIGN = (
    "0000-0002-1825-0097",
    "http://orcid.org/0000-0002-1825-0097",
    "https://orcid.org.evil.example/0000-0002-1825-0097",
    "https://orcid.org/0000-0002-1825-0097\n",
    "https://orcid.org/0000-0002-1825-0097?x",
    " https://orcid.org/0000-0002-1825-0097",
    "https://orcid.org/0000-0002-1825-009x",
    "javascript:alert(1)",
    "",
    7,
    None,
    [ORCID],
    {"value": ORCID},
)


def test_nothing_but_orcid_uris_is_taken(idp: IdentityProvider, server: LookupServer) -> None:
    """Values that are not the https URI of an iD are left out, and those that are come in their order."""
    sandbox = "https://sandbox.orcid.org/0000-0001-5109-370X"
    server.answer = listing(ORCID, *FOREIGN, sandbox)

    assert {"eduPersonOrcid": (ORCID, sandbox)} == idp.resolve("josiah").attributes


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b"7", b'"x"', b'{"eduPersonOrcid": []}', b'{"eduPersonOrcid": "' + ORCID.encode() + b'"}']
)
def test_answer_without_an_orcid_is_no_failure(idp: IdentityProvider, server: LookupServer, body: bytes) -> None:
    """For people without an iD there is no attribute, and nothing to complain of."""
    server.answer = Answer(body)
    resolution = idp.resolve("josiah")

    assert ({}, None) == (resolution.attributes, resolution.failure)


def test_person_with_a_bad_name_is_no_failure(idp: IdentityProvider, server: LookupServer) -> None:
    """A 400 is about one person, and does not close the connector for everybody."""
    server.answer = Answer(b'{"type": "about:blank", "status": 400}', 400, "application/problem+json")
    resolution = idp.resolve("jos iah")

    assert ({}, None) == (resolution.attributes, resolution.failure)


def test_media_type_may_have_parameters(idp: IdentityProvider, server: LookupServer) -> None:
    """A charset after the type makes no difference."""
    server.answer = replace(listing(ORCID), media_type="application/json; charset=utf-8")

    assert (ORCID,) == idp.resolve("josiah").attributes["eduPersonOrcid"]


def test_connectors_differ_in_their_proof_alone() -> None:
    """The connector with a client certificate is the one with a token, but for what says and proves who asks."""
    proofs = ("headerMapRef", "clientPrivateKey", "clientCertificate")
    connectors = [Settings({}).connector(file).element for file in ("attribute-resolver-http.xml", "attribute-resolver-http-tls.xml")]
    template = connectors[1].find("{*}URLTemplate")
    assert template is not None
    assert template.text is not None
    asking, named, _ = template.text.partition('&requester=$paramEscaper.escape("%{idp.entityID}")')
    template.text = f"{asking}\n        "

    assert named
    for connector in connectors:
        etree.strip_tags(connector, etree.Comment)
        connector.tail = None
        for proof in proofs:
            connector.attrib.pop(proof, "")

    assert etree.tostring(connectors[0], method="c14n") == etree.tostring(connectors[1], method="c14n")


def test_the_double_knows_a_blocked_login(idp: IdentityProvider, server: LookupServer) -> None:
    """Without propagateResolutionExceptions="false" a failure would have ended the whole resolution."""
    server.answer = Answer(b"{}", 503)
    idp.connector.element.set("propagateResolutionExceptions", "true")

    with pytest.raises(LoginBlocked):
        idp.resolve("josiah")


def test_script_is_ecmascript_5() -> None:
    """Nothing in the script came after ECMAScript 5, and the check sees what did."""
    assert [] == later_syntax(SCRIPT)
    assert ["let", "=>", "`", "`", "?."] == later_syntax("let f = (a) => `x`; a?.b; // const\n'class'; x = /=>/;")


@pytest.mark.parametrize(
    "script", ["response.getStatusLine()", "new Packages.java.io.File('x')", "Java.type('x')", "window.x", "log.debug(7)"]
)
def test_the_double_refuses_what_it_does_not_know(engine: ScriptEngine, script: str) -> None:
    """A script that uses what an engine may not have fails here rather than at a login."""
    with pytest.raises(ScriptFailed):
        engine.run(script, Response(b"{}"))
