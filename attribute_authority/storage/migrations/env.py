"""What Alembic runs around the migrations: they use the connection, and the transaction, that `storage.upgrading` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
