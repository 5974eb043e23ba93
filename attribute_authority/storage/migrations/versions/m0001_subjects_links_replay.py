"""Subjects with their identifiers, links, and the messages seen."""

import sqlalchemy as sa
from alembic import op

revision = "0001_subjects_links_replay"
down_revision = None
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_subject()
    _create_identifier()
    _create_link()
    _create_seen_message()


def _create_subject() -> None:
    op.create_table(
        "subject",
        sa.Column("id", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("home_organisation", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subject"),
        sqlite_autoincrement=True,
    )


def _create_identifier() -> None:
    op.create_table(
        "identifier",
        sa.Column("id", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("subject_id", _ROW_NUMBER, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("name_qualifier", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sp_name_qualifier", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identifier"),
        sa.UniqueConstraint("value", "kind", "name_qualifier", "sp_name_qualifier", name="uq_identifier_value"),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name="fk_identifier_subject_id"),
    )
    op.create_index("ix_identifier_subject_id", "identifier", ["subject_id"])


def _create_link() -> None:
    op.create_table(
        "link",
        sa.Column("id", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("subject_id", _ROW_NUMBER, nullable=False),
        sa.Column("orcid", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("linked_at", _INSTANT, nullable=False),
        sa.Column("withdrawn_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_link"),
        sa.ForeignKeyConstraint(["subject_id"], ["subject.id"], name="fk_link_subject_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_link_orcid", "link", ["orcid"])
    in_force = sa.text("withdrawn_at IS NULL")
    op.create_index(
        "uq_link_in_force",
        "link",
        ["subject_id", "environment"],
        unique=True,
        sqlite_where=in_force,
        postgresql_where=in_force,
    )


def _create_seen_message() -> None:
    op.create_table(
        "seen_message",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "message_id", name="pk_seen_message"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_seen_message_expires_at", "seen_message", ["expires_at"])
