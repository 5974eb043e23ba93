"""A directory as a sink, against a real OpenLDAP server: plain on this machine, by StartTLS and by LDAPS."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.domain.identifiers import Environment, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.errors import DeliveryRefused, OperatorError
from connectors import find_sink_kind
from connectors.ldap_entries import LDAP_ENTRIES, LdapEntriesSettings
from connectors.sink_conformance import SINK_CHECKS, SinkCheck, SinkSpecimen, keeps_secrets
from connectors.sink_conformance import reports_an_outage_and_returns as reports_an_outage
from connectors.sink_conformance import survives_an_outage_between_deliveries as survives_an_outage
from tests.factories.directories import HOME_ORGANISATION
from tests.factories.directory_sinks import (
    FOREIGN,
    FORMER,
    ORCID,
    TEPPO,
    delivery,
    open_sink,
    refused,
    sink,
    sink_table_for,
    unavailable,
    uri,
)
from tests.peers.slapd import PASSWORD, PEOPLE, SUFFIX, WRITER_DN, Slapd, running_slapd

NOBODY = parse_identifier(IdentifierKind.EPPN, "nobody@uni.example")
UNIQUE_ID = parse_identifier(IdentifierKind.UNIQUE_ID, "t17@uni.example")
OUTAGES = (reports_an_outage, survives_an_outage, keeps_secrets)
TRANSPORTS = ("plain", "StartTLS", "LDAPS")
SINGLE: dict[str, object] = {
    "attribute": "extensionAttribute7",
    "values": "single",
    "filters": {"eppn": "(userPrincipalName={value})"},
}


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    """A server with Teppo, and with Maija, who has next to nothing."""
    with running_slapd() as slapd:
        names = {"eduPersonPrincipalName": "teppo@uni.example", "userPrincipalName": "Teppo@uni.example"}
        slapd.add_person("teppo", {**names, "eduPersonUniqueId": "t17@uni.example"})
        slapd.add(f"uid=maija,{PEOPLE}", ("inetOrgPerson",), {"cn": "maija", "sn": "maija"})
        yield slapd


@pytest.fixture(autouse=True)
def nobody_has_an_id(directory: Slapd) -> None:
    """Every test begins with nothing in the directory."""
    for attribute in ("eduPersonOrcid", "extensionAttribute7", "rawIdentifier"):
        directory.set_values("teppo", attribute, ())


def over(transport: str, slapd: Slapd) -> dict[str, object]:
    """Return the keys of a table for a transport."""
    keys: dict[str, dict[str, object]] = {
        "plain": {"urls": [slapd.url], "start_tls": False, "tls_ca": None},
        "StartTLS": {"urls": [slapd.url]},
        "LDAPS": {"urls": [slapd.ldaps_url]},
    }
    return keys[transport]


def specimen(slapd: Slapd, settings: LdapEntriesSettings) -> SinkSpecimen:
    """Describe a sink that delivers to Teppo's entry."""
    attribute = settings.attribute

    def held() -> list[OrcidId]:
        return [OrcidId.parse(value.decode(), Environment.PRODUCTION) for value in slapd.values("teppo", attribute)]

    return SinkSpecimen(
        open_sink=lambda: open_sink(settings),
        known=(TEPPO,),
        held=held,
        forget=lambda: slapd.set_values("teppo", attribute, ()),
        add_foreign=lambda orcid: slapd.set_values("teppo", attribute, [orcid.value]),
        unknown=(NOBODY,),
        secrets=(PASSWORD,),
        outages=(slapd.stopped, slapd.paused),
        timeout=settings.timeout,
        home_organisation=HOME_ORGANISATION,
    )


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds the sink by its name."""
    assert find_sink_kind("ldap") is LDAP_ENTRIES


@pytest.mark.parametrize("check", [check for check in SINK_CHECKS if check not in OUTAGES])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_conforms(directory: Slapd, transport: str, check: SinkCheck) -> None:
    """It does what every sink must do, over each transport."""
    check(specimen(directory, sink_table_for(directory, **over(transport, directory))))


@pytest.mark.parametrize("check", OUTAGES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_conforms_in_outages(directory: Slapd, transport: str, check: SinkCheck) -> None:
    """It does what every sink must do where the server is stopped, or stopped in its tracks."""
    check(specimen(directory, sink_table_for(directory, timeout=1.0, **over(transport, directory))))


@pytest.mark.parametrize("check", [check for check in SINK_CHECKS if check not in OUTAGES])
def test_conforms_where_there_is_room_for_one(directory: Slapd, check: SinkCheck) -> None:
    """It does what every sink must do with an attribute of a single value, as Active Directory has them."""
    check(specimen(directory, sink_table_for(directory, **SINGLE)))


def after(slapd: Slapd, delivered: Delivery, present: tuple[str, ...], **keys: object) -> tuple[Receipt, list[str]]:
    """Deliver where these values stand, and return the receipt and what stands there then."""
    settings = sink_table_for(slapd, **keys)
    slapd.set_values("teppo", settings.attribute, present)
    with sink(settings) as opened:
        receipt = opened.deliver(delivered)
    return receipt, [value.decode() for value in slapd.values("teppo", settings.attribute)]


@pytest.mark.parametrize(("value", "written"), [("uri", uri(ORCID)), ("bare", ORCID.value)])
def test_writes_the_form_that_is_configured(directory: Slapd, value: str, written: str) -> None:
    """The iD is written as a URI or bare."""
    assert (Receipt(), [written]) == after(directory, delivery(ORCID), (), value=value)


def test_writes_the_sandbox_for_the_sandbox(directory: Slapd) -> None:
    """An authority of ORCID's sandbox writes URIs of the sandbox, and takes the iDs of production for somebody else's."""
    directory.set_values("teppo", "eduPersonOrcid", [uri(FORMER)])
    with sink(sink_table_for(directory), Environment.SANDBOX) as opened:
        opened.deliver(delivery(ORCID, FORMER, environment=Environment.SANDBOX))

    assert [uri(FORMER).encode(), ORCID.uri(Environment.SANDBOX).encode()] == directory.values("teppo", "eduPersonOrcid")


FORMS = (uri(ORCID), ORCID.value, f"http://orcid.org/{ORCID.value}", f"HTTPS://ORCID.org/{ORCID.value}")


@pytest.mark.parametrize("form", FORMS)
def test_an_id_that_stands_there_in_any_form_is_left(directory: Slapd, form: str) -> None:
    """An iD that somebody else has written is found, and its form is theirs."""
    assert (Receipt(found=True), [form]) == after(directory, delivery(ORCID), (form,))


@pytest.mark.parametrize("form", FORMS[1:])
def test_a_form_that_may_be_ours_is_replaced(directory: Slapd, form: str) -> None:
    """Where we may have written the iD ourselves, it gets the form that is configured now, although the server takes some for the same."""
    assert (Receipt(), [uri(ORCID)]) == after(directory, delivery(ORCID, may_be_ours=True), (form,))


@pytest.mark.parametrize("single", [False, True])
def test_former_ids_go_in_whatever_form(directory: Slapd, single: bool) -> None:
    """A former iD makes room for the new one."""
    present = (f"HTTP://ORCID.ORG/{FORMER.value}",)

    assert (Receipt(), [uri(ORCID)]) == after(directory, delivery(ORCID, FORMER), present, **(SINGLE if single else {}))


def test_everybody_elses_values_stay(directory: Slapd) -> None:
    """Whatever happens to ours, other iDs and whatever else stands there stay as they are."""
    foreign = ("something else", uri(FOREIGN))
    _, linked = after(directory, delivery(ORCID, FORMER), (*foreign, FORMER.value))
    _, withdrawn = after(directory, delivery(None, ORCID, FORMER), tuple(linked))

    assert ({uri(ORCID), *foreign}, set(foreign)) == (set(linked), set(withdrawn))


def test_a_withdrawal_leaves_no_attribute_behind(directory: Slapd) -> None:
    """Where all values were ours, the attribute goes with them."""
    assert (Receipt(), []) == after(directory, delivery(None, ORCID, FORMER), (uri(ORCID), FORMER.value))


def test_an_id_that_stands_there_is_found_though_a_former_one_goes(directory: Slapd) -> None:
    """The receipt tells that somebody else has written the iD, also where something else had to be written."""
    assert (Receipt(found=True), [ORCID.value]) == after(directory, delivery(ORCID, FORMER), (ORCID.value, uri(FORMER)))


def test_a_single_place_that_is_taken_is_not_ours_to_take(directory: Slapd) -> None:
    """Somebody else's iD where there is room for one is a refusal that says so and quotes nothing."""
    directory.set_values("teppo", "extensionAttribute7", [FOREIGN.value])
    with sink(sink_table_for(directory, **SINGLE)) as opened:
        refusal = refused(opened, delivery(ORCID, FORMER))

    assert ("another iD stands there that is not by our hand, and there is room for one", None) == (refusal.cause, refusal.answer)
    assert [FOREIGN.value.encode()] == directory.values("teppo", "extensionAttribute7")


