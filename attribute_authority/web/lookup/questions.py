"""What may be asked: parameters and bodies as they are checked, and as the OpenAPI document describes them.

The names are those of the protocol, the shapes those of `domain.identifiers`. A value that does not fit is told by its place and by
what was expected there, and never quoted.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from attribute_authority.core.looking_up import Asked
from attribute_authority.domain.identifiers import (
    MAX_ENTITY_ID_LENGTH,
    MAX_IDENTIFIER_LENGTH,
    EntityId,
    IdentifierKind,
    parse_entity_id,
    shape_of,
)
from attribute_authority.errors import InvalidIdentifier, InvalidRequest
from attribute_authority.web.lookup.cursor import CURSOR_SCHEMA, read_cursor

MOST_IDENTIFIERS: Final = 1000
MOST_CHANGES: Final = 1000
USUAL_CHANGES: Final = 500
_MOST_FAULTS: Final = 20
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,3}")
_ENTITY_ID: Final = re.compile(r"[A-Za-z][^\s:!\x00-\x1f\x7f]*:[^\s!\x00-\x1f\x7f]+")
_WHITE_SPACE: Final = r" \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SURROGATES: Final = r"\ud800-\udfff"
_KINDS: Final = {kind.replace("-", "_"): kind for kind in IdentifierKind}
_QUALIFIERS: Final = {
    IdentifierKind.PERSISTENT: frozenset({"name_qualifier", "sp_name_qualifier"}),
    IdentifierKind.PAIRWISE_ID: frozenset({"sp_name_qualifier"}),
}
_EXPECTED: Final = {
    "dict_type": "expected an object",
    "extra_forbidden": "expected nothing but what /api/v1/openapi.json names",
    "list_type": "expected an array",
    "missing": "is missing",
    "model_type": "expected an object",
    "too_long": f"expected at most {MOST_IDENTIFIERS}",
    "too_short": "expected at least one",
}
"""What a caller is told for each of pydantic's error types; the others are ours, and carry their own sentence."""

Model = TypeVar("Model", bound=BaseModel)


def _texts(pattern: str, longest: int) -> WithJsonSchema:
    # What white space is differs between engines of regular expressions (ECMA-262 leaves out U+0085), so it is listed;
    # the ASCII part of it, but for the space, is among the control characters. No text in UTF-8 has surrogates.
    portable = pattern.replace(r"\s", _WHITE_SPACE).replace(_SURROGATES, "")
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{portable})$", "maxLength": longest})


def _values(kind: IdentifierKind) -> WithJsonSchema:
    return _texts(shape_of(kind)[0].pattern, MAX_IDENTIFIER_LENGTH)


_ENTITY_IDS: Final = _texts(_ENTITY_ID.pattern, MAX_ENTITY_ID_LENGTH)
_LIMITS: Final = WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_CHANGES, "default": USUAL_CHANGES})


def _fault(expected: str) -> PydanticCustomError:
    return PydanticCustomError("ours", "{expected}", {"expected": expected})


def _check_entity_id(value: object) -> EntityId:
    if isinstance(value, str) and _ENTITY_ID.fullmatch(value):
        try:
            return parse_entity_id(value)
        except InvalidIdentifier:
            pass
    raise _fault(f"expected an entityID: an absolute URI of at most {MAX_ENTITY_ID_LENGTH} characters")


