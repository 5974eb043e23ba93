"""The tables: a subject has identifiers and links; a link in force is one that is not withdrawn.

What ORCID granted is a row of `orcid_grant`, whose state follows from its columns: held until `revoke_at` (no link yet),
claimed by a link (`revoke_at` NULL), due (`revoke_at` has come), revoked (`revoked_at` set, tokens erased).

An index of computed identifiers is a row of `computed_index` with pages: being built (`building_until` set), complete (`through` set),
or discarded (neither), which is no index any more and waits to be deleted.

A delivery is pending, delivered, parked, superseded or cancelled (`state`). A pending one is attempted from `due_at` on; with a `lease` it
is in the hands of whoever has that lease, and `due_at` is when the lease ends; one that was superseded meanwhile keeps both until its
attempt is recorded. Of a person, a sink and an environment one at most is pending, and what is pending or parked is the newest.

Qualifiers that an identifier does not have are stored as the empty text, because NULLs are all different to a UNIQUE constraint.
Texts have no length limit here: the domain limits them, and a database that cuts or refuses would do so differently on each back end.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    text,
)


class Instant(TypeDecorator[datetime]):
    """An instant in UTC: aware in Python, `timestamptz` in PostgreSQL, text of fixed width (so that it compares) in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC. Raises ValueError for an instant without a zone, which would silently mean something else elsewhere."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC, whatever zone the session of the database has."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""Only a column of the very type INTEGER numbers itself in SQLite; it holds 64 bits there all the same.