def test_a_single_place_is_taken_where_that_is_configured(directory: Slapd) -> None:
    """With overwrite, ours takes the place of somebody else's; a withdrawal still takes away nothing but ours."""
    keys = SINGLE | {"overwrite": True}

    assert (Receipt(), [uri(ORCID)]) == after(directory, delivery(ORCID), (FOREIGN.value,), **keys)
    assert (Receipt(), [FOREIGN.value]) == after(directory, delivery(None, ORCID), (FOREIGN.value,), **keys)


def test_a_value_that_is_no_text_is_somebody_elses(directory: Slapd) -> None:
    """Octets that are no UTF-8 are no iD: they stay, or give way where that is configured."""
    keys: dict[str, object] = {"attribute": "rawIdentifier"}
    held = []
    for more in ({}, {"values": "single", "overwrite": True}):
        directory.set_values("teppo", "rawIdentifier", [b"\xff\xfe"])
        with sink(sink_table_for(directory, **keys, **more)) as opened:
            opened.deliver(delivery(ORCID))
        held.append(directory.values("teppo", "rawIdentifier"))

    assert [[uri(ORCID).encode(), b"\xff\xfe"], [uri(ORCID).encode()]] == held


def test_an_entry_gets_the_object_class_that_it_lacks(directory: Slapd) -> None:
    """With object_class an entry that could not have the attribute gets it; a withdrawal leaves the class."""
    maija = (parse_identifier(IdentifierKind.EPPN, "maija@uni.example"),)
    settings = sink_table_for(directory, filters={"eppn": "(uid={local_part})"}, local_part_scope="uni.example", object_class="eduPerson")
    with sink(settings) as opened:
        told = opened.rehearse(delivery(ORCID, identifiers=maija))
        opened.deliver(delivery(ORCID, identifiers=maija))
        linked = directory.values("maija", "eduPersonOrcid")
        opened.deliver(delivery(FORMER, ORCID, identifiers=maija))
        opened.deliver(delivery(None, FORMER, identifiers=maija))
    classes = directory.values("maija", "objectClass")
    directory.set_values("maija", "objectClass", ["inetOrgPerson"])

    assert "would add the object class eduPerson and add the iD to eduPersonOrcid" == told
    assert ([uri(ORCID).encode()], [b"eduPerson", b"inetOrgPerson"]) == (linked, classes)


