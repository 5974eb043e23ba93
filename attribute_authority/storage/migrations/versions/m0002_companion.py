"""What the companion page keeps: state of browsers, attempts, consents, and what ORCID granted."""

import sqlalchemy as sa
from alembic import op

revision = "0002_companion"
down_revision = "0001_subjects_links_replay"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _find_withdrawn_links()
    _create_browser_state()
    _create_attempt()
    _create_consent()
    _create_orcid_grant()


def _find_withdrawn_links() -> None:
    withdrawn = sa.text("withdrawn_at IS NOT NULL")
    op.create_index("ix_link_withdrawn", "link", ["subject_id", "environment"], sqlite_where=withdrawn, postgresql_where=withdrawn)


def _create_browser_state() -> None:
    op.create_table(
        "browser_state",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_browser_state"),
    )
    op.create_index("ix_browser_state_expires_at", "browser_state", ["expires_at"])


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("bucket", name="pk_attempt"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attempt_expires_at", "attempt", ["expires_at"])


def _create_consent() -> None:
    op.create_table(
        "consent",
        sa.Column("id", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("link_id", _ROW_NUMBER, nullable=False),
        sa.Column("text_version", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("given_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_consent_link_id"),
    )
    op.create_index("ix_consent_link_id", "consent", ["link_id"])


def _create_orcid_grant() -> None:
    op.create_table(
        "orcid_grant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("link_id", _ROW_NUMBER, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("obtained_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("revoke_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retry_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_orcid_grant"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_orcid_grant_link_id"),
    )
    op.create_index("ix_orcid_grant_link_id", "orcid_grant", ["link_id"])
    unrevoked = sa.text("revoke_at IS NOT NULL AND revoked_at IS NULL")
    op.create_index(
        "ix_orcid_grant_unrevoked",
        "orcid_grant",
        ["revoke_at"],
        sqlite_where=unrevoked,
        postgresql_where=unrevoked,
    )
