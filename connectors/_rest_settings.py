"""The table of a REST sink."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from attribute_authority.setting_values import FilePath, integer
from connectors._rest_address import UrlTemplate, places
from connectors._rest_descriptor import FieldNames
from connectors._rest_fields import PERSON_FIELDS
from connectors._rest_mapping import FieldPath, MappingTable, contradictions
from connectors._web_access import HttpsOrLoopbackUrl, WebSinkTable

_NEVER_JUDGED: Final = frozenset({401, 407, 429, 503})
"""What is told of everybody and of nobody, whatever a configuration says."""


def _judged(statuses: frozenset[int]) -> frozenset[int]:
    if statuses & _NEVER_JUDGED:
        raise ValueError("401, 407, 429 and 503 tell of the whole service, and of no delivery: expected others")
    return statuses


Method = Literal["POST", "PUT", "PATCH", "DELETE"]
Statuses = Annotated[frozenset[Annotated[int, integer(200, 599)]], Field(strict=False)]
JudgedStatuses = Annotated[Statuses, AfterValidator(_judged)]


class RestSettings(WebSinkTable):
    """`[[organisation.sink]]` with kind "rest".

    `url` and `withdrawal_url` may have the places {eppn}, {unique_id}, {subject_id}, {orcid} and {reference}. A DELETE has no body.
    `mapping` has dotted paths of the other system's fields. `signature_secret_file` has one secret on each line.
    `success_field`, of an answer with a status of success, must then hold `success_value`; `error_field` is where its message stands.
    `check_url` is asked by check with GET.
    """

    kind: Literal["rest"]
    url: UrlTemplate
    method: Method = "POST"
    withdrawal_url: UrlTemplate | None = None
    withdrawal_method: Method | None = None
    check_url: HttpsOrLoopbackUrl | None = None
    body: Literal["identity-descriptor", "mapping", "none"] = "identity-descriptor"
    field_names: FieldNames = "property"
    mapping: MappingTable | None = None
    leave_out_absent: bool = False
    signature_secret_file: FilePath | None = None
    success_statuses: Annotated[JudgedStatuses, Field(min_length=1)] = frozenset({200, 201, 202, 204})
    success_field: FieldPath | None = None
    success_value: str | int | bool | None = None
    unknown_person_statuses: JudgedStatuses = frozenset({404, 410})
    retry_statuses: Statuses = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
    error_field: FieldPath | None = None

    @property
    def mapped(self) -> frozenset[str]:
        """What of a delivery the body says by `mapping`."""
        return frozenset(what for what in (self.mapping or {}).values() if isinstance(what, str))

    def method_of(self, is_withdrawal: bool) -> Method:
        """Return the method with which a link, or a withdrawal, is delivered."""
        return (self.withdrawal_method or self.method) if is_withdrawal else self.method

    def url_of(self, is_withdrawal: bool) -> str:
        """Return the address, with its places, to which a link, or a withdrawal, is delivered."""
        return (self.withdrawal_url or self.url) if is_withdrawal else self.url

    def has_body(self, is_withdrawal: bool) -> bool:
        """Whether anything is sent besides the headers; what a DELETE carried would mean nothing (RFC 9110 section 9.3.5)."""
        return self.body != "none" and self.method_of(is_withdrawal) != "DELETE"

    @model_validator(mode="after")
    def _says_what_it_means(self) -> Self:
        if (self.mapping is not None) != (self.body == "mapping"):
            raise ValueError('mapping and body = "mapping" belong together: expected both or neither')
        if self.body != "mapping" and self.leave_out_absent:
            raise ValueError('leave_out_absent is for body = "mapping"')
        if self.body != "identity-descriptor" and self.field_names != "property":
            raise ValueError('field_names is for body = "identity-descriptor"')
        nested = contradictions(self.mapping or ())
        if nested:
            raise ValueError(f"mapping: expected either a value or fields below it at {', '.join(nested)}")
        return self

    @model_validator(mode="after")
    def _tells_of_whom(self) -> Self:
        for is_withdrawal, key in ((False, "url"), (True, "withdrawal_url")):
            told = places(self.url_of(is_withdrawal)) | (self.mapped if self.has_body(is_withdrawal) else frozenset())
            describes = self.has_body(is_withdrawal) and self.body == "identity-descriptor"
            if not describes and not told & PERSON_FIELDS:
                raise ValueError(f"nothing would tell of whom a delivery is: expected eppn, unique-id or subject-id in {key} or mapping")
        if "orcid-bare" in places(self.url_of(True)):
            raise ValueError("a withdrawal has no iD: expected a withdrawal_url without {orcid}")
        return self

    @model_validator(mode="after")
    def _signs_of_whom(self) -> Self:
        # A signature is over the body, and as good with another method and address (Standard Webhooks 1.0.0).
        signs = all(self.has_body(is_withdrawal) for is_withdrawal in (False, True))
        names = self.body == "identity-descriptor" or self.mapped & PERSON_FIELDS
        if self.signature_secret_file is not None and not (signs and names):
            raise ValueError("signature_secret_file: a signature is over the body: expected one that tells of whom, and no DELETE")
        return self

    @model_validator(mode="after")
    def _judges_every_status_once(self) -> Self:
        twice = (self.success_statuses & self.unknown_person_statuses) | (
            self.retry_statuses & (self.success_statuses | self.unknown_person_statuses)
        )
        if twice:
            raise ValueError(f"expected each status in one of the lists: {', '.join(str(status) for status in sorted(twice))}")
        if (self.success_field is None) != (self.success_value is None):
            raise ValueError("success_field and success_value belong together: expected both or neither")
        return self