def test_an_object_class_that_is_there_is_not_added(directory: Slapd) -> None:
    """An entry of the class is left in it, however the configuration spells the name."""
    assert (Receipt(), [uri(ORCID)]) == after(directory, delivery(ORCID), (), object_class="EDUPERSON")


def test_an_entry_that_may_not_have_the_attribute_is_refused(directory: Slapd) -> None:
    """A violated schema is for a person to mend; the answer has the server's words, and the cause has none of them."""
    maija = (parse_identifier(IdentifierKind.EPPN, "maija@uni.example"),)
    settings = sink_table_for(directory, filters={"eppn": "(uid={local_part})"}, local_part_scope="uni.example")
    with sink(settings) as opened:
        refusal = refused(opened, delivery(ORCID, identifiers=maija))

    assert f"{directory.ldaps_url}: result code 65 (objectClassViolation): the entry was not modified" == refusal.cause
    assert "attribute 'eduPersonOrcid' not allowed" == refusal.answer


def test_an_attribute_that_the_schema_lacks_is_refused(directory: Slapd) -> None:
    """An attribute that nobody defined is the server's refusal, in its words."""
    with sink(sink_table_for(directory, attribute="orcidOfNobody")) as opened:
        refusal = refused(opened, delivery(ORCID))

    assert "(undefinedAttributeType)" in refusal.cause
    assert refusal.answer is not None
    assert "attribute type undefined" in refusal.answer


