"""Questions for the lookup door as callers write them, and the clients that put them with a bearer token.

A lookup at login is one GET over a kept connection, by a token or by the TLS client key of metadata. The door has no signature to
check and none to make, so its rate is held against how many signatures the same core makes: it must not be the slower thing.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import cycle
from random import Random
from urllib.parse import urlencode

from attribute_authority.domain.client import NewClient
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.storage.sql import SqlStore
from tests.bench.population import PEOPLE, eppn_of
from tests.bench.queries import Query, uri_of

BATCH = 1_000
"""As many identifiers as one batch may have."""

NOBODY = b'{"eduPersonOrcid": []}'
"""The whole answer where there is nothing to release."""


def client_names(count: int) -> list[str]:
    """Return the entityIDs of so many clients with a token."""
    return [f"https://proxy-{number}.uni.example/lookup" for number in range(1, count + 1)]


def add_clients(store: SqlStore, names: Sequence[str], home_organisation: str) -> list[str]:
    """Register a client of each name; returns their tokens."""
    tokens = [f"aa_{sha256(name.encode()).hexdigest()}" for name in names]
    for number, (name, token) in enumerate(zip(names, tokens, strict=True)):
        digest = sha256(token.encode()).digest()
        bound = frozenset({EntityId(home_organisation)})
        store.add_client(NewClient(f"bench-{number}", EntityId(name), bound, digest, datetime.now(UTC), None))
    return tokens


def look_up(asked: Iterable[tuple[str, bytes]], tokens: Sequence[str] = ()) -> list[Query]:
    """Return a GET for each ePPN and the answer's text, with the tokens in turn; without any the TLS client key has to tell who asks."""
    heads = cycle([_bearer(token) for token in tokens] or [""])
    return [
        Query(b"", expected, f"/api/v1/orcid?{urlencode({'eppn': eppn})}", head)
        for (eppn, expected), head in zip(asked, heads, strict=False)
    ]


def anybody(random: Random, count: int) -> list[tuple[str, bytes]]:
    """Return the ePPNs of so many people of the population, each with the text that the answer must hold."""
    return [(eppn_of(person), b'{"eduPersonOrcid": ["%s"]}' % uri_of(person)) for person in random.choices(range(1, PEOPLE + 1), k=count)]


def look_up_batches(random: Random, count: int, token: str) -> list[Query]:
    """Return so many POSTs with BATCH people each, all of whose iDs must be in the answer."""
    head = f"Content-Type: application/json\r\n{_bearer(token)}"
    return [_batch(anybody(random, BATCH), head) for _ in range(count)]


def _batch(people: Sequence[tuple[str, bytes]], head: str) -> Query:
    body = json.dumps({"identifiers": [{"eppn": eppn} for eppn, _ in people]}).encode()
    return Query(body, b", ".join(answer for _, answer in people), "/api/v1/orcid:lookup", head)


def _bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n"
