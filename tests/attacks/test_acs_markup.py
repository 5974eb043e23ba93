"""Responses whose markup is made to be read in two ways, or not to be read at all."""

import gzip
import random
import zlib
from base64 import b64encode

import pytest
from lxml import etree

from attribute_authority.errors import AuthorityError, SignInFailed
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.response_shape import MAX_ENCODED_LENGTH
from tests.factories.queries import signed
from tests.factories.responses import (
    NOW,
    OPAQUE,
    PERSON,
    REQUEST,
    SP,
    accept,
    assertion,
    attribute,
    audience,
    begun,
    conditions,
    confirmation,
    encoded,
    encrypted,
    eppn,
    good_response,
    idp_keys,
    raw_attribute,
    response,
    sign_in,
    subject,
)

SPLIT = ["<!---->", "<!-- x -->", "<?x?>"]


@pytest.mark.parametrize("split", SPLIT)
@pytest.mark.parametrize(
    "text",
    [OPAQUE, PERSON, f">{SP}<", "https://idp.uni.example/idp<", ns.NAMEID_PERSISTENT],
    ids=["NameID", "value", "Audience", "Issuer", "none"],
)
def test_comment_in_a_text(text: str, split: str) -> None:
    """Text that comments or processing instructions cut in two is refused, whoever signed it and wherever they were put in."""
    half = len(text) // 2
    document = good_response()
    if text == ns.NAMEID_PERSISTENT:
        changed = document.replace("<saml:AttributeStatement>", f"<saml:AttributeStatement>{split}", 1)
    else:
        changed = document.replace(text, text[:half] + split + text[half:], 1)

    assert changed != document
    with pytest.raises(SignInFailed, match="comments or processing instructions"):
        accept(changed)


@pytest.mark.parametrize("split", SPLIT)
def test_comment_that_the_identity_provider_signed(split: str) -> None:
    """A person whose name holds a comment is not taken for another one, though the Signature covers or ignores it."""
    about = raw_attribute(ns.EPPN_OID_URN, f"rector@uni.example{split}.attacker.example")

    with pytest.raises(SignInFailed, match="comments or processing instructions"):
        accept(signed(response(assertion(about)), idp_keys()))
    with pytest.raises(SignInFailed, match="comments or processing instructions"):
        accept(signed(response(assertion(holds=conditions(audience(f"{SP}{split}.attacker.example")))), idp_keys()))
    name_id = f'<saml:NameID Format="{ns.NAMEID_PERSISTENT}">vic{split}tim</saml:NameID>'
    with pytest.raises(SignInFailed, match="comments or processing instructions"):
        accept(signed(response(assertion(about=subject(name_id, confirmation()))), idp_keys()))


@pytest.mark.parametrize("split", SPLIT)
def test_comment_inside_of_what_is_encrypted(split: str) -> None:
    """What was encrypted is read as strictly."""
    about = raw_attribute(ns.EPPN_OID_URN, f"rector@uni.example{split}.attacker.example")

    with pytest.raises(SignInFailed, match="comments or processing instructions"):
        accept(signed(response(encrypted(assertion(about))), idp_keys()))


@pytest.mark.parametrize("place", ["before", "behind"])
def test_comment_outside_of_the_root(place: str) -> None:
    """Not even outside of the Response is there anything else."""
    document = good_response()

    with pytest.raises(SignInFailed, match="comments or processing instructions"):
        accept(f"<!-- x -->{document}" if place == "before" else f"{document}<!-- x -->")


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE x>",
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        "<!DOCTYPE x [<!ATTLIST saml:Assertion ID ID #IMPLIED>]>",
    ],
)
def test_document_type(doctype: str) -> None:
    """A document type declaration is refused, in what is sent and in what is encrypted."""
    with pytest.raises(SignInFailed, match="document type"):
        accept(doctype + good_response())
    with pytest.raises(SignInFailed, match="cannot be read"):
        accept(signed(response(encrypted(doctype + assertion())), idp_keys()))


def test_element_in_a_value() -> None:
    """A value that holds elements is no identifier: half of its text is nobody's name."""
    about = raw_attribute(ns.EPPN_OID_URN, "rector@uni.example<x/>.attacker.example")
    kinds = {identifier.kind for identifier in accept(signed(response(assertion(about)), idp_keys())).signed_in.identifiers}

    assert {"persistent"} == kinds


@pytest.mark.parametrize("tag", ["saml:Audience", "saml:Issuer"])
def test_element_in_a_text_that_decides(tag: str) -> None:
    """An Audience or Issuer that holds elements is refused."""
    document = response(assertion().replace(f"</{tag}>", f"<x/></{tag}>", 1))

    with pytest.raises(SignInFailed, match="must hold text alone"):
        accept(signed(document, idp_keys()))


