"""Texts that mean something to filters, statements, paths, templates or markup, and should mean nothing to a source of identifiers."""

from collections.abc import Iterator
from typing import Final

_FILTERS: Final = (
    "*",
    "(",
    ")",
    "\\",
    "\\2a",
    "*)(uid=*",
    "*)(|(objectClass=*)",
    ")(&)",
    "(|(uid=*))",
    "&",
    "|",
    "!",
    ",",
    "+",
    "<",
    "\\00",
)
_STATEMENTS: Final = (
    "'",
    '"',
    "''",
    "' OR '1'='1",
    "'; DROP TABLE shibpid; --",
    "1 OR 1=1",
    "/*",
    "--",
    "%",
    "_",
    "\\'",
    "%s",
    "%(a)s",
    ":a",
)
_TEMPLATES: Final = ("../../etc/passwd", "${jndi:ldap://elsewhere.invalid/a}", "{0}", "{value}", "{{7*7}}", "$(id)", "`id`", "<b>", "&amp;")
_CONTROLS: Final = ("\0", "\x01", "\x7f", "\r\n", "\n", "\t", "", " ")
_FOREIGN: Final = (
    "\ufeff",
    "\u200b",
    "\u202e",
    "\u05d0",
    "\u0645\u0631\u062d\u0628\u0627",
    "\u0301",
    "\U0001f9ea",
    "ß",
    "\u0130",
    "\u212a",
)


def hostile_texts(known: str) -> Iterator[str]:
    """Yield values that are nobody's, made from the value of a known identifier; some are no identifiers at all."""
    local_part, at, scope = known.partition("@")
    end = at + scope
    for sign in (*_FILTERS, *_STATEMENTS, *_TEMPLATES, *_CONTROLS, *_FOREIGN):
        yield sign + end
        if sign.strip():
            yield local_part + sign + end
            yield sign + local_part + end
    for length in (255, 256):
        yield "a" * (length - len(end)) + end
        yield "\U0001f9ea" * (length - len(end)) + end
    # What parse_identifier would not let through, should it come by another way.
    yield "a" * 100_000 + end
    yield "%" + local_part[1:] + end
    yield "_" + local_part[1:] + end
    yield local_part[:1] + "*" + end
