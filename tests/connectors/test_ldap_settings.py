"""The table of a directory, and the filters in it: what is refused, and in which words."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import search_operation
from pydantic import ValidationError

from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, parse_identifier
from attribute_authority.errors import OperatorError
from attribute_authority.keys import make_key
from connectors import find_source_kind
from connectors._ldap_filter import OwnPeople, parse_template
from connectors.ldap import LDAP, LdapSettings
from tests.factories.directories import HOME_ORGANISATION, open_source, table

SERVICE = EntityId("https://sp.example.org/metadata")
LDAPS = ["ldaps://ldap.uni.example"]
OWN = OwnPeople(HOME_ORGANISATION, None)
EPPN = IdentifierKind.EPPN
PERSISTENT = IdentifierKind.PERSISTENT


def faults(**keys: object) -> str:
    """Return what is said of a table; there has to be a fault."""
    with pytest.raises(ValidationError) as caught:
        table(**({"urls": LDAPS} | keys))
    return str(caught.value)


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds the directory by its name."""
    assert find_source_kind("ldap") is LDAP


def test_the_defaults_are_careful() -> None:
    """With the least that can be given, TLS is spoken with what the system trusts, the usual port is taken, and nobody is bound."""
    settings = table(urls=["ldap://ldap1.uni.example", "ldaps://[2001:db8::1]:1636/"])

    assert ["ldap://ldap1.uni.example:389", "ldaps://[2001:db8::1]:1636"] == [str(address) for address in settings.addresses()]
    assert [True, False] == [address.start_tls for address in settings.addresses()]
    assert (None, None, "subtree") == (settings.bind_dn, settings.orcid_attribute, settings.scope)


@pytest.mark.parametrize("url", ["ldap://127.0.0.1", "ldap://localhost:1389", "ldap://[::1]", "ldaps://ldap.uni.example"])
def test_the_clear_is_for_this_very_machine(url: str) -> None:
    """StartTLS may be left out where nothing leaves the machine, and makes no difference with LDAPS."""
    settings = table(urls=[url], start_tls=False)

    assert not settings.addresses()[0].start_tls


