"""Attribute queries about identifiers that only a home organisation's source can resolve, from the message to the answer."""

import pytest

from attribute_authority.domain.identifiers import Identifier, IdentifierKind
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk
from tests.factories.doors import AFFILIATION, IDP, ORCID, OTHER_SP, Lab, eppn, lab, persistent, sp_keys
from tests.factories.metadata import rsa_pair
from tests.factories.queries import SP, asking, envelope, name_id
from tests.factories.sources import ScriptedSource, named, organisation

URI = f"https://orcid.org/{ORCID}"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
FOREIGN = persistent("foreign")
OF_AFFILIATION = persistent("foreign", AFFILIATION)


def asked(audience: str | None = None) -> str:
    """Write a persistent NameID of our identity provider."""
    return name_id("foreign", format=PERSISTENT, name_qualifier=IDP, sp_name_qualifier=audience)


def resolving(*identifiers: Identifier, failure: CouldNotAsk | None = None) -> Lab:
    """Make a lab whose home organisation knows under these identifiers the person whom all ask about."""
    findings = {identifier: Finding((eppn(),)) for identifier in identifiers}
    source = ScriptedSource(findings, frozenset({IdentifierKind.PERSISTENT}), failure)
    return lab(organisations=(organisation(IDP, named(source)),))


@pytest.mark.parametrize("audience", [None, SP])
def test_own_persistent_name_id(audience: str | None) -> None:
    """A service provider that asks with its own persistent NameID receives the iD; an absent SPNameQualifier means itself."""
    told = resolving(FOREIGN).ask(envelope(asking(asked(audience))), client=sp_keys())

    assert ((URI,), "released", "directory") == (told.values, told.event["outcome"], told.event["source"])


def test_member_asks_with_the_identifier_of_its_affiliation() -> None:
    """What was issued for an affiliation is resolved for its members."""
    told = resolving(OF_AFFILIATION).ask(envelope(asking(asked(AFFILIATION))), client=sp_keys())

    assert (URI,) == told.values


def test_identifier_of_the_affiliation_is_not_the_members_own() -> None:
    """What was issued for the affiliation does not resolve as the member's own, nor the other way round."""
    own = resolving(OF_AFFILIATION).ask(envelope(asking(asked())), client=sp_keys())
    shared = resolving(FOREIGN).ask(envelope(asking(asked(AFFILIATION))), client=sp_keys())

    assert ((), (), "unknown", "unknown") == (own.values, shared.values, own.event["outcome"], shared.event["outcome"])


def test_who_is_no_member_is_refused_before_anybody_is_asked() -> None:
    """A service provider outside the affiliation is denied, whatever the source knows."""
    source = ScriptedSource({OF_AFFILIATION: Finding((eppn(),))}, frozenset({IdentifierKind.PERSISTENT}))
    door = lab(organisations=(organisation(IDP, named(source)),))
    told = door.ask(envelope(asking(asked(AFFILIATION), requester=OTHER_SP)), client=rsa_pair("other"))

    assert (("Requester", "RequestDenied"), []) == (told.codes, source.asked)


def test_outage_is_responder_with_advice_in_the_log() -> None:
    """A source that cannot be asked ends in Responder, never in "no iD", and the event says when to come back."""
    told = resolving(failure=CouldNotAsk("connection refused")).ask(envelope(asking(asked())), client=sp_keys())

    assert (("Responder",), "SourceUnavailable", 1.0) == (told.codes, told.event["failure"], told.event["retry_after"])
    assert "foreign" not in str(told.event)


def test_whoever_the_source_does_not_know_looks_like_everybody_unknown() -> None:
    """Asked and absent is answered as an unknown ePPN is."""
    door = resolving()
    absent = door.ask(envelope(asking(asked())), client=sp_keys())
    unknown = door.ask(envelope(asking(name_id("nobody@uni.example"))), client=sp_keys())

    assert ("unknown", "unknown") == (absent.event["outcome"], unknown.event["outcome"])
    assert ((), ()) == (absent.values, unknown.values)
