"""A SCIM server: one method for each request, which judges the status (RFC 7644 sections 3.12 and 3.14)."""

from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, SinkUnavailable
from connectors._deadline import Deadline
from connectors._scim_messages import NotScim, Resource, is_taken, read_detail, read_list, read_object, read_resource, search_query
from connectors._scim_paths import AttributePath, member
from connectors._web_exchange import server_of
from connectors._web_service import Answer, WebService

_MEDIA_TYPE: Final = "application/scim+json"
_ACCEPT: Final = {"Accept": f"{_MEDIA_TYPE}, application/json"}
_LIMIT: Final = 1_048_576
"""Octets of body that an answer may have: people may have photographs and many groups."""

_NOT_SERVED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE, HTTPStatus.NOT_IMPLEMENTED})
_NO_SUCH_METHOD: Final = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.LOCKED, HTTPStatus.INTERNAL_SERVER_ERROR})


class Writing(Enum):
    """What became of a modification: OVERTAKEN where somebody else has written first, GONE where the resource is not there any more."""

    DONE = auto()
    OVERTAKEN = auto()
    GONE = auto()
    UNSUPPORTED = auto()


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a modification, and the resource as it stands since then, None where the server does not show it."""

    writing: Writing
    resource: Resource | None = None


class ScimServer:
    """A server as its address and what carries requests to it; every method raises SinkUnavailable."""

    def __init__(self, service: WebService, url: str) -> None:
        self._service = service
        self._url = url

    def find(self, path: AttributePath, value: str, deadline: Deadline) -> Resource | None:
        """Return the one person who has a value, None where nobody has.

        Raises DeliveryRefused where several have, or who was found has not; DeliveryDeferred.
        """
        total, found = self.search(path, value, deadline)
        if not total:
            return None
        if total > 1 or len(found) > 1:
            raise DeliveryRefused(f"{self._name}: several resources for one {path}")
        try:
            resource = read_resource(found[0])
        except NotScim as fault:
            raise self._senseless(fault) from None
        if not resource.has(path, value):
            raise DeliveryRefused(f"{self._name}: the resource that was found has another {path} than was searched for")
        return resource

    def search(self, path: AttributePath, value: str, deadline: Deadline) -> tuple[int, list[Any]]:
        """Return how many have a value, and those of them that came. Raises DeliveryRefused; DeliveryDeferred."""
        answer = self._get(f"Users?{search_query(path, value)}", deadline)
        if answer.status in _NOT_SERVED:
            raise SinkUnavailable(f"{self._name}: there are no Users to be searched at this address: HTTP status {answer.status}")
        self._require_success(answer, "search")
        try:
            return read_list(answer.body)
        except NotScim as fault:
            raise self._senseless(fault) from None

    def read(self, identity: str, deadline: Deadline) -> Resource | None:
        """Return the person with an id, None where there is none any more. Raises DeliveryRefused; DeliveryDeferred."""
        answer = self._get(_address(identity), deadline)
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            return None
        self._require_success(answer, "read")
        try:
            resource = read_resource(read_object(answer.body), answer.headers.get("etag"))
        except NotScim as fault:
            raise self._senseless(fault) from None
        if resource.id != identity:
            raise DeliveryRefused(f"{self._name}: the resource that was read has another id than was asked for")
        return resource

    def write(self, method: str, resource: Resource, body: bytes, deadline: Deadline) -> Written:
        """Send a PATCH or PUT for a resource, on the condition that it is still the one that was read, where it has a version.

        Raises DeliveryRefused; DeliveryDeferred.
        """
        condition = {} if resource.version is None else {"If-Match": resource.version}
        headers = {**_ACCEPT, "Content-Type": _MEDIA_TYPE, **condition}
        answer = self._service.send(method, f"{self._url}/{_address(resource.id)}", headers, body, deadline, limit=_LIMIT)
        if answer.status in _NO_SUCH_METHOD:
            return Written(Writing.UNSUPPORTED)
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            return Written(Writing.GONE)
        if answer.status == HTTPStatus.PRECONDITION_FAILED or (condition and _is_old_version(answer)):
            return Written(Writing.OVERTAKEN)
        if answer.status == HTTPStatus.NO_CONTENT:
            return Written(Writing.DONE)
        self._require_success(answer, method)
        return Written(Writing.DONE, self._shown(answer, resource.id))

    def discover(self, endpoint: str, deadline: Deadline) -> dict[str, Any] | None:
        """Return what an endpoint of discovery says (RFC 7644 section 4), None where there is no such endpoint for us."""
        answer = self._get(endpoint, deadline)
        if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _NOT_SERVED:
            return None
        if answer.status != HTTPStatus.OK:
            raise SinkUnavailable(f"{self._name}: {endpoint} is not told: HTTP status {answer.status}")
        try:
            return read_object(answer.body)
        except NotScim as fault:
            raise self._senseless(fault) from None

    @property
    def _name(self) -> str:
        return server_of(self._url)

    def _get(self, place: str, deadline: Deadline) -> Answer:
        return self._service.send("GET", f"{self._url}/{place}", _ACCEPT, None, deadline, limit=_LIMIT)

    def _require_success(self, answer: Answer, what: str) -> None:
        status = answer.status
        if status == HTTPStatus.OK:
            return
        cause = f"{self._name}: {what} ended with HTTP status {status}"
        if status == HTTPStatus.FORBIDDEN:
            raise SinkUnavailable(f"{cause}: our credentials do not have the right to do so")
        if status in _LATER:
            raise DeliveryDeferred(cause)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise DeliveryRefused(cause, read_detail(answer.body))
        raise SinkUnavailable(cause)

    def _shown(self, answer: Answer, identity: str) -> Resource | None:
        if not answer.body.strip():
            return None
        try:
            content = read_object(answer.body)
            return read_resource(content) if member(content, "id") == identity else None
        except NotScim as fault:
            # A page for signing in has this status too.
            raise self._senseless(fault) from None

    def _senseless(self, fault: NotScim) -> SinkUnavailable:
        return SinkUnavailable(f"{self._name}: {fault}")


def _is_old_version(answer: Answer) -> bool:
    # RFC 7644 section 3.12 has 409 for a version that does not fit, and for a value that is somebody else's.
    return answer.status == HTTPStatus.CONFLICT and not is_taken(answer.body)


def _address(identity: str) -> str:
    return f"Users/{quote(identity, safe='')}"
