"""Messages that are made to hurt the parser, or to make it read what is not in them."""

import gzip

import pytest

from attribute_authority.errors import MalformedQuery, NotSoap
from attribute_authority.saml import namespaces as ns
from tests.attacks.refusals import assert_refused, assert_released
from tests.factories.doors import lab, sp_keys
from tests.factories.queries import PERSON, asking, attribute_query, designator, envelope, issuer, name_id, raw_name_id, signed, subject

SECRET = "/etc/hostname"


def with_doctype(doctype: str, content: str = "&x;") -> bytes:
    """Write a query with a document type in front and a reference in the NameID."""
    return doctype.encode() + envelope(asking(raw_name_id(content)))


def test_document_type_declaration() -> None:
    """A document type is refused even where it declares nothing (SAML2int SDP-G03)."""
    told = lab().ask(b"<!DOCTYPE Envelope>" + envelope(signed(attribute_query(), sp_keys())))

    assert_refused(told, NotSoap, "document type")


def test_internal_entity() -> None:
    """An entity cannot stand in for a NameID."""
    told = lab().ask(with_doctype(f'<!DOCTYPE Envelope [<!ENTITY x "{PERSON}">]>'), client=sp_keys())

    assert_refused(told, NotSoap, "document type")


@pytest.mark.parametrize("address", [f"file://{SECRET}", "http://127.0.0.1:9/x"])
def test_external_entity(address: str) -> None:
    """An external entity is neither fetched nor read."""
    told = lab().ask(with_doctype(f'<!DOCTYPE Envelope [<!ENTITY x SYSTEM "{address}">]>'), client=sp_keys())

    assert_refused(told, NotSoap, "document type")


def test_billion_laughs() -> None:
    """Entities that multiply are refused before any is expanded."""
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    told = lab().ask(with_doctype(f'<!DOCTYPE Envelope [<!ENTITY l0 "lol">{levels}]>', "&l9;"), client=sp_keys())

    assert_refused(told, NotSoap, "document type")


@pytest.mark.parametrize("place", ["attribute", "text"])
def test_billion_laughs_in_utf_16(place: str) -> None:
    """Another encoding does not hide the declaration from a search for its bytes."""
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    content = raw_name_id("&l9;") if place == "text" else raw_name_id("x", ' Format="&l9;"')
    document = (
        f'<?xml version="1.0" encoding="utf-16"?><!DOCTYPE Envelope [<!ENTITY l0 "lol">{levels}]>' + envelope(asking(content)).decode()
    )
    told = lab().ask(document.encode("utf-16"), client=sp_keys())

    assert_refused(told, NotSoap, "")


@pytest.mark.parametrize("declaration", ['<?xml version="1.0" encoding="utf-16"?>', ""])
def test_parameter_entity_in_utf_16(declaration: str) -> None:
    """Nor does it hide a parameter entity that fetches a whole declaration from elsewhere."""
    document = f'{declaration}<!DOCTYPE Envelope [<!ENTITY % p SYSTEM "file://{SECRET}">%p;]>' + envelope(attribute_query()).decode()
    told = lab().ask(document.encode("utf-16"), client=sp_keys())

    assert_refused(told, NotSoap, "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "iso-8859-1", "windows-1252", "cp037"])
def test_other_encoding(encoding: str) -> None:
    """UTF-8 is the one encoding; whatever else a document declares is refused."""
    document = f'<?xml version="1.0" encoding="{encoding}"?>{envelope(attribute_query()).decode()}'

    assert_refused(lab().ask(document.encode(encoding), client=sp_keys()), NotSoap, "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encoding_by_its_byte_order_mark_alone(encoding: str) -> None:
    """Without a declaration the byte order mark tells the encoding, and what is not UTF-8 is refused all the same."""
    assert_refused(lab().ask(envelope(attribute_query()).decode().encode(encoding), client=sp_keys()), NotSoap, "")


def test_utf_8_may_say_so() -> None:
    """A declaration of UTF-8, and its byte order mark, are as good as none."""
    document = f'<?xml version="1.0" encoding="UTF-8"?>{envelope(attribute_query()).decode()}'

    assert_released(lab().ask(document.encode("utf-8-sig"), client=sp_keys()))


@pytest.mark.parametrize("where", ["Body", "NameID", "envelope"])
def test_ten_thousand_deep_nesting(where: str) -> None:
    """Depth is bounded by the parser, and does not exhaust the stack."""
    nest = "<a>" * 10_000 + "</a>" * 10_000
    body = {"Body": envelope(nest), "NameID": envelope(asking(raw_name_id(nest))), "envelope": nest.encode()}[where]

    assert_refused(lab().ask(body, client=sp_keys()), NotSoap, "not well-formed")


def test_deep_nesting_within_what_is_allowed() -> None:
    """A hundred levels in the NameID are well-formed, and no text."""
    told = lab().ask(envelope(asking(raw_name_id("<a>" * 100 + "</a>" * 100))), client=sp_keys())

    assert_refused(told, MalformedQuery, "NameID must hold text alone")


def test_undeclared_entity_in_the_name_id() -> None:
    """A reference without a declaration is not well-formed."""
    assert_refused(lab().ask(envelope(asking(raw_name_id(f"&x;{PERSON}"))), client=sp_keys()), NotSoap, "not well-formed")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\x00",
        b"<",
        b"\xff\xfe",
        gzip.compress(envelope(attribute_query())),
        envelope(attribute_query())[:-1],
        envelope(attribute_query()) * 2,
        envelope(attribute_query()).replace(b"josiah", b"josi\xe4h"),
        envelope(attribute_query()).replace(b"josiah", b"josiah&#0;"),
        envelope(attribute_query()).replace(b"josiah", b"josiah\x1f"),
        b'{"AttributeQuery": "josiah@uni.example"}',
    ],
)
def test_what_is_no_xml(body: bytes) -> None:
    """Bytes that are no XML document, or more than one, are refused."""
    assert_refused(lab().ask(body, client=sp_keys()), NotSoap, "")


