"""Fixtures of the faults: a real PostgreSQL that can be stopped in its tracks."""

from tests.peers.postgresql import postgresql, postgresql_url

__all__ = ["postgresql", "postgresql_url"]
