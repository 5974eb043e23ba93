"""Signatures by algorithms, transforms and keys that an attacker would like better."""

from base64 import b64decode, b64encode

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attribute_authority.errors import Denied
from attribute_authority.saml import namespaces as ns
from tests.attacks.refusals import assert_refused, assert_released
from tests.factories.doors import OTHER_SP, Told, lab, service_provider, sp_keys
from tests.factories.metadata import KeyPair, ec_pair, rsa_pair
from tests.factories.queries import (
    SP,
    attribute_query,
    computed,
    designator,
    envelope,
    issuer,
    name_id,
    signature_template,
    signed,
    subject,
)

XPATH = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::saml:Subject)</ds:XPath></ds:Transform>'
XPATH_FILTER = (
    '<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"><f:XPath xmlns:f="http://www.w3.org/2002/06/xmldsig-filter2"'
    ' Filter="subtract">//saml:Subject</f:XPath></ds:Transform>'
)
XSLT = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet version="1.0"'
    ' xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/">x</xsl:template></xsl:stylesheet></ds:Transform>'
)
INCLUSIVE_NAMESPACES = '<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="xs"/>'
WITH_INCLUSIVE_NAMESPACES = f'<ds:Transform Algorithm="{ns.EXC_C14N}">{INCLUSIVE_NAMESPACES}</ds:Transform>'
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
HMAC_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"


def ask(message: str) -> Told:
    """Send a message over a connection that authenticates nobody."""
    return lab().ask(envelope(message))


def with_template(template: str) -> str:
    """Write an ordinary query with this Signature."""
    return attribute_query(issuer(), template, subject(name_id()), designator())


@pytest.mark.parametrize("method", [ns.RSA_SHA256, ns.RSA_SHA384, ns.RSA_SHA512])
@pytest.mark.parametrize("digest", [ns.SHA256, ns.SHA384, ns.SHA512])
def test_accepted_algorithms(method: str, digest: str) -> None:
    """SHA-2 of every length is accepted, for the signature as for the digest."""
    assert_released(ask(signed(attribute_query(), sp_keys(), signature_method=method, digest_method=digest)))


@pytest.mark.parametrize("method", [ns.ECDSA_SHA256, ns.ECDSA_SHA384, ns.ECDSA_SHA512])
def test_accepted_algorithms_of_elliptic_curves(method: str) -> None:
    """So is ECDSA with a key of the metadata, the second of two as well as the first."""
    entities = (service_provider(SP, rsa_pair("sp"), ec_pair("sp")),)

    assert_released(lab(entities=entities).ask(envelope(signed(attribute_query(), ec_pair("sp"), signature_method=method))))


@pytest.mark.parametrize("transforms", [(ns.ENVELOPED, ns.EXC_C14N), (ns.ENVELOPED, ns.EXC_C14N_WITH_COMMENTS)])
def test_accepted_transforms(transforms: tuple[str, ...]) -> None:
    """The enveloped-signature transform, and exclusive canonicalisation behind it, are what SAML knows (core 5.4.4)."""
    assert_released(ask(signed(attribute_query(), sp_keys(), transforms=transforms)))


def test_sha1_signature() -> None:
    """A signature with SHA-1 is refused, unless the operator accepts it."""
    message = envelope(signed(attribute_query(), sp_keys(), signature_method=ns.RSA_SHA1))

    assert_refused(lab().ask(message), Denied, "SignatureMethod http://www.w3.org/2000/09/xmldsig#rsa-sha1 is not accepted")
    assert_released(lab(accept_sha1=True).ask(message))


def test_sha1_digest() -> None:
    """A digest with SHA-1 is refused under a signature with SHA-256 too, unless the operator accepts it."""
    message = envelope(signed(attribute_query(), sp_keys(), digest_method=ns.SHA1))

    assert_refused(lab().ask(message), Denied, "DigestMethod http://www.w3.org/2000/09/xmldsig#sha1 is not accepted")
    assert_released(lab(accept_sha1=True).ask(message))