def filled(before: str, unit: str, after: str, size: int = 262_144) -> bytes:
    """Write as many units as fit into the largest body that is accepted by default."""
    return (before + unit * ((size - len(before) - len(after)) // len(unit)) + after).encode()


def test_long_namespace_that_every_element_repeats() -> None:
    """A namespace of half the message cannot become half the message for each of its elements: that would be gigabytes."""
    before = f'<S:Envelope xmlns:S="{ns.SOAP11}" xmlns:a="{"u" * 131_072}">'

    assert_refused(lab().ask(filled(before, "<a:b/>", "</S:Envelope>")), NotSoap, "more markup")


def test_long_namespace_on_few_elements() -> None:
    """Nor can it for fewer elements."""
    body = f'<S:Envelope xmlns:S="{ns.SOAP11}" xmlns:a="{"u" * 1025}"><a:b/></S:Envelope>'

    assert_refused(lab().ask(body.encode()), NotSoap, "more markup")


@pytest.mark.parametrize("unit", ["<a/>", "<!---->", "<?a?>", "<a ID='x'/>", "x<a/>"])
def test_more_markup_than_any_query_has(unit: str) -> None:
    """Elements, comments and instructions are counted before anything goes through them."""
    before, after = f'<S:Envelope xmlns:S="{ns.SOAP11}"><S:Body>', "</S:Body></S:Envelope>"

    assert_refused(lab().ask(filled(before, unit, after)), NotSoap, "more markup")


def test_more_attributes_than_any_query_has() -> None:
    """So are attributes: canonicalisation sorts them in quadratic time, before the signature is looked at."""
    many = "".join(f' a{number}=""' for number in range(20_000))
    extensions = f"<samlp:Extensions><b{many}/></samlp:Extensions>"
    query = signed(attribute_query(), sp_keys()).replace("</ds:Signature>", f"</ds:Signature>{extensions}")

    assert_refused(lab().ask(envelope(query)), NotSoap, "more markup")


def test_namespaces_that_inclusive_canonicalisation_multiplies() -> None:
    """So are namespace declarations: inclusive canonicalisation takes their square for every element, for minutes."""
    declarations = "".join(f' xmlns:a{number}="urn:{number}"' for number in range(1000))
    query = signed(attribute_query(), sp_keys(), transforms=(ns.ENVELOPED,))
    query = query.replace("<samlp:AttributeQuery", f"<samlp:AttributeQuery{declarations}", 1)

    assert_refused(lab().ask(envelope(query)), NotSoap, "namespace declarations")


def test_large_query_of_an_honest_requester() -> None:
    """A query for a hundred attributes, each of which declares its prefix anew as Shibboleth does, is answered."""
    other = f'<saml:Attribute xmlns:saml="{ns.SAML}" NameFormat="{ns.NAME_FORMAT_URI}" Name="urn:oid:'
    others = [f'{other}{number}"/>' for number in range(100)]
    query = attribute_query(issuer(), subject(name_id()), designator(), *others)

    assert_released(lab().ask(envelope(signed(query, sp_keys()))))
