"""Home organisations that speak of people who are not theirs."""

import pytest

from attribute_authority.domain.entity import Scope
from attribute_authority.domain.identifiers import IdentifierKind
from attribute_authority.errors import NoIdentifier, ScopeNotAllowed
from attribute_authority.saml import namespaces as ns
from tests.factories.queries import signed
from tests.factories.responses import (
    IDP,
    NOW,
    OTHER_IDP,
    SP,
    accept,
    assertion,
    attribute,
    begun,
    confirmation,
    encoded,
    eppn,
    good_response,
    home,
    idp_keys,
    name_id,
    raw_attribute,
    response,
    sign_in,
    subject,
)

OTHER_SP = "https://wiki.example.org/shibboleth"
SCOPED = [ns.SUBJECT_ID, ns.PAIRWISE_ID, ns.EPPN_OID_URN, ns.UNIQUE_ID_OID_URN]


def about(*name_ids: str) -> str:
    """Write a signed Response with this NameID and no attribute."""
    return signed(response(assertion("", about=subject(*name_ids, confirmation()))), idp_keys())


@pytest.mark.parametrize("name", SCOPED)
@pytest.mark.parametrize("scope", ["other.example", "uni.example.attacker.example", "xuni.example", "example", "uni.example.", "x.y"])
def test_foreign_scope(name: str, scope: str) -> None:
    """A scope that metadata does not give to the identity provider discredits everything else it says."""
    with pytest.raises(ScopeNotAllowed):
        accept(good_response(attribute(ns.SUBJECT_ID, "josiah@uni.example"), attribute(name, f"rector@{scope}")))


@pytest.mark.parametrize("name", SCOPED)
def test_foreign_scope_among_several_values(name: str) -> None:
    """A value that would be passed over, because there are several, is judged all the same."""
    with pytest.raises(ScopeNotAllowed):
        accept(good_response(attribute(name, "josiah@uni.example", "rector@other.example")))


@pytest.mark.parametrize("split", [("josiah@uni.example",), ("josiah@uni.example", "rector@uni.example")])
def test_several_attributes_of_one_name(split: tuple[str, ...]) -> None:
    """Values count together, in however many Attributes they stand."""
    document = good_response(*(eppn(value) for value in split))
    kinds = {identifier.kind for identifier in accept(document).signed_in.identifiers}

    assert (IdentifierKind.EPPN in kinds) == (len(split) == 1)


@pytest.mark.parametrize(
    ("expression", "scope", "allowed"),
    [
        (r"^.+\.uni\.example$", "dept.uni.example", True),
        (r"^.+\.uni\.example$", "DEPT.UNI.EXAMPLE", True),
        (r"^.+\.uni\.example$", "uni.example", False),
        (r"uni\.example", "uni.example.attacker.example", False),
        (r"uni\.example", "attacker-uni.example", False),
        (r"(a|b)\.example", "ab.example", False),
        (r"", "uni.example", False),
    ],
)
def test_scope_by_regular_expression(expression: str, scope: str, allowed: bool) -> None:
    """A scope that is a regular expression must match as a whole."""
    entity = home(scopes=(Scope(expression, regexp=True),))
    document = encoded(good_response(eppn(f"josiah@{scope}")))

    if allowed:
        assert IDP == sign_in(entity).accept(document, begun(), NOW).issuer
    else:
        with pytest.raises(ScopeNotAllowed):
            sign_in(entity).accept(document, begun(), NOW)


def test_expression_as_a_plain_scope() -> None:
    """A scope that is not marked as a regular expression is a text."""
    with pytest.raises(ScopeNotAllowed):
        sign_in(home(scopes=(Scope(r".*"),))).accept(encoded(good_response()), begun(), NOW)


def test_identity_provider_without_scopes() -> None:
    """Without shibmd:Scope no scope is one's own; a persistent identifier needs none."""
    with pytest.raises(ScopeNotAllowed):
        sign_in(home(scopes=())).accept(encoded(good_response()), begun(), NOW)
    (identifier,) = sign_in(home(scopes=())).accept(encoded(about(name_id())), begun(), NOW).signed_in.identifiers

    assert IdentifierKind.PERSISTENT == identifier.kind


@pytest.mark.parametrize(
    "written",
    [
        name_id(name_qualifier=OTHER_IDP),
        name_id(name_qualifier=""),
        name_id(sp_name_qualifier=OTHER_SP),
        name_id(format=ns.NAMEID_TRANSIENT),
        name_id(format=ns.NAMEID_UNSPECIFIED_11),
        name_id(format=ns.NAMEID_EMAIL_ADDRESS),
        name_id(format=None),
        name_id(" 8f2c9a"),
        name_id("a b"),
        name_id(""),
        name_id("x" * 300),
        "",
    ],
    ids=[
        "of another",
        "of nobody",
        "for another",
        "transient",
        "unspecified",
        "mail",
        "no format",
        "space",
        "spaces",
        "empty",
        "long",
        "none",
    ],
)
def test_name_id_that_names_nobody_here(written: str) -> None:
    """Only a persistent NameID that the identity provider itself made for us is an identifier."""
    with pytest.raises(NoIdentifier):
        accept(about(written))


@pytest.mark.parametrize(
    "written", [name_id(name_qualifier=OTHER_IDP), name_id(sp_name_qualifier=OTHER_SP), name_id() + name_id("b"), "8f2c9a"]
)
def test_targeted_id_that_names_nobody_here(written: str) -> None:
    """The same holds for eduPersonTargetedID, whose value is one NameID."""
    document = signed(response(assertion(raw_attribute(ns.TARGETED_ID_OID_URN, written), about=subject(confirmation()))), idp_keys())

    with pytest.raises(NoIdentifier):
        accept(document)


@pytest.mark.parametrize("name_format", [None, ns.NAME_FORMAT_BASIC, ns.NAME_FORMAT_UNSPECIFIED])
def test_attribute_of_another_name_format(name_format: str | None) -> None:
    """A name of another format is another attribute."""
    written = attribute(ns.EPPN_OID_URN, "josiah@uni.example", name_format=name_format)

    with pytest.raises(NoIdentifier):
        accept(signed(response(assertion(written, about=subject(confirmation()))), idp_keys()))


def test_friendly_name_of_an_identifier() -> None:
    """A FriendlyName is for people to read, and names nothing (core 2.7.3.1)."""
    written = attribute("urn:oid:1.2.3", "josiah@uni.example").replace(
        "<saml:Attribute ", '<saml:Attribute FriendlyName="eduPersonPrincipalName" ', 1
    )

    with pytest.raises(NoIdentifier):
        accept(signed(response(assertion(written, about=subject(confirmation()))), idp_keys()))


@pytest.mark.parametrize(
    "value", ["", "josiah", "@uni.example", "josiah@", "a@b@uni.example", "jos iah@uni.example", "josiah@uni.example "]
)
@pytest.mark.parametrize("name", SCOPED)
def test_value_that_is_no_identifier(name: str, value: str) -> None:
    """What is not of the form of its kind is passed over."""
    with pytest.raises(NoIdentifier):
        accept(signed(response(assertion(attribute(name, value), about=subject(confirmation()))), idp_keys()))


def test_pairwise_id_is_for_us() -> None:
    """A pairwise-id is kept with whom it was made for."""
    (identifier,) = accept(
        signed(response(assertion(attribute(ns.PAIRWISE_ID, "ABC=@uni.example"), about=subject(confirmation()))), idp_keys())
    ).signed_in.identifiers

    assert (IdentifierKind.PAIRWISE_ID, "abc=@uni.example", SP) == (identifier.kind, identifier.value, identifier.sp_name_qualifier)
