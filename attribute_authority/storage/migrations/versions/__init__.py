"""Migrations, in the order in which they were written."""
