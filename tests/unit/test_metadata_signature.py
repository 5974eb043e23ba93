"""The signature over metadata: only the pinned key, only over the root that is read, only in the expected shape."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_reader import read_metadata
from tests.factories import metadata as make

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UNTIL = "2026-12-01T00:00:00Z"
SP = "https://sp.example.org/shibboleth"
EVIL = "https://evil.example.org/sp"
SIGNATURE = f"{{{ns.DS}}}Signature"
FEDERATION = "federation"
WITHOUT_SIGNATURE = "0 ds:Signature"
NOT_BY_THE_KEY = "not of the configured signing certificate"


def document(*entity_ids: str, xml_id: str | None = "_root") -> str:
    """Write an aggregate of entities with these names."""
    return make.aggregate(*(make.entity(entity_id, make.service_provider()) for entity_id in entity_ids), valid_until=UNTIL, xml_id=xml_id)


def read_names(signed: bytes, pair: make.KeyPair | None = None) -> list[str]:
    """Read a signed document as the federation's and return the entityIDs."""
    certificate = (pair or make.rsa_pair(FEDERATION)).certificate_pem
    warnings: list[str] = []
    names = [str(entity.entity_id) for entity in read_metadata(signed, certificate, NOW, warnings.append).entities()]

    assert [] == warnings
    return names


def tampered(change: Callable[[etree._Element], etree._Element]) -> bytes:
    """Sign a document properly, let `change` make something else of the tree, and write that."""
    signed = make.sign(document(SP), make.rsa_pair(FEDERATION))
    return etree.tostring(change(etree.fromstring(signed)))


@pytest.mark.parametrize(
    ("kind", "signature_method", "digest_method"),
    [
        ("rsa", ns.RSA_SHA256, ns.SHA256),
        ("rsa", ns.RSA_SHA512, ns.SHA384),
        ("rsa", ns.RSA_SHA384, ns.SHA512),
        ("ec", ns.ECDSA_SHA256, ns.SHA256),
        ("ec", ns.ECDSA_SHA384, ns.SHA512),
    ],
)
def test_document_signed_by_the_pinned_key_is_read(kind: str, signature_method: str, digest_method: str) -> None:
    """RSA and ECDSA signatures of the SHA-2 family are accepted."""
    pair = make.rsa_pair(FEDERATION) if kind == "rsa" else make.ec_pair(FEDERATION)
    signed = make.sign(document(SP), pair, signature_method=signature_method, digest_method=digest_method)

    assert [SP] == read_names(signed, pair)


def test_expired_signing_certificate_still_pins_its_key() -> None:
    """The expiry of the pinned certificate is not evaluated."""
    pair = make.certify(make.rsa_pair(FEDERATION).key, "old", not_after=datetime(2021, 1, 1, tzinfo=UTC))

    assert [SP] == read_names(make.sign(document(SP), pair), pair)


def test_single_entity_may_be_signed() -> None:
    """The signed root may be an EntityDescriptor."""
    signed = make.sign(make.entity(SP, make.service_provider(), valid_until=UNTIL, xml_id="_sp"), make.rsa_pair(FEDERATION))

    assert [SP] == read_names(signed)


def test_signed_entity_within_the_aggregate_is_no_fault() -> None:
    """An entity may carry a signature of its own maker; only that of the root counts."""
    own = make.sign(make.entity(SP, make.service_provider(), xml_id="_sp"), make.ec_pair("sp"), signature_method=ns.ECDSA_SHA256)
    aggregate = make.aggregate(own.decode().partition("?>")[2].strip(), valid_until=UNTIL)

    assert [SP] == read_names(make.sign(aggregate, make.rsa_pair(FEDERATION)))