def test_room_for_several_where_there_is_room_for_one_is_refused(directory: Slapd) -> None:
    """Where the schema has room for one value and the configuration for several, somebody else's value stays and the server refuses."""
    directory.set_values("teppo", "extensionAttribute7", [FOREIGN.value])
    with sink(sink_table_for(directory, attribute="extensionAttribute7")) as opened:
        refusal = refused(opened, delivery(ORCID))

    assert "(constraintViolation)" in refusal.cause
    assert [FOREIGN.value.encode()] == directory.values("teppo", "extensionAttribute7")


def test_the_newest_identifier_that_is_known_names_the_person(directory: Slapd) -> None:
    """A name that changed is found by the former one, and by the kinds in the order of the configuration."""
    renamed = (replace(NOBODY, value="new@uni.example"), UNIQUE_ID, TEPPO)
    filters = {"unique-id": "(eduPersonUniqueId={value})", "eppn": "(eduPersonPrincipalName={value})"}
    with sink(sink_table_for(directory)) as by_name, sink(sink_table_for(directory, filters=filters)) as by_number:
        by_name.deliver(delivery(ORCID, identifiers=renamed))
        by_number.deliver(delivery(FORMER, ORCID, identifiers=renamed))
    asked = [line.partition("filter=")[2] for line in directory.log().splitlines() if " SRCH base=" in line and "duPerson" in line]

    assert ['"(eduPersonPrincipalName=new@uni.example)"', '"(eduPersonPrincipalName=teppo@uni.example)"'] == asked[-5:-3]
    assert '"(eduPersonUniqueId=t17@uni.example)"' == asked[-3]
    assert [uri(FORMER).encode()] == directory.values("teppo", "eduPersonOrcid")


def test_an_earlier_name_leads_to_nobody_while_another_identifier_does_better(directory: Slapd) -> None:
    """An ePPN that was given to somebody else since counts for less than the person's number, whichever is configured first."""
    renamed = (replace(NOBODY, value="new@uni.example"), replace(NOBODY, value="given@uni.example"), UNIQUE_ID)
    filters = {"eppn": "(eduPersonPrincipalName={value})", "unique-id": "(eduPersonUniqueId={value})"}
    stranger = {"eduPersonPrincipalName": "given@uni.example"}
    with directory.person("stranger", stranger), sink(sink_table_for(directory, filters=filters)) as opened:
        opened.deliver(delivery(ORCID, FORMER, identifiers=renamed))
        held = directory.values("stranger", "eduPersonOrcid")

    assert ([], [uri(ORCID).encode()]) == (held, directory.values("teppo", "eduPersonOrcid"))


@pytest.mark.parametrize("orcid", [None, ORCID])
def test_a_former_id_goes_from_the_entry_of_an_earlier_name_too(directory: Slapd, orcid: OrcidId | None) -> None:
    """Whose iD was written to one entry and who is known by another since keeps a withdrawn iD in neither; others' values stay."""
    moved = (replace(NOBODY, value="moved@uni.example"), TEPPO)
    former = {"eduPersonPrincipalName": "moved@uni.example", "eduPersonOrcid": uri(FORMER)}
    directory.set_values("teppo", "eduPersonOrcid", (uri(FORMER), uri(FOREIGN)))
    with directory.person("moved", former), sink(sink_table_for(directory)) as opened:
        rehearsed = opened.rehearse(delivery(orcid, FORMER, identifiers=moved))
        opened.deliver(delivery(orcid, FORMER, identifiers=moved))
        held = directory.values("moved", "eduPersonOrcid")

    assert 2 == rehearsed.count("delete 1 of the values of eduPersonOrcid")
    assert [uri(FOREIGN).encode()] == directory.values("teppo", "eduPersonOrcid")
    assert ([] if orcid is None else [uri(orcid).encode()]) == held


def test_who_has_no_identifier_of_a_kind_is_refused(directory: Slapd) -> None:
    """Somebody who cannot be searched for is refused, also for a withdrawal, unless there is nothing of ours to take away."""
    with sink(sink_table_for(directory)) as opened:
        linked = refused(opened, delivery(ORCID, identifiers=(UNIQUE_ID,)))
        withdrawn = refused(opened, delivery(None, ORCID, identifiers=(UNIQUE_ID,)))
        nothing = opened.deliver(delivery(None, identifiers=(UNIQUE_ID,)))

    expected = "the person has no identifier that the directory is searched by: eppn"
    assert (expected, expected, Receipt()) == (linked.cause, withdrawn.cause, nothing)