class _Strict(BaseModel):
    """Takes what is named, by its name in the protocol, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CallerParameters(_Strict):
    """What every question may say of who asks."""

    requester: Annotated[str | None, _ENTITY_IDS] = Field(
        None, description="The entityID that asks; needed only where several entities of metadata have this TLS client key."
    )

    @field_validator("requester", mode="before")
    @classmethod
    def _entity_ids(cls, value: object) -> EntityId:
        return _check_entity_id(value)


def _describe(schema: dict[str, Any]) -> None:
    """Describe an identifier as one closed object for each kind, with the qualifiers that the kind has."""
    properties = schema.pop("properties")
    for key in ("type", "additionalProperties"):
        schema.pop(key)
    schema["oneOf"] = [_alternative(kind, properties) for kind in IdentifierKind]


def _alternative(kind: IdentifierKind, properties: Mapping[str, Any]) -> dict[str, Any]:
    names = (kind.value, *sorted(name.replace("_", "-") for name in _QUALIFIERS.get(kind, ())))
    members = {name: {key: value for key, value in properties[name].items() if key != "default"} for name in names}
    return {"title": kind.value, "type": "object", "properties": members, "required": [kind.value], "additionalProperties": False}


class IdentifierQuestion(_Strict):
    """One identifier of a person, of one kind, with the qualifiers that belong to it."""

    model_config = ConfigDict(json_schema_extra=_describe)

    eppn: Annotated[str | None, _values(IdentifierKind.EPPN)] = Field(None, description="eduPersonPrincipalName; case makes no difference.")
    unique_id: Annotated[str | None, _values(IdentifierKind.UNIQUE_ID)] = Field(
        None, alias="unique-id", description="eduPersonUniqueId; case makes no difference."
    )
    subject_id: Annotated[str | None, _values(IdentifierKind.SUBJECT_ID)] = Field(
        None, alias="subject-id", description="The subject-id of SAML V2.0 Subject Identifier Attributes; case makes no difference."
    )
    pairwise_id: Annotated[str | None, _values(IdentifierKind.PAIRWISE_ID)] = Field(
        None, alias="pairwise-id", description="The pairwise-id of SAML V2.0 Subject Identifier Attributes; case makes no difference."
    )
    persistent: Annotated[str | None, _values(IdentifierKind.PERSISTENT)] = Field(
        None, description="The value of a persistent name identifier (SAML core 8.3.7), letter by letter."
    )
    name_qualifier: Annotated[str | None, _ENTITY_IDS] = Field(
        None,
        alias="name-qualifier",
        description="The identity provider that issued a persistent identifier; an identity provider that asks means itself.",
    )
    sp_name_qualifier: Annotated[str | None, _ENTITY_IDS] = Field(
        None,
        alias="sp-name-qualifier",
        description="The service provider or affiliation that a persistent identifier or pairwise-id was issued for; a service provider "
        "that asks means itself, and may name itself and its affiliations alone.",
    )

    @field_validator(*_KINDS, mode="before")
    @classmethod
    def _identifiers(cls, value: object, field: ValidationInfo) -> str:
        shape, expected = shape_of(_KINDS[field.field_name or ""])
        if isinstance(value, str) and len(value) <= MAX_IDENTIFIER_LENGTH and shape.fullmatch(value):
            return value
        raise _fault(f"expected {expected}, at most {MAX_IDENTIFIER_LENGTH} characters")

    @field_validator("name_qualifier", "sp_name_qualifier", mode="before")
    @classmethod
    def _qualifiers(cls, value: object) -> EntityId:
        return _check_entity_id(value)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for name, kind in _KINDS.items() if name in self.model_fields_set]
        if len(kinds) != 1:
            raise _fault(f"expected exactly one of {', '.join(IdentifierKind)}")
        if not self.model_fields_set - _KINDS.keys() <= self._others(kinds[0]):
            raise _fault("expected qualifiers for a persistent identifier, and sp-name-qualifier for a pairwise-id alone")
        return self

    @classmethod
    def _others(cls, kind: IdentifierKind) -> frozenset[str]:
        return _QUALIFIERS.get(kind, frozenset())

    def asked(self) -> Asked:
        """Return the identifier that is asked about."""
        name, kind = next((name, kind) for name, kind in _KINDS.items() if name in self.model_fields_set)
        return Asked(kind, getattr(self, name), self.name_qualifier, self.sp_name_qualifier)


class LookupParameters(IdentifierQuestion, CallerParameters):
    """The query of a lookup."""

    model_config = ConfigDict(json_schema_extra=lambda _schema: None)

    @classmethod
    def _others(cls, kind: IdentifierKind) -> frozenset[str]:
        return super()._others(kind) | {"requester"}


class LookupBatch(_Strict):
    """Identifiers to be looked up together."""

    identifiers: Annotated[list[IdentifierQuestion], Field(min_length=1, max_length=MOST_IDENTIFIERS)]


class LinksParameters(CallerParameters):
    """The query of a reading of changes."""

    since: Annotated[int | None, WithJsonSchema(CURSOR_SCHEMA)] = Field(
        None, description='"next" of an earlier answer: changes behind it are told. Without it, all are, from the beginning on.'
    )
    limit: Annotated[int, _LIMITS] = Field(USUAL_CHANGES, description="How many changes are told at most.")

    @field_validator("since", mode="before")
    @classmethod
    def _since(cls, value: object) -> int:
        number = read_cursor(value) if isinstance(value, str) else None
        if number is None:
            raise _fault('expected "next" of an earlier answer, as it was')
        return number

    @field_validator("limit", mode="before")
    @classmethod
    def _limit(cls, value: object) -> int:
        if not isinstance(value, str) or not _LIMIT.fullmatch(value) or int(value) > MOST_CHANGES:
            raise _fault(f"expected a number from 1 to {MOST_CHANGES}")
        return int(value)


def read_model(model: type[Model], value: object, place: str) -> Model:
    """Check what was sent; `place` is where it stands, for the faults. Raises InvalidRequest."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidRequest(tuple(_tell(place, detail) for detail in details[:_MOST_FAULTS])) from None


def _tell(place: str, detail: ErrorDetails) -> tuple[str, str]:
    # The name of what is too much is the caller's, and is not repeated.
    path = detail["loc"][:-1] if detail["type"] == "extra_forbidden" else detail["loc"]
    named = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    sentence = detail["msg"] if detail["type"] == "ours" else _EXPECTED.get(detail["type"], "expected what /api/v1/openapi.json names")
    return place + named, sentence
