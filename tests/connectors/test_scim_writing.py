"""SCIM as a sink: what is written by PATCH and by PUT, on which condition, and what happens where somebody else writes first."""

import json
from typing import Any

import pytest

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, SinkUnavailable
from tests.factories.scim_servers import (
    NEXT_VERSION,
    PLACE,
    TEPPO,
    VERSION,
    configuration,
    expect_configuration,
    expect_search,
    person,
    scim_error,
    scim_reply,
    search,
    sink_of,
)
from tests.factories.sink_deliveries import FORMER, ORCID, handed
from tests.factories.web_servers import Reply, StrictServer, strict_server
from tests.peers.scim import CORE, EXTENSION, SEVERAL

URI = f"https://orcid.org/{ORCID}"
FOREIGN = "https://orcid.org/0000-0002-1694-233X"
WITHDRAWN = handed(orcid=None, former=(FORMER,))


def _operation(server: StrictServer) -> dict[str, Any]:
    message = server.received[-1].json
    assert ["urn:ietf:params:scim:api:messages:2.0:PatchOp"] == message["schemas"]
    (operation,) = message["Operations"]
    return dict(operation)


@pytest.mark.parametrize(
    ("present", "delivery", "operation"),
    [
        ((), handed(), {"op": "add", "path": SEVERAL, "value": [URI]}),
        ((FOREIGN,), handed(former=(FORMER,)), {"op": "add", "path": SEVERAL, "value": [URI]}),
        ((FORMER, FOREIGN), handed(former=(FORMER,)), {"op": "replace", "path": SEVERAL, "value": [FOREIGN, URI]}),
        ((FORMER, FOREIGN), WITHDRAWN, {"op": "replace", "path": SEVERAL, "value": [FOREIGN]}),
        ((FORMER,), WITHDRAWN, {"op": "remove", "path": SEVERAL}),
    ],
)
def test_each_change_is_one_operation(present: tuple[str, ...], delivery: Delivery, operation: dict[str, Any]) -> None:
    """A PATCH has one operation, in lower case, under the media type of SCIM, for the version that was read; what only comes is added."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(*present))
        expect_configuration(server)
        server.expect("PATCH", PLACE, Reply(204))

        sink.deliver(delivery)

        assert operation == _operation(server)
        headers = server.received[-1].headers
        assert ("application/scim+json", VERSION) == (headers["content-type"], headers["if-match"])


def test_a_server_without_versions_is_given_no_condition() -> None:
    """Without a version there is no If-Match."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(version=None))
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_reply(person(URI)))

        assert Receipt() == sink.deliver(handed())

        assert "if-match" not in server.received[-1].headers


def test_the_configuration_is_asked_for_once() -> None:
    """Whether the server takes PATCH is asked at the first change, and kept."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(URI))
        expect_search(server, person(), times=2)
        expect_configuration(server)
        server.expect("PATCH", PLACE, Reply(204), times=2)

        assert [True, False, False] == [sink.deliver(handed()).found for _ in range(3)]


def test_the_configuration_is_asked_for_again_after_a_failure() -> None:
    """After an outage the server may have become another version."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(), times=2)
        server.expect("GET", "/scim/ServiceProviderConfig", configuration(patch=True))
        server.expect("PATCH", PLACE, Reply(502))
        server.expect("GET", "/scim/ServiceProviderConfig", configuration(patch=False))
        server.expect("GET", PLACE, scim_reply(person()))
        server.expect("PUT", PLACE, scim_reply(person(URI)))

        with pytest.raises(SinkUnavailable, match="PATCH ended with HTTP status 502"):
            sink.deliver(handed())
        sink.deliver(handed())


