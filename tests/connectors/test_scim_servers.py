"""SCIM as a sink, against servers that ignore filters, take their time, refuse, or answer something else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attribute_authority.domain.delivery import Receipt
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, SinkUnavailable
from tests.factories.scim_servers import (
    PLACE,
    TEPPO,
    configuration,
    expect_configuration,
    expect_search,
    listed,
    person,
    scim_error,
    scim_reply,
    search,
    sink_of,
)
from tests.factories.sink_deliveries import FORMER, ORCID, handed
from tests.factories.sink_deliveries import person as eppn
from tests.factories.web_servers import Drip, Reply, Silence, pem_pair, server_tls, strict_server
from tests.peers.scim import EXTENSION

URI = f"https://orcid.org/{ORCID}"
WITHDRAWN = handed(orcid=None, former=(FORMER,))


def test_a_value_that_somebody_else_has_is_refused_at_once() -> None:
    """A conflict about uniqueness is for people to solve, and its detail is what they read."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_error(409, "another person has this value", "uniqueness"))

        with pytest.raises(DeliveryRefused) as refused:
            sink.deliver(handed())

        assert "another person has this value" == refused.value.answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (scim_error(400, "no such attribute", "invalidPath"), "no such attribute"),
        (scim_error(400, None, "invalidPath"), "invalidPath"),
        (scim_error(413), None),
        (Reply(422, b"<html>"), None),
        (Reply(400, b"[" * 50_000), None),
        (scim_reply({"detail": ["odd"]}, 400), None),
    ],
)
def test_a_refusal_tells_what_was_said(reply: Reply, answer: str | None) -> None:
    """Statuses that a person has to deal with park the delivery; what the server said is the answer and no part of the cause."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server)
        server.expect("PATCH", PLACE, reply)

        with pytest.raises(DeliveryRefused) as refused:
            sink.deliver(handed())

        assert answer == refused.value.answer
        assert refused.value.cause.endswith(f"PATCH ended with HTTP status {reply.status}")


@pytest.mark.parametrize("place", ["search", "write"])
@pytest.mark.parametrize(
    ("reply", "failure", "retry_after"),
    [
        (scim_error(429, Retry_After="17"), SinkUnavailable, 17.0),
        (Reply(503, headers={"Retry-After": "Sat, 21 Nov 2026 07:31:00 GMT"}), SinkUnavailable, 60.0),
        (Reply(503), SinkUnavailable, None),
        (scim_error(401), SinkUnavailable, None),
        (scim_error(403), SinkUnavailable, None),
        (Reply(302, headers={"Location": "https://elsewhere.invalid/"}), SinkUnavailable, None),
        (Reply(502), SinkUnavailable, None),
        (Reply(202), SinkUnavailable, None),
        (Reply(200, b"<html>sign in first</html>"), SinkUnavailable, None),
        (Reply(200, b"[]"), SinkUnavailable, None),
        (scim_error(500), DeliveryDeferred, None),
        (Reply(423), DeliveryDeferred, None),
    ],
)
def test_what_keeps_everybody_or_one_person_waiting(
    place: str, reply: Reply, failure: type[SinkUnavailable] | type[DeliveryDeferred], retry_after: float | None
) -> None:
    """Overload, missing rights and answers that are none of SCIM concern everybody; what may be about one person defers that one."""
    with strict_server() as server, sink_of(server) as sink:
        if place == "search":
            server.expect("GET", search(), reply)
        else:
            expect_search(server, person())
            expect_configuration(server)
            server.expect("PATCH", PLACE, reply)

        with pytest.raises((SinkUnavailable, DeliveryDeferred)) as failed:
            sink.deliver(handed())

        assert isinstance(failed.value, failure)
        assert retry_after == failed.value.retry_after
        assert TEPPO not in failed.value.cause


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404),
        Reply(501),
        scim_reply({}),
        scim_reply({"totalResults": True, "Resources": [person()]}),
        scim_reply({"totalResults": 1, "Resources": {}}),
        scim_reply({"totalResults": 1}),
        scim_reply({"totalResults": 1, "Resources": [17]}),
        scim_reply({"totalResults": 1, "Resources": [{"userName": TEPPO}]}),
        scim_reply({"totalResults": 1, "Resources": [{"userName": TEPPO, "id": ".."}]}),
        Reply(200, b'{"totalResults": 1, "Resources": [{"userName": "teppo@uni.example", "id": "\\ud800"}]}'),
    ],
)
def test_a_search_that_makes_no_sense_writes_nothing(reply: Reply) -> None:
    """Whatever is no list of resources with ids is an outage, and nobody is written to."""
    with strict_server() as server, sink_of(server) as sink:
        server.expect("GET", search(), reply)

        with pytest.raises(SinkUnavailable):
            sink.deliver(handed())


@pytest.mark.parametrize(
    "reply",
    [
        listed(person() | {"userName": "somebody-else@uni.example"}),
        listed({key: value for key, value in person().items() if key != "userName"}),
        listed(person() | {"userName": None}),
        listed(person(), total=4711),
        listed(person(), person() | {"id": "another"}, total=1),
    ],
)
def test_a_server_that_ignores_the_filter_makes_nobody_be_written_to(reply: Reply) -> None:
    """Whoever is found must have what was searched for, and be the only one."""
    with strict_server() as server, sink_of(server) as sink:
        server.expect("GET", search(), reply, times=2)

        for delivery in (handed(), WITHDRAWN):
            with pytest.raises(DeliveryRefused):
                sink.deliver(delivery)


@pytest.mark.parametrize("identity", ["../Groups/1", "a b", "ä?x=y#z", "%2e%2e"])
def test_an_id_is_one_part_of_the_address(identity: str) -> None:
    """Whatever signs an id has, it leads to nothing but that person."""
    expected = {"../Groups/1": "..%2FGroups%2F1", "a b": "a%20b", "ä?x=y#z": "%C3%A4%3Fx%3Dy%23z", "%2e%2e": "%252e%252e"}[identity]
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person() | {"id": identity})
        expect_configuration(server)
        server.expect("PATCH", f"/scim/Users/{expected}", Reply(204))

        assert Receipt() == sink.deliver(handed())


def test_another_person_under_the_same_address_is_not_written_to() -> None:
    """A server that shows somebody else where the person stood is not followed."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server, patch=False)
        server.expect("GET", PLACE, scim_reply(person() | {"id": "another"}))

        with pytest.raises(DeliveryRefused, match="another id"):
            sink.deliver(handed())


