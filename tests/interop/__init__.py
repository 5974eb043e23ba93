"""Unmodified clients of others query a running authority."""