@pytest.mark.parametrize(
    "value",
    ["", "%", "PHNhbWxwOlJlc3BvbnNl", "<samlp:Response/>", "ä", "AA=A", "é" * 10, "\0", "=" * 10, "\ud800"],
)
def test_not_a_message(value: str) -> None:
    """What is not base64 of a document is refused."""
    with pytest.raises(SignInFailed):
        sign_in().accept(value, begun(), NOW)


@pytest.mark.parametrize(
    "compressed", [zlib.compress, gzip.compress, lambda octets: zlib.compress(octets)[2:-4]], ids=["zlib", "gzip", "deflate"]
)
def test_compressed(compressed: object) -> None:
    """A message by POST is not compressed, and none is unpacked (bindings 3.5.4)."""
    assert callable(compressed)
    packed = compressed(good_response().encode())

    with pytest.raises(SignInFailed):
        sign_in().accept(b64encode(packed).decode(), begun(), NOW)


def test_base64_in_lines() -> None:
    """Base64 may come in lines."""
    text = encoded(good_response())
    lines = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))

    assert REQUEST == sign_in().in_response_to(lines)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-7", "iso-8859-1", "cp037"])
def test_other_encodings(encoding: str) -> None:
    """Only UTF-8 is read."""
    document = f'<?xml version="1.0" encoding="{encoding}"?>{good_response()}'

    with pytest.raises(SignInFailed):
        accept(document.encode(encoding))


def test_huge() -> None:
    """A message beyond the bound is refused by its length."""
    with pytest.raises(SignInFailed, match="characters, at most"):
        sign_in().accept("A" * (MAX_ENCODED_LENGTH + 1), begun(), NOW)


@pytest.mark.parametrize(
    "extension",
    [
        "<x>" * 300 + "</x>" * 300,
        "<x/>" * 5000,
        "<x " + " ".join(f"a{number}=''" for number in range(5000)) + "/>",
        '<x xmlns="urn:x"/>' * 1100,
    ],
    ids=["deep", "wide", "attributes", "declarations"],
)
def test_more_markup_than_any_response_has(extension: str) -> None:
    """Depth, nodes, attributes and namespaces are bounded before any key is used."""
    document = response(assertion(), "").replace("<samlp:Status>", f"<samlp:Extensions>{extension}</samlp:Extensions><samlp:Status>", 1)

    with pytest.raises(SignInFailed, match=r"well-formed|more markup|more than"):
        accept(document)


def test_large_but_honest_response() -> None:
    """A person with very many attributes can sign in."""
    many = [attribute(f"urn:oid:1.3.6.1.4.1.99999.{number}", "value " * 20) for number in range(150)]

    assert accept(signed(response(signed(assertion(eppn(), *many), idp_keys())), idp_keys())).assertion_id == "_assertion"


@pytest.mark.parametrize(
    "extra",
    [
        "<saml:Advice><x/></saml:Advice>",
        "<saml:Statement/>",
        "<saml:AttributeStatement><saml:EncryptedAttribute/></saml:AttributeStatement><saml:Conditions/>",
        "text",
    ],
)
def test_what_the_order_of_the_schema_has_no_place_for(extra: str) -> None:
    """Elements in places where they are not expected are refused rather than passed over."""
    with pytest.raises(SignInFailed):
        accept(signed(response(assertion(extra=extra)), idp_keys()))


def test_random_changes() -> None:
    """Whatever is done to a signed Response, it signs in the person that it was made for or nobody."""
    chance = random.Random(4)
    honest = accept(good_response())
    document = good_response().encode()
    for _ in range(150):
        changed = bytearray(document)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(changed))
            changed[place : place + chance.randint(0, 2)] = bytes(chance.choices(b"<>&'\"= /azAZ09:#-!?\x00\xff", k=chance.randint(0, 2)))
        try:
            told = accept(bytes(changed))
        except AuthorityError:
            continue

        assert honest == told


def test_random_moves() -> None:
    """Whatever elements of a signed Response are copied, moved or removed, it signs in the person that it was made for or nobody."""
    chance = random.Random(5)
    document = signed(response(signed(assertion(), idp_keys())), idp_keys())
    honest = accept(document)
    for _ in range(150):
        root = etree.fromstring(document)
        nodes = list(root.iter())[1:]
        moved, place = chance.choice(nodes), chance.choice(nodes)
        if place in list(moved.iter()):
            continue
        place.insert(chance.randint(0, len(place)), moved)
        try:
            told = accept(etree.tostring(root))
        except AuthorityError:
            continue

        assert honest == told
