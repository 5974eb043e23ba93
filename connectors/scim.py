"""A SCIM 2.0 server as a sink: the iD becomes a value of an attribute of the person's resource (RFC 7643, RFC 7644).

    [[organisation.sink]]
    kind = "scim"
    url = "https://idm.uni.example/scim/v2"
    token_file = "scim.token"
    find_by = "userName"
    attribute = "urn:example:scim:schemas:extension:eduperson:2.0:User:eduPersonOrcid"

`url` is the base, to which /Users is added. No schema for eduPerson is registered, so that `attribute` is whatever the server calls it;
it has to be one that is returned by default. What stands there and is not ours stays. Where a value goes, all values that stay are
written anew: a server without versions of resources (ETag) may lose what somebody else writes at that very moment.

A server without PATCH is given the whole resource by PUT, and whatever it does not show by default may be lost there.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, model_validator

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.domain.identifiers import MAX_IDENTIFIER_LENGTH, IdentifierKind
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, OperatorError, SinkUnavailable
from connectors import SinkKind, SinkSurroundings
from connectors._deadline import Deadline
from connectors._scim_discovery import CONFIGURATION, SCHEMAS, require_attribute, require_filters
from connectors._scim_messages import Resource
from connectors._scim_paths import parse_path
from connectors._scim_server import ScimServer
from connectors._scim_values import ValueRule
from connectors._scim_writing import ResourceWriter
from connectors._web_access import HttpsOrLoopbackUrl, WebSinkTable, open_web_access
from connectors._web_service import WebService

_NOBODY: Final = "nobody@attribute-authority.invalid"
"""What `check` searches for: no person has it (RFC 2606)."""

_NOT_FOR_IDS: Final = frozenset({"id", "schemas", "meta", "externalid", "username", "password", "active", "groups"})


def _base(url: str) -> str:
    if "?" in url:
        raise ValueError("expected the base address of the server, without a query")
    return url.rstrip("/")


def _path(text: str) -> str:
    parse_path(text)
    return text


def _attribute(text: str) -> str:
    path = parse_path(text)
    if path.sub is not None:
        raise ValueError("expected an attribute, and no part of one")
    if path.schema is None and path.name.lower() in _NOT_FOR_IDS:
        raise ValueError("expected an attribute that is for ORCID iDs")
    return text


class ScimSettings(WebSinkTable):
    """`[[organisation.sink]]` with kind "scim".

    `find_by` is the attribute that holds the `identifier` of the person. `values` tells how many iDs `attribute` has room for; with
    "single", `overwrite` has ours take the place of one that is somebody else's.
    """

    kind: Literal["scim"]
    url: Annotated[HttpsOrLoopbackUrl, AfterValidator(_base)]
    find_by: Annotated[str, AfterValidator(_path)] = "userName"
    identifier: Literal["eppn", "unique-id", "subject-id"] = "eppn"
    attribute: Annotated[str, AfterValidator(_attribute)]
    value: Literal["uri", "bare"] = "uri"
    values: Literal["several", "single"] = "several"
    overwrite: bool = False

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        if self.overwrite and self.values != "single":
            raise ValueError('overwrite is for values = "single": where there is room for several, nothing is in the way')
        if self.attribute.lower() == self.find_by.lower():
            raise ValueError("attribute and find_by are the same: expected another attribute for ORCID iDs")
        return self


class ScimSink:
    """A server as `delivery_ports.Sink` wants it."""

    def __init__(self, settings: ScimSettings, surroundings: SinkSurroundings, service: WebService) -> None:
        self._kind = IdentifierKind(settings.identifier)
        self._find_by = parse_path(settings.find_by)
        self._attribute = parse_path(settings.attribute)
        self._single = settings.values == "single"
        self._service = service
        self._server = ScimServer(service, settings.url)
        rule = ValueRule(surroundings.environment, settings.value == "uri", self._single, settings.overwrite)
        self._writer = ResourceWriter(self._server, self._attribute, rule)

    def deliver(self, delivery: Delivery) -> Receipt:
        """Find the person, and have the attribute hold the iD, or no former one.

        Raises SinkUnavailable; DeliveryDeferred where others keep changing the resource; DeliveryRefused where there is no such person, or
        several, or the attribute cannot be or may not be what it should.
        """
        if _asks_for_nothing(delivery):
            return Receipt()
        receipt = self._write(delivery, self._service.deadline())
        if receipt is not None:
            return receipt
        if delivery.orcid is None:
            return Receipt()
        raise DeliveryRefused(f"nobody there has as {self._find_by} any {self._kind} of the person")

    def rehearse(self, delivery: Delivery) -> str:
        """Say what would be done with the resource. Raises as `deliver` for everything that reading it can tell."""
        if _asks_for_nothing(delivery):
            return "would do nothing: no iD is to be there, and none is there by our hand"
        resource = next(self._found(delivery, self._service.deadline()), None)
        if resource is None:
            if delivery.orcid is None:
                return f"would do nothing: nobody there has as {self._find_by} any {self._kind} of the person"
            raise DeliveryRefused(f"nobody there has as {self._find_by} any {self._kind} of the person")
        change = self._writer.change(resource, delivery)
        if change.is_empty:
            return f"would do nothing: {self._attribute} {'has the iD already' if change.found else 'has no former iD'}"
        steps = [f"remove {len(change.removed)} of the values of {self._attribute}"] * bool(change.removed)
        steps += [f"add the iD to {self._attribute}"] * bool(change.added)
        return f"would {' and '.join(steps)}"

    def check(self) -> None:
        """Ask what the server says of itself, and search for somebody who does not exist.

        Raises SinkUnavailable; OperatorError where nobody can be found there, or the attribute cannot be written as configured.
        """
        deadline = self._service.deadline()
        configuration = self._server.discover(CONFIGURATION, deadline)
        if configuration is None:
            raise OperatorError(f"url: the server does not show us /{CONFIGURATION} at this address: expected the base address of SCIM 2.0")
        require_filters(configuration)
        require_attribute(self._server.discover(SCHEMAS, deadline), self._attribute, self._single)
        self._check_search(deadline)

    def close(self) -> None:
        """Give up every connection."""
        self._service.close()

    def _write(self, delivery: Delivery, deadline: Deadline) -> Receipt | None:
        receipt: Receipt | None = None
        for resource in self._found(delivery, deadline):
            # The iD goes to the one that the newest identifier leads to; former ones go from all, as under an earlier name.
            wanted = delivery if receipt is None else replace(delivery, orcid=None)
            written = self._writer.write(resource, wanted, deadline)
            receipt = written if receipt is None else receipt
            if receipt is not None and not delivery.former:
                break
        return receipt

    def _found(self, delivery: Delivery, deadline: Deadline) -> Iterator[Resource]:
        values = delivery.values(self._kind)
        if not values:
            raise DeliveryRefused(f"the person has no {self._kind}, by which people are found there")
        seen: set[str] = set()
        for value in values:
            if len(value) > MAX_IDENTIFIER_LENGTH:
                # There is no such identifier, and no server takes an address of any length.
                continue
            resource = self._server.find(self._find_by, value, deadline)
            if resource is not None and resource.id not in seen:
                seen.add(resource.id)
                yield resource

    def _check_search(self, deadline: Deadline) -> None:
        try:
            total, _ = self._server.search(self._find_by, _NOBODY, deadline)
        except DeliveryRefused as failure:
            raise OperatorError(f"find_by: nobody can be searched for by {self._find_by}: {failure.cause}") from None
        except DeliveryDeferred as failure:
            raise SinkUnavailable(failure.cause, failure.retry_after) from None
        if total:
            raise OperatorError(f"find_by: the server finds people by {self._find_by} that do not have what is searched for")


def _asks_for_nothing(delivery: Delivery) -> bool:
    return delivery.orcid is None and not delivery.former


def _open(settings: ScimSettings, surroundings: SinkSurroundings) -> ScimSink:
    service = WebService(open_web_access(settings), settings.timeout, settings.connections, surroundings.clock)
    return ScimSink(settings, surroundings, service)


SCIM: Final = SinkKind(ScimSettings, _open)
"""`kind = "scim"`."""
