"""The history of the schema, one Alembic migration per file of `versions`; `storage.upgrading` applies it.

A new migration is written by hand beside the change of `storage.tables`; a test compares what both make, on SQLite and PostgreSQL.
It must leave the release before it working, because nodes are renewed one after the other.
"""
