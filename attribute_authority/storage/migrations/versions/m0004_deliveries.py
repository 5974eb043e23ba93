"""Deliveries to the systems of home organisations."""

import sqlalchemy as sa
from alembic import op

revision = "0004_deliveries"
down_revision = "0003_sources"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_SINK = ["home_organisation", "sink", "environment"]


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("home_organisation", sa.Text(), nullable=False),
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("subject_id", _ROW_NUMBER, nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("orcid", sa.Text(), nullable=True),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("ages_from", _INSTANT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", _INSTANT, nullable=True),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reached", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("found", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stray", sa.Text(), nullable=True),
        sa.Column("anew", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("told_at", _INSTANT, nullable=True),
        sa.Column("telling_until", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint("reference", name="uq_delivery_reference"),
        sqlite_autoincrement=True,
    )
    pending, parked = sa.text("state = 'pending'"), sa.text("state = 'parked'")
    op.create_index("uq_delivery_pending", "delivery", ["subject_id", *_SINK], unique=True, sqlite_where=pending, postgresql_where=pending)
    op.create_index("ix_delivery_due", "delivery", [*_SINK, "due_at", "id", "created_at"], sqlite_where=pending, postgresql_where=pending)
    op.create_index("ix_delivery_parked", "delivery", [*_SINK, "id"], sqlite_where=parked, postgresql_where=parked)
    untold = sa.text("state = 'parked' AND told_at IS NULL")
    op.create_index("ix_delivery_untold", "delivery", ["home_organisation", "ended_at", "id"], sqlite_where=untold, postgresql_where=untold)
    leased = sa.text("lease IS NOT NULL")
    op.create_index("ix_delivery_leased", "delivery", ["holder"], sqlite_where=leased, postgresql_where=leased)
    op.create_index("ix_delivery_person", "delivery", ["subject_id", *_SINK, "id"])
    op.create_index("ix_delivery_home_organisation", "delivery", ["home_organisation", "id"])