@pytest.mark.parametrize(
    "method",
    ["none", "", "urn:example:unknown", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5", ns.ECDSA_SHA1, HMAC_SHA256, "RSA-SHA256"],
)
def test_unknown_signature_algorithm(method: str) -> None:
    """An algorithm that is not on the list is refused by name, `none` before all, even where SHA-1 is accepted."""
    message = envelope(signed(attribute_query(), sp_keys()).replace(ns.RSA_SHA256, method))

    for door in (lab(), lab(accept_sha1=True)):
        assert_refused(door.ask(message), Denied, f"SignatureMethod {method} is not accepted")


@pytest.mark.parametrize("digest", ["http://www.w3.org/2001/04/xmldsig-more#md5", "", "urn:example:unknown"])
def test_unknown_digest_algorithm(digest: str) -> None:
    """So is a digest that is not on the list."""
    message = signed(attribute_query(), sp_keys()).replace(f'DigestMethod Algorithm="{ns.SHA256}"', f'DigestMethod Algorithm="{digest}"')

    assert_refused(ask(message), Denied, "DigestMethod")


@pytest.mark.parametrize("secret", ["pem", "subject public key", "certificate", "certificate base64", "empty"])
@pytest.mark.parametrize("method", [HMAC_SHA256, "http://www.w3.org/2000/09/xmldsig#hmac-sha1"])
def test_hmac_confusion(secret: str, method: str) -> None:
    """A public key, which everybody knows, does not serve as the secret of an HMAC."""
    public, certificate = sp_keys().key.public_key(), sp_keys().certificate
    secrets = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "subject public key": sp_keys().public_key,
        "certificate": certificate.public_bytes(Encoding.DER),
        "certificate base64": sp_keys().certificate_base64.encode(),
        "empty": b"\x00",
    }
    key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, secrets[secret])
    message = computed(with_template(signature_template("#_query", signature_method=method)), key)

    assert_refused(ask(message), Denied, f"SignatureMethod {method} is not accepted")


@pytest.mark.parametrize("method", [HMAC_SHA256, ns.RSA_SHA256])
def test_hmac_output_length(method: str) -> None:
    """A truncation of the HMAC to a few bits is refused, as any parameter of an algorithm is."""
    message = signed(attribute_query(), sp_keys()).replace(
        f'<ds:SignatureMethod Algorithm="{ns.RSA_SHA256}"/>',
        f'<ds:SignatureMethod Algorithm="{method}"><ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>',
    )

    assert_refused(ask(message), Denied, "SignatureMethod")


@pytest.mark.parametrize(
    "transforms",
    [
        (ns.ENVELOPED, WITH_INCLUSIVE_NAMESPACES),
        (ns.ENVELOPED, XPATH),
        (ns.ENVELOPED, XPATH_FILTER),
        (ns.ENVELOPED, XSLT),
        (ns.ENVELOPED, "http://www.w3.org/2000/09/xmldsig#base64"),
        (ns.ENVELOPED, C14N),
        (ns.ENVELOPED, ns.EXC_C14N, ns.EXC_C14N),
        (ns.ENVELOPED, ns.EXC_C14N, XPATH),
        (ns.EXC_C14N, ns.ENVELOPED),
        (ns.EXC_C14N,),
        (XPATH,),
        (ns.ENVELOPED, ns.ENVELOPED),
    ],
)
def test_transform_that_could_leave_something_out(transforms: tuple[str, ...]) -> None:
    """Nothing but enveloped-signature and exclusive canonicalisation may stand between what is signed and what is read."""
    message = with_template(signature_template("#_query", transforms=transforms))

    assert_refused(ask(message), Denied, "ransforms")


def test_no_transforms() -> None:
    """Without transforms the signature would have to cover itself."""
    assert_refused(ask(with_template(signature_template("#_query", transforms=()))), Denied, "Reference holds")


def test_canonicalisation_with_inclusive_namespaces() -> None:
    """SignedInfo is canonicalised exclusively and without parameters."""
    plain = f'<ds:CanonicalizationMethod Algorithm="{ns.EXC_C14N}"/>'
    parametrised = f'<ds:CanonicalizationMethod Algorithm="{ns.EXC_C14N}">{INCLUSIVE_NAMESPACES}</ds:CanonicalizationMethod>'
    message = signed(attribute_query(), sp_keys())

    assert plain in message
    assert_refused(ask(message.replace(plain, parametrised)), Denied, "CanonicalizationMethod carries parameters")
    assert_refused(ask(message.replace(plain, plain.replace(ns.EXC_C14N, C14N))), Denied, "CanonicalizationMethod")


def test_two_references() -> None:
    """One Reference signs one query; a second might be the one that was computed."""
    message = signed(attribute_query(), sp_keys())
    reference = message[message.index("<ds:Reference") : message.index("</ds:SignedInfo>")]

    assert_refused(ask(message.replace(reference, reference * 2)), Denied, "SignedInfo holds")


