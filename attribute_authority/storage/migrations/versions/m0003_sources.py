"""What resolving foreign identifiers and the lookup door keep: spellings, changes of links, computed identifiers, outages, clients."""

import sqlalchemy as sa
from alembic import op

revision = "0003_sources"
down_revision = "0002_companion"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)

# A link is withdrawn before its subject gets another one in the environment, so that numbers of links are an order of what happened;
# the instants are not, because an import takes over those of another authority.
_TELL_WHAT_HAPPENED = """
    INSERT INTO link_change (subject_id, link_id, environment, home_organisation, kind, changed_at)
    SELECT subject_id, link_id, environment, home_organisation, kind, changed_at
    FROM (
        SELECT link.subject_id, link.id AS link_id, link.environment, subject.home_organisation, 'linked' AS kind,
            link.linked_at AS changed_at
        FROM link JOIN subject ON subject.id = link.subject_id
        UNION ALL
        SELECT link.subject_id, link.id, link.environment, subject.home_organisation, 'withdrawn', link.withdrawn_at
        FROM link JOIN subject ON subject.id = link.subject_id
        WHERE link.withdrawn_at IS NOT NULL
    ) AS happened
    ORDER BY link_id, kind
"""


def upgrade() -> None:
    op.add_column("identifier", sa.Column("spelling", sa.Text(), nullable=True))
    _create_link_change()
    _create_computed_index()
    _create_computed_page()
    _create_source_outage()
    _create_client()


def _create_link_change() -> None:
    op.create_table(
        "link_change",
        sa.Column("number", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("subject_id", _ROW_NUMBER, nullable=False),
        sa.Column("link_id", _ROW_NUMBER, nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("home_organisation", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("former", sa.Text(), nullable=True),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_link_change"),
        sqlite_autoincrement=True,
    )
    op.execute(_TELL_WHAT_HAPPENED)
    op.create_index("ix_link_change_home_organisation", "link_change", ["home_organisation", "number"])


def _create_computed_index() -> None:
    op.create_table(
        "computed_index",
        sa.Column("id", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("home_organisation", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("through", _ROW_NUMBER, nullable=True),
        sa.Column("building_until", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_computed_index"),
        sqlite_autoincrement=True,
    )
    name = ["home_organisation", "recipient", "kind", "fingerprint"]
    for index, condition in (
        ("uq_computed_index_complete", sa.text("through IS NOT NULL")),
        ("uq_computed_index_being_built", sa.text("building_until IS NOT NULL")),
    ):
        op.create_index(index, "computed_index", name, unique=True, sqlite_where=condition, postgresql_where=condition)


def _create_computed_page() -> None:
    op.create_table(
        "computed_page",
        sa.Column("index_id", _ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("index_id", "number", name="pk_computed_page"),
        sa.ForeignKeyConstraint(["index_id"], ["computed_index.id"], name="fk_computed_page_index_id", ondelete="CASCADE"),
    )


def _create_source_outage() -> None:
    op.create_table(
        "source_outage",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_source_outage"),
    )


def _create_client() -> None:
    op.create_table(
        "client",
        sa.Column("id", _ROW_NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("home_organisations", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
        sa.UniqueConstraint("token_digest", name="uq_client_token_digest"),
        sqlite_autoincrement=True,
    )
    unrevoked = sa.text("revoked_at IS NULL")
    op.create_index("uq_client_unrevoked", "client", ["name"], unique=True, sqlite_where=unrevoked, postgresql_where=unrevoked)