@pytest.mark.parametrize("told", [Reply(404), Reply(403), Reply(501), scim_reply({}), scim_reply({"patch": None})])
def test_a_server_that_tells_nothing_of_itself_is_presumed_to_take_patch(told: Reply) -> None:
    """Without a ServiceProviderConfig that says otherwise, PATCH is sent."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        server.expect("GET", "/scim/ServiceProviderConfig", told)
        server.expect("PATCH", PLACE, Reply(204))

        assert Receipt() == sink.deliver(handed())


@pytest.mark.parametrize("status", [405, 501])
def test_put_takes_the_place_of_a_patch_that_is_not_taken(status: int) -> None:
    """A server that does not take the PATCH it has announced is given the whole resource, and from then on at once."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(), times=2)
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_error(status))
        server.expect("GET", PLACE, scim_reply(person()), times=2)
        server.expect("PUT", PLACE, scim_reply(person(URI)), times=2)

        sink.deliver(handed())
        sink.deliver(handed())


def test_a_put_holds_everything_that_was_read() -> None:
    """The whole resource is sent as its own address shows it, without what is read-only, under the version that came with it."""
    shown = person(FOREIGN, name={"familyName": "Testaaja"}, groups=[{"value": "g1"}], Active=True)
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(FOREIGN))
        expect_configuration(server, patch=False)
        server.expect("GET", PLACE, scim_reply(shown, ETag=NEXT_VERSION))
        server.expect("PUT", PLACE, Reply(200))

        sink.deliver(handed())

        sent = server.received[-1]
        expected = {key: value for key, value in shown.items() if key not in {"meta", "groups"}}
        assert expected | {EXTENSION: {"eduPersonOrcid": [FOREIGN, URI]}} == sent.json
        assert NEXT_VERSION == sent.headers["if-match"]


def test_a_put_names_the_extension_as_long_as_something_of_it_is_there() -> None:
    """`schemas` gets the extension with the first value, and loses it with the last."""
    with strict_server() as server, sink_of(server) as sink:
        expect_configuration(server, patch=False)
        for present, delivery in (((), handed()), ((FORMER,), WITHDRAWN)):
            expect_search(server, person(*present))
            server.expect("GET", PLACE, scim_reply(person(*present)))
            server.expect("PUT", PLACE, Reply(200))
            sink.deliver(delivery)

        added, removed = (one.json for one in server.received if one.method == "PUT")
        assert ([CORE, EXTENSION], {"eduPersonOrcid": [URI]}) == (added["schemas"], added[EXTENSION])
        assert ([CORE], False) == (removed["schemas"], EXTENSION in removed)


def test_nothing_is_put_where_it_is_there_meanwhile() -> None:
    """Where the resource itself shows more than the search did, it counts."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server, patch=False)
        server.expect("GET", PLACE, scim_reply(person(URI)))

        sink.deliver(handed())


def test_a_server_that_takes_neither_is_no_matter_of_one_person() -> None:
    """Where neither PATCH nor PUT is taken, nothing can be delivered to anybody."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server)
        server.expect("PATCH", PLACE, Reply(405))
        server.expect("GET", PLACE, scim_reply(person()))
        server.expect("PUT", PLACE, Reply(405))

        with pytest.raises(SinkUnavailable, match="neither PATCH nor PUT"):
            sink.deliver(handed())


@pytest.mark.parametrize("conflict", [scim_error(412), scim_error(409), scim_error(409, "version mismatch")])
def test_who_loses_a_race_reads_again(conflict: Reply) -> None:
    """Where somebody else has written meanwhile the resource is read and written once more, with what stands there now."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(FORMER))
        expect_configuration(server)
        server.expect("PATCH", PLACE, conflict)
        server.expect("GET", PLACE, scim_reply(person(FORMER, FOREIGN, version=None), ETag=NEXT_VERSION))
        server.expect("PATCH", PLACE, Reply(204))

        assert Receipt() == sink.deliver(handed(former=(FORMER,)))

        assert {"op": "replace", "path": SEVERAL, "value": [FOREIGN, URI]} == _operation(server)
        assert NEXT_VERSION == server.received[-1].headers["if-match"]


def test_who_loses_a_race_to_the_same_change_has_nothing_to_do() -> None:
    """Where the iD stands there after the conflict, nothing is written."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_error(412))
        server.expect("GET", PLACE, scim_reply(person(URI)))

        assert Receipt(found=True) == sink.deliver(handed())