def test_inclusive_namespaces_of_the_canonicalisation_are_accepted() -> None:
    """Signers of the OpenSAML family name inclusive prefixes, which changes nothing of what is signed."""
    source = document(SP)
    plain = make.sign(source, make.rsa_pair(FEDERATION))
    listed = f'<ec:InclusiveNamespaces xmlns:ec="{ns.EXC_C14N}" PrefixList="md"/>'
    unsigned_shape = plain.replace(
        f'<ds:Transform Algorithm="{ns.EXC_C14N}"/>'.encode(), f'<ds:Transform Algorithm="{ns.EXC_C14N}">{listed}</ds:Transform>'.encode()
    )

    assert unsigned_shape != plain
    assert [SP] == read_names(make.resign(unsigned_shape, make.rsa_pair(FEDERATION)))


def test_comments_do_not_break_the_signature() -> None:
    """A "#ID" reference leaves comments out, so that adding one is no change; the text around it is read whole."""
    signed = make.sign(document(SP), make.rsa_pair(FEDERATION)).replace(b"<md:EntityDescriptor", b"<!-- hello --><md:EntityDescriptor")

    assert [SP] == read_names(signed)


def test_signed_document_without_end_is_reported() -> None:
    """A signed document without validUntil is read with a warning: replaying an old copy would go unnoticed."""
    signed = make.sign(make.entity(SP, xml_id="_sp"), make.rsa_pair(FEDERATION))
    warnings: list[str] = []
    read_metadata(signed, make.rsa_pair(FEDERATION).certificate_pem, NOW, warnings.append)

    assert ["the signed document has no validUntil: an old copy of it would be trusted for ever"] == warnings


