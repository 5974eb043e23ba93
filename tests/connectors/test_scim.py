"""SCIM as a sink, against a real server: scim2-server, with PATCH and without."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from attribute_authority.domain.delivery import Receipt
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.errors import DeliveryRefused, OperatorError, SinkUnavailable
from connectors.sink_conformance import SINK_CHECKS, SinkCheck, SinkSpecimen
from tests.factories.scim_servers import open_scim, scim_sink, scim_table
from tests.factories.sink_deliveries import FORMER, ORCID, handed, person
from tests.peers.scim import CORE, EXTENSION, NUMBER, SEVERAL, SINGLE, TOKEN, ScimPeer, scim_server

FOREIGN = "0000-0002-1694-233X"
TEPPO = "teppo@uni.example"
DETAILS = {
    "emails": [{"value": "teppo@mail.example", "primary": True}],
    "name": {"familyName": "Testaaja"},
    "externalId": "t17@uni.example",
}


@pytest.fixture(scope="module")
def with_patch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScimPeer]:
    """A server that takes PATCH."""
    with scim_server(tmp_path_factory.mktemp("scim")) as running:
        yield running


@pytest.fixture(scope="module")
def without_patch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScimPeer]:
    """A server that takes no PATCH."""
    with scim_server(tmp_path_factory.mktemp("scim"), patch=False) as running:
        yield running


@pytest.fixture
def peer(with_patch: ScimPeer) -> ScimPeer:
    """A server that takes PATCH, with nobody in it."""
    with_patch.forget_people()
    return with_patch


@pytest.fixture(params=["with_patch", "without_patch"])
def either(request: pytest.FixtureRequest) -> ScimPeer:
    """Each of the two servers, with nobody in it."""
    found: ScimPeer = request.getfixturevalue(request.param)
    found.forget_people()
    return found


def _uri(orcid: str) -> str:
    return OrcidId(orcid).uri(Environment.PRODUCTION)


def _keys(peer: ScimPeer, **more: Any) -> dict[str, Any]:
    return {"url": peer.url, "token_file": str(peer.token_file), **more}


def _several(peer: ScimPeer, identity: str) -> list[str]:
    found: list[str] = peer.read(identity).get(EXTENSION, {}).get("eduPersonOrcid", [])
    return found


def _specimen(peer: ScimPeer, attribute: str, values: str, timeout: float) -> SinkSpecimen:
    name = attribute.rpartition(":")[2]
    several = values == "several"

    def teppo() -> dict[str, Any]:
        return next(one for one in peer.people() if one["userName"] == TEPPO)

    def held() -> list[OrcidId]:
        found = teppo().get(EXTENSION, {}).get(name, [])
        return [OrcidId.parse(one, Environment.PRODUCTION) for one in (found if several else [found]) if one]

    def write(*orcids: OrcidId) -> None:
        texts = [orcid.value for orcid in orcids]
        peer.put(teppo()["id"], userName=TEPPO, **{EXTENSION: {name: texts if several else texts[0]}} if texts else {})

    peer.add(TEPPO)
    return SinkSpecimen(
        open_sink=lambda: open_scim(scim_table(**_keys(peer, attribute=attribute, values=values, timeout=timeout))),
        known=person(TEPPO),
        held=held,
        forget=write,
        add_foreign=write,
        unknown=person("stranger@uni.example"),
        secrets=(TOKEN,),
        outages=(peer.stopped, peer.paused),
        timeout=timeout,
    )


@pytest.mark.parametrize("check", SINK_CHECKS)
@pytest.mark.parametrize(("attribute", "values"), [(SEVERAL, "several"), (SINGLE, "single")])
def test_conforms(either: ScimPeer, attribute: str, values: str, check: SinkCheck) -> None:
    """It does what every sink must do, by PATCH and by PUT, where there is room for several iDs and for one."""
    with_outages = check.__name__ in {"reports_an_outage_and_returns", "survives_an_outage_between_deliveries", "keeps_secrets"}

    check(_specimen(either, attribute, values, timeout=2.0 if with_outages else 30.0))


def test_nothing_else_of_the_person_changes(either: ScimPeer) -> None:
    """Everything but the attribute is as it was, the extension included, whether it was written by PATCH or by PUT."""
    extension = {"eduPersonOrcid": [FOREIGN], "researcherNumber": "17"}
    identity = either.add("Teppo@uni.example", **DETAILS, schemas=[CORE, EXTENSION], **{EXTENSION: extension})
    before = either.read(identity)

    with scim_sink(**_keys(either)) as sink:
        sink.deliver(handed())
        both = either.read(identity)
        sink.deliver(handed(orcid=None, former=(ORCID,)))
        after = either.read(identity)

    assert [FOREIGN, _uri(ORCID)] == both[EXTENSION]["eduPersonOrcid"]
    del before["meta"], after["meta"]
    assert before == after


@pytest.mark.parametrize(
    "former",
    [
        FORMER,
        f"http://orcid.org/{FORMER}",
        f"https://www.orcid.org/{FORMER}/",
        f"orcid.org/{FORMER}",
        FORMER.replace("-", ""),
        f" {FORMER} ",
    ],
)
def test_former_ids_go_in_whatever_form_they_stand_there(either: ScimPeer, former: str) -> None:
    """A former iD by our hand is told by its sixteen characters; what else stands there stays."""
    kept = [FOREIGN, f"https://sandbox.orcid.org/{FORMER}", "to be told"]
    identity = either.add(TEPPO, schemas=[CORE, EXTENSION], **{EXTENSION: {"eduPersonOrcid": [former, *kept]}})

    with scim_sink(**_keys(either)) as sink:
        receipt = sink.deliver(handed(former=(FORMER,)))

    assert (Receipt(), [*kept, _uri(ORCID)]) == (receipt, _several(either, identity))


def test_what_is_there_already_is_found_and_nothing_is_written(peer: ScimPeer) -> None:
    """An iD that somebody else has written, in whatever form, is not written again, and the version of the resource stays."""
    identity = peer.add(TEPPO, schemas=[CORE, EXTENSION], **{EXTENSION: {"eduPersonOrcid": [ORCID]}})
    before = peer.read(identity)

    with scim_sink(**_keys(peer)) as sink:
        receipt = sink.deliver(handed())

    assert (Receipt(found=True), before) == (receipt, peer.read(identity))


def test_what_is_ours_gets_the_configured_form(peer: ScimPeer) -> None:
    """Where we may have written the iD ourselves, it is written anew as `value` has it now."""
    identity = peer.add(TEPPO, schemas=[CORE, EXTENSION], **{EXTENSION: {"eduPersonOrcid": [_uri(ORCID), FOREIGN]}})

    with scim_sink(**_keys(peer, value="bare")) as sink:
        sink.deliver(replace(handed(), may_be_ours=True))

    assert [FOREIGN, ORCID] == _several(peer, identity)


def test_the_only_place_is_not_taken_from_somebody_else(either: ScimPeer) -> None:
    """With room for one value somebody else's is refused, and stays at a withdrawal; with overwrite ours takes its place."""
    identity = either.add(TEPPO, schemas=[CORE, EXTENSION], **{EXTENSION: {"orcid": FOREIGN}})
    single = partial(scim_sink, **_keys(either, attribute=SINGLE, values="single"))

    with single() as sink:
        with pytest.raises(DeliveryRefused, match="not by our hand"):
            sink.deliver(handed())
        withdrawn = sink.deliver(handed(orcid=None, former=(ORCID,)))
    kept = either.read(identity)[EXTENSION]["orcid"]
    with single(overwrite=True) as sink:
        sink.deliver(handed())

    assert (Receipt(), FOREIGN, _uri(ORCID)) == (withdrawn, kept, either.read(identity)[EXTENSION]["orcid"])