def test_two_people_with_one_identifier_are_refused(directory: Slapd) -> None:
    """Where several entries fit, none is written, linked or withdrawn."""
    twice = (parse_identifier(IdentifierKind.EPPN, "twice@uni.example"),)
    names = {"eduPersonPrincipalName": "twice@uni.example", "eduPersonOrcid": uri(FORMER)}
    with directory.person("first", names), directory.person("second", names), sink(sink_table_for(directory)) as opened:
        for orcid in (ORCID, None):
            assert "several entries" in refused(opened, delivery(orcid, FORMER, identifiers=twice)).cause
        held = [directory.values(uid, "eduPersonOrcid") for uid in ("first", "second")]

    assert [[uri(FORMER).encode()]] * 2 == held


@pytest.mark.parametrize(
    ("present", "delivered", "told"),
    [
        ((), delivery(ORCID), "would add the iD to eduPersonOrcid"),
        ((FORMER.value,), delivery(ORCID, FORMER), "would delete 1 of the values of eduPersonOrcid and add the iD to eduPersonOrcid"),
        ((uri(ORCID),), delivery(ORCID), "would do nothing: eduPersonOrcid has the iD already"),
        ((FOREIGN.value,), delivery(None, ORCID), "would do nothing: eduPersonOrcid has no former iD"),
        ((uri(ORCID), FORMER.value), delivery(None, ORCID, FORMER), "would delete 2 of the values of eduPersonOrcid"),
        ((), delivery(None, identifiers=(NOBODY,)), "would do nothing: no entry has any of the person's identifiers"),
    ],
)
def test_a_rehearsal_says_what_would_be_done(directory: Slapd, present: tuple[str, ...], delivered: Delivery, told: str) -> None:
    """The sentence is about this delivery, quotes no iD, and nothing is modified."""
    directory.set_values("teppo", "eduPersonOrcid", present)
    before = directory.count_modifications()
    with sink(sink_table_for(directory)) as opened:
        said = opened.rehearse(delivered)

    assert (told, before) == (said, directory.count_modifications())


def test_a_rehearsal_is_refused_as_the_delivery_would_be(directory: Slapd) -> None:
    """What reading tells is told beforehand."""
    with sink(sink_table_for(directory)) as opened, pytest.raises(DeliveryRefused, match="no entry has any"):
        opened.rehearse(delivery(ORCID, identifiers=(NOBODY,)))


def test_what_is_there_is_written_once(directory: Slapd) -> None:
    """The same delivery again reads, and modifies nothing."""
    with sink(sink_table_for(directory)) as opened:
        opened.deliver(delivery(ORCID))
        before = directory.count_modifications()
        again = opened.deliver(delivery(ORCID, may_be_ours=True))

    assert (Receipt(found=True), before) == (again, directory.count_modifications())


def test_one_connection_serves_many_deliveries(directory: Slapd) -> None:
    """Deliveries one after the other take the same connection, which is bound once."""
    before = directory.count_binds(WRITER_DN)
    with sink(sink_table_for(directory)) as opened:
        for _ in range(5):
            opened.deliver(delivery(ORCID))
            opened.deliver(delivery(None, ORCID))

    assert 1 == directory.count_binds(WRITER_DN) - before


def test_a_base_that_is_not_there_is_a_fault(directory: Slapd) -> None:
    """A base that is not there is configured wrongly: the check says so, and nobody is taken for unknown."""
    with sink(sink_table_for(directory, base=f"ou=elsewhere,{SUFFIX}")) as opened:
        with pytest.raises(OperatorError, match="base 'ou=elsewhere,dc=uni,dc=example' is not there"):
            opened.check()
        assert "result code 32 (noSuchObject)" in unavailable(opened, delivery(None, ORCID)).cause


def test_an_attribute_that_the_schema_lacks_is_a_fault(directory: Slapd) -> None:
    """The check tells of an attribute that nobody defined before anything is delivered."""
    with (
        sink(sink_table_for(directory, attribute="orcidOfNobody")) as opened,
        pytest.raises(OperatorError, match="attribute 'orcidOfNobody' is not in the schema of the directory"),
    ):
        opened.check()
