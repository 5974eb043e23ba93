"""What has changed about links, in the order in which it happened."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId


class ChangeKind(StrEnum):
    """What happened to a person's link in one environment; a person who got further identifiers is linked once more."""

    LINKED = "linked"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class LinkChange:
    """One change, numbered in the order of commits: who reads on from a number misses nothing.

    `identifiers` are those that the person has now. `orcid` is None for a withdrawal.
    """

    number: int
    kind: ChangeKind
    home_organisation: EntityId
    identifiers: tuple[Identifier, ...]
    orcid: OrcidId | None
    environment: Environment
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of changes; reading goes on after `last`, and `more` tells whether there is anything beyond it now."""

    changes: tuple[LinkChange, ...]
    last: int
    more: bool
