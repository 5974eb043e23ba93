"""Random messages: whatever arrives, an envelope goes out, and an iD only to somebody who proved who it is."""

from itertools import count
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from attribute_authority.saml import namespaces as ns
from attribute_authority.web.query_door import Delivery
from tests.attacks.refusals import assert_no_orcid
from tests.factories.doors import Told, encryption_keys, lab, sp_keys, whole
from tests.factories.queries import asking, attribute_query, designator, encrypted_id, envelope, name_id, signed

CAPTURES = Path(__file__).parents[1] / "golden" / "captures"
SEEDS = (
    envelope(attribute_query()),
    envelope(signed(attribute_query(), sp_keys())),
    envelope(signed(asking(encrypted_id(name_id(), encryption_keys()), designator(ns.EDU_PERSON_ORCID, "x")), sp_keys())),
    *(file.read_bytes().partition(b"\n\n")[2] for file in sorted(CAPTURES.glob("*.http"))),
)
TOKENS = (
    b"<!---->", b"<?x?>", b"<![CDATA[", b"]]>", b"<!DOCTYPE x>",
    b"&lt;", b"&#0;", b"&x;", b"\x00", b"\xff", b"<x/>", b"</x>", b"ID=\"_query\"",
    b"xmlns=''", b"xml:id=\"a\"", b"xsi:nil='1'", b"<ds:Object/>", b"\xef\xbb\xbf", b"2.0", b"\r\n", b"]", b"\"", b"<", b">", b"=",
    b"#", b"http://www.w3.org/2000/09/xmldsig#rsa-sha1", b"urn:oasis:names:tc:SAML:2.0:assertion", "\U0001f600\u2028\ufffd".encode(),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Cut, double, splice and overwrite parts of a real message."""
    body = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 200)))
        other = draw(st.sampled_from(SEEDS))
        begin = draw(st.integers(0, len(other)))
        piece = draw(
            st.one_of(st.sampled_from(TOKENS), st.binary(max_size=20), st.just(body[start:end] * 2), st.just(other[begin : begin + 300]))
        )
        body = body[:start] + piece + body[end:]
    return body


def assert_well_formed(body: bytes) -> Told:
    """Ask without any proof but what the message may hold; the answer is one envelope with one known element."""
    door = lab(decryption_keys=(encryption_keys(),), accept_sha1=True)
    reply = whole(door.door.begin(Delivery(body, "text/xml", None)))
    told = Told(reply, door.events()[-1])

    assert told.entry.tag in {f"{{{ns.SAMLP}}}Response", f"{{{ns.SOAP11}}}Fault"}
    assert reply.status == (500 if told.entry.tag == f"{{{ns.SOAP11}}}Fault" else 200)
    if told.event.get("signature_algorithm") is None:
        assert_no_orcid(told.text)
    return told


@given(mutated())
def test_fuzz_mutated_messages(body: bytes) -> None:
    """A message that was cut, doubled, spliced or overwritten never raises, and never yields an iD without a valid signature."""
    assert_well_formed(body)


@given(st.binary(max_size=300))
def test_fuzz_random_octets(body: bytes) -> None:
    """Random octets are answered with a fault."""
    assert assert_well_formed(body).event["failure"] == "NotSoap"


@given(st.recursive(st.text(max_size=20), lambda inner: st.lists(inner, max_size=4)), st.data())
def test_fuzz_random_trees(content: object, data: st.DataObject) -> None:
    """Well-formed trees of known names in any arrangement never raise; over the requester's TLS connection they may be answered."""
    message = _tree(content, data)
    door = lab(decryption_keys=(encryption_keys(),))
    told = door.ask(envelope(message), client=sp_keys() if data.draw(st.booleans()) else None)

    assert told.entry.tag in {f"{{{ns.SAMLP}}}Response", f"{{{ns.SOAP11}}}Fault"}
    assert_no_orcid(told.text)


@given(st.binary(max_size=200), st.integers(0, 4))
def test_fuzz_plaintext_under_encryption(plaintext: bytes, wrapped: int) -> None:
    """Whatever was encrypted to us, opening it never raises."""
    text = plaintext.decode("latin-1")
    content = (text, f"<x>{text}</x>", name_id(text.translate(_LEGAL)), name_id("x").replace(">x<", f">{text}<"), text * 2)[wrapped]
    door = lab(decryption_keys=(encryption_keys(),))
    told = door.ask(envelope(asking(encrypted_id(content or " ", encryption_keys()))), client=sp_keys())

    assert told.entry.tag == f"{{{ns.SAMLP}}}Response"
    assert_no_orcid(told.text)


_LEGAL = dict.fromkeys(range(32))
_NAMES = tuple(
    f"{{{uri}}}{name}"
    for uri, names in {
        ns.SAMLP: ("AttributeQuery", "Extensions"),
        ns.SAML: ("Issuer", "Subject", "NameID", "EncryptedID", "BaseID", "Attribute", "AttributeValue", "SubjectConfirmation"),
        ns.DS: ("Signature", "SignedInfo", "Reference", "KeyInfo", "Object"),
        ns.XENC: ("EncryptedData", "EncryptedKey", "EncryptionMethod", "CipherData", "CipherValue"),
    }.items()
    for name in names
)
_ATTRIBUTES = (
    "ID",
    "Version",
    "IssueInstant",
    "Destination",
    "Format",
    "Name",
    "NameFormat",
    "Algorithm",
    "URI",
    "SPNameQualifier",
    "Method",
)
_ATTRIBUTE_VALUES = ("_a", "2.0", "2026-03-01T12:00:00Z", "", "#_a", ns.RSA_SHA256, ns.AES128_GCM, ns.EPPN_OID_URN, "0", " ")
_numbers = count()


def _tree(content: object, data: st.DataObject) -> str:
    root = etree.Element(_NAMES[0], {"ID": f"_{next(_numbers)}", "Version": "2.0", "IssueInstant": "2026-03-01T12:00:00Z"})
    _fill(root, content, data)
    return etree.tostring(root, encoding="unicode")


def _fill(parent: etree._Element, content: object, data: st.DataObject) -> None:
    if isinstance(content, list):
        for part in content:
            names = data.draw(st.dictionaries(st.sampled_from(_ATTRIBUTES), st.sampled_from(_ATTRIBUTE_VALUES), max_size=3))
            _fill(etree.SubElement(parent, data.draw(st.sampled_from(_NAMES)), names), part, data)
    else:
        parent.text = "".join(character for character in str(content) if character.isprintable())
