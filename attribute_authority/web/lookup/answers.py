"""What is answered: the shapes, which the OpenAPI document describes, and their octets.

An answer without iD is the same octets whether nobody has the identifier, no iD is linked, or none may be told.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from attribute_authority.domain.change import ChangePage, LinkChange
from attribute_authority.domain.identifiers import Environment, Identifier, OrcidId
from attribute_authority.web.lookup.cursor import CURSOR_SCHEMA, write_cursor
from attribute_authority.web.lookup.questions import IdentifierQuestion

_ORCID_URI: Final = WithJsonSchema(
    {"type": "string", "format": "uri", "pattern": r"^https://(sandbox\.)?orcid\.org/([0-9]{4}-){3}[0-9]{3}[0-9X]$"}
)
_NOBODY: Final = b'{"eduPersonOrcid": []}'
_SOMEBODY: Final = b'{"eduPersonOrcid": ["%s"]}'
_UNASKED: Final = b'{"problem": {"type": "about:blank", "title": "Service Unavailable", "status": 503}}'

OrcidUris = Annotated[list[Annotated[str, _ORCID_URI]], Field(max_length=1)]


class _Answered(BaseModel):
    """A part of an answer, by its names in JSON."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class OrcidAnswer(_Answered):
    """The iD of a person; empty for everybody of whom none is known or none may be told, one like the other."""

    edu_person_orcid: OrcidUris = Field(alias="eduPersonOrcid", description="The iD as URI; empty where none is told.")


class Unasked(_Answered):
    """Why an identifier of a batch could not be asked about (RFC 9457)."""

    type: str
    title: str
    status: Literal[503]


class UnaskedAnswer(_Answered):
    """Stands where an identifier of a batch could not be asked about, which is never the same as no iD; ask again later."""

    problem: Unasked


class BatchAnswer(_Answered):
    """One result for each identifier, in the order of the question."""

    results: list[OrcidAnswer | UnaskedAnswer]


class ChangeAnswer(_Answered):
    """One change: the identifiers that the person has now, and the iD, which a withdrawal leaves empty."""

    event: Literal["linked", "withdrawn"]
    home_organisation: str = Field(alias="homeOrganisation", description="The entityID of the identity provider.")
    identifiers: list[IdentifierQuestion]
    edu_person_orcid: OrcidUris = Field(alias="eduPersonOrcid", description="The iD as URI; empty where none is told.")
    changed_at: AwareDatetime = Field(alias="changedAt")


class LinksAnswer(_Answered):
    """Changes of links, oldest first; reading goes on with `next` as `since`, at once where there are `more`, later where there are not."""

    links: list[ChangeAnswer]
    next: Annotated[str, WithJsonSchema(CURSOR_SCHEMA)]
    more: bool


class Misfit(_Answered):
    """A place of the request, and what is expected there; what stood there is not repeated."""

    place: str = Field(alias="in")
    expected: str


class Problem(_Answered):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | SkipJsonSchema[None] = None
    correlation_id: str | SkipJsonSchema[None] = Field(
        None, alias="correlationId", description="Names the line of the authority's log that tells more."
    )
    faults: list[Misfit] | SkipJsonSchema[None] = Field(None, description="What does not fit, where that is why.")


def write_orcid(orcid: OrcidId | None, environment: Environment) -> bytes:
    """Write the answer about one person, an `OrcidAnswer`."""
    # Nothing in an iD needs an escape, and a login waits for this one.
    return _NOBODY if orcid is None else _SOMEBODY % orcid.uri(environment).encode()


def write_batch(results: Sequence[bytes | None]) -> bytes:
    """Write the answer about many people, a `BatchAnswer`; None stands where nobody could be asked."""
    return b'{"results": [%s]}' % b", ".join(_UNASKED if result is None else result for result in results)


def write_links(page: ChangePage) -> bytes:
    """Write a page of changes, a `LinksAnswer`."""
    links = [_change(change) for change in page.changes]
    answer = LinksAnswer.model_construct(links=links, next=write_cursor(page.last), more=page.more)
    return answer.model_dump_json(by_alias=True, exclude_none=True).encode()


def _change(change: LinkChange) -> ChangeAnswer:
    return ChangeAnswer.model_construct(
        event=change.kind.value,
        home_organisation=change.home_organisation,
        identifiers=[_identifier(identifier) for identifier in change.identifiers],
        edu_person_orcid=[] if change.orcid is None else [change.orcid.uri(change.environment)],
        changed_at=change.changed_at,
    )


def _identifier(identifier: Identifier) -> IdentifierQuestion:
    members: dict[str, Any] = {
        identifier.kind.value: identifier.value,
        "name-qualifier": identifier.name_qualifier,
        "sp-name-qualifier": identifier.sp_name_qualifier,
    }
    # What is stored was checked when it came in.
    return IdentifierQuestion.model_construct(None, **{name: value for name, value in members.items() if value is not None})