class TestAttacks:
    """Each way to get a foreign entity past the signature is refused, and named."""

    def test_unsigned_document(self) -> None:
        """Without a signature nothing is trusted where one is called for."""
        with pytest.raises(OperatorError, match=WITHOUT_SIGNATURE):
            read_names(document(EVIL).encode())

    def test_signature_by_another_key(self) -> None:
        """A valid signature by a key that is not pinned is refused, although its certificate stands in the KeyInfo."""
        with pytest.raises(OperatorError, match=NOT_BY_THE_KEY):
            read_names(make.sign(document(EVIL), make.rsa_pair("evil")))

    def test_signature_by_a_key_of_another_kind(self) -> None:
        """An ECDSA signature does not pass for that of the pinned RSA key."""
        with pytest.raises(OperatorError, match=NOT_BY_THE_KEY):
            read_names(make.sign(document(EVIL), make.ec_pair("evil"), signature_method=ns.ECDSA_SHA256))

    def test_changed_document(self) -> None:
        """One changed attribute breaks the signature."""
        signed = make.sign(document(SP), make.rsa_pair(FEDERATION))

        with pytest.raises(OperatorError, match=NOT_BY_THE_KEY):
            read_names(signed.replace(SP.encode(), EVIL.encode()))

    def test_entity_added_after_signing(self) -> None:
        """An entity that is slipped in breaks the signature."""

        def add(root: etree._Element) -> etree._Element:
            root.append(etree.fromstring(make.entity(EVIL)))
            return root

        with pytest.raises(OperatorError, match=NOT_BY_THE_KEY):
            read_names(tampered(add))

    def test_signed_root_wrapped_in_a_foreign_one(self) -> None:
        """The signature must be the root's own child: a signed aggregate inside a forged one does not cover it."""

        def wrap(root: etree._Element) -> etree._Element:
            outer = etree.fromstring(document(EVIL, xml_id="_evil"))
            outer.append(root)
            return outer

        with pytest.raises(OperatorError, match=WITHOUT_SIGNATURE):
            read_names(tampered(wrap))

    def test_signature_moved_to_a_forged_root(self) -> None:
        """A signature taken out of what it covers refers to an ID that is not the root's."""

        def move(root: etree._Element) -> etree._Element:
            outer = etree.fromstring(document(EVIL, xml_id="_evil"))
            outer.insert(0, root[0])
            outer.append(root)
            return outer

        with pytest.raises(OperatorError, match="expected the ID of the root element, '#_evil'"):
            read_names(tampered(move))

    @pytest.mark.parametrize("attribute", ["ID", "{http://www.w3.org/XML/1998/namespace}id"])
    def test_forged_root_with_the_same_id(self, attribute: str) -> None:
        """A forged root that repeats the ID of the signed element is refused for the repetition."""

        def move(root: etree._Element) -> etree._Element:
            outer = etree.fromstring(document(EVIL))
            outer.insert(0, root[0])
            del root.attrib["ID"]
            root.set(attribute, "_root")
            outer.append(root)
            return outer

        with pytest.raises(OperatorError, match="'_root' occurs twice"):
            read_names(tampered(move))

    def test_original_hidden_in_an_object_of_the_signature(self) -> None:
        """A ds:Object could hold the signed original beside the forged root."""

        def hide(root: etree._Element) -> etree._Element:
            outer = etree.fromstring(document(EVIL, xml_id="_evil"))
            signature = root[0]
            outer.insert(0, signature)
            etree.SubElement(signature, f"{{{ns.DS}}}Object").append(root)
            return outer

        with pytest.raises(OperatorError, match="holds a ds:Object"):
            read_names(tampered(hide))

    def test_two_signatures(self) -> None:
        """A second signature at the root is refused."""

        def double(root: etree._Element) -> etree._Element:
            root.insert(0, etree.fromstring(etree.tostring(root[0])))
            return root

        with pytest.raises(OperatorError, match="2 ds:Signature"):
            read_names(tampered(double))

    def test_two_references(self) -> None:
        """A second Reference is refused."""

        def double(root: etree._Element) -> etree._Element:
            reference = root.find(f"{SIGNATURE}/{{{ns.DS}}}SignedInfo/{{{ns.DS}}}Reference")
            assert reference is not None
            reference.addnext(etree.fromstring(etree.tostring(reference)))
            return root

        with pytest.raises(OperatorError, match="2 ds:Reference"):
            read_names(tampered(double))

    def test_reference_to_the_whole_document(self) -> None:
        """An empty Reference URI is refused: SAML signatures refer by ID (core 5.4.2)."""
        with pytest.raises(OperatorError, match="refers to ''"):
            read_names(make.sign(document(SP), make.rsa_pair(FEDERATION), reference=""))

    def test_root_without_id(self) -> None:
        """A root without an ID cannot be referred to."""
        with pytest.raises(OperatorError, match="expected the ID of the root element"):
            read_names(make.sign(document(SP, xml_id=None), make.rsa_pair(FEDERATION), reference=""))

    def test_reference_to_another_element(self) -> None:
        """A signature that covers only an inner element is refused."""
        inner = make.entity(SP, xml_id="_sp")
        signed = make.sign(make.aggregate(inner, valid_until=UNTIL), make.rsa_pair(FEDERATION), reference="#_sp", registered="_sp")

        with pytest.raises(OperatorError, match="refers to '#_sp'"):
            read_names(signed)

    @pytest.mark.parametrize(
        ("signature_method", "digest_method"),
        [(ns.RSA_SHA1, ns.SHA256), (ns.RSA_SHA256, ns.SHA1)],
        ids=["signature", "digest"],
    )
    def test_sha1(self, signature_method: str, digest_method: str) -> None:
        """A SHA-1 signature or digest of the right key is refused."""
        signed = make.sign(document(SP), make.rsa_pair(FEDERATION), signature_method=signature_method, digest_method=digest_method)

        with pytest.raises(OperatorError, match="sha1"):
            read_names(signed)

    def test_hmac_keyed_with_the_public_certificate(self) -> None:
        """A method that takes the public key for a shared secret is not on the list."""
        signed = make.sign(document(SP), make.rsa_pair(FEDERATION))
        hmac = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"

        with pytest.raises(OperatorError, match="hmac-sha256"):
            read_names(signed.replace(ns.RSA_SHA256.encode(), hmac.encode()))

    @pytest.mark.parametrize(
        "transforms",
        [
            (ns.EXC_C14N,),
            (ns.ENVELOPED, "http://www.w3.org/TR/1999/REC-xpath-19991116"),
            (ns.ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116"),
            (ns.ENVELOPED, ns.EXC_C14N, ns.EXC_C14N),
            (),
        ],
        ids=["not enveloped", "xpath", "xslt", "three", "none"],
    )
    def test_transform_confusion(self, transforms: tuple[str, ...]) -> None:
        """Only enveloped-signature followed by exclusive canonicalisation is accepted."""
        signed = make.sign(document(SP), make.rsa_pair(FEDERATION))
        steps = "".join(f'<ds:Transform Algorithm="{transform}"/>' for transform in transforms).encode()
        start, end = signed.index(b"<ds:Transforms>") + len(b"<ds:Transforms>"), signed.index(b"</ds:Transforms>")

        with pytest.raises(OperatorError, match="has the transforms"):
            read_names(signed[:start] + steps + signed[end:])

    def test_parameters_of_a_transform(self) -> None:
        """A transform that carries anything but InclusiveNamespaces is refused."""
        signed = make.sign(document(SP), make.rsa_pair(FEDERATION))
        plain = f'<ds:Transform Algorithm="{ns.ENVELOPED}"/>'.encode()

        with pytest.raises(OperatorError, match="has parameters"):
            read_names(signed.replace(plain, plain[:-2] + b"><ds:XPath>1</ds:XPath></ds:Transform>"))

    def test_parameters_of_the_signature_method(self) -> None:
        """A SignatureMethod with parameters, such as a truncated length, is refused."""
        signed = make.sign(document(SP), make.rsa_pair(FEDERATION))
        plain = f'<ds:SignatureMethod Algorithm="{ns.RSA_SHA256}"/>'.encode()

        with pytest.raises(OperatorError, match="has parameters"):
            read_names(signed.replace(plain, plain[:-2] + b"><ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>"))

    def test_inclusive_canonicalisation_of_the_signed_info(self) -> None:
        """SignedInfo is canonicalised exclusively or not at all."""
        signed = make.sign(document(SP), make.rsa_pair(FEDERATION))
        inclusive = b'CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"'

        with pytest.raises(OperatorError, match="REC-xml-c14n-20010315"):
            read_names(signed.replace(f'CanonicalizationMethod Algorithm="{ns.EXC_C14N}"'.encode(), inclusive))

    def test_expired_document_with_a_good_signature(self) -> None:
        """An old copy is refused, however well it is signed."""
        expired = make.aggregate(make.entity(SP), valid_until="2026-11-20T00:00:00Z")

        with pytest.raises(OperatorError, match="expired at 2026-11-20T00:00:00Z"):
            read_names(make.sign(expired, make.rsa_pair(FEDERATION)))


class TestPinnedCertificate:
    """What the operator may give as signing certificate."""

    def test_two_certificates_are_refused(self) -> None:
        """A file with several certificates does not say which one is meant."""
        both = make.rsa_pair(FEDERATION).certificate_pem + make.ec_pair("other").certificate_pem

        with pytest.raises(OperatorError, match="holds 2 certificates: expected one"):
            read_metadata(make.sign(document(SP), make.rsa_pair(FEDERATION)), both, NOW, lambda _: None)

    @pytest.mark.parametrize("kind", ["empty", "DER", "broken"])
    def test_what_is_not_a_pem_certificate_is_refused(self, kind: str) -> None:
        """The fault says that a PEM certificate was expected."""
        pair = make.rsa_pair(FEDERATION)
        broken = b"-----BEGIN CERTIFICATE-----\n" + b64encode(b"nothing") + b"\n-----END CERTIFICATE-----\n"
        given = {"empty": b"", "DER": pair.certificate.public_bytes(Encoding.DER), "broken": broken}[kind]

        with pytest.raises(OperatorError, match="expected one certificate in PEM"):
            read_metadata(make.sign(document(SP), pair), given, NOW, lambda _: None)

    def test_weak_key_is_refused(self) -> None:
        """A short key is no ground for trust."""
        pair = make.rsa_pair("weak", 1024)

        with pytest.raises(OperatorError, match="1024 bits is too short"):
            read_names(make.sign(document(SP), pair), pair)
