"""Where people and their iDs are kept: SQLite in one file or PostgreSQL for many nodes, both by way of SQLAlchemy Core.

`sql.open_store` opens the one, `memory` is the reference back end, `upgrading` brings a database to the schema of `tables`.
Every back end passes the same suite, tests/conformance.
"""
