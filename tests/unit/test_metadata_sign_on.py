"""What metadata says of signing in at an identity provider: keys, address, and the names that people know it by."""

from datetime import UTC, datetime

import pytest

from attribute_authority.domain.entity import Entity
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_reader import read_metadata
from tests.factories import metadata as make

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SP = "https://sp.example.org/shibboleth"
IDP = "https://idp.example.org/idp"


def read(document: str) -> tuple[list[Entity], list[str]]:
    """Read an unsigned document; returns the entities and what was reported."""
    warnings: list[str] = []
    return list(read_metadata(document.encode(), None, NOW, warnings.append).entities()), warnings


def read_one(document: str) -> Entity:
    """Read a document in which nothing is wrong and one entity stands."""
    (entity,), warnings = read(document)

    assert [] == warnings
    return entity


def sign_on(binding: str = ns.BINDING_HTTP_REDIRECT, location: str = "https://idp.example.org/sso") -> str:
    """Write a SingleSignOnService."""
    return f'<md:SingleSignOnService Binding="{binding}" Location="{location}"/>'


def user_interface(tag: str, **names: str) -> str:
    """Write an mdui:UIInfo with names by language."""
    written = "".join(f'<{tag} xml:lang="{language}">{name}</{tag}>' for language, name in names.items())
    return f"<mdui:UIInfo>{written}</mdui:UIInfo>"


def with_ui(document: str) -> str:
    """Declare the prefix mdui."""
    return document.replace("<md:EntityDescriptor", f'<md:EntityDescriptor xmlns:mdui="{ns.MDUI}"', 1)


def test_identity_provider_is_where_people_sign_in() -> None:
    """Its keys, its address for HTTP-Redirect and its names are read."""
    key = make.rsa_pair("idp")
    ui = user_interface("mdui:DisplayName", en="The  University", fi="Yliopisto")
    role = make.identity_provider(
        make.extensions(ui), make.key_descriptor(key, "signing"), sign_on(ns.BINDING_HTTP_POST, "https://a.example/"), sign_on()
    )
    entity = read_one(with_ui(make.entity(IDP, role)))

    assert ((key.public_key,), "https://idp.example.org/sso") == (entity.asserting_keys, entity.sign_on_url)
    assert (("en", "The University"), ("fi", "Yliopisto")) == entity.display_names


def test_keys_of_two_roles_are_kept_apart() -> None:
    """What an entity asks with as a service provider does not sign its assertions, and the other way round."""
    asks, asserts = make.rsa_pair("sp"), make.rsa_pair("idp")
    roles = (make.service_provider(make.key_descriptor(asks)), make.identity_provider(make.key_descriptor(asserts)))
    entity = read_one(make.entity(IDP, *roles))

    assert ((asks.public_key,), (asserts.public_key,)) == (entity.querying_keys, entity.asserting_keys)


def test_encryption_key_signs_no_assertion() -> None:
    """A key with use="encryption" proves nothing."""
    role = make.identity_provider(make.key_descriptor(make.rsa_pair("idp"), "encryption"))

    assert () == read_one(make.entity(IDP, role)).asserting_keys


def test_service_provider_signs_nobody_in() -> None:
    """An address for signing in stands in the role of an identity provider alone."""
    entity = read_one(make.entity(SP, make.service_provider(make.key_descriptor(make.rsa_pair("sp")), sign_on())))

    assert ((), None) == (entity.asserting_keys, entity.sign_on_url)


@pytest.mark.parametrize(
    "location", ["javascript:alert(1)", "", "/sso", "https://idp.example.org/\u00e4", "https://", "data:text/html,x", "http://a b"]
)
def test_address_that_no_browser_should_be_sent_to(location: str) -> None:
    """An address that is no web address is reported and left out; a further one is used."""
    (entity,), warnings = read(make.entity(IDP, make.identity_provider(sign_on(location=location), sign_on())))

    assert "https://idp.example.org/sso" == entity.sign_on_url
    assert [f"{IDP}: a SingleSignOnService was left out: {location!r} is no web address"] == warnings


def test_names_of_the_organisation_stand_in() -> None:
    """Without a name of its own an entity is called what its organisation is called."""
    organisation = user_interface("md:OrganizationDisplayName", sv="Universitetet").replace("mdui:UIInfo", "md:Organization")

    assert (("sv", "Universitetet"),) == read_one(make.entity(IDP, make.identity_provider(), organisation)).display_names


def test_name_of_the_identity_provider_comes_first() -> None:
    """An entity with two roles is called what people know it as when they sign in."""
    named = [make.extensions(user_interface("mdui:DisplayName", en=name)) for name in ("Wiki", "University")]
    entity = read_one(with_ui(make.entity(IDP, make.service_provider(named[0]), make.identity_provider(named[1]))))

    assert "University" == entity.name("fi")
    assert "Wiki" == read_one(with_ui(make.entity(SP, make.service_provider(named[0])))).name("sv")


def test_first_name_of_a_language_counts() -> None:
    """Empty names and names without language are passed over, and of several in one language the first counts."""
    ui = (
        user_interface("mdui:DisplayName", en=" ")
        + user_interface("mdui:DisplayName", EN="One")
        + user_interface("mdui:DisplayName", en="Two")
    )
    role = make.identity_provider(make.extensions(ui, "<mdui:UIInfo><mdui:DisplayName>x</mdui:DisplayName></mdui:UIInfo>"))

    assert (("en", "One"),) == read_one(with_ui(make.entity(IDP, role))).display_names


def test_unusable_key_is_reported_once() -> None:
    """A key of an identity provider that serves nothing is reported once, though it would serve for two things."""
    (entity,), warnings = read(make.entity(IDP, make.identity_provider(make.x509_key_descriptor("no"))))

    assert ((), ()) == (entity.querying_keys, entity.asserting_keys)
    assert [f"{IDP}: a key was left out: a certificate or key is not base64"] == warnings
