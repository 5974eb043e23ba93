"""pysaml2's client, which wants Response and Assertion signed, receives eduPersonOrcid."""

from pathlib import Path

import pytest

from tests.interop.cases import FOREIGN_QUALIFIER, NOTHING, ORCID, REFUSED, RELEASED, SHAPES, Case
from tests.interop.service import LINKED
from tests.peers.lab import EDU_PERSON_ORCID, Federation, Reply, TrustedAuthority, eppn
from tests.peers.pysaml2_client import Mode, Question, query


def ask(directory: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode) -> Reply:
    """Ask as the case's service provider."""
    asker = case.asker(federation)
    return query(directory, asker, authority, Question(case.about(federation, asker), mode))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("case", [*RELEASED, *SHAPES], ids=str)
def test_receives_the_orcid(tmp_path: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode) -> None:
    """A service provider with a release rule receives exactly the iD, however it names the person."""
    answer = ask(tmp_path, federation, authority, case, mode)

    assert ({EDU_PERSON_ORCID: (ORCID,)}, None) == (answer.attributes, answer.failure), answer.log


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("case", NOTHING, ids=str)
def test_nothing_to_release_is_accepted_silently(
    tmp_path: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode
) -> None:
    """Where there is nothing to release the client raises nothing, so the login goes on without the attribute."""
    answer = ask(tmp_path, federation, authority, case, mode)

    assert ({}, None) == (answer.attributes, answer.failure), answer.log


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("case", [*REFUSED, FOREIGN_QUALIFIER], ids=str)
def test_is_refused(tmp_path: Path, federation: Federation, authority: TrustedAuthority, case: Case, mode: Mode) -> None:
    """Who is not in the metadata, has another key, or asks with another's SPNameQualifier is denied and receives nothing."""
    answer = ask(tmp_path, federation, authority, case, mode)

    assert {} == answer.attributes
    assert "RequestDenied" in (answer.failure or "")


def test_tampered_query_is_refused(tmp_path: Path, federation: Federation, authority: TrustedAuthority) -> None:
    """A query about nobody that was changed, after it was signed, into one about a person with an iD is denied."""
    question = Question(eppn("nobody@uni.example"), tampering={"nobody@uni.example": LINKED.eppn})

    answer = query(tmp_path, federation.released, authority, question)

    assert {} == answer.attributes
    assert "RequestDenied" in (answer.failure or "")
