"""The messages of SCIM: searches, modifications and what servers answer (RFC 7644 sections 3.4.2, 3.5 and 3.12)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from connectors._scim_paths import AttributePath, member, without
from connectors._scim_values import Change

_PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_READ_ONLY: Final = ("meta", "groups")


class NotScim(Exception):
    """What a server answered is not the message that it should be."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A person as a server has them; `version` is the entity-tag, None where the server gives none."""

    id: str = field(repr=False)
    version: str | None = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)

    def has(self, path: AttributePath, value: str) -> bool:
        """Whether a value stands there, without regard to case, as eduPerson's identifiers compare."""
        found = path.read(self.content)
        several = found if isinstance(found, list) else [found]
        texts = (member(one, "value") if isinstance(one, dict) else one for one in several)
        return any(isinstance(text, str) and text.lower() == value.lower() for text in texts)


def search_query(path: AttributePath, value: str) -> str:
    """Write the query of a search for whoever has a value; it is a JSON string in the filter (RFC 7644 section 3.4.2.2)."""
    literal = json.dumps(value, ensure_ascii=False)
    # Two are as many as it takes to see that one cannot be told from another.
    return f"filter={quote(f'{path} eq {literal}', safe='')}&count=2"


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises NotScim."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise NotScim("the answer is no JSON") from None
    if not isinstance(found, dict):
        raise NotScim("the answer is no JSON object")
    return found


def read_resource(content: Any, entity_tag: str | None = None) -> Resource:
    """Read a resource; `entity_tag` is the header that came with it. Raises NotScim."""
    identity = member(content, "id")
    # The id becomes a part of an address.
    if not isinstance(identity, str) or identity in {"", ".", ".."} or not _is_encodable(identity):
        raise NotScim("the resource has no id")
    version = entity_tag or member(member(content, "meta"), "version")
    return Resource(identity, version if _is_entity_tag(version) else None, content)


def read_list(body: bytes) -> tuple[int, list[Any]]:
    """Read a ListResponse: how many there are, and those that came. Raises NotScim."""
    message = read_object(body)
    total, listed = member(message, "totalResults"), member(message, "Resources")
    resources = [] if listed is None else listed
    if isinstance(total, bool) or not isinstance(total, int) or not isinstance(resources, list) or (total and not resources):
        raise NotScim("the answer is no list of resources")
    return total, resources


def read_detail(body: bytes) -> str | None:
    """Return what the message of an error says, None where it is no such message or says nothing."""
    try:
        message = read_object(body)
    except NotScim:
        return None
    detail = member(message, "detail") or member(message, "scimType")
    return detail if isinstance(detail, str) else None


def is_taken(body: bytes) -> bool:
    """Whether the message of an error says that a value is somebody else's already (scimType uniqueness)."""
    try:
        return bool(member(read_object(body), "scimType") == "uniqueness")
    except NotScim:
        return False


def patch_body(path: AttributePath, change: Change, single: bool) -> bytes:
    """Write the PatchOp that makes a change (RFC 7644 section 3.5.2).

    Where nothing goes, the rest is not repeated: what others write meanwhile stays.
    """
    operation: dict[str, Any] = {"op": "add" if not change.removed else "replace" if change.after else "remove", "path": str(path)}
    values = change.added if not change.removed else change.after
    if values:
        operation["value"] = values[0] if single else list(values)
    return _encode({"schemas": [_PATCH_OP], "Operations": [operation]})


def put_body(resource: Resource, path: AttributePath, change: Change, single: bool) -> bytes:
    """Write the whole resource with a change in it, without what servers alone write (RFC 7644 section 3.5.1)."""
    values = change.after
    value = None if not values else values[0] if single else list(values)
    return _encode(path.write(without(resource.content, *_READ_ONLY), value))


def _encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode()


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_entity_tag(version: Any) -> bool:
    return isinstance(version, str) and version != "" and version.isascii() and version.isprintable()
