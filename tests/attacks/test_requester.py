"""Pretending to be somebody, asking too late or too early, at the wrong place, or for what belongs to others."""

from datetime import UTC, datetime, timedelta

import pytest

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.errors import Denied, MalformedQuery
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_reader import read_metadata
from tests.attacks.refusals import assert_no_orcid, assert_refused, assert_released
from tests.factories import metadata as make
from tests.factories.doors import (
    AFFILIATION,
    IDP,
    OTHER_IDP,
    OTHER_PERSON,
    OTHER_SP,
    PERSISTENT_VALUE,
    QUERY_URL,
    WINDOW,
    lab,
    rule,
    service_provider,
    sp_keys,
)
from tests.factories.metadata import rsa_pair
from tests.factories.queries import NOW, PERSON, SP, asking, attribute_query, envelope, instant, issuer, name_id, ordinary, signed, subject

PERSISTENT = {"format": ns.NAMEID_PERSISTENT, "name_qualifier": IDP}


def entities_of(document: str) -> tuple[Entity, ...]:
    """Read metadata, as the index of a server is made of them."""
    return tuple(read_metadata(document.encode(), None, NOW, lambda _: None).entities())


def test_unknown_issuer() -> None:
    """Nobody whom the metadata does not know is answered, whatever the key."""
    message = attribute_query(*ordinary(requester="https://stranger.example.org/sp"))

    for told in (lab().ask(envelope(signed(message, sp_keys()))), lab().ask(envelope(message), client=sp_keys())):
        assert_refused(told, Denied, "no valid metadata for the issuer")


def test_unknown_issuer_reads_like_a_wrong_key() -> None:
    """The refusal does not tell whether the authority knows the entity."""
    stranger = lab().ask(envelope(attribute_query(*ordinary(requester="https://stranger.example.org/sp"))))
    known = lab().ask(envelope(attribute_query()))
    parts = ("samlp:Status/samlp:StatusCode/samlp:StatusCode", "samlp:Status/samlp:StatusMessage")

    assert [stranger.one(part).items() for part in parts] == [known.one(part).items() for part in parts]
    assert stranger.one(parts[1]).text == known.one(parts[1]).text


@pytest.mark.parametrize("pair", [rsa_pair("stranger"), rsa_pair("other")], ids=["unknown", "of another service provider"])
def test_wrong_client_key(pair: make.KeyPair) -> None:
    """A TLS key that is not the issuer's proves nothing."""
    assert_refused(lab().ask(envelope(attribute_query()), client=pair), Denied, "the TLS client key is not of the issuer")


def test_no_client_key() -> None:
    """Nor does none."""
    assert_refused(lab().ask(envelope(attribute_query())), Denied, "the TLS client key is absent")


def test_key_for_encryption_only() -> None:
    """A key that the metadata gives for encryption proves nothing, in a signature or in TLS."""
    roles = make.service_provider(make.key_descriptor(rsa_pair("sp"), "encryption"), make.key_descriptor(rsa_pair("other"), "signing"))
    door = lab(entities=entities_of(make.entity(SP, roles)))

    assert_refused(door.ask(envelope(signed(attribute_query(), rsa_pair("sp")))), Denied, "verifies with none")
    assert_refused(door.ask(envelope(attribute_query()), client=rsa_pair("sp")), Denied, "not of the issuer")
    assert_released(door.ask(envelope(signed(attribute_query(), rsa_pair("other")))))


def test_key_of_the_identity_provider_role() -> None:
    """An entity in both roles asks with the keys of its service provider role alone."""
    roles = (make.service_provider(make.key_descriptor(rsa_pair("sp"))), make.identity_provider(make.key_descriptor(rsa_pair("idp"))))
    door = lab(entities=entities_of(make.entity(SP, *roles)))

    assert_refused(door.ask(envelope(attribute_query()), client=rsa_pair("idp")), Denied, "not of the issuer")


@pytest.mark.parametrize("level", ["entity", "role", "root"])
def test_expired_metadata(level: str) -> None:
    """An entity whose metadata has expired is unknown from that instant on."""
    until = instant(NOW + timedelta(seconds=30))
    given = {name: until if name == level else None for name in ("entity", "role", "root")}
    role = make.service_provider(make.key_descriptor(sp_keys()), valid_until=given["role"])
    document = make.aggregate(make.entity(SP, role, valid_until=given["entity"]), valid_until=given["root"])
    door = lab(entities=entities_of(document))

    assert_released(door.ask(envelope(attribute_query()), client=sp_keys()))
    assert_refused(door.at(NOW + timedelta(seconds=30)).ask(envelope(attribute_query()), client=sp_keys()), Denied, "")


