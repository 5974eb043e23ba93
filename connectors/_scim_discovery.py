"""What a SCIM server says of itself (RFC 7643 sections 5 and 7): whether it takes PATCH, and whether it has an attribute."""

from collections.abc import Iterator
from typing import Any, Final

from attribute_authority.errors import OperatorError
from connectors._deadline import Deadline
from connectors._scim_paths import USER_SCHEMA, AttributePath, member
from connectors._scim_server import ScimServer

CONFIGURATION: Final = "ServiceProviderConfig"
SCHEMAS: Final = "Schemas"

_SHOWN: Final = frozenset({"always", "default"})
_WRITABLE: Final = "readwrite"
_TEXT: Final = frozenset({"string", "reference"})


class PatchSupport:
    """Whether a server takes PATCH; it is asked once, and again after `forget`. Threads share it."""

    def __init__(self, server: ScimServer) -> None:
        self._server = server
        self._known: bool | None = None

    def ask(self, deadline: Deadline) -> bool:
        """Return whether it does; of a server that does not say it is presumed. Raises SinkUnavailable."""
        known = self._known
        if known is None:
            known = self._known = takes_patch(self._server.discover(CONFIGURATION, deadline))
        return known

    def learn(self, supported: bool) -> None:
        """Note what the server has shown."""
        self._known = supported

    def forget(self) -> None:
        """Have it asked again."""
        self._known = None


def takes_patch(configuration: Any) -> bool:
    """Whether a ServiceProviderConfig does not say that PATCH is unsupported."""
    return member(member(configuration, "patch"), "supported") is not False


def require_filters(configuration: Any) -> None:
    """Raise OperatorError where a ServiceProviderConfig says that nobody can be searched for."""
    if member(member(configuration, "filter"), "supported") is False:
        raise OperatorError("the server says that it does not filter (filter.supported): nobody can be found there")


def require_attribute(schemas: Any, path: AttributePath, single: bool) -> None:
    """Raise OperatorError where what /Schemas says tells that the attribute cannot be written as it is configured."""
    listed = member(schemas, "Resources")
    if not isinstance(listed, list) or not listed:
        return
    wanted = path.schema or USER_SCHEMA
    schema = next((one for one in listed if str(member(one, "id")).lower() == wanted.lower()), None)
    if schema is None:
        if _is_whole(schemas, listed):
            raise OperatorError(f"attribute: the server has no schema {wanted}")
        return
    attributes = member(schema, "attributes")
    found = [one for one in attributes if str(member(one, "name")).lower() == path.name.lower()] if isinstance(attributes, list) else []
    if not found:
        raise OperatorError(f"attribute: the schema {wanted} has no attribute {path.name} on this server")
    for fault in _faults(found[0], single):
        raise OperatorError(f"attribute: {path.name} {fault}")


def _is_whole(schemas: Any, listed: list[Any]) -> bool:
    total = member(schemas, "totalResults")
    return not isinstance(total, int) or total <= len(listed)


def _faults(attribute: Any, single: bool) -> Iterator[str]:
    several = member(attribute, "multiValued") is True
    if several and single:
        yield 'has room for several values on this server: expected values = "several"'
    if not several and not single:
        yield 'has room for one value on this server: expected values = "single"'
    # The defaults are those of RFC 7643 section 2.2.
    if str(member(attribute, "type") or "string").lower() not in _TEXT:
        yield "holds no text on this server"
    if str(member(attribute, "mutability") or _WRITABLE).lower() != _WRITABLE:
        yield "cannot be written and read on this server (mutability)"
    if str(member(attribute, "returned") or "default").lower() not in _SHOWN:
        yield "is not shown by this server unless asked for (returned), so that nobody could tell what stands there"
