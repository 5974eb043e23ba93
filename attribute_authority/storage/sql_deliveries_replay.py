"""Everybody's present state once more: who is meant, and what a sink would be handed. Every function raises SQLAlchemyError."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select

from attribute_authority.domain.delivery import Delivery, DueDelivery, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.storage.delivery_rules import NewReference, Trace
from attribute_authority.storage.sql_deliveries import PAGE, read_left_behind, read_newest_first, to_orcid
from attribute_authority.storage.sql_posting import read_present
from attribute_authority.storage.tables import IN_FORCE, WITHDRAWN, link, subject

_REPLAY = Trace(None, was_made=False, was_begun=False, anew=True)

_present = link.alias("present")

_HAS_NONE_IN_FORCE = ~exists().where(
    _present.c.subject_id == link.c.subject_id, _present.c.environment == link.c.environment, _present.c.withdrawn_at.is_(None)
)


def read_people(connection: Connection, home_organisation: EntityId, environment: Environment, after: int, limit: int) -> Sequence[int]:
    """Return the next people of a home organisation, by number, who have a link in an environment or had one."""
    # Of both, so that the database begins there with both.
    beyond = and_(link.c.subject_id > after, subject.c.id > after)
    # One statement for each of the two indexes, both of which have this order.
    each = (_people(home_organisation, environment, which, beyond).distinct() for which in (IN_FORCE, WITHDRAWN))
    found = {number for people in each for number in connection.execute(people.order_by(link.c.subject_id).limit(limit)).scalars()}
    return sorted(found)[:limit]


def count_people(connection: Connection, home_organisation: EntityId, environment: Environment) -> int:
    """Return how many people of a home organisation have a link in an environment or had one."""
    linked = _people(home_organisation, environment, IN_FORCE)
    # Few have none in force any more, so that only these are looked at one by one.
    unlinked = _people(home_organisation, environment, WITHDRAWN, _HAS_NONE_IN_FORCE).distinct()
    each = (connection.execute(select(func.count()).select_from(people.subquery())) for people in (linked, unlinked))
    return sum(counted.scalar_one() for counted in each)


def preview_people(
    connection: Connection, sink: SinkName, environment: Environment, after: int, new_reference: NewReference
) -> tuple[int | None, list[DueDelivery]]:
    """Return a page of what a sink would be handed, and after whom to go on, None where it is the last."""
    people = read_people(connection, sink.home_organisation, environment, after, PAGE)
    present = read_present(connection, people, environment)
    identifiers = read_newest_first(connection, people)
    left = read_left_behind(connection, ((number, sink, environment) for number in people), (_REPLAY,))
    page = []
    for number in people:
        state, before = present[number], left[number, sink, environment]
        orcid = to_orcid(state.orcid)
        former = tuple(one for one in before if one != orcid)
        handed = Delivery(
            reference=new_reference(),
            home_organisation=sink.home_organisation,
            identifiers=identifiers[number],
            orcid=orcid,
            former=former,
            environment=environment,
            changed_at=state.changed_at,
            may_be_ours=orcid in before,
        )
        page.append(DueDelivery(handed, sink, "", state.changed_at))
    return (people[-1] if len(people) == PAGE else None), page


def _people(home_organisation: EntityId, environment: Environment, *conditions: ColumnElement[bool]) -> Select[int]:
    theirs = subject.c.home_organisation == home_organisation, link.c.environment == environment.value
    return select(link.c.subject_id).join_from(link, subject).where(*theirs, *conditions)