Subjects and links are numbered with AUTOINCREMENT, so that a number which an operator once read never comes to mean another.
"""

metadata = MetaData(naming_convention=NAMING_CONVENTION)

subject = Table(
    "subject",
    metadata,
    Column("id", ROW_NUMBER, Identity(always=False), primary_key=True),
    Column("home_organisation", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

identifier = Table(
    "identifier",
    metadata,
    Column("id", ROW_NUMBER, Identity(always=False), primary_key=True),
    Column("subject_id", ROW_NUMBER, ForeignKey(subject.c.id), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("name_qualifier", Text, nullable=False, server_default=text("''")),
    Column("sp_name_qualifier", Text, nullable=False, server_default=text("''")),
    # How the home organisation writes the value, where that is not the canonical form.
    Column("spelling", Text),
    # The value first: it narrows the most, for one person and for a batch of many.
    UniqueConstraint("value", "kind", "name_qualifier", "sp_name_qualifier"),
)

link = Table(
    "link",
    metadata,
    Column("id", ROW_NUMBER, Identity(always=False), primary_key=True),
    Column("subject_id", ROW_NUMBER, ForeignKey(subject.c.id), nullable=False),
    Column("orcid", Text, nullable=False, index=True),
    Column("environment", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("linked_at", Instant, nullable=False),
    Column("withdrawn_at", Instant),
    sqlite_autoincrement=True,
)

IN_FORCE = link.c.withdrawn_at.is_(None)

Index("uq_link_in_force", link.c.subject_id, link.c.environment, unique=True, sqlite_where=IN_FORCE, postgresql_where=IN_FORCE)

WITHDRAWN = link.c.withdrawn_at.is_not(None)

# Withdrawn links are few, and imports write none, so that this costs less than an index over all would.
Index("ix_link_withdrawn", link.c.subject_id, link.c.environment, sqlite_where=WITHDRAWN, postgresql_where=WITHDRAWN)

seen_message = Table(
    "seen_message",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

browser_state = Table(
    "browser_state",
    metadata,
    Column("key", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)

attempt = Table(
    "attempt",
    metadata,
    Column("bucket", Text, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

consent = Table(
    "consent",
    metadata,
    Column("id", ROW_NUMBER, Identity(always=False), primary_key=True),
    Column("link_id", ROW_NUMBER, ForeignKey(link.c.id), nullable=False, index=True),
    Column("text_version", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("given_at", Instant, nullable=False),
)

orcid_grant = Table(
    "orcid_grant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("link_id", ROW_NUMBER, ForeignKey(link.c.id), index=True),
    Column("sealed", LargeBinary),
    Column("scopes", Text, nullable=False),
    Column("obtained_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoke_at", Instant),
    Column("revoked_at", Instant),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    # The end of a lease, or of the wait after a failure: until then nobody tries to revoke.
    Column("retry_at", Instant),
)

UNREVOKED = and_(orcid_grant.c.revoke_at.is_not(None), orcid_grant.c.revoked_at.is_(None))

Index("ix_orcid_grant_unrevoked", orcid_grant.c.revoke_at, sqlite_where=UNREVOKED, postgresql_where=UNREVOKED)

link_change = Table(
    "link_change",
    metadata,
    Column("number", ROW_NUMBER, Identity(always=False), primary_key=True),
    # No foreign keys: what happened stays true, and an import of many links has enough to check.
    Column("subject_id", ROW_NUMBER, nullable=False),
    # Both NULL for further identifiers, which a person has in every environment.
    Column("link_id", ROW_NUMBER),
    Column("environment", Text),
    Column("home_organisation", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # How an identifier was written until then, where that is what changed.
    Column("former", Text),
    Column("changed_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

Index("ix_link_change_home_organisation", link_change.c.home_organisation, link_change.c.number)

computed_index = Table(
    "computed_index",
    metadata,
    Column("id", ROW_NUMBER, Identity(always=False), primary_key=True),
    Column("home_organisation", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    # The page of a digest is numbered by so many of its first bits.
    Column("bits", Integer, nullable=False),
    # The last change that is in it.
    Column("through", ROW_NUMBER),
    # Until then whoever builds it is taken to be alive.
    Column("building_until", Instant),
    sqlite_autoincrement=True,
)

COMPLETE = computed_index.c.through.is_not(None)
BEING_BUILT = computed_index.c.building_until.is_not(None)
INDEX_NAME = (
    computed_index.c.home_organisation,
    computed_index.c.recipient,
    computed_index.c.kind,
    computed_index.c.fingerprint,
)

Index("uq_computed_index_complete", *INDEX_NAME, unique=True, sqlite_where=COMPLETE, postgresql_where=COMPLETE)
Index("uq_computed_index_being_built", *INDEX_NAME, unique=True, sqlite_where=BEING_BUILT, postgresql_where=BEING_BUILT)

computed_page = Table(
    "computed_page",
    metadata,
    Column("index_id", ROW_NUMBER, ForeignKey(computed_index.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

source_outage = Table(
    "source_outage",
    metadata,
    Column("source", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("cause", Text, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("id", ROW_NUMBER, Identity(always=False), primary_key=True),
    Column("name", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    # Separated by spaces, of which an entityID has none.
    Column("home_organisations", Text, nullable=False),
    Column("token_digest", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    UniqueConstraint("token_digest"),
    sqlite_autoincrement=True,
)

UNREVOKED_CLIENT = client.c.revoked_at.is_(None)

Index("uq_client_unrevoked", client.c.name, unique=True, sqlite_where=UNREVOKED_CLIENT, postgresql_where=UNREVOKED_CLIENT)

delivery = Table(
    "delivery",
    metadata,
    Column("id", ROW_NUMBER, Identity(always=False), primary_key=True),
    Column("reference", Text, nullable=False),
    Column("home_organisation", Text, nullable=False),
    Column("sink", Text, nullable=False),
    # No foreign keys, as in link_change: what was delivered stays true.
    Column("subject_id", ROW_NUMBER, nullable=False),
    Column("environment", Text, nullable=False),
    # NULL where there is none any more.
    Column("orcid", Text),
    Column("changed_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    # From when on its age counts: later than created_at where somebody had it tried again.
    Column("ages_from", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Instant),
    Column("lease", Text),
    # Which process has it; it may be known to be gone before the lease ends.
    Column("holder", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Whether an attempt that has ended may have written the iD there; one that has not ended may have as well.
    Column("reached", Boolean, nullable=False, server_default=text("false")),
    # Whether the iD stood there before we ever tried to write it.
    Column("found", Boolean, nullable=False, server_default=text("false")),
    # An iD that an attempt may have left there which ended after its lease; the delivery was written for that reason.
    Column("stray", Text),
    # Whether it belongs to a replay: whatever we ever wrote there may stand there again.
    Column("anew", Boolean, nullable=False, server_default=text("false")),
    Column("ended_at", Instant),
    Column("message", Text),
    Column("told_at", Instant),
    # The end of a lease: until then somebody else is telling of it.
    Column("telling_until", Instant),
    UniqueConstraint("reference"),
    sqlite_autoincrement=True,
)

PENDING = delivery.c.state == text("'pending'")
PARKED = delivery.c.state == text("'parked'")
LEASED = delivery.c.lease.is_not(None)
UNTOLD = and_(PARKED, delivery.c.told_at.is_(None))
SINK = (delivery.c.home_organisation, delivery.c.sink, delivery.c.environment)
DUE = (delivery.c.due_at, delivery.c.id)

Index("uq_delivery_pending", delivery.c.subject_id, *SINK, unique=True, sqlite_where=PENDING, postgresql_where=PENDING)
# With created_at, so that the index alone tells what was written by a certain time, and since when the oldest has waited.
Index("ix_delivery_due", *SINK, *DUE, delivery.c.created_at, sqlite_where=PENDING, postgresql_where=PENDING)
Index("ix_delivery_parked", *SINK, delivery.c.id, sqlite_where=PARKED, postgresql_where=PARKED)
Index("ix_delivery_untold", delivery.c.home_organisation, delivery.c.ended_at, delivery.c.id, sqlite_where=UNTOLD, postgresql_where=UNTOLD)
Index("ix_delivery_leased", delivery.c.holder, sqlite_where=LEASED, postgresql_where=LEASED)
Index("ix_delivery_person", delivery.c.subject_id, *SINK, delivery.c.id)
Index("ix_delivery_home_organisation", delivery.c.home_organisation, delivery.c.id)
