"""Home organisations that use their own systems against others, people who withdrew and whom a directory still tells of, and outages."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from attribute_authority.core.asking import Organisation
from attribute_authority.core.deciding import Deciding, Decision, Outcome, Question, Unresolved
from attribute_authority.domain.entity import Entity, Role, Scope
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.source import Finding
from attribute_authority.errors import AuthorityError, CouldNotAsk, InvalidIdentifier, SourceUnavailable
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.storage.memory import MemoryLinkStore
from connectors._pairwise import PairwiseHash, encode
from connectors.shibboleth_ids import MOST_RECIPIENTS, ComputedIds
from tests.connectors.indexes import FakeIndex
from tests.factories.doors import (
    IDP,
    ORCID,
    OTHER_IDP,
    OTHER_PERSON,
    WITHDRAWN_PERSON,
    eppn,
    lab,
    link,
    persistent,
    rule,
    service_provider,
    sp_keys,
    stocked_store,
)
from tests.factories.queries import NOW, PERSON, SP, envelope, name_id
from tests.factories.queries import asking as about
from tests.factories.sources import ScriptedSource, Watched, asking, named, organisation

FOREIGN = persistent("foreign")
CLAIMED = OrcidId("0000-0003-1415-9269")
WITHDRAWN_ORCID = OrcidId("0000-0001-5109-3700")
SHARED = eppn("somebody@shared.example")
IDPS = tuple(
    Entity(EntityId(name), frozenset({Role.IDENTITY_PROVIDER}), scopes=(Scope(own), Scope("shared.example")))
    for name, own in ((IDP, "uni.example"), (OTHER_IDP, "other.example"))
)


@dataclass(slots=True)
class QuotingSource(ScriptedSource):
    """A connector of somebody else's that fails with a failure of ours which quotes the person."""

    fault: AuthorityError = field(default_factory=lambda: InvalidIdentifier(f"{PERSON!r} is not a valid unique-id"))

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Fail."""
        raise self.fault


def source(findings: Mapping[Identifier, Finding], *, failure: CouldNotAsk | None = None) -> ScriptedSource:
    """Make a source for every kind of identifier."""
    return ScriptedSource(findings, frozenset(IdentifierKind), failure)


def saying(finding: Finding, about: Identifier = FOREIGN) -> ScriptedSource:
    """Make a source that says this about somebody."""
    return source({about: finding})


def home(*sources: ScriptedSource, name: str = IDP, asks_all: bool = True) -> Organisation:
    """Make a home organisation with these sources."""
    return organisation(name, *(named(one, f"{name} {number}") for number, one in enumerate(sources)), asks_all=asks_all)


def decide(
    *organisations: Organisation, store: MemoryLinkStore | None = None, asked: Identifier = FOREIGN, watch: Watched | None = None
) -> Decision:
    """Decide all the way."""
    people = store or stocked_store()
    sources = asking(organisations, MemoryEntityDirectory(IDPS), people, watch=watch)
    core = Deciding(people, sources, (rule(SP),), Environment.PRODUCTION)
    begun = core.begin(Question(service_provider(), (asked,)), NOW)
    return core.finish(begun) if isinstance(begun, Unresolved) else begun


@pytest.mark.parametrize("own", [(), (eppn(),)], ids=["nobody", "one of its own"])
@pytest.mark.parametrize("orcid", [None, OrcidId(ORCID)], ids=["no iD", "an iD"])
def test_directory_cannot_be_used_to_probe_whether_another_organisations_person_is_known(
    own: tuple[Identifier, ...], orcid: OrcidId | None
) -> None:
    """Whether somebody of another organisation is linked here changes nothing of what a directory that names them brings about."""
    answers = [decide(home(saying(Finding((*own, eppn(probed)), orcid)))).orcid for probed in (OTHER_PERSON, "nobody-known@other.example")]

    assert answers[0] == answers[1]


def test_directory_that_names_others_people_is_reported() -> None:
    """The operator is told of it, and nobody of another organisation is answered for."""
    watch = Watched()
    decision = decide(home(saying(Finding((eppn(OTHER_PERSON),)))), watch=watch)

    assert (None, [IDP]) == (decision.orcid, watch.disagreed)


def test_directory_cannot_bring_back_what_was_withdrawn_under_another_identifier() -> None:
    """Who withdrew an iD here stays withdrawn, although the directory names the person by an identifier that we never saw."""
    decision = decide(home(saying(Finding((eppn("renamed@uni.example"),), WITHDRAWN_ORCID))))

    assert (Outcome.UNLINKED, None) == (decision.outcome, decision.orcid)


def test_directory_cannot_bring_back_what_was_replaced() -> None:
    """An iD that gave way to another one is not released from a directory that still has it."""
    store = stocked_store()
    store.add_link(link(CLAIMED.value, eppn(WITHDRAWN_PERSON)))

    assert decide(home(saying(Finding((), WITHDRAWN_ORCID))), store=store).orcid is None


def test_withdrawal_at_one_organisation_is_not_one_at_another() -> None:
    """What somebody withdrew at one home organisation says nothing about the directory of another, nor after it was linked again."""
    store = stocked_store()
    elsewhere = parse_identifier(IdentifierKind.PERSISTENT, "foreign", OTHER_IDP, SP)
    other = decide(home(saying(Finding((), WITHDRAWN_ORCID), elsewhere), name=OTHER_IDP), asked=elsewhere)
    store.add_link(link(WITHDRAWN_ORCID.value, eppn(WITHDRAWN_PERSON)))
    again = decide(home(saying(Finding((), WITHDRAWN_ORCID))), store=store)

    assert [WITHDRAWN_ORCID] * 2 == [other.orcid, again.orcid]


def test_two_organisations_with_one_scope_cannot_answer_for_each_others_people() -> None:
    """Where two directories each claim a person of a scope that both may use, nothing is released, and it is reported."""
    watch = Watched()
    usurper = home(saying(Finding((), CLAIMED), SHARED))
    decision = decide(usurper, home(saying(Finding((), OrcidId(ORCID)), SHARED), name=OTHER_IDP), asked=SHARED, watch=watch)

    assert (Outcome.CONTRADICTED, None) == (decision.outcome, decision.orcid)
    assert [IDP, OTHER_IDP] == watch.disagreed


def test_outage_of_one_of_two_organisations_with_one_scope_lets_the_other_claim_nobody() -> None:
    """While one of them cannot be asked, the other does not answer for the scope that they share."""
    away = home(source({}, failure=CouldNotAsk("away")), name=OTHER_IDP)

    with pytest.raises(SourceUnavailable):
        decide(home(saying(Finding((), CLAIMED), SHARED)), away, asked=SHARED)


def test_outage_is_not_absence_where_another_source_names_somebody_unknown() -> None:
    """A source that names nobody whom we know does not make an answer of another one's outage."""
    away = source({}, failure=CouldNotAsk("away"))

    with pytest.raises(SourceUnavailable):
        decide(home(away, saying(Finding((eppn("stranger@uni.example"),))), asks_all=False))


