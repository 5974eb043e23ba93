"""A web service of the home organisation that takes JSON, as a sink: one request for each delivery.

    [[organisation.sink]]
    kind = "rest"
    url = "https://idm.uni.example/people/{eppn}/orcid"
    method = "PUT"
    withdrawal_method = "DELETE"
    username = "orcid"
    password_file = "idm.password"
    body = "mapping"
    mapping = { "orcid.uri" = "orcid-uri", "orcid.since" = "changed-at", source = { value = "HAKA" } }

By default what is posted is the identity descriptor of CSC's orcidConnect (`_rest_descriptor`), and any of the usual statuses of success
means that it was taken; orcidConnect's own condition is success_field = "status", success_value = "identities stored".

Every request has an Idempotency-Key, the reference of the delivery (draft-ietf-httpapi-idempotency-key-header: a text in quotes), and
with `signature_secret_file` a signature by Standard Webhooks.
"""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.errors import DeliveryRefused, OperatorError, SinkUnavailable
from connectors import SinkKind, SinkSurroundings
from connectors._rest_address import fill, origin, places
from connectors._rest_descriptor import describe_identity
from connectors._rest_fields import PERSON_FIELDS, field_values
from connectors._rest_mapping import map_fields
from connectors._rest_settings import RestSettings
from connectors._rest_signature import read_signature_secrets, signature_headers
from connectors._rest_verdict import Judge
from connectors._web_access import open_web_access
from connectors._web_exchange import server_of
from connectors._web_service import WebService

_JSON: Final = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class _Message:
    """What is sent for a delivery."""

    method: str
    url: str = field(repr=False)
    body: bytes | None = field(repr=False)


class RestSink:
    """A web service as `delivery_ports.Sink` wants it."""

    def __init__(self, settings: RestSettings, surroundings: SinkSurroundings, service: WebService, secrets: tuple[bytes, ...]) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._service = service
        self._secrets = secrets

    def deliver(self, delivery: Delivery) -> Receipt:
        """Send the one request, and judge its answer. Raises SinkUnavailable, DeliveryDeferred, DeliveryRefused."""
        deadline = self._service.deadline()
        message = self._message(delivery)
        answer = self._service.send(message.method, message.url, self._headers(delivery, message), message.body, deadline)
        return self._judge(message).judge(answer, delivery.orcid is None, self._surroundings.clock())

    def rehearse(self, delivery: Delivery) -> str:
        """Say what would be sent, and ask nobody. Raises DeliveryRefused where there is nothing to be sent."""
        message = self._message(delivery)
        body = "no body" if message.body is None else message.body.decode()
        return f"would send {message.method} {message.url} with {body}"

    def check(self) -> None:
        """Ask for `check_url`, or without one connect and fetch a token. Raises OperatorError where the answer is none of success."""
        deadline = self._service.deadline()
        url = self._settings.check_url
        if url is None:
            for template in {origin(self._settings.url_of(is_withdrawal)) for is_withdrawal in (False, True)}:
                self._service.connect(template, deadline)
            return
        status = self._service.send("GET", url, _JSON, None, deadline).status
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise SinkUnavailable(f"{server_of(url)}: fails: HTTP status {status}")
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise OperatorError(f"check_url: {url}: HTTP status {status}")

    def close(self) -> None:
        """Give up every connection."""
        self._service.close()

    def _message(self, delivery: Delivery) -> _Message:
        settings, is_withdrawal = self._settings, delivery.orcid is None
        values = field_values(delivery)
        url = fill(settings.url_of(is_withdrawal), values)
        if not settings.has_body(is_withdrawal):
            return _Message(settings.method_of(is_withdrawal), url, None)
        return _Message(settings.method_of(is_withdrawal), url, _octets(self._body(delivery)))

    def _body(self, delivery: Delivery) -> dict[str, Any]:
        settings = self._settings
        if settings.mapping is None:
            return describe_identity(delivery, self._surroundings.authority, settings.field_names)
        values = field_values(delivery)
        told = PERSON_FIELDS & (settings.mapped | places(settings.url_of(delivery.orcid is None)))
        if not any(value for name, value in values.items() if name in told):
            raise DeliveryRefused(f"the person has no {' or '.join(sorted(told))}, by which to be known there")
        return map_fields(settings.mapping, values, settings.leave_out_absent)

    def _headers(self, delivery: Delivery, message: _Message) -> dict[str, str]:
        key = delivery.reference.replace("\\", "\\\\").replace('"', '\\"')
        kind = {} if message.body is None else {"Content-Type": "application/json"}
        headers = {**_JSON, **kind, "Idempotency-Key": f'"{key}"'}
        if not self._secrets:
            return headers
        return headers | signature_headers(self._secrets, delivery.reference, self._surroundings.clock(), message.body or b"")

    def _judge(self, message: _Message) -> Judge:
        settings = self._settings
        return Judge(
            server_of(message.url),
            settings.success_statuses,
            settings.unknown_person_statuses,
            settings.retry_statuses,
            settings.success_field,
            settings.success_value,
            settings.error_field,
        )


def _octets(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _open(settings: RestSettings, surroundings: SinkSurroundings) -> RestSink:
    service = WebService(open_web_access(settings), settings.timeout, settings.connections, surroundings.clock)
    file = settings.signature_secret_file
    return RestSink(settings, surroundings, service, () if file is None else read_signature_secrets(file))


REST: Final = SinkKind(RestSettings, _open)
"""`kind = "rest"`."""

if TYPE_CHECKING:
    _conforms: type[Sink] = RestSink