@pytest.mark.parametrize(
    "urls", [["ldap://ldap.uni.example"], ["ldap://127.0.0.1", "ldap://192.0.2.7"], ["ldap://127.0.0.1.example"], ["ldap://localhost."]]
)
def test_nothing_travels_in_the_clear(urls: list[str]) -> None:
    """Plain LDAP to any other machine is refused."""
    assert "passwords and people do not travel in clear" in faults(urls=urls, start_tls=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ldap.uni.example",
        "http://ldap.uni.example",
        "ldapi:///run/slapd",
        "ldaps://",
        "ldaps://ldap.uni.example:0",
        "ldaps://ldap.uni.example:99999",
        "ldaps://ldap.uni.example/dc=uni",
        "ldaps://ldap.uni.example?uid",
        "ldaps://me:secret@ldap.uni.example",
        "ldaps://ldap uni example",
        "ldaps://ldäp.uni.example",
    ],
)
def test_urls_name_a_server_and_nothing_else(url: str) -> None:
    """What is no URL of a server, or says more, is refused."""
    assert "expected ldaps://host or ldap://host" in faults(urls=[url])


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"urls": []}, "at least 1"),
        ({"bind_dn": "cn=orcid"}, "bind_dn and password_file belong together"),
        ({"password_file": "ldap.password"}, "bind_dn and password_file belong together"),
        ({"base": "people"}, "expected a distinguished name"),
        ({"base": ""}, "at least 1"),
        ({"scope": "base"}, "'subtree' or 'one'"),
        ({"filters": {}}, "at least 1"),
        ({"filters": {"mail": "(mail={value})"}}, "filters"),
        ({"filters": {"eppn": "(uid={local_part})"}}, "needs local_part_scope"),
        ({"filters": {"eppn": "(uid=x)"}, "local_part_scope": "uni.example"}, "filters.eppn: a filter without {value}"),
        ({"identifiers": {}}, "expected identifiers or orcid_attribute"),
        ({"identifiers": {"mail": "mail"}}, "identifiers.mail"),
        ({"identifiers": {"objectGUID": "unique-id"}}, "are octets and no text"),
        ({"identifiers": {"OBJECTSID": "unique-id"}}, "are octets and no text"),
        ({"identifiers": {"userCertificate;binary": "unique-id"}}, "expected the name of an attribute, without options"),
        ({"identifiers": {"1.3.6.1.4.1.5923.1.1.1.13": "unique-id"}}, "expected the name of an attribute"),
        ({"identifiers": {"*": "unique-id"}}, "expected the name of an attribute"),
        ({"orcid_attribute": "jpegPhoto"}, "are octets and no text"),
        ({"connections": 0}, "expected an integer from 1 to 64"),
        ({"referrals": True}, "referrals"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(keys: dict[str, Any], sentence: str) -> None:
    """Each fault is told in a sentence."""
    assert sentence in faults(**keys)


def test_user_principal_names_may_be_read() -> None:
    """Active Directory's userPrincipalName is text, and may be an ePPN."""
    settings = table(urls=LDAPS, filters={"eppn": "(userPrincipalName={value})"}, identifiers={"userPrincipalName": "eppn"})

    assert {"userPrincipalName": EPPN} == settings.identifiers


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (EPPN, "(eduPersonPrincipalName={value})"),
        (EPPN, "(&(objectClass=person)(eduPersonPrincipalName={value})(!(loginDisabled=TRUE)))"),
        (EPPN, "(|(eduPersonPrincipalName={value})(eduPersonPrincipalNamePrior={value}))"),
        (EPPN, "(|(eduPersonPrincipalName={value})(&(uid={local_part})(schacHomeOrganization={scope})))"),
        (EPPN, "(eduPersonPrincipalName:caseExactMatch:={value})"),
        (EPPN, "(&(sAMAccountName={local_part})(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"),
        (EPPN, "(mail=smtp\\3a{value})"),
        (PERSISTENT, "(eduPersonTargetedID={name_qualifier}!{sp_name_qualifier}!{value})"),
        (PERSISTENT, "(&(persistentId={value})(recipient={sp_name_qualifier}))"),
        (IdentifierKind.PAIRWISE_ID, "(pairwiseId={value})"),
    ],
)
def test_filters_that_name_one_person_are_taken(kind: IdentifierKind, text: str) -> None:
    """Whatever else they demand, they compare what was asked."""
    assert text == parse_template(kind, text).text


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (EPPN, "", "a filter without {value} or {local_part} fits everybody"),
        (EPPN, "(objectClass=person)", "a filter without {value} or {local_part} fits everybody"),
        (EPPN, "(schacHomeOrganization={scope})", "a filter without {value} or {local_part} fits everybody"),
        (EPPN, "(uid={values})", "{values} says nothing about eppn: expected {value}, {local_part}, {scope}"),
        (EPPN, "(uid={})", "{} says nothing about eppn"),
        (EPPN, "(uid={value}{0.__class__})", "{0.__class__} says nothing about eppn"),
        (EPPN, "(uid={sp_name_qualifier}!{value})", "{sp_name_qualifier} says nothing about eppn"),
        (PERSISTENT, "(uid={local_part})", "{local_part} says nothing about persistent"),
        (EPPN, "(uid={value}})", "expected braces around names only"),
        (EPPN, "(uid={{value}})", "expected braces around names only"),
        (EPPN, "(uid={local_part}{scope})", "expected something between two places"),
        (EPPN, "uid={value}", "expected a search filter such as"),
        (EPPN, "(uid={value}", "expected a search filter such as"),
        (EPPN, "(uid={value}))", "expected a search filter such as"),
        (EPPN, "(uid={value})(objectClass=*)", "expected a search filter such as"),
        (EPPN, "(&)({value})", "expected a search filter such as"),
        (EPPN, "(|(uid={value})(&))", "expected a search filter such as"),
        (EPPN, "(uid={value}\\ff)", "expected a search filter such as"),
        (EPPN, "({value}=x)", "only in what a whole attribute is compared with"),
        (EPPN, "(uid:{value}:=x)", "only in what a whole attribute is compared with"),
        (EPPN, "(uid={value}*)", "only in what a whole attribute is compared with"),
        (EPPN, "(uid=*{value}*)", "only in what a whole attribute is compared with"),
        (EPPN, "(uid~={value})", "only in what a whole attribute is compared with"),
        (EPPN, "(uid>={value})", "only in what a whole attribute is compared with"),
        (EPPN, "(uid:dn:={value})", "only in what a whole attribute is compared with"),
        (EPPN, "(memberOf:1.2.840.113556.1.4.1941:={value})", "only in what a whole attribute is compared with"),
        (EPPN, "(!(uid={value}))", "only in what a whole attribute is compared with"),
        (EPPN, "(:caseExactMatch:={value})", "expected the name of one attribute"),
        (EPPN, "(anr={value})", "expected the name of one attribute"),
        (EPPN, "(uid;lang-fi={value})", "expected the name of one attribute"),
        (EPPN, "(1.3.6.1.4.1.5923.1.1.1.6={value})", "expected the name of one attribute"),
        (EPPN, "(|(uid={value})(objectClass=*))", "every alternative has to compare"),
        (EPPN, "(|(uid={value})(o={scope}))", "every alternative has to compare"),
        (PERSISTENT, "(persistentId={value})", "belongs to one service provider"),
        (PERSISTENT, "(|(eduPersonTargetedID={sp_name_qualifier}!{value})(persistentId={value}))", "belongs to one service provider"),
    ],
)
def test_filters_that_could_fit_others_are_refused(kind: IdentifierKind, text: str, sentence: str) -> None:
    """A filter that is none, or may fit somebody whom the question does not name, is refused in a sentence that says why."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_template(kind, text)


@given(st.text(st.sampled_from("(){}&|!=<>~:*\\ abvalue_localpartscope{value}"), max_size=40))
def test_whatever_stands_for_a_filter_is_taken_or_refused(text: str) -> None:
    """No text makes the reading of a configuration fail in another way than with a sentence."""
    try:
        template = parse_template(EPPN, text)
    except ValueError:
        return

    assert template.condition.certain >= {"local_part"}


def wire_of(filled: str) -> bytes:
    """Return the compared value of the only comparison in a filter, as it goes to the server."""
    request = search_operation("", filled, "SUBTREE", "NEVER", ["1.1"], 0, 0, False, False, True)
    return bytes(request["filter"]["equalityMatch"]["assertionValue"])


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("*()\\\0=&|!~<>{}\x1b\x7f"), min_size=1))
def test_values_go_to_the_server_octet_by_octet(text: str) -> None:
    """Whatever is asked is compared as it stands in UTF-8: nothing of it is taken for a part of the filter."""
    question = parse_template(EPPN, "(uid=a@{value}!b)").ask(Identifier(EPPN, f"{text}@uni.example"), OWN)

    assert question is not None
    assert f"a@{text}@uni.example!b".encode() == wire_of(question.filter)


def test_the_parts_of_an_identifier_stand_in_their_places() -> None:
    """Local part and scope, or qualifiers and value, are told apart; the home organisation's spelling is what is asked."""
    persistent = parse_identifier(PERSISTENT, "a!b", HOME_ORGANISATION, SERVICE)
    targeted = parse_template(PERSISTENT, "(a={name_qualifier}!{sp_name_qualifier}!{value})").ask(persistent, OWN)
    scoped = parse_template(EPPN, "(&(a={local_part})(b={scope}))").ask(parse_identifier(EPPN, "Teppo@Uni.Example"), OWN)

    assert targeted is not None
    assert scoped is not None
    assert (f"(a={HOME_ORGANISATION}!{SERVICE}!a!b)", "(&(a=Teppo)(b=Uni.Example))") == (targeted.filter, scoped.filter)