@pytest.mark.parametrize(
    ("find_by", "kind"),
    [("externalId", "unique-id"), ("emails.value", "subject-id"), (NUMBER, "eppn"), (f"{CORE}:userName", "eppn"), ("USERNAME", "eppn")],
)
def test_people_are_found_by_any_attribute(peer: ScimPeer, find_by: str, kind: str) -> None:
    """`find_by` may be the userName, the externalId, a part of an attribute with several values, or of an extension."""
    known = {
        "externalId": "t17@uni.example",
        "emails": [{"value": "teppo@mail.example"}, {"value": "s17@uni.example"}],
        EXTENSION: {"researcherNumber": TEPPO},
    }
    name = "somebody" if find_by == NUMBER else TEPPO
    identity = peer.add(name, schemas=[CORE, EXTENSION], **known)
    peer.add("another@uni.example", externalId="u17@uni.example")

    with scim_sink(**_keys(peer, find_by=find_by, identifier=kind)) as sink:
        sink.deliver(handed(*person(TEPPO, "t17@uni.example", "s17@uni.example")))

    assert [_uri(ORCID)] == _several(peer, identity)


def test_identifiers_are_tried_from_the_newest_on(peer: ScimPeer) -> None:
    """Whoever has the newest identifier is meant; an older one is tried where nobody has it."""
    old = peer.add("old@uni.example")
    both = (*person("new@uni.example"), *person("old@uni.example"))

    with scim_sink(**_keys(peer)) as sink:
        sink.deliver(handed(*both))
        new = peer.add("new@uni.example")
        sink.deliver(handed(*both, orcid=FORMER))

    assert ([_uri(ORCID)], [_uri(FORMER)]) == (_several(peer, old), _several(peer, new))


