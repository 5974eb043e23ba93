"""The people whose links change while something dies: by what they are known, and which iDs they may have."""

from typing import Final

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier

HOME: Final = EntityId("https://idp.people.example/idp")
PEOPLE: Final = range(24)
RESTLESS: Final = range(4)
"""Those among them whose links change so often that the next change comes while the last one is being delivered."""

_IDS_EACH: Final = 3
_FOREIGN: Final = 90_000


def eppn(person: int) -> str:
    """Return the ePPN of somebody."""
    return f"p{person}@uni.example"


def identifier(person: int) -> Identifier:
    """Return by what somebody is known."""
    return parse_identifier(IdentifierKind.EPPN, eppn(person))


def orcids(person: int) -> tuple[OrcidId, ...]:
    """Return the iDs of somebody; few, so that one that was withdrawn comes back."""
    return tuple(_orcid(person * _IDS_EACH + number) for number in range(_IDS_EACH))


def foreign(person: int) -> OrcidId | None:
    """Return the iD that stands in the directory by another's hand, which nobody may take away; None for those who have none."""
    return _orcid(_FOREIGN + person) if person % 3 == 0 else None


def uri(orcid: OrcidId | str) -> str:
    """Write an iD as the directory has it."""
    return OrcidId(str(getattr(orcid, "value", orcid))).uri(Environment.PRODUCTION)


def _orcid(number: int) -> OrcidId:
    digits = f"0000000200{number:05d}"
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    bare = digits + ("X" if check == 10 else str(check))
    return OrcidId.parse("-".join(bare[at : at + 4] for at in range(0, 16, 4)), Environment.PRODUCTION)
