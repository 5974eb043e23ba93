"""Where people and their iDs are kept: SQLite in one file or PostgreSQL for many nodes, both by way of SQLAlchemy Core.

`sql.open_store` opens either for the back channel and the command line, `companion.open_companion_store` for the companion page;
`memory` and `memory_companion` are the reference back end, `upgrading` brings a database to the schema of `tables`.
Every back end passes the same suite, tests/conformance.
"""