def test_former_ids_go_from_every_resource_that_was_the_persons(peer: ScimPeer) -> None:
    """An iD that was written under an earlier identifier does not outlive its withdrawal there, nor another one's link."""
    old, new = peer.add("old@uni.example"), peer.add("new@uni.example")
    both = (*person("new@uni.example"), *person("old@uni.example"))

    with scim_sink(**_keys(peer)) as sink:
        for orcid in (FORMER, None):
            sink.deliver(handed(*person("old@uni.example")))
            sink.deliver(handed(*both, orcid=orcid, former=(ORCID,)))

            assert [] == _several(peer, old)

    assert [_uri(FORMER)] == _several(peer, new)


@pytest.mark.parametrize(
    "name",
    [
        'te"ppo@uni.example',
        "te\\ppo@uni.example",
        '"or(userName)pr@uni.example',
        '\\"@uni.example',
        "täppö🧪@uni.example",
        "a%20b&c=d+e#f@uni.example",
    ],
)
def test_signs_that_mean_something_in_filters_are_text(peer: ScimPeer, name: str) -> None:
    """Quotation marks, backslashes and signs of URLs in an identifier find whoever has them, and nobody else."""
    identity, other = peer.add(name), peer.add(TEPPO)

    with scim_sink(**_keys(peer)) as sink:
        sink.deliver(handed(*person(name)))

    assert ([_uri(ORCID)], []) == (_several(peer, identity), _several(peer, other))


def test_several_people_with_one_identifier_are_refused(peer: ScimPeer) -> None:
    """Where two have the identifier nobody is written to, and the cause names neither of them."""
    both = [peer.add(name, externalId=TEPPO) for name in ("first@uni.example", "second@uni.example")]

    with scim_sink(**_keys(peer, find_by="externalId")) as sink, pytest.raises(DeliveryRefused) as refused:
        sink.deliver(handed())

    assert ([[], []], f"127.0.0.1:{peer.port}: several resources for one externalId") == (
        [_several(peer, one) for one in both],
        refused.value.cause,
    )


def test_somebody_without_an_identifier_of_the_kind_is_refused(peer: ScimPeer) -> None:
    """Without anything to find the person by there is a refusal, at a withdrawal too; where nothing of ours can be there, there is none."""
    with scim_sink(**_keys(peer, identifier="subject-id")) as sink:
        for delivery in (handed(), handed(orcid=None, former=(ORCID,))):
            with pytest.raises(DeliveryRefused, match="no subject-id"):
                sink.deliver(delivery)
        receipt = sink.deliver(handed(orcid=None))

    assert Receipt() == receipt


def test_what_the_server_says_of_a_refusal_is_told(peer: ScimPeer) -> None:
    """The detail of an error is the answer of the refusal, and no part of its cause."""
    peer.add(TEPPO)

    with scim_sink(**_keys(peer, attribute=f"{EXTENSION}:computed")) as sink, pytest.raises(DeliveryRefused) as refused:
        sink.deliver(handed())

    assert f"127.0.0.1:{peer.port}: PATCH ended with HTTP status 400" == refused.value.cause
    assert refused.value.answer


