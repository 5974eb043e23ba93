"""What a home organisation's own systems tell about an identifier that we do not know, and how they fare."""

from dataclasses import dataclass
from datetime import datetime

from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, OrcidId


@dataclass(frozen=True, slots=True)
class Finding:
    """The person whom a source found: identifiers by which we may know them, and the iD that the source itself holds, None where none.

    A source tells of its own home organisation's people alone; whatever it names, nobody else's person is answered for.
    """

    identifiers: tuple[Identifier, ...]
    orcid: OrcidId | None = None


@dataclass(frozen=True, slots=True)
class PairwiseIndexName:
    """Which index of computed identifiers: whose people, towards whom, and made how.

    `recipient` is the service provider or affiliation that the identifiers are for, `kind` the identifiers that they are computed from.
    `fingerprint` stands for everything else that they depend on (salt, algorithm, part of the value), so that a change of any of it
    makes another index; it tells nothing about the salt to whoever does not know it.
    """

    home_organisation: EntityId
    recipient: EntityId
    kind: IdentifierKind
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Outage:
    """A source that could not be asked, and is left alone until `until`; `failures` counts how often in a row."""

    source: str
    failures: int
    since: datetime
    until: datetime
    cause: str
