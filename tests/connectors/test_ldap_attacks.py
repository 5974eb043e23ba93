"""What somebody could do with a question, or with an entry of a directory."""

import logging
import ssl
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.log import OFF, get_library_log_detail_level

from attribute_authority.domain.identifiers import Identifier, IdentifierKind, parse_identifier
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, InvalidIdentifier, SourceUnavailable
from connectors._deadline import Deadline
from connectors._ldap_session import Access, Search, ServerAddress, open_session
from connectors.ldap import LdapSource
from tests.factories.directories import (
    refusal,
    source,
    table_for,
)
from tests.peers.slapd import BIND_DN, PASSWORD, SUFFIX, Slapd, Values, running_slapd

TEPPO = parse_identifier(IdentifierKind.EPPN, "teppo@uni.example")

INJECTIONS = (
    "*@uni.example",
    "*",
    "t*@uni.example",
    "teppo*",
    "*teppo@uni.example",
    "teppo@uni.example)(objectClass=*",
    "x)(|(objectClass=*)(x=@uni.example",
    "*)(uid=*))(|(uid=*@uni.example",
    "x@uni.example)(|(eduPersonPrincipalName=teppo@uni.example)",
    "teppo@uni.example\0",
    "\\2a@uni.example",
    "\\74eppo@uni.example",
    "teppo\\40uni.example",
    "teppo@uni.example\\00",
    "\\*@uni.example",
    "t\\65ppo@uni.example",
    "!(teppo@uni.example)",
    "=teppo@uni.example",
    "~=teppo@uni.example",
    ">=a@uni.example",
    ":caseIgnoreMatch:=teppo@uni.example",
    " teppo@uni.example",
    "teppo@uni.example ",
    "teppo @uni.example",
    "teppo@uni.example\u3000",
    "teppo\u200b@uni.example",
    "teppo\u00ad@uni.example",
    "ｔｅｐｐｏ@uni.example",
    "teppo＠uni.example",
    "teppo@uni。example",
)


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    """A server with two people, so that who would match everybody would be noticed either way."""
    with running_slapd() as slapd:
        slapd.add_person("teppo", {"eduPersonPrincipalName": "teppo@uni.example"})
        slapd.add_person("maija", {"eduPersonPrincipalName": "maija@uni.example"})
        yield slapd


@pytest.fixture(scope="module")
def asked(directory: Slapd) -> Iterator[LdapSource]:
    """A source that finds people by ePPN."""
    with source(table_for(directory)) as opened:
        yield opened


@pytest.mark.parametrize("value", INJECTIONS)
def test_injected_filters_find_nobody(asked: LdapSource, value: str) -> None:
    """What means something in a filter is compared as it stands, and is nobody's, even if it comes unparsed."""
    found = asked.resolve(Identifier(IdentifierKind.EPPN, value))

    assert found is None


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_whatever_is_asked_finds_nobody_else(asked: LdapSource, value: str) -> None:
    """No text but a person's own identifier finds them."""
    found = asked.resolve(Identifier(IdentifierKind.EPPN, value))

    assert found is None


def with_person(directory: Slapd, values: Values, **keys: object) -> CouldNotAsk:
    """Have a person with these values, ask for them, and return the failure."""
    with directory.person("odd", {"eduPersonPrincipalName": "odd@uni.example", **values}), source(table_for(directory, **keys)) as opened:
        return refusal(opened, parse_identifier(IdentifierKind.EPPN, "odd@uni.example"))


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"eduPersonUniqueId": "no unique id"}, "eduPersonUniqueId holds a value that is no unique-id"),
        ({"eduPersonUniqueId": ["ok@uni.example", "@"]}, "eduPersonUniqueId holds a value that is no unique-id"),
        ({"eduPersonUniqueId": "a" * 65 + "@uni.example"}, "eduPersonUniqueId holds a value that is no unique-id"),
        ({"eduPersonUniqueId": [f"u{number}@uni.example" for number in range(17)]}, "eduPersonUniqueId has more than 16 values"),
        ({"eduPersonOrcid": "https://orcid.org/0000-0002-1825-0098"}, "eduPersonOrcid holds a value that is no iD of orcid.org"),
        ({"eduPersonOrcid": "https://sandbox.orcid.org/0000-0002-1825-0097"}, "eduPersonOrcid holds a value that is no iD of orcid.org"),
        ({"eduPersonOrcid": "Teppo Testaaja"}, "eduPersonOrcid holds a value that is no iD of orcid.org"),
        ({"eduPersonOrcid": ["0000-0002-1825-0097", "0000-0001-5109-3700"]}, "eduPersonOrcid holds several iDs for one person"),
    ],
)
def test_values_of_the_wrong_type_release_nothing(directory: Slapd, values: Values, cause: str) -> None:
    """A value that is not what it should be ends in a failure that does not quote it, and does not count against the source."""
    failure = with_person(directory, values, orcid_attribute="eduPersonOrcid")

    assert (SourceUnavailable, f"{directory.ldaps_url}: {cause}") == (type(failure), failure.cause)


