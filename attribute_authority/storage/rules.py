"""When a link may be stored, decided in one place for every back end."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, OrcidId
from attribute_authority.domain.link import NewLink
from attribute_authority.errors import Conflict, OrcidTaken, OtherOrcidLinked, SubjectsDiffer

_LASTING: Final = frozenset({IdentifierKind.SUBJECT_ID, IdentifierKind.UNIQUE_ID})


@dataclass(frozen=True, slots=True)
class Owner:
    """The subject that an identifier belongs to."""

    subject_id: int
    home_organisation: EntityId


def find_owner(home_organisation: EntityId, owners: Mapping[Identifier, Owner]) -> Owner | None:
    """Return the one subject that identifiers name, None where all are new; `owners` has those of them that are known.

    Raises SubjectsDiffer where they name several subjects, or one of another home organisation.
    """
    if len({owner.subject_id for owner in owners.values()}) > 1:
        claims = ", ".join(f"{identifier} of {_name(owner.subject_id)}" for identifier, owner in owners.items())
        raise SubjectsDiffer(f"the identifiers belong to different subjects: {claims}")
    for identifier, owner in owners.items():
        if owner.home_organisation != home_organisation:
            raise SubjectsDiffer(f"{identifier} belongs to a subject of {owner.home_organisation}, not of {home_organisation}")
        return owner
    return None


@dataclass(frozen=True, slots=True)
class Difference:
    """What identifiers tell beyond what is stored: further ones, and known ones in another spelling, each with the text until then."""

    further: tuple[Identifier, ...]
    respelled: tuple[tuple[Identifier, str], ...]

    @property
    def formers(self) -> tuple[str | None, ...]:
        """The texts that count no more, or one None where there are only further identifiers; empty where nothing is new."""
        return tuple(former for _, former in self.respelled) or ((None,) if self.further else ())


def compare_identifiers(told: Collection[Identifier], spellings: Mapping[Identifier, str | None]) -> Difference:
    """Compare the identifiers of a person with the known ones and their spellings.

    One without a spelling does not change what is stored: it may come from an operator's list, where nobody minds the case of letters.
    """
    last = {item: item for item in told}.values()
    changed = (item for item in last if item.spelling is not None and item.spelling != spellings.get(item, item.spelling))
    return Difference(
        further=tuple(item for item in last if item not in spellings),
        respelled=tuple((item, spellings[item] or item.value) for item in changed),
    )


def check_lasting(told: Collection[Identifier], known: Collection[Identifier]) -> None:
    """Check that a sign-in is that of the subject which some of its identifiers name; `known` are all identifiers of the subject.

    A subject-id or eduPersonUniqueId is never given to somebody else (SAML V2.0 Subject Identifier Attributes 3.3; eduPerson),
    an ePPN may be. Who shares no such identifier with the subject, but has another of the same kind, is another person with an old ePPN.
    Raises SubjectsDiffer.
    """
    lasting = {item for item in told if item.kind in _LASTING}
    if not lasting.isdisjoint(known):
        return
    contradicted = {item.kind for item in lasting} & {item.kind for item in known}
    if contradicted:
        raise SubjectsDiffer(f"the subject has another {', '.join(sorted(contradicted))}, so that what else fits was reassigned")


def find_owner_of_link(new: NewLink, owners: Mapping[Identifier, Owner]) -> Owner | None:
    """Return the subject that a link is for, None for a new one; `owners` has whatever identifiers are known.

    Raises SubjectsDiffer as `find_owner` does, Conflict where the link has no identifier at all.
    """
    if not new.identifiers:
        raise Conflict("a link needs at least one identifier of the person")
    return find_owner(new.home_organisation, {item: owners[item] for item in new.identifiers if item in owners})


def check_orcid(new: NewLink, present: OrcidId | None, holder: int | None) -> None:
    """Check the iD of a link against what is in force in its environment.

    `present` is the iD that the subject has, `holder` another subject of the same home organisation that has the iD of the link.
    Raises OtherOrcidLinked, OrcidTaken.
    """
    if present is not None and present != new.orcid:
        raise OtherOrcidLinked(
            f"{new.identifiers[0]} is linked to {present.value}, which must be removed before {new.orcid.value} can be linked"
        )
    if holder is not None:
        raise OrcidTaken(f"{new.orcid.value} is linked to another person of {new.home_organisation}, {_name(holder)}")


def check_replaced(new: NewLink, present: int | None, replaces: int) -> None:
    """Check that the link to be replaced is `present`, the one that the subject has in force. Raises OtherOrcidLinked."""
    if present != replaces:
        raise OtherOrcidLinked(f"link {replaces} is not the one that {new.identifiers[0]} has in force, so it cannot be replaced")


def _name(subject_id: int) -> str:
    # A subject of the same import has no number yet, only a negative stand-in.
    return f"subject {subject_id}" if subject_id > 0 else "a subject of the same import"