@pytest.mark.parametrize(
    ("attribute", "values", "sentences"),
    [
        (
            SEVERAL,
            "several",
            (
                f"would add the iD to {SEVERAL}",
                f"would do nothing: {SEVERAL} has the iD already",
                f"would remove 1 of the values of {SEVERAL} and add the iD to {SEVERAL}",
                f"would remove 1 of the values of {SEVERAL}",
                f"would do nothing: {SEVERAL} has no former iD",
            ),
        ),
        (
            SINGLE,
            "single",
            (
                f"would add the iD to {SINGLE}",
                f"would do nothing: {SINGLE} has the iD already",
                f"would remove 1 of the values of {SINGLE} and add the iD to {SINGLE}",
                f"would remove 1 of the values of {SINGLE}",
                f"would do nothing: {SINGLE} has no former iD",
            ),
        ),
    ],
)
def test_a_rehearsal_says_what_would_change(peer: ScimPeer, attribute: str, values: str, sentences: tuple[str, ...]) -> None:
    """A rehearsal tells what is read and what would be written, without the iD."""
    peer.add(TEPPO)
    withdrawal = handed(orcid=None, former=(ORCID,))

    with scim_sink(**_keys(peer, attribute=attribute, values=values)) as sink:
        said = [sink.rehearse(handed())]
        sink.deliver(handed())
        said += [sink.rehearse(delivery) for delivery in (handed(), handed(orcid=FORMER, former=(ORCID,)), withdrawal)]
        sink.deliver(withdrawal)
        said.append(sink.rehearse(withdrawal))

    assert list(sentences) == said


def test_a_rehearsal_about_somebody_unknown(peer: ScimPeer) -> None:
    """Somebody unknown would be refused, and a withdrawal would do nothing."""
    with scim_sink(**_keys(peer)) as sink:
        with pytest.raises(DeliveryRefused, match="nobody there has as userName any eppn of the person"):
            sink.rehearse(handed())
        unknown = sink.rehearse(handed(orcid=None, former=(ORCID,)))
        nothing = sink.rehearse(handed(orcid=None))

    assert (
        "would do nothing: nobody there has as userName any eppn of the person",
        "would do nothing: no iD is to be there, and none is there by our hand",
    ) == (unknown, nothing)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"attribute": f"{EXTENSION}:unknown"}, f"attribute: the schema {EXTENSION} has no attribute unknown on this server"),
        ({"attribute": "urn:example:elsewhere:orcid"}, "attribute: the server has no schema urn:example:elsewhere"),
        ({"attribute": "orcid"}, f"attribute: the schema {CORE} has no attribute orcid on this server"),
        ({"attribute": SINGLE}, 'attribute: orcid has room for one value on this server: expected values = "single"'),
        (
            {"attribute": SEVERAL, "values": "single"},
            'attribute: eduPersonOrcid has room for several values on this server: expected values = "several"',
        ),
        ({"attribute": f"{EXTENSION}:computed"}, "attribute: computed cannot be written and read on this server (mutability)"),
        (
            {"attribute": f"{EXTENSION}:hidden"},
            "attribute: hidden is not shown by this server unless asked for (returned), so that nobody could tell what stands there",
        ),
        ({"attribute": f"{EXTENSION}:flag", "values": "single"}, "attribute: flag holds no text on this server"),
        ({"find_by": "shoeSize"}, "find_by: nobody can be searched for by shoeSize: "),
    ],
)
def test_the_check_tells_what_cannot_work(peer: ScimPeer, keys: dict[str, Any], expected: str) -> None:
    """An attribute that the server does not have, or not so, and one that nobody can be found by, are mistakes of the operator."""
    with scim_sink(**_keys(peer, **keys)) as sink, pytest.raises(OperatorError) as fault:
        sink.check()

    assert fault.value.cause.startswith(expected)


def test_the_check_tells_of_a_wrong_address(peer: ScimPeer) -> None:
    """An address under which there is no SCIM server is a mistake of the operator."""
    with (
        scim_sink(**_keys(peer, url=f"http://127.0.0.1:{peer.port}/scim")) as sink,
        pytest.raises(OperatorError, match="ServiceProviderConfig"),
    ):
        sink.check()


def test_a_token_that_is_not_accepted_parks_nothing(peer: ScimPeer, tmp_path: Path) -> None:
    """A wrong token is an outage of the whole sink, for deliveries and for the check, and shows nowhere."""
    token_file = tmp_path / "token"
    token_file.write_text("wrong.token", encoding="ascii")

    with scim_sink(**_keys(peer, token_file=str(token_file))) as sink:
        for call in (lambda: sink.deliver(handed()), sink.check):
            with pytest.raises(SinkUnavailable) as refused:
                call()
            assert f"127.0.0.1:{peer.port}: our credentials are not accepted: HTTP status 401" == refused.value.cause
