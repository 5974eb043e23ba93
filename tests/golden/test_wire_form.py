"""Answers byte for byte: a change of what goes over the wire is noticed, and wanted or not.

Run with UPDATE_GOLDEN=1 to write the files anew, and read the difference before it is committed.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from attribute_authority.domain.query import NothingToRelease, Recipient, RequesterProfile
from attribute_authority.saml import namespaces as ns
from tests.factories.doors import IDP, lab, persistent, sp_keys
from tests.factories.queries import SP, asking, attribute_query, designator, envelope, name_id
from tests.golden.test_captures import own_keys

ANSWERS = Path(__file__).parent / "answers"
QUALIFIED = name_id(persistent().value, format=ns.NAMEID_PERSISTENT, name_qualifier=IDP, sp_name_qualifier=SP, sp_provided_id='a"b\t&<')
UNKNOWN = asking(name_id("nobody@uni.example"), designator())
CASES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "released": (envelope(asking(QUALIFIED, designator())), {}),
    "recipient": (envelope(attribute_query()), {"profiles": {SP: RequesterProfile(recipient=Recipient.ALWAYS)}}),
    "nothing-to-release": (envelope(UNKNOWN), {}),
    "no-assertion": (envelope(UNKNOWN), {"profiles": {SP: RequesterProfile(nothing_to_release=NothingToRelease.NO_ASSERTION)}}),
    "denied": (envelope(attribute_query(destination="https://elsewhere.example.org")), {}),
    "malformed": (envelope(attribute_query(message_id=None)), {}),
    "version": (envelope(attribute_query(version="3.0")), {}),
    "fault": (envelope(), {}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_wire_form(case: str) -> None:
    """With the same key, clock and ids an answer is the same octets as ever."""
    body, parts = CASES[case]
    answer = lab(signing=own_keys(), **parts).ask(body, client=sp_keys()).reply.body
    file = ANSWERS / f"{case}.xml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(answer)

    assert file.read_bytes() == answer
