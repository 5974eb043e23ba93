"""Withdrawing a link, by whomever: the link and what ORCID granted for it end together."""

from datetime import datetime

from sqlalchemy import Connection, update

from attribute_authority.domain.link import Link
from attribute_authority.storage import sql_grants
from attribute_authority.storage.engine import writing
from attribute_authority.storage.sql_noting import note_withdrawn
from attribute_authority.storage.sql_posting import Change, Posting
from attribute_authority.storage.sql_reading import read_links
from attribute_authority.storage.tables import IN_FORCE, link

_HIGHEST_ROW_NUMBER = 2**63 - 1


def withdraw(connection: Connection, link_id: int, now: datetime, posting: Posting) -> Link | None:
    """Withdraw a link, make its grants due for revocation and write deliveries, in one transaction. None where no such link is in force.

    Raises SQLAlchemyError.
    """
    if not 0 < link_id <= _HIGHEST_ROW_NUMBER:
        return None
    with writing(connection):
        if not end_link(connection, link_id, now):
            return None
        withdrawn = read_links(connection, (link.c.id == link_id,))[0]
        posting.post(connection, [Change(withdrawn.subject_id, withdrawn.home_organisation, withdrawn.environment)], now)
        return withdrawn


def end_link(connection: Connection, link_id: int, now: datetime) -> bool:
    """Withdraw a link in the transaction of the caller, who writes the deliveries; False where it is not in force.

    Raises SQLAlchemyError.
    """
    ended = connection.execute(update(link).where(link.c.id == link_id, IN_FORCE).values(withdrawn_at=now)).rowcount == 1
    if ended:
        note_withdrawn(connection, link_id)
    sql_grants.release_link(connection, link_id, now)
    return ended
