"""Signature wrapping: a genuine signature somewhere in the message, and a query beside it that nobody signed.

In each the attacker holds a query that the service provider really signed, about a person without an iD, and wants an answer
about somebody else. No TLS client key takes part: the signature alone would have to convince.
"""

import pytest

from attribute_authority.errors import AuthorityError, Denied, MalformedQuery, NotSoap
from attribute_authority.saml import namespaces as ns
from tests.attacks.refusals import assert_refused, assert_released
from tests.factories.doors import lab, sp_keys
from tests.factories.queries import (
    PERSON,
    SP,
    attribute_query,
    designator,
    envelope,
    issuer,
    name_id,
    ordinary,
    signature_template,
    signed,
    subject,
)

GENUINE = attribute_query(*ordinary(about=name_id("nobody@uni.example")), message_id="_genuine")
FORGED_PARTS = (issuer(SP), subject(name_id(PERSON)), designator())


def genuine() -> str:
    """Return what the service provider signed."""
    return signed(GENUINE, sp_keys())


def signature() -> str:
    """Return the genuine signature by itself."""
    _, start, rest = genuine().partition("<ds:Signature ")
    inside, end, _ = rest.partition("</ds:Signature>")
    return f"{start}{inside}{end}"


def original() -> str:
    """Return what was signed, without its signature."""
    return genuine().replace(signature(), "")


def test_the_genuine_query_is_answered() -> None:
    """What the attacker starts from is valid, and so is a query of that kind about the person with an iD."""
    assert lab().ask(envelope(genuine())).codes == ("Success",)
    assert_released(lab().ask(envelope(signed(attribute_query(), sp_keys()))))


@pytest.mark.parametrize("forged_id", ["_forged", "_genuine"])
def test_original_in_header_forged_in_body(forged_id: str) -> None:
    """The signed query lies in soap:Header, where nobody reads; the one in the Body bears no signature."""
    told = lab().ask(envelope(attribute_query(*FORGED_PARTS, message_id=forged_id), header=genuine()))

    assert_refused(told, Denied, "the query is not signed")


@pytest.mark.parametrize("forged_id", ["_forged", "_genuine"])
def test_original_in_header_signature_in_forged(forged_id: str) -> None:
    """The forged query carries the genuine signature, whose Reference points to the original in soap:Header."""
    forged = attribute_query(FORGED_PARTS[0], signature(), *FORGED_PARTS[1:], message_id=forged_id)
    told = lab().ask(envelope(forged, header=original()))

    assert_refused(told, Denied, "an ID occurs twice" if forged_id == "_genuine" else "not to the element that holds the Signature")


@pytest.mark.parametrize("first", ["forged", "genuine"])
def test_original_beside_forged_in_body(first: str) -> None:
    """Two entries in the Body are refused, in whichever order."""
    entries = [attribute_query(*FORGED_PARTS, message_id="_forged"), genuine()]

    assert_refused(lab().ask(envelope(*(entries if first == "forged" else entries[::-1]))), NotSoap, "2 entries")


@pytest.mark.parametrize("forged_id", ["_forged", "_genuine"])
def test_original_in_extensions(forged_id: str) -> None:
    """The signed query lies in the forged one's Extensions, its signature with it."""
    extensions = f"<samlp:Extensions>{genuine()}</samlp:Extensions>"
    told = lab().ask(envelope(attribute_query(FORGED_PARTS[0], extensions, *FORGED_PARTS[1:], message_id=forged_id)))

    assert_refused(told, Denied, "the query is not signed")


def test_original_in_extensions_signature_in_forged() -> None:
    """The forged query carries the signature, its Extensions the signed original."""
    extensions = f"<samlp:Extensions>{original()}</samlp:Extensions>"
    told = lab().ask(envelope(attribute_query(FORGED_PARTS[0], signature(), extensions, *FORGED_PARTS[1:], message_id="_forged")))

    assert_refused(told, Denied, "not to the element that holds the Signature")


@pytest.mark.parametrize("forged_id", ["_forged", "_genuine"])
def test_original_in_object_of_the_signature(forged_id: str) -> None:
    """A signature with an Object is refused, whatever the Object holds."""
    with_object = signature().replace("</ds:Signature>", f"<ds:Object>{original()}</ds:Object></ds:Signature>")
    told = lab().ask(envelope(attribute_query(FORGED_PARTS[0], with_object, *FORGED_PARTS[1:], message_id=forged_id)))

    assert_refused(told, Denied, "an ID occurs twice" if forged_id == "_genuine" else "Signature holds")


@pytest.mark.parametrize("place", ["child", "subject", "attribute"])
def test_forged_wraps_original(place: str) -> None:
    """The signed query lies within the forged one where the schema has no place for it."""
    parts = {
        "child": (FORGED_PARTS[0], genuine(), *FORGED_PARTS[1:]),
        "subject": (FORGED_PARTS[0], subject(name_id(PERSON), genuine()), FORGED_PARTS[2]),
        "attribute": (*FORGED_PARTS[:2], f'<saml:Attribute Name="x">{genuine()}</saml:Attribute>'),
    }[place]
    told = lab().ask(envelope(attribute_query(*parts, message_id="_forged")))
    failure: type[AuthorityError] = MalformedQuery if place == "child" else Denied

    assert_refused(told, failure, "no place for it" if place == "child" else "the query is not signed")