def test_qualifiers_that_a_filter_ignores_are_not_ignored() -> None:
    """Where a filter does not compare a qualifier, only the home organisation's own, or none at all, can be anybody's."""
    pairwise = parse_template(IdentifierKind.PAIRWISE_ID, "(pairwiseId={value})")
    qualified = parse_identifier(IdentifierKind.PAIRWISE_ID, "abc@uni.example", None, SERVICE)
    unqualified = parse_identifier(IdentifierKind.PAIRWISE_ID, "abc@uni.example")
    targeted = parse_template(PERSISTENT, "(a={sp_name_qualifier}!{value})")
    foreign = parse_identifier(PERSISTENT, "abc", "https://idp.elsewhere.example/", SERVICE)
    ours = parse_identifier(PERSISTENT, "abc", HOME_ORGANISATION, SERVICE)

    assert [False, True] == [pairwise.ask(asked, OWN) is not None for asked in (qualified, unqualified)]
    assert [False, True] == [targeted.ask(asked, OWN) is not None for asked in (foreign, ours)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "on one line"), (b"\n", "on one line"), (b"two\nlines\n", "on one line"), (b"\xff", "in UTF-8"), (None, "cannot be read")],
)
def test_a_password_file_without_a_password_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """An empty password would bind anonymously, and succeed (RFC 4513, 5.1.2); the fault names the file and quotes nothing of it."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(OperatorError) as caught:
        open_source(table(urls=LDAPS, bind_dn="cn=orcid", password_file=str(file)))

    assert caught.value.cause.startswith(f"{file}: ")
    assert sentence in caught.value.cause


@pytest.mark.parametrize("content", [b"no certificate", None])
def test_authorities_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes | None) -> None:
    """Where tls_ca holds no certificates the source is not opened, and the system's do not take their place."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(OperatorError, match="expected certificates of authorities in PEM") as caught:
        open_source(table(urls=LDAPS, tls_ca=str(file)))

    assert str(file) in caught.value.cause


def test_an_encrypted_client_key_is_refused_without_asking(tmp_path: Path) -> None:
    """A key with a pass phrase is a fault, and nothing is asked at the terminal."""
    made = make_key("client", datetime.now(UTC), bits=2048)
    key = load_pem_private_key(made.key, None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "key").write_bytes(encrypted)
    (tmp_path / "certificate").write_bytes(made.certificate)
    pair = {"key": str(tmp_path / "key"), "certificate": str(tmp_path / "certificate")}

    with pytest.raises(OperatorError, match="not encrypted"):
        open_source(table(urls=LDAPS, client_certificate=pair))


def test_files_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    """Relative names are those of files in the configuration's directory."""
    settings = LdapSettings.model_validate(
        {
            "kind": "ldap",
            "urls": LDAPS,
            "base": "dc=uni,dc=example",
            "tls_ca": "ca.pem",
            "filters": {"eppn": "(uid={value})"},
            "orcid_attribute": "eduPersonOrcid",
        },
        context={"directory": tmp_path},
    )

    assert tmp_path / "ca.pem" == settings.tls_ca
