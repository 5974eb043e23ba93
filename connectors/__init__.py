"""Connectors: everything that talks to somebody else's system.

A connector may import the service's ports, domain and errors, and nothing else of it.
"""

from typing import Final

CATALOGUE: Final[dict[str, type[object]]] = {}
"""Every connector that ships with the service: the `kind` of the configuration, and the class that answers to it."""