def test_no_reference() -> None:
    """A SignedInfo without Reference signs nothing."""
    message = signed(attribute_query(), sp_keys())
    reference = message[message.index("<ds:Reference") : message.index("</ds:SignedInfo>")]

    assert_refused(ask(message.replace(reference, "")), Denied, "SignedInfo holds")


@pytest.mark.parametrize("certificate", ["attacker", "genuine"])
def test_key_info_with_attacker_certificate(certificate: str) -> None:
    """What KeyInfo says is never looked at: keys come from the metadata of the issuer."""
    attacker = rsa_pair("attacker")
    message = signed(attribute_query(), attacker)
    if certificate == "genuine":
        message = message.replace(attacker.certificate_base64, sp_keys().certificate_base64)

    assert_refused(ask(message), Denied, "verifies with none of the 1 keys")


def test_key_info_of_another() -> None:
    """Nor does a KeyInfo that names somebody else spoil a signature that is right."""
    message = signed(attribute_query(), sp_keys()).replace(sp_keys().certificate_base64, rsa_pair("attacker").certificate_base64)

    assert_released(ask(message))


def test_key_value_of_the_attacker() -> None:
    """A bare key in KeyInfo is no better than a certificate."""
    attacker = rsa_pair("attacker")
    message = signed(attribute_query(), attacker)
    data = message[message.index("<ds:X509Data>") : message.index("</ds:KeyInfo>")]

    assert_refused(ask(message.replace(data, _key_value(attacker))), Denied, "verifies with none")


def test_stripped_signature() -> None:
    """Without its signature a query proves nothing."""
    assert_refused(ask(attribute_query()), Denied, "the query is not signed, and the TLS client key is absent")


@pytest.mark.parametrize(
    "pair", [rsa_pair("other"), rsa_pair("idp"), rsa_pair("stranger"), ec_pair("stranger")], ids=["other", "idp", "none", "ec"]
)
def test_key_of_somebody_else(pair: KeyPair) -> None:
    """A key that the metadata gives to another entity, or to nobody, does not sign for this one."""
    method = ns.RSA_SHA256 if pair.certificate.public_key().__class__.__name__.startswith("RSA") else ns.ECDSA_SHA256

    assert_refused(ask(signed(attribute_query(), pair, signature_method=method)), Denied, "verifies with none")


def test_other_issuer() -> None:
    """A query that names another requester than the one that signed it is not of that requester."""
    message = attribute_query(issuer(OTHER_SP), subject(name_id()), designator())

    assert_refused(ask(signed(message, sp_keys())), Denied, "verifies with none")


def test_invalid_signature_is_not_outweighed_by_tls() -> None:
    """A signature that does not verify is refused even over a connection with the requester's key."""
    told = lab().ask(envelope(signed(attribute_query(), rsa_pair("attacker"))), client=sp_keys())

    assert_refused(told, Denied, "verifies with none")


@pytest.mark.parametrize("spoil", ["flipped bit", "truncated", "empty", "zeros", "not base64", "other base64"])
def test_spoilt_signature_value(spoil: str) -> None:
    """Any other signature value is refused, and none of them crashes the verification."""
    message = signed(attribute_query(), sp_keys())
    value = message.partition("<ds:SignatureValue>")[2].partition("</ds:SignatureValue>")[0]
    octets = b64decode(value)
    spoilt = {
        "flipped bit": b64encode(bytes([octets[0] ^ 1, *octets[1:]])).decode(),
        "truncated": b64encode(octets[:-1]).decode(),
        "empty": "",
        "zeros": b64encode(bytes(len(octets))).decode(),
        "not base64": "!!!",
        "other base64": b64encode(b"x").decode(),
    }[spoil]

    assert_refused(ask(message.replace(value, spoilt)), Denied, "verifies with none")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("josiah@uni.example", "mary@uni.example"),
        ("1.1.1.16", "1.1.1.6"),
        ("</saml:Subject>", "</saml:Subject><saml:Attribute Name='x'/>"),
        (' Version="2.0"', ' Version="2.0" Consent="urn:x"'),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z"),
    ],
)
def test_content_changed_after_signing(old: str, new: str) -> None:
    """Whatever is changed in a signed query makes its signature wrong."""
    message = signed(attribute_query(), sp_keys())

    assert old in message
    assert_refused(ask(message.replace(old, new)), Denied, "verifies with none")


def _key_value(pair: KeyPair) -> str:
    numbers = pair.certificate.public_key().public_numbers()  # type: ignore[union-attr] # an RSA key
    modulus = b64encode(numbers.n.to_bytes(256)).decode()  # type: ignore[union-attr] # an RSA key
    return f"<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
