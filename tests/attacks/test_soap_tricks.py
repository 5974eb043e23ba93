"""Envelopes that are not what SOAP 1.1 and the SAML SOAP binding have in mind."""

import pytest

from attribute_authority.errors import MustUnderstand, NotSoap, UnsupportedQuery, WrongSoapVersion
from attribute_authority.saml import namespaces as ns
from tests.attacks.refusals import assert_refused, assert_released
from tests.factories.doors import lab, sp_keys
from tests.factories.queries import DECLARATIONS, attribute_query, envelope, renamed, signed

MUST = 'xmlns:x="urn:example:x" S:mustUnderstand='


def test_two_bodies() -> None:
    """An envelope has one Body; a second one might be what another layer reads."""
    body = f"<S:Body>{attribute_query()}</S:Body>"
    told = lab().ask(f'<S:Envelope xmlns:S="{ns.SOAP11}">{body}{body}</S:Envelope>'.encode(), client=sp_keys())

    assert_refused(told, NotSoap, "one Body is expected")


def test_two_body_entries() -> None:
    """A Body has one entry, whichever of two was signed."""
    genuine = signed(attribute_query(), sp_keys())

    for entries in ((genuine, attribute_query()), (attribute_query(), genuine), (genuine, '<x xmlns="urn:x"/>')):
        assert_refused(lab().ask(envelope(*entries)), NotSoap, "the Body holds 2 entries")


def test_empty_body() -> None:
    """A Body without an entry asks nothing."""
    assert_refused(lab().ask(envelope()), NotSoap, "the Body holds 0 entries")


@pytest.mark.parametrize("namespace", [ns.SOAP12, "urn:example:soap", "http://schemas.xmlsoap.org/soap/envelope"])
def test_envelope_of_another_version(namespace: str) -> None:
    """An envelope of SOAP 1.2, or of no known version, is a version mismatch (SOAP 1.1 section 4.1.2)."""
    assert_refused(lab().ask(envelope(attribute_query(), soap=namespace), client=sp_keys()), WrongSoapVersion, "the envelope is")


def test_query_without_envelope() -> None:
    """A bare AttributeQuery is no SOAP message."""
    assert_refused(lab().ask(attribute_query().encode(), client=sp_keys()), NotSoap, "the document element is")


@pytest.mark.parametrize("parts", ["", "<S:Header/>", "<S:Header/><S:Header/>", "<S:Body/><S:Header/>", "<x:x xmlns:x='urn:x'/><S:Body/>"])
def test_envelope_with_other_parts(parts: str) -> None:
    """What is not an optional Header and then one Body is refused."""
    assert_refused(lab().ask(f'<S:Envelope xmlns:S="{ns.SOAP11}">{parts}</S:Envelope>'.encode()), NotSoap, "")


@pytest.mark.parametrize("value", ["1", "true", "yes", " 1 ", ""])
def test_header_that_must_be_understood(value: str) -> None:
    """A mandatory header entry is not known, so the message is not processed (SOAP 1.1 section 4.2.3)."""
    told = lab().ask(envelope(attribute_query(), header=f'<x:x {MUST}"{value}"/>'), client=sp_keys())

    assert_refused(told, MustUnderstand, "{urn:example:x}x")


@pytest.mark.parametrize("actor", ["", ns.SOAP_ACTOR_NEXT])
def test_header_that_must_be_understood_by_us_by_name(actor: str) -> None:
    """An empty actor and `next` both mean us (SOAP 1.1 section 4.2.2)."""
    told = lab().ask(envelope(attribute_query(), header=f'<x:x {MUST}"1" S:actor="{actor}"/>'), client=sp_keys())

    assert_refused(told, MustUnderstand, "is not known")


@pytest.mark.parametrize(
    "header", [f'<x:x {MUST}"0"/>', '<x:x xmlns:x="urn:x"/>', f'<x:x {MUST}"1" S:actor="urn:example:somebody-else"/>', "<!-- -->", " "]
)
def test_header_that_need_not_be_understood(header: str) -> None:
    """Optional entries, and those for another actor, are passed over."""
    assert_released(lab().ask(envelope(attribute_query(), header=header), client=sp_keys()))


@pytest.mark.parametrize("entry", ["samlp:AuthnRequest", "samlp:AuthzDecisionQuery", "samlp:Response", "saml:AttributeQuery", "S:Fault"])
def test_other_message_in_the_body(entry: str) -> None:
    """Of all SAML messages only an AttributeQuery is answered; the ID of others is not echoed in vain."""
    message = attribute_query().replace("samlp:AttributeQuery", entry)
    told = lab().ask(envelope(message), client=sp_keys())

    assert_refused(told, UnsupportedQuery, "the message is")
    assert "_query" == told.entry.get("InResponseTo")


@pytest.mark.parametrize("prefixes", [("ns0", "ns1"), ("p", "a"), ("xml-like", "_")])
def test_prefixes_mean_nothing(prefixes: tuple[str, str]) -> None:
    """Elements are told by namespace, never by prefix."""
    assert_released(lab().ask(envelope(renamed(signed(attribute_query(), sp_keys()), "samlp", "saml"), prefix="soap-env")))
    assert_released(lab().ask(envelope(renamed(attribute_query(), *prefixes)), client=sp_keys()))


def test_namespaces_that_look_alike() -> None:
    """An element in another namespace is another element, whatever its name."""
    message = f"<samlp:AttributeQuery{DECLARATIONS}/>".replace(ns.SAMLP, "urn:oasis:names:tc:SAML:1.0:protocol")

    assert_refused(lab().ask(envelope(message), client=sp_keys()), UnsupportedQuery, "SAML:1.0:protocol")


def test_stray_text_in_the_envelope() -> None:
    """Text between the parts of an envelope, as SimpleSAMLphp sends it, changes nothing."""
    message = (
        envelope(signed(attribute_query(), sp_keys()), header="")
        .replace(b"<S:Header>", b"\\\n<S:Header>")
        .replace(b"<S:Body>", b"x<S:Body>y")
    )

    assert_released(lab().ask(message))