@pytest.mark.parametrize("attribute", ["ID", "Id", "id", "iD", "xml:id"])
@pytest.mark.parametrize("where", ["header", "extensions", "subject"])
def test_same_id_twice(attribute: str, where: str) -> None:
    """An ID that occurs a second time, under whatever name, makes the Reference ambiguous and the message refused."""
    marked = f'<x xmlns="urn:x" {attribute}="_query"/>'
    message = signed(attribute_query(issuer(), "<samlp:Extensions/>", subject(name_id())), sp_keys())
    if where == "extensions":
        message = message.replace("<samlp:Extensions/>", f"<samlp:Extensions>{marked}</samlp:Extensions>")
    if where == "subject":
        message = message.replace("<saml:NameID", f'<saml:NameID {attribute}="_query"')
    told = lab().ask(envelope(message, header=marked if where == "header" else None))

    assert_refused(told, Denied, "an ID occurs twice")


@pytest.mark.parametrize(
    "reference", ["", "#_other", "#xpointer(/)", "#xpointer(id('_query'))", "_query", "http://127.0.0.1:9/x", "# _query"]
)
def test_reference_to_something_else(reference: str) -> None:
    """The Reference is `#ID` of the query, not another element, the whole document, an expression or an address."""
    message = signed(attribute_query(), sp_keys()).replace('URI="#_query"', f'URI="{reference}"')

    assert_refused(lab().ask(envelope(message)), Denied, "not to the element that holds the Signature")


def test_reference_without_uri() -> None:
    """A Reference without URI says nothing of what is signed."""
    message = signed(attribute_query(), sp_keys()).replace(' URI="#_query"', "")

    assert_refused(lab().ask(envelope(message)), Denied, "points to None")


def test_query_without_id_and_reference_to_nothing() -> None:
    """A query without ID is refused before its signature is looked at."""
    message = attribute_query(issuer(), signature_template("#"), subject(name_id()), message_id=None)

    assert_refused(lab().ask(envelope(message)), MalformedQuery, "the ID is absent")


def test_signature_on_the_subject_only() -> None:
    """A signature within the Subject covers the Subject, and does not authenticate the query around it."""
    person = signed(f'<saml:Subject xmlns:saml="{ns.SAML}" ID="_subject">{name_id()}</saml:Subject>', sp_keys())
    told = lab().ask(envelope(attribute_query(issuer(), person)))

    assert_refused(told, Denied, "the query is not signed")


@pytest.mark.parametrize("place", ["subject", "extensions", "header"])
def test_signature_is_no_direct_child(place: str) -> None:
    """A signature over the whole query counts only where it is the query's child."""
    person = subject(name_id(), signature()) if place == "subject" else subject(name_id())
    extensions = f"<samlp:Extensions>{signature()}</samlp:Extensions>" if place == "extensions" else ""
    message = attribute_query(issuer(), extensions, person, message_id="_genuine")
    told = lab().ask(envelope(message, header=signature() if place == "header" else None))

    assert_refused(told, Denied, "the query is not signed")


def test_two_signatures() -> None:
    """Of two signatures as children not even a valid one counts."""
    message = signed(attribute_query(), sp_keys())
    twice = message.replace("<saml:Subject", f"{signature()}<saml:Subject", 1)

    assert_refused(lab().ask(envelope(twice)), MalformedQuery, "no place for it")


def test_second_signature_elsewhere() -> None:
    """Nor does a valid signature count while another one stands anywhere in the message."""
    told = lab().ask(envelope(signed(attribute_query(), sp_keys()), header=signature()))

    assert_refused(told, Denied, "2 Signature elements")


def test_signature_before_the_issuer() -> None:
    """The schema puts the signature behind the Issuer; anywhere else it is refused."""
    message = attribute_query(signature(), *FORGED_PARTS)

    assert_refused(lab().ask(envelope(message)), MalformedQuery, "no place for it")


def test_genuine_signature_on_another_query() -> None:
    """A signature that is moved to a query with the same ID does not verify over its content."""
    forged = attribute_query(FORGED_PARTS[0], signature(), *FORGED_PARTS[1:], message_id="_genuine")

    assert_refused(lab().ask(envelope(forged)), Denied, "verifies with none")


def test_two_subjects() -> None:
    """A query has one Subject: a second might be the one that is read."""
    message = attribute_query(issuer(), subject(name_id("nobody@uni.example")), subject(name_id()))

    assert_refused(lab().ask(envelope(message), client=sp_keys()), MalformedQuery, "no place for it")


def test_two_identifiers() -> None:
    """A Subject has one identifier."""
    message = attribute_query(issuer(), subject(name_id("nobody@uni.example"), name_id()))

    assert_refused(lab().ask(envelope(message), client=sp_keys()), MalformedQuery, "the Subject holds")


def test_signed_query_in_extensions_beside_the_tls_key() -> None:
    """Where the TLS key authenticates the requester, what is wrapped inside changes nothing: the outer query is read and answered."""
    extensions = f"<samlp:Extensions>{genuine()}</samlp:Extensions>"
    told = lab().ask(envelope(attribute_query(issuer(), extensions, subject(name_id()), message_id="_outer")), client=sp_keys())

    assert_released(told)
    assert told.entry.get("InResponseTo") == "_outer"
