"""Probing: whether somebody is known, or has an iD, cannot be read from an answer without one."""

import re
from dataclasses import replace

import pytest

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.query import NothingToRelease, RequesterProfile
from attribute_authority.saml import namespaces as ns
from tests.attacks.refusals import assert_no_orcid
from tests.factories.doors import IDP, ORCID, OTHER_PERSON, WITHDRAWN_PERSON, Told, lab, rule, sp_keys
from tests.factories.queries import PERSON, SP, asking, designator, envelope, name_id, signed

VALUES = re.compile(r"(?<=<ns2:DigestValue>)[^<]*|(?<=<ns2:SignatureValue>)[^<]*|(?<=<ns1:NameID)[^/]*(?=</)")
CASES: dict[str, tuple[str, str, str]] = {
    "unknown": ("nobody@uni.example", "unknown", designator()),
    "withdrawn": (WITHDRAWN_PERSON, "unlinked", designator()),
    "other value asked for": (PERSON, "not-requested", designator(ns.EDU_PERSON_ORCID, "0000-0001-5109-3700")),
    "other attribute asked for": (PERSON, "not-requested", designator(ns.EPPN_OID_URN)),
    "not an identifier": ("nobody", "not-an-identifier", designator()),
    "withheld": (OTHER_PERSON, "withheld", designator()),
}


def ask(value: str, attribute: str, profile: RequesterProfile | None = None) -> Told:
    """Ask a fresh lab, so that ids, instants and correlation are those of every other answer."""
    rules = (replace(rule(SP), home_organisations=frozenset({EntityId(IDP)})),)
    door = lab(rules=rules, profiles={} if profile is None else {SP: profile})
    return door.ask(envelope(signed(asking(name_id(value), attribute), sp_keys())))


def masked(told: Told) -> str:
    """Return an answer without what differs between any two: the echoed NameID, digests and signatures."""
    return VALUES.sub("", told.text)


@pytest.mark.parametrize("shape", list(NothingToRelease))
@pytest.mark.parametrize("case", list(CASES))
def test_nothing_to_release_has_one_face(case: str, shape: NothingToRelease) -> None:
    """Unknown, withdrawn, withheld and not asked for are equal octet for octet, and of equal length, in either shape."""
    profile = RequesterProfile(nothing_to_release=shape)
    value, outcome, attribute = CASES[case]
    told = ask(value, attribute, profile)
    unknown = ask("nobody@uni.example", designator(), profile)

    assert outcome == told.event["outcome"]
    assert (("Success",), ()) == (told.codes, told.values)
    assert masked(unknown) == masked(told)
    assert len(unknown.text) - len("nobody@uni.example") == len(told.text) - len(value) or shape is NothingToRelease.NO_ASSERTION
    assert_no_orcid(told.text)


def test_an_answer_with_an_orcid_is_another() -> None:
    """The comparison does see a difference where there is one."""
    told, unknown = ask(PERSON, designator()), ask("nobody@uni.example", designator())

    assert ORCID in told.text
    assert masked(unknown) != masked(told)