def test_failure_of_a_connector_does_not_quote_the_person_in_the_log() -> None:
    """Whatever failure of ours a connector lets through is an outage, and neither answer nor log has the person in it."""
    door = lab(organisations=(home(QuotingSource(kinds=frozenset(IdentifierKind)), name=IDP),), entities=(*IDPS, service_provider()))
    told = door.ask(envelope(about(name_id("probed@uni.example"))), client=sp_keys())

    assert ("SourceUnavailable", ("Responder",)) == (told.event["failure"], told.codes)
    assert PERSON not in door.log.getvalue()
    assert "probed" not in door.log.getvalue()


def test_made_up_recipients_do_not_fill_the_database() -> None:
    """Who may name any service provider makes no more indexes than there may be; the oldest give way, and can be made again."""
    pairwise_hash = PairwiseHash(b"a salt of sixteen", "SHA-1", "whole")
    index = FakeIndex({"josiah@uni.example"})
    computed = ComputedIds(EntityId(IDP), pairwise_hash, "base64", IdentifierKind.EPPN, None, index, lambda: NOW, 1.0)
    digest = encode(pairwise_hash.towards(SP)("josiah@uni.example"), "base64")
    found = computed.resolve(persistent(digest))
    for number in range(MOST_RECIPIENTS + 5):
        computed.resolve(persistent(digest, f"https://made-up{number}.example"))

    assert MOST_RECIPIENTS == len(index.names(EntityId(IDP)))
    assert found == computed.resolve(persistent(digest)) == Finding((eppn("josiah@uni.example"),))
