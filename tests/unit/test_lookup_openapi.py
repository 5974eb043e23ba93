"""The OpenAPI document, and whether what is served keeps to it: schemathesis against the real resources over a real socket."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from pydantic import BaseModel

from attribute_authority.domain.identifiers import IdentifierKind
from attribute_authority.web.lookup.answers import BatchAnswer, LinksAnswer, OrcidAnswer, Problem
from attribute_authority.web.lookup.cursor import write_cursor
from attribute_authority.web.lookup.openapi import openapi
from tests.factories.doors import IDP
from tests.factories.lookups import BEARER, CRIS, PERSON_QUERY, TOKEN, key, lookup_lab, read
from tests.factories.queries import SP

_ROOT = Path(__file__).parents[2]
_SECONDS = 30
_QUALIFIERS = {"persistent": {"name-qualifier": IDP, "sp-name-qualifier": SP}, "pairwise-id": {"sp-name-qualifier": SP}}

schema = schemathesis.openapi.from_dict(openapi())


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a lookup door in a process of its own."""
    with create_server(("127.0.0.1", 0)) as listening:
        # A reactor that takes over a socket expects it so.
        listening.setblocking(False)
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "tests.factories.lookups", str(descriptor)]
        with subprocess.Popen(command, pass_fds=[descriptor], cwd=_ROOT) as process:
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                process.terminate()


def _mend(asked: dict[str, Any]) -> None:
    """Make of an identifier that fits one that this caller can be answered: of one kind, with every qualifier of the kind."""
    kind, *others = [kind.value for kind in IdentifierKind if kind in asked] or ["eppn"]
    asked.setdefault(kind, "josiah@uni.example")
    wanted = _QUALIFIERS.get(kind, {})
    for name in (*others, *({"name-qualifier", "sp-name-qualifier"} - wanted.keys())):
        asked.pop(name, None)
    for name, value in wanted.items():
        asked.setdefault(name, value)


def _fits(case: Any, part: str) -> bool:
    """Whether a part of a request was made to fit the document."""
    made = None if case.meta is None else case.meta.components.get(part)
    return made is not None and made.mode is schemathesis.GenerationMode.POSITIVE


def _mend_query(case: Any) -> None:
    """Replace what no document can describe: what belongs to who asks, or was told before, or excludes something else."""
    if "requester" in case.query:
        case.query["requester"] = CRIS
    if "since" in case.query:
        case.query["since"] = write_cursor(10)
    if case.operation.path == "/api/v1/orcid":
        _mend(case.query)


@schema.parametrize()
@settings(max_examples=25, derandomize=True, deadline=None)
def test_what_is_served_keeps_to_the_document(case: Any, served: str) -> None:
    """What fits is answered as described, what does not is refused as described, and nothing without a token."""
    if _fits(case, "query"):
        _mend_query(case)
    if _fits(case, "body"):
        for asked in case.body["identifiers"]:
            _mend(asked)
    case.call_and_validate(base_url=served, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=_SECONDS)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "$ref")
        yield from chain.from_iterable(map(_references, part.values()))
    elif isinstance(part, list):
        yield from chain.from_iterable(map(_references, part))


def _target(document: Any, reference: str) -> Any:
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def test_every_reference_leads_somewhere() -> None:
    """And every component is referred to."""
    document = openapi()
    references = set(_references(document))
    named = {f"#/components/{part}/{name}" for part in ("schemas", "responses") for name in document["components"][part]}

    assert named == references
    assert all(_target(document, reference) for reference in references)


def test_the_document_is_valid() -> None:
    """By the schema of OpenAPI 3.1 itself."""
    schema.validate()

    assert "3.1.0" == schema.specification.version


def test_the_document_is_served_to_everybody() -> None:
    """Without a token, as JSON, with a validator; it is the one that the models make."""
    lab = lookup_lab()
    answer = lab.get("openapi.json")

    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    assert openapi() == read(answer)
    assert "3.1.0" == read(answer)["openapi"]
    assert str(len(answer.body)) == answer.headers["content-length"]
    assert 304 == lab.get("openapi.json", f"If-None-Match: {answer.headers['etag']}").status
    assert str(len(answer.body)) == lab.get("openapi.json", method="HEAD").headers["content-length-of-get"]
    assert [] == lab.events()


@pytest.mark.parametrize("path", ["/api/v1/orcid", "/api/v1/links"])
def test_every_parameter_is_described(path: str) -> None:
    """With a sentence, and a schema that is checked."""
    parameters = openapi()["paths"][path]["get"]["parameters"]

    assert all({"pattern", "maximum"} & parameter["schema"].keys() and len(parameter["description"]) > 20 for parameter in parameters)
    assert ("eppn" in path) == any(parameter["required"] for parameter in parameters)


def test_answers_have_the_shape_of_their_models() -> None:
    """Those that are written by hand for speed too."""
    lab = lookup_lab()
    answers: list[tuple[type[BaseModel], bytes]] = [
        (OrcidAnswer, lab.get(PERSON_QUERY, BEARER).body),
        (OrcidAnswer, lab.get("orcid?eppn=nobody%40uni.example", BEARER).body),
        (BatchAnswer, lab.post({"identifiers": [{"eppn": "josiah@uni.example"}]}, BEARER).body),
        (LinksAnswer, lab.get("links", key("idp")).body),
        (Problem, lab.get("orcid", BEARER).body),
        (Problem, lab.get("nothing").body),
    ]
    for model, body in answers:
        parsed = model.model_validate_json(body)

        assert json.loads(body) == parsed.model_dump(mode="json", by_alias=True, exclude_none=True)