@pytest.mark.parametrize("offset", [-WINDOW, timedelta(), WINDOW])
def test_within_the_window(offset: timedelta) -> None:
    """The clocks may differ by the window either way."""
    assert_released(lab().ask(envelope(attribute_query(issued=instant(NOW + offset))), client=sp_keys()))


@pytest.mark.parametrize("offset", [-WINDOW - timedelta(seconds=1), -timedelta(days=1), -timedelta(days=400_000)])
def test_stale(offset: timedelta) -> None:
    """An older query is refused, signed or not."""
    message = attribute_query(issued=(NOW + offset).isoformat().replace("+00:00", "Z"))

    assert_refused(lab().ask(envelope(message), client=sp_keys()), Denied, "the IssueInstant")
    assert_refused(lab().ask(envelope(signed(message, sp_keys()))), Denied, "the IssueInstant")


@pytest.mark.parametrize("offset", [WINDOW + timedelta(seconds=1), timedelta(days=1), datetime(9999, 12, 31, tzinfo=UTC) - NOW])
def test_future(offset: timedelta) -> None:
    """A query of the future is refused: it would stay fresh for too long."""
    message = attribute_query(issued=instant(NOW + offset))

    assert_refused(lab().ask(envelope(signed(message, sp_keys()))), Denied, "the IssueInstant")


@pytest.mark.parametrize(
    "issued",
    [
        None,
        "",
        "now",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00+02:00",
        "2026-02-30T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-03-01T25:00:00Z",
        "٢٠٢٦-03-01T12:00:00Z",
        " 2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.Z",
        "-2026-03-01T12:00:00Z",
        "1" * 5000,
    ],
)
def test_no_instant(issued: str | None) -> None:
    """What is no instant in UTC is malformed (core 1.3.3)."""
    assert_refused(lab().ask(envelope(attribute_query(issued=issued)), client=sp_keys()), MalformedQuery, "IssueInstant")


@pytest.mark.parametrize("fraction", [".1", ".123", ".123456789"])
def test_fraction_of_a_second(fraction: str) -> None:
    """Fractions of a second are legal."""
    assert_released(lab().ask(envelope(attribute_query(issued=f"2026-03-01T12:00:00{fraction}Z")), client=sp_keys()))


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "https://aa.example.org/",
        "http://aa.example.org/saml/attribute-query",
        QUERY_URL + "/",
        QUERY_URL + "?x",
        QUERY_URL.upper(),
        "https://aa.example.org.attacker.example/saml/attribute-query",
        "https://aa.example.org:8443/saml/attribute-query",
        f" {QUERY_URL}",
    ],
)
def test_wrong_destination(destination: str) -> None:
    """A query that was sent to another address is not answered here (core 3.2.1)."""
    assert_refused(lab().ask(envelope(attribute_query(destination=destination)), client=sp_keys()), Denied, "the Destination is")


@pytest.mark.parametrize("destination", [None, QUERY_URL, "https://aa.example.org:443/saml/attribute-query"])
def test_right_destination(destination: str | None) -> None:
    """Our own address, with or without the default port, and none at all are right."""
    assert_released(lab().ask(envelope(attribute_query(destination=destination)), client=sp_keys()))


def test_identity_provider_without_rule() -> None:
    """An identity provider is no requester, unless a rule names it."""
    everybody = (ReleaseRule(registration_authority=None, entity_category=None),)
    message = envelope(attribute_query(*ordinary(requester=IDP)))

    for rules in ((), (rule(SP),), everybody):
        told = lab(rules=rules).ask(message, client=rsa_pair("idp"))

        assert_refused(told, Denied, "rule names it")


def test_identity_provider_about_people_of_another_organisation() -> None:
    """An identity provider that a rule names learns of its own people alone."""
    door = lab(rules=(rule(IDP, OTHER_IDP),))
    about = envelope(asking(name_id(OTHER_PERSON), requester=IDP))

    assert_released(door.ask(envelope(asking(name_id(PERSON), requester=IDP)), client=rsa_pair("idp")))
    told = door.ask(about, client=rsa_pair("idp"))
    assert (("Success",), (), "withheld") == (told.codes, told.values, told.event["outcome"])


