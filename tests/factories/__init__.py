"""Makers of test material: each returns a fresh value that is valid unless the caller asks otherwise."""
