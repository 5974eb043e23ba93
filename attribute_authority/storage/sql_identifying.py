"""Identifiers into the database, and whose they are."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from attribute_authority.domain.identifiers import EntityId, Identifier
from attribute_authority.storage.rules import Difference, Owner
from attribute_authority.storage.sql_noting import Identified
from attribute_authority.storage.sql_reading import columns_of, to_identifier
from attribute_authority.storage.tables import identifier, subject

_OWNERS = (
    select(identifier, subject.c.home_organisation)
    .join_from(identifier, subject)
    .where(identifier.c.value.in_(bindparam("values", expanding=True)))
)
"""The people who may be meant, and some more whose identifiers differ in kind or qualifiers."""

_RESPELL = (
    update(identifier)
    .where(
        identifier.c.kind == bindparam("its_kind"),
        identifier.c.value == bindparam("its_value"),
        identifier.c.name_qualifier == bindparam("its_name_qualifier"),
        identifier.c.sp_name_qualifier == bindparam("its_sp_name_qualifier"),
    )
    .values(spelling=bindparam("told"))
)


def look_up_owners(connection: Connection, wanted: Collection[Identifier]) -> dict[Identifier, Owner]:
    """Return the subjects of those identifiers that are known, which are spelt as they are stored. Raises SQLAlchemyError."""
    rows = connection.execute(_OWNERS, {"values": sorted({item.value for item in wanted})})
    found = {to_identifier(row): Owner(row.subject_id, EntityId(row.home_organisation)) for row in rows}
    asked = set(wanted)
    return {item: owner for item, owner in found.items() if item in asked}


def add_identifiers(connection: Connection, pairs: Sequence[tuple[int, Identifier]]) -> None:
    """Give subjects further identifiers. Raises SQLAlchemyError."""
    if pairs:
        rows = [{"subject_id": number, **columns_of(item), "spelling": item.spelling} for number, item in pairs]
        connection.execute(insert(identifier), rows)


def respell(connection: Connection, items: Collection[Identifier]) -> None:
    """Store how known identifiers are spelt. Raises SQLAlchemyError."""
    rows = [{"told": item.spelling, **{f"its_{name}": value for name, value in columns_of(item).items()}} for item in items]
    if rows:
        connection.execute(_RESPELL, rows)


def identified(owner: Owner, told: Difference, changed_at: datetime) -> list[Identified]:
    """Return what is to be noted of a known person whose identifiers told something new."""
    return [Identified(owner.subject_id, owner.home_organisation, changed_at, former) for former in told.formers]
