"""Links: which ORCID iD belongs to which person, since when, and from where we know."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId


class LinkSource(StrEnum):
    """How a link came to be."""

    MANUAL = "manual"
    IMPORT = "import"
    COMPANION = "companion"


@dataclass(frozen=True, slots=True)
class KnownSubject:
    """What is known of an asked identifier: the person, and the iD if one is linked and not withdrawn.

    `subject_id` is None for somebody whom only a directory of the home organisation knows.
    """

    subject_id: int | None
    home_organisation: EntityId
    orcid: OrcidId | None


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link to be stored: every identifier of the person, the iD, and where it comes from."""

    home_organisation: EntityId
    identifiers: tuple[Identifier, ...]
    orcid: OrcidId
    environment: Environment
    source: LinkSource
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A stored link; `withdrawn_at` is None while it may be released."""

    link_id: int
    subject_id: int
    home_organisation: EntityId
    identifiers: tuple[Identifier, ...]
    orcid: OrcidId
    environment: Environment
    source: LinkSource
    linked_at: datetime
    withdrawn_at: datetime | None
