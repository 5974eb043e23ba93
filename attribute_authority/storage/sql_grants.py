"""What ORCID granted, in the table `orcid_grant`: held, claimed by a link, due for revocation, revoked.

Every function works in the transaction of its caller, if there is one. Raises SQLAlchemyError.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, select, update

from attribute_authority.domain.linking import Completion, DueRevocation, HeldGrant, Revocation
from attribute_authority.errors import FormOver
from attribute_authority.storage.tables import UNREVOKED, orcid_grant

_CLAIMED = orcid_grant.c.revoke_at.is_(None)


def hold(connection: Connection, held: HeldGrant) -> None:
    """Store a grant that no link has claimed yet."""
    connection.execute(
        insert(orcid_grant).values(
            id=held.grant_id,
            sealed=held.sealed,
            scopes=" ".join(held.scopes),
            obtained_at=held.obtained_at,
            expires_at=held.expires_at,
            revoke_at=held.revoke_at,
            failures=0,
        )
    )


def reserve(connection: Connection, completion: Completion) -> None:
    """Take a held grant out of what will be revoked, for the rest of the transaction. Raises FormOver where it is not to be had."""
    taken = update(orcid_grant).where(
        orcid_grant.c.id == completion.grant_id,
        orcid_grant.c.link_id.is_(None),
        orcid_grant.c.revoked_at.is_(None),
        orcid_grant.c.revoke_at > completion.new.linked_at,
        # The clock of another node may be ahead, and its worker revoking the grant already.
        orcid_grant.c.retry_at.is_(None),
    )
    if connection.execute(taken.values(revoke_at=None)).rowcount != 1:
        raise FormOver("the grant of this form is claimed, given up or over")


def claim(connection: Connection, grant_id: str, link_id: int) -> None:
    """Give a reserved grant to its link."""
    connection.execute(update(orcid_grant).where(orcid_grant.c.id == grant_id).values(link_id=link_id))


def release_link(connection: Connection, link_id: int, now: datetime) -> None:
    """Make the grant that a link has claimed due for revocation."""
    connection.execute(update(orcid_grant).where(orcid_grant.c.link_id == link_id, _CLAIMED).values(revoke_at=now))


def give_up(connection: Connection, grant_id: str, now: datetime) -> None:
    """Make a held grant due for revocation, unless a link has claimed it or it is due already."""
    held = orcid_grant.c.id == grant_id, orcid_grant.c.link_id.is_(None), orcid_grant.c.revoke_at > now
    connection.execute(update(orcid_grant).where(*held).values(revoke_at=now))


def claim_due(connection: Connection, now: datetime, lease: timedelta, limit: int) -> tuple[DueRevocation, ...]:
    """Return grants that are due and lease them; PostgreSQL leaves out those that another worker is leasing just now."""
    idle = or_(orcid_grant.c.retry_at.is_(None), orcid_grant.c.retry_at <= now)
    # A common table expression is evaluated once, a subquery perhaps more often, each time with other rows.
    due = (
        select(orcid_grant.c.id)
        .where(UNREVOKED, orcid_grant.c.revoke_at <= now, idle)
        .order_by(orcid_grant.c.revoke_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    leased = update(orcid_grant).where(orcid_grant.c.id.in_(select(due.c.id))).values(retry_at=now + lease)
    rows = connection.execute(leased.returning(orcid_grant.c.id, orcid_grant.c.sealed, orcid_grant.c.failures)).all()
    return tuple(DueRevocation(row.id, row.sealed, row.failures) for row in rows)


def note_revoked(connection: Connection, grant_id: str, now: datetime) -> None:
    """Note that a grant was revoked, and erase its sealed tokens."""
    due = orcid_grant.c.id == grant_id, UNREVOKED
    connection.execute(update(orcid_grant).where(*due).values(revoked_at=now, sealed=None, retry_at=None))


def note_failure(connection: Connection, grant_id: str, retry_at: datetime) -> None:
    """Note that a revocation failed, to be tried again from `retry_at` on."""
    due = orcid_grant.c.id == grant_id, UNREVOKED
    connection.execute(update(orcid_grant).where(*due).values(failures=orcid_grant.c.failures + 1, retry_at=retry_at))


def read_scopes(connection: Connection, link_id: int) -> tuple[str, ...]:
    """Return the scopes of the grant that a link has claimed, none where it has none."""
    scopes = connection.execute(select(orcid_grant.c.scopes).where(orcid_grant.c.link_id == link_id, _CLAIMED)).scalar()
    return tuple(scopes.split()) if scopes else ()


def read_revocation(connection: Connection, link_id: int) -> Revocation | None:
    """Return how far the revocation of a link's grants is, as told by the one that is least far; None where it never had any."""
    released = select(orcid_grant).where(orcid_grant.c.link_id == link_id, orcid_grant.c.revoke_at.is_not(None))
    least_far = released.order_by(orcid_grant.c.revoked_at.is_not(None), orcid_grant.c.obtained_at.desc(), orcid_grant.c.id)
    row = connection.execute(least_far.limit(1)).one_or_none()
    return None if row is None else Revocation(row.revoke_at, row.failures, row.revoked_at)