@pytest.mark.parametrize("octets", [b"\xff\xfe@uni.example", b"t17@uni.example\xc3", b"\xed\xa0\x80@uni.example", b"\xc0\xaf@uni.example"])
def test_values_that_are_not_utf_8_release_nothing(directory: Slapd, octets: bytes) -> None:
    """Octets that are no text are not guessed at, and are not told to the log, not even as the context of the failure."""
    failure = with_person(directory, {"rawIdentifier": octets}, identifiers={"rawIdentifier": "eppn"})

    assert f"{directory.ldaps_url}: rawIdentifier holds a value that is not UTF-8" == failure.cause
    assert failure.__cause__ is None


def test_an_oversized_value_is_not_read(directory: Slapd) -> None:
    """An entry that is larger than any should be is given up, others can still be asked about."""
    with (
        directory.person("huge", {"eduPersonPrincipalName": "huge@uni.example", "rawIdentifier": b"a" * 400_000}),
        source(table_for(directory, identifiers={"rawIdentifier": "eppn"})) as opened,
    ):
        failure = refusal(opened, parse_identifier(IdentifierKind.EPPN, "huge@uni.example"))
        found = opened.resolve(TEPPO)

    assert (SourceUnavailable, f"{directory.ldaps_url}: its answer is too large") == (type(failure), failure.cause)
    assert Finding(()) == found


def test_a_referral_loop_is_not_entered(directory: Slapd) -> None:
    """A subtree that refers to itself on the same server is left alone: one search, and whoever might be there is absent."""
    directory.add(f"ou=loop,{SUFFIX}", ("referral", "extensibleObject"), {"ou": "loop", "ref": f"{directory.url}/ou=loop,{SUFFIX}"})
    before = directory.log().count(f'SRCH base="{SUFFIX}"')
    with source(table_for(directory, base=SUFFIX)) as opened:
        found = opened.resolve(TEPPO)
        absent = opened.resolve(parse_identifier(IdentifierKind.EPPN, "nobody@uni.example"))

    assert (Finding(()), None) == (found, absent)
    assert 2 == directory.log().count(f'SRCH base="{SUFFIX}"') - before
    assert f'SRCH base="ou=loop,{SUFFIX}"' not in directory.log()


def test_a_base_that_is_a_referral_is_a_fault(directory: Slapd) -> None:
    """Where the base itself is elsewhere nobody goes there, and nobody is called absent."""
    directory.add(f"ou=away,{SUFFIX}", ("referral", "extensibleObject"), {"ou": "away", "ref": f"{directory.url}/ou=away,{SUFFIX}"})
    with source(table_for(directory, base=f"ou=away,{SUFFIX}")) as opened:
        failure = refusal(opened, TEPPO)

    assert f"{directory.ldaps_url}: result code 10 (referral)" == failure.cause


def test_the_password_and_the_people_stay_out_of_every_text(directory: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    """Neither text forms nor the log, not even that of ldap3, hold the password or who was asked about."""
    caplog.set_level(logging.DEBUG)
    access = Access(ssl.create_default_context(cafile=directory.certificate), BIND_DN, PASSWORD)
    address = ServerAddress("127.0.0.1", directory.tls_port, True, False)
    session = open_session(address, access, Deadline(10.0))
    answer = session.search(Search(SUFFIX, "SUBTREE", "(uid=teppo)", ("uid",), 2), Deadline(10.0))
    session.close()
    with source(table_for(directory)) as opened:
        opened.resolve(TEPPO)
        texts = (repr(opened), repr(vars(opened)), repr(access), repr(session), repr(answer), str(answer), caplog.text)

    assert not any(PASSWORD in text or "teppo" in text for text in texts)
    assert OFF == get_library_log_detail_level()


@given(st.text(max_size=60))
def test_identifiers_that_exist_are_never_refused_to_be_asked(asked: LdapSource, text: str) -> None:
    """Whatever is a valid ePPN is asked about and found absent: nobody can make a source fail by a question."""
    try:
        identifier = parse_identifier(IdentifierKind.EPPN, f"{text}@uni.example")
    except InvalidIdentifier:
        return

    found = asked.resolve(identifier)

    assert found is None
