"""The check of SCIM as a sink, against servers that tell little of themselves, or what cannot work."""

import pytest

from attribute_authority.errors import OperatorError, SinkUnavailable
from tests.factories.scim_servers import (
    configuration,
    expect_configuration,
    listed,
    person,
    scim_error,
    scim_reply,
    search,
    sink_of,
)
from tests.factories.web_servers import Reply, strict_server
from tests.peers.scim import CORE, EXTENSION

_NOBODY = search("nobody@attribute-authority.invalid")


def _schemas(*attributes: object) -> Reply:
    return scim_reply({"totalResults": 1, "Resources": [{"id": EXTENSION, "attributes": attributes}]})


@pytest.mark.parametrize(
    "schemas",
    [
        Reply(404),
        Reply(501),
        scim_reply({}),
        scim_reply({"totalResults": 9, "Resources": [{"id": CORE}]}),
        _schemas({"name": "EDUPERSONORCID", "multiValued": True, "mutability": "ReadWrite", "type": "Reference"}),
    ],
)
def test_the_check_takes_what_it_is_told(schemas: Reply) -> None:
    """Where schemas are not told, or not all of them, the attribute is presumed to be there; where they are it has to fit."""
    with strict_server() as server, sink_of(server) as sink:
        expect_configuration(server)
        server.expect("GET", "/scim/Schemas", schemas)
        server.expect("GET", _NOBODY, listed())

        sink.check()


@pytest.mark.parametrize(
    ("search_reply", "expected"),
    [
        (listed(person(), total=4711), "find_by: the server finds people by userName that do not have what is searched for"),
        (scim_error(400, "no", "invalidFilter"), "find_by: nobody can be searched for by userName: "),
    ],
)
def test_the_check_tells_of_searches_that_cannot_work(search_reply: Reply, expected: str) -> None:
    """A server that ignores filters, or refuses this one, is a mistake of the operator."""
    with strict_server() as server, sink_of(server) as sink:
        expect_configuration(server)
        server.expect("GET", "/scim/Schemas", Reply(404))
        server.expect("GET", _NOBODY, search_reply)

        with pytest.raises(OperatorError) as fault:
            sink.check()

        assert fault.value.cause.startswith(expected)


def test_the_check_tells_of_a_server_without_filters() -> None:
    """A server that says that it does not filter is of no use."""
    with strict_server() as server, sink_of(server) as sink:
        server.expect("GET", "/scim/ServiceProviderConfig", configuration(patch=True, filter=False))

        with pytest.raises(OperatorError, match=r"filter\.supported"):
            sink.check()


def test_the_check_knows_an_outage_from_a_mistake() -> None:
    """A search that fails for once, and a configuration that is not told for once, are outages."""
    with strict_server() as server, sink_of(server) as sink:
        server.expect("GET", "/scim/ServiceProviderConfig", Reply(500))
        with pytest.raises(SinkUnavailable, match="HTTP status 500"):
            sink.check()

        expect_configuration(server)
        server.expect("GET", "/scim/Schemas", Reply(404))
        server.expect("GET", _NOBODY, Reply(500))
        with pytest.raises(SinkUnavailable, match="HTTP status 500"):
            sink.check()
