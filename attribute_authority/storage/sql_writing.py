"""Links into the database, a batch per transaction: look up what the batch touches, decide in memory, write what is new.

The transaction (`engine.writing`) keeps every other writer out, so what was looked up still holds when it is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import DBAPIError

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import Link, NewLink
from attribute_authority.errors import Conflict
from attribute_authority.storage.engine import is_refusal, writing
from attribute_authority.storage.rules import Owner, check_orcid, compare_identifiers, find_owner_of_link
from attribute_authority.storage.sql_identifying import add_identifiers, identified, look_up_owners, respell
from attribute_authority.storage.sql_noting import Identified, note_identified, note_linked
from attribute_authority.storage.sql_posting import Change, Posting
from attribute_authority.storage.sql_reading import read_links
from attribute_authority.storage.tables import IN_FORCE, link, subject

Place = tuple[int, Environment]
"""Where at most one link is in force: a subject, by its number, in an environment."""

_PLACES = select(link.c.subject_id, link.c.environment, link.c.orcid).where(
    IN_FORCE, link.c.subject_id.in_(bindparam("subjects", expanding=True))
)

_HOLDERS = (
    select(link.c.subject_id, link.c.environment, link.c.orcid, subject.c.home_organisation)
    .join_from(link, subject)
    .where(IN_FORCE, link.c.orcid.in_(bindparam("orcids", expanding=True)))
)


@dataclass(slots=True)
class Batch:
    """What is known of the people and iDs of a batch, and what is to be written; new subjects have negative numbers until they are."""

    owners: dict[Identifier, Owner] = field(default_factory=dict)
    spellings: dict[Identifier, str | None] = field(default_factory=dict)
    in_force: dict[Place, OrcidId] = field(default_factory=dict)
    holders: dict[tuple[OrcidId, Environment, EntityId], int] = field(default_factory=dict)
    subjects: list[NewLink] = field(default_factory=list)
    identifiers: list[tuple[int, Identifier]] = field(default_factory=list)
    respelled: list[Identifier] = field(default_factory=list)
    identified: list[Identified] = field(default_factory=list)
    links: list[tuple[int, NewLink]] = field(default_factory=list)

    def know(self, owners: Mapping[Identifier, Owner]) -> None:
        """Add what is stored of people; what the batch itself has noted stays."""
        for item, owner in owners.items():
            self.owners.setdefault(item, owner)
            self.spellings.setdefault(item, item.spelling)

    def place_of(self, new: NewLink) -> Place | None:
        """Return where the link of a known person will be found, None for somebody new. Raises Conflict."""
        owner = find_owner_of_link(new, self.owners)
        return None if owner is None else (owner.subject_id, new.environment)

    def vacate(self, place: Place) -> None:
        """Go on as if no link were in force there."""
        self.in_force.pop(place, None)

    def try_link(self, new: NewLink) -> Place | Conflict:
        """Return where the link will be found, or why it may not be stored."""
        try:
            owner = find_owner_of_link(new, self.owners)
            self._check_orcid(new, owner)
        except Conflict as conflict:
            return conflict
        return self._note(new, owner or self._note_subject(new))

    def _check_orcid(self, new: NewLink, owner: Owner | None) -> None:
        present = self.in_force.get((owner.subject_id, new.environment)) if owner else None
        holder = self.holders.get((new.orcid, new.environment, new.home_organisation))
        check_orcid(new, present, None if owner and owner.subject_id == holder else holder)

    def _note_subject(self, new: NewLink) -> Owner:
        self.subjects.append(new)
        return Owner(-len(self.subjects), new.home_organisation)

    def _note(self, new: NewLink, owner: Owner) -> Place:
        self._note_identifiers(new, owner)
        place = (owner.subject_id, new.environment)
        if place not in self.in_force:
            self.in_force[place] = new.orcid
            self.holders[new.orcid, new.environment, new.home_organisation] = owner.subject_id
            self.links.append((owner.subject_id, new))
        return place

    def _note_identifiers(self, new: NewLink, owner: Owner) -> None:
        told = compare_identifiers(new.identifiers, self.spellings)
        self.identifiers.extend((owner.subject_id, item) for item in told.further)
        self.respelled.extend(item for item, _ in told.respelled)
        if owner.subject_id > 0:
            self.identified.extend(identified(owner, told, new.linked_at))
        for item in (*told.further, *(item for item, _ in told.respelled)):
            self.owners[item] = owner
            self.spellings[item] = item.spelling


def store_batch(connection: Connection, news: Sequence[NewLink], posting: Posting) -> list[Link | Conflict]:
    """Store links in one transaction and return their outcomes, in their order.

    Raises SQLAlchemyError.
    """
    try:
        with writing(connection):
            batch = Batch()
            look_up(connection, news, batch)
            outcomes = [batch.try_link(new) for new in news]
            places = [outcome for outcome in outcomes if not isinstance(outcome, Conflict)]
            stored = iter(write(connection, batch, places, posting, posting.clock()))
            return [outcome if isinstance(outcome, Conflict) else next(stored) for outcome in outcomes]
    except DBAPIError as error:
        if not is_refusal(error):
            raise
        if len(news) == 1:
            return [_refused(news[0].orcid.value, error)]
    # One link that the database itself refuses, for its length or a constraint, may not take the others with it.
    return [store_batch(connection, [new], posting)[0] for new in news]


@contextmanager
def telling_refusals(what: str) -> Iterator[None]:
    """Raise Conflict where the database refuses the very values of a link, for their length or a constraint."""
    try:
        yield
    except DBAPIError as error:
        if is_refusal(error):
            raise _refused(what, error) from error
        raise


def _refused(what: str, error: DBAPIError) -> Conflict:
    return Conflict(f"the database refuses the link of {what} ({type(error.orig).__name__})")


def look_up(connection: Connection, news: Sequence[NewLink], batch: Batch) -> None:
    """Add to a batch what the database knows of the people and iDs of some links; what the batch itself has noted stays.

    Raises SQLAlchemyError.
    """
    wanted = {item for new in news for item in new.identifiers}
    batch.know(look_up_owners(connection, wanted))
    subjects = {batch.owners[item].subject_id for item in wanted if item in batch.owners}
    for present in connection.execute(_PLACES, {"subjects": sorted(subjects)}):
        batch.in_force.setdefault((present.subject_id, Environment(present.environment)), OrcidId(present.orcid))
    for row in connection.execute(_HOLDERS, {"orcids": sorted({new.orcid.value for new in news})}):
        held = OrcidId(row.orcid), Environment(row.environment), EntityId(row.home_organisation)
        batch.holders.setdefault(held, row.subject_id)


def write(connection: Connection, batch: Batch, places: Sequence[Place], posting: Posting, now: datetime) -> list[Link]:
    """Write what is new in a batch, with its deliveries, and return the links that are in force at some places then.

    Raises SQLAlchemyError.
    """
    numbers = _write(connection, batch)
    posting.reopen(connection, batch.identified, now)
    final = [(numbers.get(subject_id, subject_id), environment) for subject_id, environment in places]
    found = read_links(connection, (link.c.subject_id.in_({subject_id for subject_id, _ in final}), IN_FORCE))
    links = {(stored.subject_id, stored.environment): stored for stored in found}
    note_linked(connection, [links[numbers.get(n, n), new.environment].link_id for n, new in batch.links])
    posting.post(connection, (Change(numbers.get(n, n), new.home_organisation, new.environment) for n, new in batch.links), now)
    return [links[place] for place in final]


def _write(connection: Connection, batch: Batch) -> dict[int, int]:
    """Write what is new, and return the numbers that the new subjects got."""
    numbers: dict[int, int] = {}
    if batch.subjects:
        rows = [{"home_organisation": new.home_organisation, "created_at": new.linked_at} for new in batch.subjects]
        made = connection.execute(insert(subject).returning(subject.c.id, sort_by_parameter_order=True), rows).scalars()
        numbers = {-position: number for position, number in enumerate(made, start=1)}
    add_identifiers(connection, [(numbers.get(n, n), item) for n, item in batch.identifiers])
    respell(connection, batch.respelled)
    note_identified(connection, batch.identified)
    if batch.links:
        connection.execute(insert(link), [{"subject_id": numbers.get(n, n), **_columns_of_link(new)} for n, new in batch.links])
    return numbers


def _columns_of_link(new: NewLink) -> dict[str, object]:
    return {"orcid": new.orcid.value, "environment": new.environment.value, "source": new.source.value, "linked_at": new.linked_at}
