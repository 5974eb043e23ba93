"""A verified attribute query, and the answer to it."""

from dataclasses import dataclass
from enum import StrEnum

from attribute_authority.domain.entity import AttributeName, Entity
from attribute_authority.domain.identifiers import EntityId


@dataclass(frozen=True, slots=True)
class NameId:
    """The NameID of a query, exactly as it arrived: the answer must echo it (core 3.3.4); None is an absent attribute."""

    value: str
    format: str | None = None
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    sp_provided_id: str | None = None


@dataclass(frozen=True, slots=True)
class AttributeDesignator:
    """An attribute that the query asks for; `values`, where there are any, restrict what may be returned (core 3.3.2.3)."""

    name: AttributeName
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeQuery:
    """A query whose requester is authenticated; no designator means every attribute."""

    message_id: str
    requester: Entity
    name_id: NameId
    designators: tuple[AttributeDesignator, ...] = ()


class Recipient(StrEnum):
    """When SubjectConfirmationData carries a Recipient; `auto` writes it for pysaml2 alone, which insists on it."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class NothingToRelease(StrEnum):
    """How a Success without values looks.

    `bare-assertion` echoes the Subject and has no statement, which every client accepts;
    `no-assertion` is the letter of core 3.3.4, on which SimpleSAMLphp and pysaml2 fail the login.
    """

    BARE_ASSERTION = "bare-assertion"
    NO_ASSERTION = "no-assertion"


@dataclass(frozen=True, slots=True)
class RequesterProfile:
    """What is configured for one requester.

    `default_name_qualifier` is the identity provider that is meant where a persistent NameID comes without NameQualifier;
    without it such a NameID finds nobody.
    """

    recipient: Recipient = Recipient.AUTO
    nothing_to_release: NothingToRelease = NothingToRelease.BARE_ASSERTION
    default_name_qualifier: EntityId | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the requester is told; without values it reads the same for unknown, unlinked and withheld."""

    in_response_to: str
    requester: EntityId
    name_id: NameId
    values: tuple[str, ...]
