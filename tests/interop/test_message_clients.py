"""The clients that are libraries receive eduPersonOrcid: pysaml2, lasso, and SimpleSAMLphp with its attributeaggregator's settings.

pysaml2 wants Response and Assertion signed, lasso the Response; SimpleSAMLphp judges by its SOAP client alone, or by everything
that the response of a login undergoes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.cases import FOREIGN_QUALIFIER, NOTHING, ORCID, REFUSED, RELEASED, SHAPES, Case
from tests.interop.service import LINKED
from tests.peers import lasso_client, pysaml2_client, simplesamlphp
from tests.peers.lab import EDU_PERSON_ORCID, Federation, Member, NameId, Proof, Question, Reply, TrustedAuthority, eppn

Ask = Callable[[Path, Member, TrustedAuthority, NameId, Mapping[str, str]], Reply]


@dataclass(frozen=True, slots=True)
class Client:
    """A client in one of its modes; `ask` gets a directory, who asks whom about whom, and what is tampered with."""

    name: str
    ask: Ask

    def __str__(self) -> str:
        """Name the client in the test's id."""
        return self.name


def _pysaml2(proof: Proof) -> Client:
    return Client(
        f"pysaml2-{proof}", lambda path, member, whom, who, changed: pysaml2_client.query(path, member, whom, Question(who, proof, changed))
    )


def _lasso(proof: Proof) -> Client:
    return Client(
        f"lasso-{proof}", lambda path, member, whom, who, changed: lasso_client.query(path, member, whom, Question(who, proof, changed))
    )


def _simplesamlphp(mode: simplesamlphp.Mode) -> Client:
    def ask(path: Path, member: Member, whom: TrustedAuthority, who: NameId, changed: Mapping[str, str]) -> Reply:
        return simplesamlphp.query(path, member, whom, simplesamlphp.Question(who, mode, changed))

    return Client(f"simplesamlphp-{mode}", ask)


CLIENTS = [*map(_pysaml2, Proof), *map(_lasso, Proof), *map(_simplesamlphp, simplesamlphp.Mode)]


def ask(directory: Path, federation: Federation, authority: TrustedAuthority, client: Client, case: Case) -> Reply:
    """Ask as the case's service provider."""
    asker = case.asker(federation)
    return client.ask(directory, asker, authority, case.about(federation, asker), {})


@pytest.mark.parametrize("client", CLIENTS, ids=str)
@pytest.mark.parametrize("case", [*RELEASED, *SHAPES], ids=str)
def test_receives_the_orcid(tmp_path: Path, federation: Federation, authority: TrustedAuthority, client: Client, case: Case) -> None:
    """A service provider with a release rule receives exactly the iD, however it names the person."""
    answer = ask(tmp_path, federation, authority, client, case)

    assert ({EDU_PERSON_ORCID: (ORCID,)}, None) == (answer.attributes, answer.failure), answer.log


@pytest.mark.parametrize("client", CLIENTS, ids=str)
@pytest.mark.parametrize("case", NOTHING, ids=str)
def test_nothing_to_release_is_accepted_silently(
    tmp_path: Path, federation: Federation, authority: TrustedAuthority, client: Client, case: Case
) -> None:
    """Where there is nothing to release the client raises nothing, so the login goes on without the attribute."""
    answer = ask(tmp_path, federation, authority, client, case)

    assert ({}, None) == (answer.attributes, answer.failure), answer.log


@pytest.mark.parametrize("client", CLIENTS, ids=str)
@pytest.mark.parametrize("case", [*REFUSED, FOREIGN_QUALIFIER], ids=str)
def test_is_refused(tmp_path: Path, federation: Federation, authority: TrustedAuthority, client: Client, case: Case) -> None:
    """Who is not in the metadata, has another key, or asks with another's SPNameQualifier is denied and receives nothing."""
    answer = ask(tmp_path, federation, authority, client, case)

    assert {} == answer.attributes
    assert "RequestDenied" in (answer.failure or "")


@pytest.mark.parametrize("client", [_pysaml2(Proof.SIGNED), _lasso(Proof.SIGNED), _simplesamlphp(simplesamlphp.Mode.PROCESS)], ids=str)
def test_tampered_query_is_refused(tmp_path: Path, federation: Federation, authority: TrustedAuthority, client: Client) -> None:
    """A query about nobody that was changed, after it was signed, into one about a person with an iD is denied."""
    changed = {"nobody@uni.example": LINKED.eppn}

    answer = client.ask(tmp_path, federation.released, authority, eppn("nobody@uni.example"), changed)

    assert {} == answer.attributes
    assert "RequestDenied" in (answer.failure or "")
