"""Subjects that read differently here and there, or that are no subjects at all; and queries that break the schema."""

import pytest

from attribute_authority.errors import AuthorityError, InvalidAttribute, MalformedQuery, UnsupportedQuery, VersionTooHigh, VersionTooLow
from attribute_authority.saml import namespaces as ns
from tests.attacks.refusals import assert_no_orcid, assert_refused, assert_released
from tests.factories.doors import Told, lab, sp_keys
from tests.factories.queries import (
    PERSON,
    SP,
    asking,
    attribute_query,
    confirmation,
    designator,
    envelope,
    issuer,
    name_id,
    ordinary,
    raw_name_id,
    signed,
    subject,
)

SPLITTERS = ["<!---->", "<!-- x -->", "<?x?>", "<?x y?>", "<x xmlns=''/>", "<saml:NameID/>"]


def ask(message: str) -> Told:
    """Send a message over a connection with the requester's key."""
    return lab().ask(envelope(message), client=sp_keys())


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize(
    "content", ["josiah{}@uni.example", "{}josiah@uni.example", "josiah@uni.example{}", "josiah@uni.example{}.attacker.example"]
)
def test_comment_or_processing_instruction_in_the_name_id(splitter: str, content: str) -> None:
    """A NameID is read whole or not at all: parts of its text may be somebody else (as with CVE-2017-11427 and its kin)."""
    message = asking(raw_name_id(content.format(splitter)))

    assert_refused(ask(message), MalformedQuery, "NameID must hold text alone")
    assert_refused(lab().ask(envelope(signed(message, sp_keys()))), MalformedQuery, "NameID must hold text alone")


def test_comment_that_the_signature_does_not_cover() -> None:
    """Canonicalisation drops comments: one that is added after signing leaves the signature valid, and the NameID unreadable."""
    message = signed(attribute_query(), sp_keys()).replace(PERSON, "josiah<!---->@uni.example")

    assert_refused(lab().ask(envelope(message)), MalformedQuery, "NameID must hold text alone")


@pytest.mark.parametrize("splitter", SPLITTERS[:4])
def test_comment_or_processing_instruction_in_the_issuer(splitter: str) -> None:
    """Nor is an Issuer read in part."""
    message = attribute_query(f"<saml:Issuer>{SP}{splitter}.attacker.example</saml:Issuer>", *ordinary()[1:])

    assert_refused(ask(message), MalformedQuery, "Issuer must hold text alone")


def test_comment_in_an_attribute_value() -> None:
    """Nor is a value by which the answer is filtered."""
    message = asking(
        name_id(), designator().replace("</saml:Attribute>", "<saml:AttributeValue>x<!-- -->y</saml:AttributeValue></saml:Attribute>")
    )

    assert_refused(ask(message), InvalidAttribute, "AttributeValue must hold text alone")


def test_comments_between_elements() -> None:
    """Between elements comments, processing instructions and white space mean nothing."""
    children = "\n <!-- x --> <?x y?>".join(("", *ordinary(), ""))

    assert_released(ask(attribute_query(children)))


@pytest.mark.parametrize(
    "content", [f"<![CDATA[{PERSON}]]>", "jos<![CDATA[iah@]]>uni.example", "&#x6A;osiah&#64;uni.example", "&#106;osiah@uni.example"]
)
def test_other_ways_to_write_the_same_text(content: str) -> None:
    """CDATA sections and character references are ways to write text; the answer echoes the text itself."""
    told = ask(asking(raw_name_id(content)))

    assert_released(told)
    assert told.one("saml:Assertion/saml:Subject/saml:NameID").text == PERSON


@pytest.mark.parametrize("white_space", [" ", "\n", "\t", "&#xD;", "\u00a0", "\u2028", "\u200b", "\ufeff", "&#x85;"])
@pytest.mark.parametrize("place", ["{}josiah@uni.example", "josiah@uni.example{}", "josiah@{}uni.example"])
def test_white_space_in_the_name_id(white_space: str, place: str) -> None:
    """An identifier with white space, seen or unseen, is another identifier, that of nobody."""
    told = ask(asking(raw_name_id(place.format(white_space))))

    assert_no_orcid(told.text)
    assert ("Success",) == told.codes


@pytest.mark.parametrize("value", ["JOSIAH@UNI.EXAMPLE", "Josiah@Uni.Example"])
def test_eppn_in_other_case(value: str) -> None:
    """An ePPN compares without regard to case (eduPerson 2.2.8), and is echoed as it came."""
    told = ask(asking(name_id(value)))

    assert_released(told)
    assert told.one("saml:Assertion/saml:Subject/saml:NameID").text == value


@pytest.mark.parametrize(
    "value",
    [
        "josiah@unı.example",
        "joſiah@uni.example",
        "josiah@uni.example%00",
        "josiah＠uni.example",
        "' OR 1=1 --@x",
        "josiah@uni.example@uni.example",
        "%",
        "x" * 100_000 + "@uni.example",
    ],
)
def test_value_that_resembles_an_identifier(value: str) -> None:
    """Case folding, compatibility forms, wild cards and quoting make nobody into somebody."""
    told = ask(asking(name_id(value)))

    assert_no_orcid(told.text)
    assert ("Success",) == told.codes


@pytest.mark.parametrize("content", ["", " ", "\n\t ", "<![CDATA[]]>"])
def test_empty_name_id(content: str) -> None:
    """A NameID has at least one character that is no white space (core 1.3.1)."""
    assert_refused(ask(asking(raw_name_id(content))), MalformedQuery, "the NameID is empty")


