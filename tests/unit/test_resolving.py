"""From a NameID to identifiers: the shapes that service providers really send."""

import pytest

from attribute_authority.core.resolving import PERSISTENT_FORMAT, candidate_identifiers
from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind
from attribute_authority.domain.query import NameId
from attribute_authority.errors import Denied

SP, IDP, AFFILIATION = EntityId("https://sp.example.org"), EntityId("https://idp.uni.example/idp"), EntityId("https://affiliation.example")
REQUESTER = Entity(SP, frozenset({Role.SERVICE_PROVIDER}), affiliations=frozenset({AFFILIATION}))
EPPN_FORMAT = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
EPPN = Identifier(IdentifierKind.EPPN, "josiah@uni.example")


def candidates(name_id: NameId, default: EntityId | None = None) -> tuple[Identifier, ...]:
    """Return what a NameID may mean to the requester."""
    return candidate_identifiers(name_id, REQUESTER, default)


@pytest.mark.parametrize("format_", [EPPN_FORMAT, UNSPECIFIED, None, "", PERSISTENT_FORMAT])
def test_eppn_in_the_shapes_of_the_wild(format_: str | None) -> None:
    """An ePPN is found under its own Format, unspecified, none, and the `persistent` of SimpleSAMLphp's module."""
    assert (EPPN,) == candidates(NameId("Josiah@Uni.example", format_))


@pytest.mark.parametrize(
    ("format_", "kind"),
    [
        ("urn:oid:1.3.6.1.4.1.5923.1.1.1.13", IdentifierKind.UNIQUE_ID),
        ("urn:oasis:names:tc:SAML:attribute:subject-id", IdentifierKind.SUBJECT_ID),
    ],
)
def test_formats_that_name_an_attribute(format_: str, kind: IdentifierKind) -> None:
    """A Format that is the name of an attribute means that attribute alone, without regard to case."""
    assert (Identifier(kind, "abc1@uni.example"),) == candidates(NameId("ABC1@uni.example", format_))


def test_pairwise_id() -> None:
    """A pairwise-id is looked up as that of the requester first, then as one that was stored for nobody in particular."""
    expected = [Identifier(IdentifierKind.PAIRWISE_ID, "abc1@uni.example", None, audience) for audience in (SP, None)]

    assert tuple(expected) == candidates(NameId("abc1@uni.example", "urn:oasis:names:tc:SAML:attribute:pairwise-id"))


@pytest.mark.parametrize(("given", "audience"), [(None, SP), (SP, SP), (AFFILIATION, AFFILIATION), ("", SP)])
def test_persistent(given: str | None, audience: EntityId) -> None:
    """A persistent NameID means the identifier that its qualifiers name; without SPNameQualifier the requester's (core 8.3.7)."""
    name_id = NameId("Abc=", PERSISTENT_FORMAT, IDP, given)

    assert (Identifier(IdentifierKind.PERSISTENT, "Abc=", IDP, audience),) == candidates(name_id)


def test_persistent_is_exact() -> None:
    """Persistent identifiers differ by case."""
    first, second = (candidates(NameId(value, PERSISTENT_FORMAT, IDP)) for value in ("Abc", "abc"))

    assert first != second


def test_persistent_without_name_qualifier() -> None:
    """Who issued it must be known: from the configuration of the requester, or not at all."""
    name_id = NameId("Abc", PERSISTENT_FORMAT)

    assert () == candidates(name_id)
    assert (Identifier(IdentifierKind.PERSISTENT, "Abc", IDP, SP),) == candidates(name_id, IDP)


def test_persistent_without_name_qualifier_in_the_form_of_an_eppn() -> None:
    """With a configured identity provider the persistent identifier comes first, and then the ePPN."""
    found = candidates(NameId("josiah@uni.example", PERSISTENT_FORMAT), IDP)

    assert (Identifier(IdentifierKind.PERSISTENT, "josiah@uni.example", IDP, SP), EPPN) == found


def test_persistent_with_name_qualifier_is_never_an_eppn() -> None:
    """A qualified persistent NameID means itself, whatever its form."""
    found = candidates(NameId("josiah@uni.example", PERSISTENT_FORMAT, IDP))

    assert [IdentifierKind.PERSISTENT] == [identifier.kind for identifier in found]


@pytest.mark.parametrize(
    "format_", ["urn:oasis:names:tc:SAML:2.0:nameid-format:transient", "urn:x", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"]
)
def test_other_formats_mean_nobody(format_: str) -> None:
    """A Format that is not known here does not fall back to an ePPN."""
    assert () == candidates(NameId("josiah@uni.example", format_))


@pytest.mark.parametrize("value", ["josiah", "@uni.example", "a@b@c", "a b@c", "", "x" * 300 + "@y"])
def test_value_in_no_known_form(value: str) -> None:
    """A value that is no identifier of the kind means nobody, and is no failure."""
    assert () == candidates(NameId(value, EPPN_FORMAT))


@pytest.mark.parametrize("format_", [PERSISTENT_FORMAT, EPPN_FORMAT, None, "urn:x"])
def test_foreign_sp_name_qualifier(format_: str | None) -> None:
    """Whatever the Format, nobody asks in another's name."""
    with pytest.raises(Denied, match="neither the requester nor an affiliation"):
        candidates(NameId("josiah@uni.example", format_, None, "https://other.example.org"))
