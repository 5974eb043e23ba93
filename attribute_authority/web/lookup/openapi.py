"""The OpenAPI 3.1 document, written from the models that check what is asked and shape what is answered."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from attribute_authority import __version__
from attribute_authority.web.lookup.answers import BatchAnswer, LinksAnswer, OrcidAnswer, Problem
from attribute_authority.web.lookup.problems import Reply
from attribute_authority.web.lookup.questions import CallerParameters, LinksParameters, LookupBatch, LookupParameters

_REFERENCE: Final = "#/components/schemas/{model}"
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"clientKey": []}]
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of a client that the authority's operator has registered."},
    "clientKey": {"type": "mutualTLS", "description": "A TLS client key that the caller's SAML metadata holds."},
}
_DESCRIPTION: Final = """Tells the authenticated ORCID iD of a person whom you know by an identifier of the home organisation.

What you may be told is decided by the release rules that also hold for SAML attribute queries. An answer without iD does not tell whether
nobody is known by the identifier, no iD is linked, or none may be told. Percent-encode what you put into an address, a plus sign as %2B."""
_PROBLEMS: Final = {
    400: "What was sent does not fit this description.",
    401: "No valid bearer token and no TLS client key of trusted metadata.",
    403: "The caller may not ask this.",
    405: "The address has other methods.",
    413: "The body is too large; it has no answer of its own.",
    415: "The body is not application/json in UTF-8.",
    429: "Too many identifiers were asked about; ask again after Retry-After seconds.",
    500: "A defect of the authority.",
    503: "Something that is needed for an answer could not be asked; ask again after Retry-After seconds.",
}
_READING: Final = (400, 401, 403, 405, 429, 500, 503)
_POSTING: Final = (400, 401, 403, 405, 413, 415, 429, 500, 503)
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}}
_HEADERS: Final[Mapping[int, Mapping[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "RFC 6750", "required": True, "schema": {"type": "string"}}},
    405: {"Allow": {"required": True, "schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
_ETAG: Final = {"ETag": {"description": "Of the octets of the body.", "required": True, "schema": {"type": "string"}}}


@cache
def describe() -> Reply:
    """Return the document."""
    body = json.dumps(openapi(), ensure_ascii=False, sort_keys=False).encode()
    etag = b'"%s"' % sha256(body).hexdigest()[:32].encode()
    return Reply(200, b"application/json", body, ((b"etag", etag),), b"no-cache")


def openapi() -> dict[str, Any]:
    """Write the document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "ORCID attribute authority: lookup", "version": __version__, "description": _DESCRIPTION},
        "paths": {
            "/api/v1/orcid": {"get": _lookup()},
            "/api/v1/orcid:lookup": {"post": _batch()},
            "/api/v1/links": {"get": _links()},
            "/api/v1/openapi.json": {"get": _self()},
        },
        "components": {"schemas": _schemas(), "securitySchemes": _SCHEMES, "responses": _problems()},
    }


def _lookup() -> dict[str, Any]:
    return {
        "operationId": "lookUp",
        "summary": "The iD of one person.",
        "description": "Exactly one identifier, with the qualifiers that its kind has.",
        "security": _SECURITY,
        "parameters": _parameters(LookupParameters),
        "responses": _responses("The iD, or none.", OrcidAnswer, _READING, kept=True),
    }


def _batch() -> dict[str, Any]:
    return {
        "operationId": "lookUpBatch",
        "summary": "The iDs of up to 1,000 people.",
        "description": "Each identifier counts as a question of its own. One that does not fit is a fault of the whole batch.",
        "security": _SECURITY,
        "parameters": _parameters(CallerParameters),
        "requestBody": {"required": True, "content": {"application/json": {"schema": _reference(LookupBatch)}}},
        "responses": _responses("One result for each identifier, in their order.", BatchAnswer, _POSTING),
    }


def _links() -> dict[str, Any]:
    return {
        "operationId": "readLinks",
        "summary": "What has changed about links.",
        "description": "For identity providers, of their own people, and for registered clients, of the home organisations that they are "
        "bound to. Whoever reads from the beginning and goes on with each `next` has a copy of every link.",
        "security": _SECURITY,
        "parameters": _parameters(LinksParameters),
        "responses": _responses("Changes, oldest first.", LinksAnswer, _READING, kept=True),
    }


def _self() -> dict[str, Any]:
    document = {"description": "The document.", "headers": _ETAG, "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "operationId": "describe",
        "summary": "This document.",
        "security": [],
        "responses": {"200": document, "304": _unchanged(), **_refusals((405, 500))},
    }


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Describe the fields of a model as parameters of a query."""
    parameters = []
    for name, schema in model.model_json_schema()["properties"].items():
        described = {key: value for key, value in _plain(schema).items() if key != "description"}
        parameters.append({"name": name, "in": "query", "description": schema["description"], "required": False, "schema": described})
    return parameters


def _responses(description: str, model: type[BaseModel], statuses: Sequence[int], *, kept: bool = False) -> dict[str, Any]:
    answered = {"description": description, "content": {"application/json": {"schema": _reference(model)}}}
    if not kept:
        return {"200": answered, **_refusals(statuses)}
    return {"200": {**answered, "headers": _ETAG}, "304": _unchanged(), **_refusals(statuses)}


def _unchanged() -> dict[str, Any]:
    return {"description": "The caller has these octets already (If-None-Match).", "headers": _ETAG}


def _refusals(statuses: Sequence[int]) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _problems() -> dict[str, Any]:
    return {str(status): _problem(status, description) for status, description in _PROBLEMS.items()}


def _problem(status: int, description: str) -> dict[str, Any]:
    described: dict[str, Any] = {"description": description, "headers": _HEADERS.get(status, {})}
    if status != 413:
        described["content"] = {"application/problem+json": {"schema": _reference(Problem)}}
    return described


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    models = (LookupBatch, OrcidAnswer, BatchAnswer, LinksAnswer, Problem)
    schemas: dict[str, Any] = _plain(models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)[1]["$defs"])
    return schemas


def _plain(schema: Any) -> Any:
    """Leave out the titles, which repeat the names, and defaults that say no more than that nothing is there."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = [key for key in ("title", "default") if key in schema and not isinstance(schema[key], dict | int)]
    return {key: _plain(part) for key, part in schema.items() if key not in left_out}