@pytest.mark.parametrize("audience", [OTHER_SP, "https://elsewhere.example.org", "https://other-affiliation.example.org", f"{SP}/"])
def test_foreign_sp_name_qualifier(audience: str) -> None:
    """Nobody asks with an identifier that was made for somebody else (core 8.3.7)."""
    for about in (name_id(PERSISTENT_VALUE, **PERSISTENT, sp_name_qualifier=audience), name_id(sp_name_qualifier=audience)):
        assert_refused(lab().ask(envelope(asking(about)), client=sp_keys()), Denied, "neither the requester nor an affiliation")


def test_affiliation_member() -> None:
    """A member of an affiliation asks with the identifiers that were made for the affiliation."""
    about = name_id("shared", **PERSISTENT, sp_name_qualifier=AFFILIATION)

    assert_released(lab().ask(envelope(asking(about)), client=sp_keys()))


def test_affiliation_non_member() -> None:
    """Who is no member does not."""
    about = name_id("shared", **PERSISTENT, sp_name_qualifier=AFFILIATION)
    told = lab().ask(envelope(asking(about, requester=OTHER_SP)), client=rsa_pair("other"))

    assert_refused(told, Denied, "neither the requester nor an affiliation")


def test_persistent_identifier_of_another_service_provider_by_value_alone() -> None:
    """Without SPNameQualifier the requester's own is meant, so that another's value finds nobody."""
    about = name_id(PERSISTENT_VALUE, **PERSISTENT)
    told = lab().ask(envelope(asking(about, requester=OTHER_SP)), client=rsa_pair("other"))

    assert_no_orcid(told.text)
    assert "unknown" == told.event["outcome"]


def test_service_provider_without_keys() -> None:
    """An entity without keys cannot prove anything."""
    door = lab(entities=(service_provider(querying_keys=()),))

    assert_refused(door.ask(envelope(signed(attribute_query(), sp_keys()))), Denied, "none of the 0 keys")
    assert_refused(door.ask(envelope(attribute_query()), client=sp_keys()), Denied, "not of the issuer")


def test_rule_for_somebody_else() -> None:
    """Without a rule nothing is released, and the answer is that of somebody unknown."""
    told = lab(rules=(rule(OTHER_SP),)).ask(envelope(attribute_query()), client=sp_keys())

    assert (("Success",), (), "withheld") == (told.codes, told.values, told.event["outcome"])
    assert_no_orcid(told.text)


@pytest.mark.parametrize("attributes", [' Format="urn:x"', f' NameQualifier="{SP}"', f' SPNameQualifier="{SP}"', ' SPProvidedID="x"'])
def test_issuer_with_qualifiers(attributes: str) -> None:
    """An Issuer is an entityID and nothing beside it (core 8.3.6)."""
    message = attribute_query(issuer(SP, attributes), subject(name_id()))

    assert_refused(lab().ask(envelope(message), client=sp_keys()), MalformedQuery, "the Issuer")


def test_issuer_may_say_that_it_is_an_entity() -> None:
    """The Format `entity` is what an Issuer has anyway."""
    message = attribute_query(issuer(SP, f' Format="{ns.NAMEID_ENTITY}"'), subject(name_id()))

    assert_released(lab().ask(envelope(message), client=sp_keys()))


@pytest.mark.parametrize("entity_id", [SP.upper(), f"{SP}/", f"{SP}%20", SP.replace("https", "http")])
def test_issuer_that_resembles_another(entity_id: str) -> None:
    """EntityIDs are compared exactly."""
    message = attribute_query(issuer(entity_id), subject(name_id()))

    assert_refused(lab().ask(envelope(message), client=sp_keys()), Denied, "no valid metadata")


@pytest.mark.parametrize("entity_id", ["", " ", "\u00a0", "urn:" + "x" * 100_000])
def test_issuer_that_is_no_entity_id(entity_id: str) -> None:
    """What cannot be an entityID is malformed, and is neither looked up nor logged at length."""
    told = lab().ask(envelope(attribute_query(issuer(entity_id), subject(name_id()))), client=sp_keys())

    assert_refused(told, MalformedQuery, "")
    assert len(str(told.event)) < 5000


def test_no_issuer() -> None:
    """A query without Issuer is of nobody."""
    assert_refused(lab().ask(envelope(attribute_query(subject(name_id()))), client=sp_keys()), MalformedQuery, "there is no Issuer")
