"""A directory as a source, against a real OpenLDAP server: plain on this machine, by StartTLS and by LDAPS."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from attribute_authority.domain.identifiers import Environment, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, OperatorError, SourceUnavailable
from connectors.conformance import (
    CHECKS,
    Check,
    Specimen,
    keeps_secrets,
    reports_an_outage_and_returns,
    survives_an_outage_between_questions,
)
from tests.factories.directories import HOME_ORGANISATION, open_source, source, table_for
from tests.peers.slapd import PASSWORD, PEOPLE, SUFFIX, Slapd, running_slapd

SERVICE = "https://sp.example.org/metadata"
TEPPO = parse_identifier(IdentifierKind.EPPN, "teppo@uni.example")
NOBODY = parse_identifier(IdentifierKind.EPPN, "nobody@uni.example")
UNIQUE_ID = parse_identifier(IdentifierKind.UNIQUE_ID, "t17@uni.example")
ORCID = OrcidId.parse("0000-0002-1825-0097", Environment.PRODUCTION)
PERSISTENT = parse_identifier(IdentifierKind.PERSISTENT, "gIu3/Ab=", HOME_ORGANISATION, SERVICE)
PERSISTENT_FILTER = "(eduPersonTargetedID={name_qualifier}!{sp_name_qualifier}!{value})"

TRANSPORTS = ("plain", "StartTLS", "LDAPS")
OUTAGES = (reports_an_outage_and_returns, survives_an_outage_between_questions, keeps_secrets)


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    """A server with one person who has everything, and one who has next to nothing."""
    with running_slapd() as slapd:
        slapd.add_person(
            "teppo",
            {
                "eduPersonPrincipalName": "Teppo@uni.example",
                "eduPersonPrincipalNamePrior": "tt@uni.example",
                "eduPersonUniqueId": "t17@uni.example",
                "eduPersonTargetedID": str(PERSISTENT).removeprefix("persistent="),
                "eduPersonOrcid": ORCID.uri(Environment.PRODUCTION),
                "mail": "teppo@uni.example",
            },
        )
        slapd.add_person("bare", {"eduPersonPrincipalName": "bare@uni.example"})
        yield slapd


def over(transport: str, slapd: Slapd) -> dict[str, object]:
    """Return the keys of a table for a transport."""
    keys: dict[str, dict[str, object]] = {
        "plain": {"urls": [slapd.url], "start_tls": False, "tls_ca": None},
        "StartTLS": {"urls": [slapd.url]},
        "LDAPS": {"urls": [slapd.ldaps_url]},
    }
    return keys[transport]


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in OUTAGES])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_conforms(directory: Slapd, transport: str, check: Check) -> None:
    """It does what every source must do, over each transport."""
    settings = table_for(directory, **over(transport, directory))

    check(Specimen(lambda: open_source(settings), TEPPO, Finding((UNIQUE_ID,)), NOBODY, (PASSWORD,)))


@pytest.mark.parametrize("check", OUTAGES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_conforms_in_outages(directory: Slapd, transport: str, check: Check) -> None:
    """It does what every source must do where the server is stopped, or stopped in its tracks."""
    settings = table_for(directory, timeout=1.0, **over(transport, directory))
    outages = (directory.stopped, directory.paused)

    check(Specimen(lambda: open_source(settings), TEPPO, Finding((UNIQUE_ID,)), NOBODY, (PASSWORD,), outages, timeout=1.0))


@pytest.mark.parametrize("check", CHECKS)
def test_conforms_for_persistent_identifiers(directory: Slapd, check: Check) -> None:
    """It does what every source must do where what is asked is told apart letter by letter, and the directory does not do so."""
    settings = table_for(directory, filters={"persistent": PERSISTENT_FILTER})
    unknown = replace(PERSISTENT, value="nobody")

    check(Specimen(lambda: open_source(settings), PERSISTENT, Finding((UNIQUE_ID,)), unknown, (PASSWORD,)))


def test_tells_of_the_id_that_the_directory_holds(directory: Slapd) -> None:
    """With orcid_attribute the iD of the entry is told, beside the identifiers or alone."""
    with source(table_for(directory, orcid_attribute="eduPersonOrcid")) as both:
        found = both.resolve(TEPPO)
    with source(table_for(directory, orcid_attribute="eduPersonOrcid", identifiers={})) as alone:
        found_alone = alone.resolve(TEPPO)

    assert (Finding((UNIQUE_ID,), ORCID), Finding((), ORCID)) == (found, found_alone)


def test_a_person_without_anything_to_tell_is_found_all_the_same(directory: Slapd) -> None:
    """Somebody who is in the directory and has none of the attributes is not absent."""
    with source(table_for(directory, orcid_attribute="eduPersonOrcid")) as asked:
        found = asked.resolve(parse_identifier(IdentifierKind.EPPN, "bare@uni.example"))

    assert Finding(()) == found


@pytest.mark.parametrize(
    "spelling", ["0000-0002-1825-0097", "http://orcid.org/0000-0002-1825-0097", "https://orcid.org/0000-0002-1825-0097"]
)
def test_reads_every_spelling_of_an_id(directory: Slapd, spelling: str) -> None:
    """An iD in bare form, or as a URI of either scheme, is the same iD."""
    with (
        directory.person("spelt", {"eduPersonPrincipalName": "spelt@uni.example", "eduPersonOrcid": spelling}),
        source(table_for(directory, orcid_attribute="eduPersonOrcid")) as asked,
    ):
        found = asked.resolve(parse_identifier(IdentifierKind.EPPN, "spelt@uni.example"))

    assert Finding((), ORCID) == found


def test_a_former_name_is_found_too(directory: Slapd) -> None:
    """A filter with alternatives finds a person by any of them."""
    either = "(|(eduPersonPrincipalName={value})(eduPersonPrincipalNamePrior={value}))"
    with source(table_for(directory, filters={"eppn": either})) as asked:
        found = asked.resolve(parse_identifier(IdentifierKind.EPPN, "tt@uni.example"))

    assert Finding((UNIQUE_ID,)) == found


def test_a_local_part_is_of_one_scope_alone(directory: Slapd) -> None:
    """Where a filter compares the local part, nobody of another scope is found by it."""
    with source(table_for(directory, filters={"eppn": "(uid={local_part})"}, local_part_scope="uni.example")) as asked:
        ours = asked.resolve(TEPPO)
        theirs = asked.resolve(parse_identifier(IdentifierKind.EPPN, "teppo@student.uni.example"))

    assert (Finding((UNIQUE_ID,)), None) == (ours, theirs)


@pytest.mark.parametrize(("scope", "found"), [("subtree", Finding((UNIQUE_ID,))), ("one", None)])
def test_searches_as_deep_as_it_is_told(directory: Slapd, scope: str, found: Finding | None) -> None:
    """The scope decides whether people further down count."""
    with source(table_for(directory, base=SUFFIX, scope=scope)) as asked:
        outcome = asked.resolve(TEPPO)

    assert found == outcome


def test_asks_for_nothing_but_what_it_needs(directory: Slapd) -> None:
    """Only the attributes that are read or compared leave the directory, and two entries at the most."""
    with source(table_for(directory, orcid_attribute="eduPersonOrcid")) as asked:
        asked.resolve(TEPPO)

    requested = [line.partition(" SRCH attr=")[2] for line in directory.log().splitlines() if "duPerson" in line and " SRCH attr=" in line]

    assert "edupersonprincipalname eduPersonUniqueId eduPersonOrcid" == requested[-1]


def test_one_connection_serves_many_questions(directory: Slapd) -> None:
    """Questions one after the other take the same connection, which is bound once."""
    before = directory.count_binds()
    with source(table_for(directory)) as asked:
        for _ in range(10):
            asked.resolve(TEPPO)

    assert 1 == directory.count_binds() - before


def test_a_base_that_is_not_there_is_a_fault_and_nobody_is_absent(directory: Slapd) -> None:
    """A base that is not there is configured wrongly: the check says so, and no question is answered with "absent"."""
    with source(table_for(directory, base=f"ou=elsewhere,{SUFFIX}")) as asked:
        with pytest.raises(OperatorError, match=r"result code 32 \(noSuchObject\): base 'ou=elsewhere,dc=uni,dc=example' is not there"):
            asked.check()
        with pytest.raises(CouldNotAsk, match=rf"{directory.ldaps_url}: result code 32 \(noSuchObject\)"):
            asked.resolve(TEPPO)


def test_who_may_see_nobody_does_not_say_that_nobody_is_there(directory: Slapd) -> None:
    """Bound anonymously where that shows nothing, the answer is a fault and not "absent"."""
    with source(table_for(directory, bind_dn=None, password_file=None)) as asked, pytest.raises(CouldNotAsk, match="result code 50"):
        asked.resolve(TEPPO)


def test_a_wrong_password_is_a_fault_that_does_not_quote_it(directory: Slapd) -> None:
    """A bind that is refused ends in CouldNotAsk with the result code, and no password."""
    wrong = directory.directory / "wrong-password"
    wrong.write_text("not-the-password")
    with source(table_for(directory, password_file=str(wrong))) as asked, pytest.raises(CouldNotAsk) as caught:
        asked.resolve(TEPPO)

    assert f"{directory.ldaps_url}: bind: result code 49 (invalidCredentials)" == caught.value.cause


def test_two_people_with_one_identifier_are_a_contradiction(directory: Slapd) -> None:
    """Where several entries fit, none is picked, and the source itself is none the worse for it."""
    with (
        directory.person("first", {"eduPersonPrincipalName": "twice@uni.example"}),
        directory.person("second", {"eduPersonPrincipalName": "twice@uni.example"}),
        source(table_for(directory)) as asked,
    ):
        with pytest.raises(SourceUnavailable, match="several entries for one eppn"):
            asked.resolve(parse_identifier(IdentifierKind.EPPN, "twice@uni.example"))
        assert Finding((UNIQUE_ID,)) == asked.resolve(TEPPO)


def test_shows_a_client_certificate_to_who_wants_one() -> None:
    """A server that demands a client certificate is asked with the one that is configured, and not without."""
    with running_slapd(extra="TLSVerifyClient demand\nTLSCACertificateFile {directory}/tls.crt") as slapd:
        slapd.add_person("teppo", {"eduPersonPrincipalName": "teppo@uni.example"})
        own = {"key": str(slapd.directory / "tls.key"), "certificate": str(slapd.certificate)}
        with source(table_for(slapd, client_certificate=own)) as asked:
            found = asked.resolve(TEPPO)
        with source(table_for(slapd)) as without, pytest.raises(CouldNotAsk):
            without.resolve(TEPPO)

    assert Finding(()) == found


def test_everything_is_below_the_base_that_is_configured(directory: Slapd) -> None:
    """People elsewhere in the same directory are nobody."""
    with source(table_for(directory, base=f"uid=bare,{PEOPLE}")) as asked:
        found = asked.resolve(TEPPO)

    assert found is None