def test_who_loses_twice_comes_back_later() -> None:
    """After a second conflict the delivery is deferred, and nothing else is."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_error(412), times=2)
        server.expect("GET", PLACE, scim_reply(person()), times=2)

        with pytest.raises(DeliveryDeferred, match="somebody else"):
            sink.deliver(handed())


@pytest.mark.parametrize(("delivery", "refused"), [(handed(), True), (WITHDRAWN, False)])
def test_somebody_who_leaves_meanwhile_is_unknown(delivery: Delivery, refused: bool) -> None:
    """A resource that is gone when it is to be written is refused, and for a withdrawal there is nothing left to do."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(FORMER))
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_error(404))

        if refused:
            with pytest.raises(DeliveryRefused, match="nobody there has as userName"):
                sink.deliver(delivery)
        else:
            assert Receipt() == sink.deliver(delivery)


@pytest.mark.parametrize("version", ['W/"a"\r\nX-Evil: 1', "ä", "", 17, None])
def test_a_version_that_is_none_is_left_out(version: Any) -> None:
    """What cannot stand in a header is no version."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person() | {"meta": {"version": version}})
        expect_configuration(server)
        server.expect("PATCH", PLACE, Reply(204))

        sink.deliver(handed())

        assert not {"if-match", "x-evil"} & server.received[-1].headers.keys()


def test_names_compare_without_regard_to_case() -> None:
    """A server may spell attributes and extensions in its own way (RFC 7643 section 2.1), and what it has is replaced, not doubled."""
    spelt = {"SCHEMAS": [CORE, EXTENSION.lower()], "ID": "2819c223", "UserName": TEPPO.upper(), "Meta": {"Version": VERSION}}
    found = spelt | {EXTENSION.lower(): {"EduPersonOrcid": [FORMER], "shoeSize": 42}}
    with strict_server() as server, sink_of(server) as sink:
        server.expect("GET", search(), scim_reply({"TOTALRESULTS": 1, "resources": [found]}))
        server.expect("GET", "/scim/ServiceProviderConfig", scim_reply({"Patch": {"Supported": False}}))
        server.expect("GET", PLACE, scim_reply(found))
        server.expect("PUT", PLACE, Reply(204))

        sink.deliver(handed(former=(FORMER,)))

        sent = server.received[-1].json
        assert {"ID", "UserName", "schemas", EXTENSION} == sent.keys()
        assert {"eduPersonOrcid": [URI], "shoeSize": 42} == sent[EXTENSION]
        assert [CORE, EXTENSION] == sent["schemas"]


@pytest.mark.parametrize(
    ("delivery", "since_then"), [(handed(), ()), (handed(former=(FORMER,)), (FORMER, URI)), (WITHDRAWN, (FOREIGN, FORMER))]
)
def test_a_change_that_the_server_leaves_out_is_noticed(delivery: Delivery, since_then: tuple[str, ...]) -> None:
    """Where the server shows the resource after the change, and the change is not in it, a person has to see why."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person(FORMER))
        expect_configuration(server)
        server.expect("PATCH", PLACE, scim_reply(person(*since_then)))

        with pytest.raises(DeliveryRefused, match="took the change, and the attribute is not as it should be"):
            sink.deliver(delivery)


@pytest.mark.parametrize(
    "shown", [b"", b"  ", json.dumps({"id": "another"}).encode(), b"{}", json.dumps(person(f"orcid.org/{ORCID}")).encode()]
)
def test_a_server_need_not_show_what_it_has_taken(shown: bytes) -> None:
    """A success without the resource is a success, and so is one that shows the iD in another form."""
    with strict_server() as server, sink_of(server) as sink:
        expect_search(server, person())
        expect_configuration(server)
        server.expect("PATCH", PLACE, Reply(200, shown))

        assert Receipt() == sink.deliver(handed())
