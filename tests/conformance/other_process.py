"""A program that works on a store from a process of its own, and prints what came of it.

usage: other_process.py URL find KIND=VALUE | first MESSAGE-ID | add NUMBER KIND=VALUE...
"""

import sys

from attribute_authority.domain.identifiers import OrcidId, parse_identifier_text
from attribute_authority.errors import Conflict
from attribute_authority.storage.sql import SqlStore, open_store
from tests.conformance.samples import NOW, PRODUCTION, SERVICE, new_link


def find(store: SqlStore, identifier: str) -> str:
    """Return the iD in force of a person."""
    found = store.find_subject(parse_identifier_text(identifier), PRODUCTION)
    return str(found and found.orcid and found.orcid.value)


def first(store: SqlStore, message_id: str) -> str:
    """Return whether the message is the first."""
    return str(store.is_first(SERVICE, message_id, NOW))


def add(store: SqlStore, orcid: str, *identifiers: str) -> str:
    """Return the number of the link that was stored, or that there was a conflict."""
    try:
        return str(store.add_link(new_link(*map(parse_identifier_text, identifiers), orcid=OrcidId.parse(orcid, PRODUCTION))).link_id)
    except Conflict:
        return "conflict"


def main(url: str, action: str, *arguments: str) -> None:
    """Do one thing and say what came of it."""
    store = open_store(url)
    sys.stdout.write({"find": find, "first": first, "add": add}[action](store, *arguments))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
