"""What the simulated ORCID registry answers to machines: JSON, the errors of OAuth and those of the record API."""

import json
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from attribute_authority.demo.registry_ledger import OauthError, Researcher, Standing

_CLOSED = {
    Standing.DEACTIVATED: (9044, "the ORCID record is deactivated"),
    Standing.LOCKED: (9018, "the ORCID record is locked"),
}


def json_answer(content: object, status: int = HTTPStatus.OK) -> Response:
    """Return JSON that nobody keeps."""
    return Response(json.dumps(content), status, {"Cache-Control": "no-store", "Pragma": "no-cache"}, content_type="application/json")


def oauth_error(error: OauthError) -> Response:
    """Return an error of an OAuth endpoint."""
    return json_answer({"error": error.error, "error_description": error.description}, error.status)


def error_object(status: HTTPStatus, code: int, message: str) -> Response:
    """Return ORCID's error object."""
    content = {
        "response-code": int(status),
        "developer-message": f"{status} {status.phrase}: {message}",
        "user-message": message,
        "error-code": code,
        "more-info": "https://members.orcid.org/api/resources/troubleshooting",
    }
    return json_answer(content, status)


def person(researcher: Researcher, base_url: str) -> Response:
    """Return the person section of a record, or that the record is closed."""
    if researcher.standing is Standing.DEPRECATED:
        moved = error_object(HTTPStatus.MOVED_PERMANENTLY, 9007, f"This record is deprecated. The primary iD is {researcher.primary}")
        moved.headers["Location"] = f"{base_url}/v3.0/{researcher.primary}/person"
        return moved
    if researcher.standing in _CLOSED:
        return error_object(HTTPStatus.CONFLICT, *_CLOSED[researcher.standing])
    return json_answer({"path": f"/{researcher.orcid}/person", "name": _name(researcher)})


def _name(researcher: Researcher) -> dict[str, Any] | None:
    if researcher.public_name is None:
        return None
    return {
        "given-names": {"value": researcher.given_name},
        "family-name": {"value": researcher.family_name},
        "credit-name": {"value": researcher.public_name},
        "visibility": "public",
        "path": researcher.orcid,
    }
