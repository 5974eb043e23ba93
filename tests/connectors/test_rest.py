"""Deliveries to a web service that takes JSON: what is sent, and what follows from each answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import Receipt
from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.errors import AuthorityError, DeliveryDeferred, DeliveryRefused, OperatorError, SinkUnavailable
from connectors._rest_settings import RestSettings
from connectors.rest import REST
from tests.factories.sink_deliveries import AUTHORITY, FORMER, HOME, NOW, ORCID, handed, person, sink_surroundings
from tests.factories.web_servers import Behaviour, Drip, Received, Reply, StrictServer, strict_server

_MILLISECONDS = 1_795_246_200_000
_FORMAT = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
_ALL = person("Teppo@uni.example", "abc123@uni.example", "t17@uni.example")
_PERSONS = ("teppo", ORCID, FORMER)


@contextmanager
def _opened(server: StrictServer, path: str = "/people", **keys: Any) -> Iterator[Sink]:
    whole = {f"{key}_url": f"{server.url}{keys.pop(f'{key}_path')}" for key in ("withdrawal", "check") if f"{key}_path" in keys}
    settings = RestSettings.model_validate({"kind": "rest", "url": f"{server.url}{path}", **whole, **keys})
    sink = REST.open(settings, sink_surroundings())
    try:
        yield sink
    finally:
        sink.close()


def _sent(*, path: str = "/people", target: str = "/people", method: str = "POST", orcid: str | None = ORCID, **keys: Any) -> Received:
    with strict_server() as server, _opened(server, path, **keys) as sink:
        server.expect(method, target)
        assert Receipt() == sink.deliver(handed(*_ALL, orcid=orcid, former=(FORMER,)))
    return server.received[0]


def _failure(behaviour: Behaviour, orcid: str | None = ORCID, **keys: Any) -> AuthorityError:
    with strict_server() as server, _opened(server, **keys) as sink:
        server.expect("POST", "/people", behaviour)
        with pytest.raises(AuthorityError) as caught:
            sink.deliver(handed(orcid=orcid, former=(FORMER,)))
    assert not [one for one in _PERSONS if one in caught.value.cause]
    return caught.value


def _property(name: str, friendly_name: str, issuer: str, value: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "nameFormat": _FORMAT,
        "friendlyName": friendly_name,
        "issuer": issuer,
        "issueInstant": None,
        "mediator": AUTHORITY,
        "mediationInstant": _MILLISECONDS,
        "identifierValue": value,
    }


_PEOPLE = [
    _property("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eduPersonPrincipalName", HOME, "Teppo@uni.example"),
    _property("urn:oid:1.3.6.1.4.1.5923.1.1.1.13", "eduPersonUniqueId", HOME, "abc123@uni.example"),
    _property("urn:oasis:names:tc:SAML:attribute:subject-id", "subject-id", HOME, "t17@uni.example"),
]


@pytest.mark.parametrize(("orcid", "value"), [(ORCID, f"https://orcid.org/{ORCID}"), (None, None)])
def test_identity_descriptor(orcid: str | None, value: str | None) -> None:
    """By default the identity descriptor of orcidConnect is posted; a withdrawal has an iD that is null."""
    body = _sent(orcid=orcid).json

    assert {"identifier": [*_PEOPLE, _property("urn:oid:1.3.6.1.4.1.5923.1.1.1.16", "eduPersonOrcid", "https://orcid.org", value)]} == body


def test_identity_descriptor_in_names_of_the_schema() -> None:
    """With the names of the XML schema instants are written as there."""
    body = _sent(field_names="schema").json
    identifiers = body["IdentityDescriptor"]["Identifier"]

    assert (["IdentityDescriptor"], 4) == (list(body), len(identifiers))
    assert {
        "Name": "urn:oid:1.3.6.1.4.1.5923.1.1.1.16",
        "NameFormat": _FORMAT,
        "FriendlyName": "eduPersonOrcid",
        "Issuer": "https://orcid.org",
        "IssueInstant": None,
        "Mediator": AUTHORITY,
        "MediationInstant": "2026-11-21T07:30:00.000Z",
        "IdentifierValue": f"https://orcid.org/{ORCID}",
    } == identifiers[-1]


def test_every_field() -> None:
    """A mapping puts ours where theirs are, nested ones and constants too."""
    fields = {"eppn", "unique-id", "subject-id", "orcid-uri", "orcid-bare", "former", "reference", "changed-at", "event", "environment"}
    mapping: dict[str, Any] = {f"told.{field}": field for field in fields} | {"home": "home-organisation", "a.b.c": {"value": 7}}

    assert {
        "told": {
            "eppn": "Teppo@uni.example",
            "unique-id": "abc123@uni.example",
            "subject-id": "t17@uni.example",
            "orcid-uri": f"https://orcid.org/{ORCID}",
            "orcid-bare": ORCID,
            "former": [f"https://orcid.org/{FORMER}"],
            "reference": "7KQ2-MZ4D",
            "changed-at": "2026-11-21T07:30:00.000Z",
            "event": "linked",
            "environment": "production",
        },
        "home": HOME,
        "a": {"b": {"c": 7}},
    } == _sent(body="mapping", mapping=mapping).json


@pytest.mark.parametrize(
    ("leaves_out", "expected"),
    [(False, {"who": "Teppo@uni.example", "o": {"id": None}, "e": "withdrawn"}), (True, {"who": "Teppo@uni.example", "e": "withdrawn"})],
)
def test_absent_fields(leaves_out: bool, expected: dict[str, Any]) -> None:
    """What is absent is null, or left out."""
    mapping = {"who": "eppn", "o.id": "orcid-bare", "e": "event"}

    assert expected == _sent(orcid=None, body="mapping", mapping=mapping, leave_out_absent=leaves_out).json


def test_address_with_places() -> None:
    """Each place of an address is filled with one segment, whatever it holds."""
    with strict_server() as server, _opened(server, "/p/{eppn}/{orcid}?r={reference}", withdrawal_path="/p/{eppn}", body="none") as sink:
        server.expect("POST", f"/p/b%2Fa%26b%3F%C3%A4%40uni.example/{ORCID}?r=7KQ2-MZ4D")
        sink.deliver(handed(parse_identifier(IdentifierKind.EPPN, "b/a&b?ä@uni.example")))

    assert (b"", False) == (server.received[0].body, "content-type" in server.received[0].headers)


def test_withdrawal_by_delete() -> None:
    """A withdrawal may be a DELETE of another address, which has no body."""
    request = _sent(
        target="/x/t17%40uni.example", method="DELETE", orcid=None, withdrawal_method="DELETE", withdrawal_path="/x/{subject_id}"
    )

    assert (b"", '"7KQ2-MZ4D"') == (request.body, request.headers["idempotency-key"])


def test_headers() -> None:
    """Every request says what it holds and under which key it is sent."""
    headers = _sent().headers

    assert ("application/json", '"7KQ2-MZ4D"') == (headers["content-type"], headers["idempotency-key"])
    assert not [name for name in headers if name.startswith("webhook")]


@pytest.mark.parametrize(
    ("keys", "path", "cause"),
    [
        ({}, "/people", "neither an eppn nor a unique-id nor a subject-id"),
        ({}, "/people/{unique_id}", "the person has no unique-id, which the address asks for"),
        ({"body": "mapping", "mapping": {"a": "eppn", "b": "unique-id"}}, "/people", "the person has no eppn or unique-id"),
    ],
)
def test_nobody_to_tell_of(keys: dict[str, Any], path: str, cause: str) -> None:
    """Where nothing would tell of whom a delivery is, nothing is sent."""
    nameless = handed(parse_identifier(IdentifierKind.PAIRWISE_ID, "p@uni.example", None, "https://sp.example.org"))
    with strict_server() as server, _opened(server, path, **keys) as sink:
        for call in (sink.deliver, sink.rehearse):
            with pytest.raises(DeliveryRefused, match=cause):
                call(nameless)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success(status: int) -> None:
    """The usual statuses of success are success, whatever is said besides."""
    with strict_server() as server, _opened(server) as sink:
        server.expect("POST", "/people", Reply(status, b"whatever"))

        assert Receipt() == sink.deliver(handed())


@pytest.mark.parametrize("status", [404, 410])
def test_unknown_person(status: int) -> None:
    """Somebody unknown is refused; from somebody unknown there is nothing to take away."""
    failure = _failure(Reply(status, b" who? "))
    assert isinstance(failure, DeliveryRefused)
    assert "who?" == failure.answer
    with strict_server() as server, _opened(server) as sink:
        server.expect("POST", "/people", Reply(status))

        assert Receipt() == sink.deliver(handed(orcid=None))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, SinkUnavailable),
        (303, SinkUnavailable),
        (308, SinkUnavailable),
        (400, DeliveryRefused),
        (401, SinkUnavailable),
        (403, SinkUnavailable),
        (405, DeliveryRefused),
        (408, DeliveryDeferred),
        (409, DeliveryDeferred),
        (422, DeliveryRefused),
        (425, DeliveryDeferred),
        (429, SinkUnavailable),
        (500, SinkUnavailable),
        (501, SinkUnavailable),
        (503, SinkUnavailable),
        (599, SinkUnavailable),
        (206, DeliveryRefused),
    ],
)
def test_failures(status: int, kind: type[AuthorityError]) -> None:
    """What concerns everybody makes the sink unavailable; what concerns one is deferred or refused."""
    failure = _failure(Reply(status, b"about teppo", {"Location": "/elsewhere", "Retry-After": "7"}))

    assert kind is type(failure)
    assert f"HTTP status {status}" in failure.cause


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_when_to_come_again(status: int) -> None:
    """Whatever will be tried again is tried when the server says."""
    assert 7.0 == getattr(_failure(Reply(status, headers={"Retry-After": "7"})), "retry_after", None)
    assert 60.0 == getattr(_failure(Reply(status, headers={"Retry-After": "Sat, 21 Nov 2026 07:31:00 GMT"})), "retry_after", None)


def test_configured_statuses() -> None:
    """What an answer means is for the configuration to say."""
    lists: dict[str, Any] = {"success_statuses": [409], "unknown_person_statuses": [403], "retry_statuses": [422]}
    with strict_server() as server, _opened(server, **lists) as sink:
        server.expect("POST", "/people", Reply(409))
        assert Receipt() == sink.deliver(handed())
    assert isinstance(_failure(Reply(403), **lists), DeliveryRefused)
    assert isinstance(_failure(Reply(422), **lists), DeliveryDeferred)
    assert isinstance(_failure(Reply(404), **lists), DeliveryRefused)
    assert isinstance(_failure(Reply(200), **lists), DeliveryRefused)


_STORED = {"success_field": "status", "success_value": "identities stored"}


def test_condition_of_the_predecessor() -> None:
    """The condition of orcidConnect: the answer says that the identities are stored."""
    with strict_server() as server, _opened(server, **_STORED) as sink:
        server.expect("POST", "/people", Reply(200, b'{"status": "identities stored"}'))

        assert Receipt() == sink.deliver(handed())


@pytest.mark.parametrize(
    "body", [b'{"status": "no such person"}', b'{"status": null}', b"{}", b"[]", b"stored", b"", b"[" * 60_000, b"\xff"]
)
def test_condition_that_does_not_hold(body: bytes) -> None:
    """A success that does not say so is none."""
    failure = _failure(Reply(200, body), **_STORED)

    assert isinstance(failure, DeliveryRefused)
    assert "status is not as configured" in failure.cause


@pytest.mark.parametrize(
    ("field", "value", "body", "holds"),
    [
        ("a.1.b", True, b'{"a": [{}, {"b": true}]}', True),
        ("a.1.b", True, b'{"a": [{}, {"b": 1}]}', False),
        ("a.7.b", True, b'{"a": [{}]}', False),
        ("code", 0, b'{"code": 0}', True),
        ("code", 0, b'{"code": false}', False),
        ("code", 0, b'{"code": "0"}', False),
    ],
)
def test_conditions_are_exact(field: str, value: object, body: bytes, holds: bool) -> None:
    """A field that is nested, or in a list, is compared as JSON has it."""
    with strict_server() as server, _opened(server, success_field=field, success_value=value) as sink:
        server.expect("POST", "/people", Reply(200, body))
        if holds:
            assert Receipt() == sink.deliver(handed())
        else:
            with pytest.raises(DeliveryRefused):
                sink.deliver(handed())


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"error": {"message": "no teppo here"}}', "no teppo here"),
        (b'{"error": "no teppo here"}', '{"error": "no teppo here"}'),
        (b'{"error": {"message": 7}}', '{"error": {"message": 7}}'),
        (b"", None),
        (b"x" * 2_000, "x" * 2_000),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_what_the_other_side_said(body: bytes, answer: str | None) -> None:
    """The message of a refusal is picked out where it can be, and is in the answer alone."""
    failure = _failure(Reply(422, body), error_field="error.message")

    assert isinstance(failure, DeliveryRefused)
    assert answer == failure.answer
    assert "teppo" not in failure.cause


def test_too_large_an_answer() -> None:
    """A success that does not end is none."""
    assert isinstance(_failure(Reply(200, b"x" * 100_000)), SinkUnavailable)


def test_time_out() -> None:
    """A server that drips is given up at the configured time."""
    assert isinstance(_failure(Drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), timeout=0.3), SinkUnavailable)


def test_rehearsal() -> None:
    """A rehearsal says what would be sent, and sends nothing."""
    mapping = {"id": "orcid-bare"}
    with strict_server() as server, _opened(server, "/p/{eppn}", body="mapping", mapping=mapping, withdrawal_method="DELETE") as sink:
        assert f'would send POST {server.url}/p/teppo%40uni.example with {{"id":"{ORCID}"}}' == sink.rehearse(handed())
        assert f"would send DELETE {server.url}/p/teppo%40uni.example with no body" == sink.rehearse(handed(orcid=None))


def test_check_connects() -> None:
    """Without an address to ask, check connects and asks nothing."""
    with strict_server() as server, _opened(server) as sink:
        sink.check()
    with pytest.raises(SinkUnavailable, match="Connection refused"), _opened(server) as sink:
        sink.check()


@pytest.mark.parametrize(
    ("status", "failure"), [(200, None), (204, None), (302, OperatorError), (403, OperatorError), (404, OperatorError)]
)
def test_check_asks(status: int, failure: type[AuthorityError] | None) -> None:
    """With an address to ask, check asks there, and anything but success is told."""
    with strict_server() as server, _opened(server, check_path="/health?deep=1") as sink:
        server.expect("GET", "/health?deep=1", Reply(status))
        if failure is None:
            sink.check()
            return
        with pytest.raises(failure, match=f"HTTP status {status}"):
            sink.check()


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503])
def test_check_of_a_service_that_fails(status: int) -> None:
    """A service that is away, or does not let us in, is no fault of the address."""
    with strict_server() as server, _opened(server, check_path="/health") as sink:
        server.expect("GET", "/health", Reply(status))
        with pytest.raises(SinkUnavailable, match=f"HTTP status {status}"):
            sink.check()


def test_instants_do_not_depend_on_attempts_or_zones() -> None:
    """The instant that is told is that of the link, in UTC, whatever the time of the attempt is."""
    with strict_server() as server, _opened(server) as sink:
        server.expect("POST", "/people", times=2)
        for changed_at in (NOW, datetime.fromisoformat("2026-11-21T09:30:00+02:00")):
            sink.deliver(handed(changed_at=changed_at))

    assert server.received[0].body == server.received[1].body
    assert NOW == datetime.fromtimestamp(_MILLISECONDS / 1000, UTC)


def test_secrets_show_nowhere(tmp_path: Path) -> None:
    """Neither passwords nor signature secrets show in a text form or cause."""
    (tmp_path / "password").write_text("open-sesame\n", encoding="utf-8")
    (tmp_path / "webhook").write_text(f"{'QUFB' * 8}\n", encoding="utf-8")
    keys = {"username": "orcid", "password_file": str(tmp_path / "password"), "signature_secret_file": str(tmp_path / "webhook")}
    with strict_server() as server, _opened(server, **keys) as sink:
        server.expect("POST", "/people", Reply(401, b"open-sesame"))
        with pytest.raises(SinkUnavailable) as caught:
            sink.deliver(handed())

    for secret in ("open-sesame", "QUFB", "AAA"):
        assert secret not in f"{sink!r} {caught.value!r} {vars(caught.value)}"