@pytest.mark.parametrize(
    ("values", "present"),
    [("several", "text"), ("several", {"value": URI}), ("several", [{"value": URI}]), ("several", [17]), ("single", [URI]), ("single", 17)],
)
def test_what_is_no_text_is_not_touched(values: str, present: Any) -> None:
    """An attribute of another kind than configured is refused before anything is written."""
    found = person() | {EXTENSION: {"eduPersonOrcid": present}}
    with strict_server() as server, sink_of(server, values=values) as sink:
        expect_search(server, found, times=2)

        for delivery in (handed(), WITHDRAWN):
            with pytest.raises(DeliveryRefused, match="holds something else than"):
                sink.deliver(delivery)


@pytest.mark.parametrize("trick", [Silence(), Drip(b"HTTP/1.1 200 OK\r\n\r\n", b" "), Drip(b"HTTP/1.1 200 OK\r\nX: ", b"x")])
@pytest.mark.parametrize("place", ["search", "configuration", "resource"])
def test_one_deadline_is_over_all_requests(place: str, trick: Silence | Drip) -> None:
    """A server that takes its time with any of the requests ends in an outage, and nothing that changes anything is sent any more."""
    with strict_server() as server, sink_of(server, timeout=0.5) as sink:
        if place == "search":
            server.expect("GET", search(), trick)
        else:
            expect_search(server, person())
            server.expect("GET", "/scim/ServiceProviderConfig", trick if place == "configuration" else configuration(patch=False))
        if place == "resource":
            server.expect("GET", PLACE, trick)

        with pytest.raises(SinkUnavailable, match="no answer in time"):
            sink.deliver(handed())


def test_what_is_longer_than_any_identifier_is_not_searched_for() -> None:
    """Text that no address has room for is refused for itself, and the server is not asked."""
    endless = replace(eppn(TEPPO)[0], value="a" * 100_000)
    with strict_server() as server, sink_of(server) as sink:
        with pytest.raises(DeliveryRefused, match="nobody there has as userName any eppn"):
            sink.deliver(handed(endless))

        assert not server.received


def test_a_photograph_does_not_keep_anybody_waiting() -> None:
    """People with much to show are read whole."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(photos=[{"value": "x" * 500_000}]))
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_reply(person(URI, photos=[{"value": "x" * 500_000}])))

        assert Receipt() == sink.deliver(handed())


def test_over_tls_with_a_name_and_password(tmp_path: Path) -> None:
    """Over TLS with an authority of its own the delivery is made; without that authority nothing is sent."""
    own = pem_pair(tmp_path, "localhost")
    (tmp_path / "password").write_text("hunter2\n", encoding="ascii")
    access = {"username": "orcid", "password_file": str(tmp_path / "password")}
    with strict_server(server_tls(own)) as server:
        expect_search(server, person())
        expect_configuration(server)
        server.expect("PATCH", PLACE, Reply(204))

        with sink_of(server, tls_ca=str(own.certificate), **access) as sink:
            assert Receipt() == sink.deliver(handed())
        with sink_of(server, **access) as sink, pytest.raises(SinkUnavailable, match="certificate"):
            sink.deliver(handed())

        assert {"Basic b3JjaWQ6aHVudGVyMg=="} == {one.headers["authorization"] for one in server.received}
