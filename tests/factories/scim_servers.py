"""SCIM servers for tests: tables with defaults, sinks, and what a strict web server is told to be one that does as some servers do."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from connectors.scim import SCIM, ScimSettings, ScimSink
from tests.factories.sink_deliveries import sink_surroundings
from tests.factories.web_servers import Reply, StrictServer
from tests.peers.scim import CORE, EXTENSION, SEVERAL

TEPPO = "teppo@uni.example"
IDENTITY = "2819c223"
PLACE = f"/scim/Users/{IDENTITY}"
VERSION = 'W/"a330bc54f0671c9"'
NEXT_VERSION = 'W/"e180ee84f0671b1"'


def scim_table(url: str, **keys: Any) -> ScimSettings:
    """Make the table of a server at a base address."""
    return ScimSettings.model_validate({"kind": "scim", "url": url, "attribute": SEVERAL, **keys})


def open_scim(settings: ScimSettings) -> ScimSink:
    """Open a sink."""
    opened = SCIM.open(settings, sink_surroundings())
    assert isinstance(opened, ScimSink)
    return opened


@contextmanager
def scim_sink(url: str, **keys: Any) -> Iterator[ScimSink]:
    """Open a sink for the time of the block."""
    opened = open_scim(scim_table(url, **keys))
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def sink_of(server: StrictServer, **keys: Any) -> Iterator[ScimSink]:
    """Open a sink for a strict server for the time of the block."""
    with scim_sink(f"{server.url}/scim/", **keys) as opened:
        yield opened


def search(value: str = TEPPO, path: str = "userName") -> str:
    """Write the target of a search."""
    return f"/scim/Users?filter={quote(f'{path} eq {json.dumps(value, ensure_ascii=False)}', safe='')}&count=2"


def person(*orcids: str, version: str | None = VERSION, **more: Any) -> dict[str, Any]:
    """Return somebody as a server shows them, with these values in the attribute."""
    extended: dict[str, Any] = {EXTENSION: {"eduPersonOrcid": list(orcids)}} if orcids else {}
    meta = {"resourceType": "User"} | ({} if version is None else {"version": version})
    return {"schemas": [CORE, *extended], "id": IDENTITY, "userName": TEPPO, "meta": meta, **extended, **more}


def scim_reply(content: Any, status: int = 200, **headers: str) -> Reply:
    """Write an answer with a message."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/scim+json", **named})


def listed(*people: Mapping[str, Any], total: int | None = None) -> Reply:
    """Write what a search answers."""
    schemas = ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    found = {"Resources": people} if people else {}
    return scim_reply({"schemas": schemas, "totalResults": len(people) if total is None else total, **found})


def scim_error(status: int, detail: str | None = None, scim_type: str | None = None, **headers: str) -> Reply:
    """Write the message of an error (RFC 7644 section 3.12)."""
    told = {"detail": detail, "scimType": scim_type}
    message = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status)}
    return scim_reply(message | {name: text for name, text in told.items() if text is not None}, status, **headers)


def configuration(**supported: bool) -> Reply:
    """Write a ServiceProviderConfig."""
    return scim_reply({name: {"supported": on} for name, on in supported.items()})


def expect_search(server: StrictServer, *people: Mapping[str, Any], times: int = 1) -> None:
    """Have a search for Teppo find these."""
    server.expect("GET", search(), listed(*people), times=times)


def expect_configuration(server: StrictServer, patch: bool = True, times: int = 1) -> None:
    """Have the server say whether it takes PATCH."""
    server.expect("GET", "/scim/ServiceProviderConfig", configuration(patch=patch), times=times)
