"""How a known person stands, out of the database."""

from sqlalchemy import Connection, select

from attribute_authority.domain.identifiers import Environment
from attribute_authority.domain.link import Link
from attribute_authority.domain.linking import Consent, Standing
from attribute_authority.storage.sql_grants import read_revocation, read_scopes
from attribute_authority.storage.sql_reading import read_links
from attribute_authority.storage.tables import IN_FORCE, WITHDRAWN, consent, link


def read_standing(connection: Connection, subject_id: int, environment: Environment) -> Standing:
    """Return the link in force, or the one that was withdrawn last, with what belongs to it. Raises SQLAlchemyError."""
    latest = _latest(connection, subject_id, environment)
    if latest is None:
        return Standing(subject_id, None, None, (), None, None)
    if latest.withdrawn_at is not None:
        return Standing(subject_id, None, None, (), latest, read_revocation(connection, latest.link_id))
    agreed, scopes = _read_consent(connection, latest.link_id), read_scopes(connection, latest.link_id)
    return Standing(subject_id, latest, agreed, scopes, None, None)


def _latest(connection: Connection, subject_id: int, environment: Environment) -> Link | None:
    # The one in force first: a link that is withdrawn between the two statements is then told as the one or as the other.
    mine = link.c.subject_id == subject_id, link.c.environment == environment.value
    present = read_links(connection, (*mine, IN_FORCE))
    if present:
        return present[0]
    last = select(link.c.id).where(*mine, WITHDRAWN).order_by(link.c.withdrawn_at.desc(), link.c.id.desc()).limit(1)
    number = connection.execute(last).scalar()
    return None if number is None else read_links(connection, (link.c.id == number,))[0]


def _read_consent(connection: Connection, link_id: int) -> Consent | None:
    given = select(consent).where(consent.c.link_id == link_id).order_by(consent.c.id.desc()).limit(1)
    row = connection.execute(given).one_or_none()
    return None if row is None else Consent(row.text_version, row.language, row.given_at)