@pytest.mark.parametrize("children", [f"<saml:BaseID NameQualifier='{SP}'/>", "", confirmation(ns.CM_SENDER_VOUCHES), "<saml:Assertion/>"])
def test_subject_without_an_identifier(children: str) -> None:
    """A BaseID, or a confirmation alone, does not name a person here."""
    assert_refused(ask(attribute_query(issuer(), subject(children))), UnsupportedQuery, "the Subject holds")


@pytest.mark.parametrize("method", [ns.CM_BEARER, ns.CM_HOLDER_OF_KEY, "", "urn:x"])
def test_other_confirmation_than_we_give(method: str) -> None:
    """A Subject that must be confirmed in another way is not answered, for the answer would not match it (core 3.3.4)."""
    message = attribute_query(issuer(), subject(name_id(), confirmation(method)))

    assert_refused(ask(message), UnsupportedQuery, "confirmation other than sender-vouches")


def test_confirmation_that_we_give() -> None:
    """A Subject that asks for sender-vouches gets it."""
    assert_released(ask(attribute_query(issuer(), subject(name_id(), confirmation(ns.CM_SENDER_VOUCHES)))))


@pytest.mark.parametrize(
    ("version", "failure"),
    [
        ("1.1", VersionTooLow),
        ("1.0", VersionTooLow),
        ("0.0", VersionTooLow),
        ("1.99", VersionTooLow),
        ("2.1", VersionTooHigh),
        ("3.0", VersionTooHigh),
        ("20.0", VersionTooHigh),
        ("9" * 5000 + ".0", VersionTooHigh),
        (None, MalformedQuery),
        ("", MalformedQuery),
        ("2", MalformedQuery),
        ("2.", MalformedQuery),
        (".0", MalformedQuery),
        ("two", MalformedQuery),
        ("2.0.0", MalformedQuery),
        ("-2.0", MalformedQuery),
        ("2.0 ", MalformedQuery),
        ("²٠", MalformedQuery),
        ("٢.٠", MalformedQuery),
        ("2,0", MalformedQuery),
    ],
)
def test_other_version(version: str | None, failure: type[AuthorityError]) -> None:
    """Only version 2.0 is answered; higher and lower ones are told apart from what is no version (core 4.1.3.2)."""
    told = ask(attribute_query(version=version))

    assert_refused(told, failure, "Version is")
    assert told.entry.get("InResponseTo") == "_query"


@pytest.mark.parametrize("message_id", [None, "", "1abc", "-a", ".a", "a:b", "a b", " a", "a" * 257, "a&#xA;b", "ä&#x2028;"])
def test_id_that_is_none(message_id: str | None) -> None:
    """A query without a valid xs:ID is malformed, and the answer names none in InResponseTo (core 3.2.2)."""
    told = ask(attribute_query(message_id=None, attributes="" if message_id is None else f' ID="{message_id}"'))

    assert_refused(told, MalformedQuery, "the ID is absent or not an NCName")
    assert told.entry.get("InResponseTo") is None


@pytest.mark.parametrize("message_id", ["_", "a", "_a-b.c", "A" * 256, "ä", "_CC3B90D01EF36912247CFD2A3811066D"])
def test_id_of_any_legal_form(message_id: str) -> None:
    """Every xs:ID is answered, and named in InResponseTo and in the SubjectConfirmationData."""
    told = ask(attribute_query(message_id=message_id))

    assert_released(told)
    assert told.entry.get("InResponseTo") == message_id
    assert told.one("saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData").get("InResponseTo") == message_id


@pytest.mark.parametrize("issued", [None, "yesterday"])
def test_no_issue_instant(issued: str | None) -> None:
    """A query without instant is malformed; what it is about is not looked up."""
    told = ask(attribute_query(issued=issued))

    assert_refused(told, MalformedQuery, "IssueInstant")
    assert told.event.get("subject") is None


def test_no_subject() -> None:
    """A query about nobody is malformed."""
    assert_refused(ask(attribute_query(issuer(), designator())), MalformedQuery, "there is no Subject")


@pytest.mark.parametrize(
    "children",
    [
        (subject(name_id()), issuer()),
        (issuer(), issuer(), subject(name_id())),
        (issuer(), designator(), subject(name_id())),
        (issuer(), subject(name_id()), "<samlp:Extensions/>"),
        (issuer(), subject(name_id()), "<x xmlns='urn:x'/>"),
        (issuer(), "<samlp:Extensions/>", "<samlp:Extensions/>", subject(name_id())),
    ],
)
def test_children_out_of_order(children: tuple[str, ...]) -> None:
    """What the schema has no place for is refused, not passed over."""
    assert_refused(ask(attribute_query(*children)), MalformedQuery, "no place for it")


@pytest.mark.parametrize("message", [attribute_query("x", *ordinary()), attribute_query(*ordinary(), "x")])
def test_text_between_the_children(message: str) -> None:
    """A query holds elements, not text."""
    assert_refused(ask(message), MalformedQuery, "holds text")


def test_text_in_the_subject() -> None:
    """Nor does a Subject hold text."""
    assert_refused(ask(attribute_query(issuer(), subject(PERSON, name_id()))), MalformedQuery, "holds text")


@pytest.mark.parametrize(
    "attribute",
    [
        "<saml:Attribute/>",
        '<saml:Attribute Name=""/>',
        '<saml:Attribute Name=" "/>',
        '<saml:Attribute Name="x"><x/></saml:Attribute>',
        '<saml:Attribute Name="x">y</saml:Attribute>',
        '<saml:Attribute Name="x"><saml:AttributeValue><x/></saml:AttributeValue></saml:Attribute>',
    ],
)
def test_designator_that_cannot_be_read(attribute: str) -> None:
    """A designator without name, or with something else than values, is refused as such (core 3.2.2.2)."""
    assert_refused(ask(asking(name_id(), attribute)), InvalidAttribute, "")
