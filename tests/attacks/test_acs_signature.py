"""Signatures at the assertion consumer service: absent, by the wrong key, of the wrong kind, or made to be misread."""

import pytest
import xmlsec
from lxml import etree

from attribute_authority.errors import SignInFailed, UnknownHomeOrganisation
from attribute_authority.saml import namespaces as ns
from tests.factories.metadata import ec_pair, rsa_pair
from tests.factories.queries import computed, signature_template, signed
from tests.factories.responses import (
    IDP,
    NOW,
    OTHER_IDP,
    PERSON,
    accept,
    assertion,
    begun,
    encoded,
    good_response,
    home,
    idp_keys,
    issuer,
    other_idp_keys,
    response,
    sign_in,
)

HMAC = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
INCLUSIVE_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
BASE64 = "http://www.w3.org/2000/09/xmldsig#base64"


def with_template(template: str) -> str:
    """Put a Signature behind the Issuer of a Response, and compute it with the identity provider's key."""
    document = response(assertion()).replace("</saml:Issuer>", f"</saml:Issuer>{template}", 1)
    return computed(document, xmlsec.Key.from_memory(idp_keys().key_pem, xmlsec.constants.KeyDataFormatPem))


def test_unsigned() -> None:
    """A Response without any Signature proves nothing."""
    with pytest.raises(SignInFailed, match="neither the Response nor the Assertion is signed"):
        accept(response(assertion()))


def test_signature_stripped() -> None:
    """Taking the Signature away from a good Response takes away what it proves."""
    root = etree.fromstring(good_response())
    root.remove(root[1])

    with pytest.raises(SignInFailed, match="neither"):
        accept(etree.tostring(root))


def test_wrong_key_with_its_certificate_in_key_info() -> None:
    """A key that nobody knows proves nothing, though its certificate stands in the KeyInfo."""
    with pytest.raises(SignInFailed, match="verifies with none"):
        accept(signed(response(assertion()), rsa_pair("attacker")))


def test_key_of_another_identity_provider() -> None:
    """An identity provider of the federation cannot speak for another one."""
    with pytest.raises(SignInFailed, match="verifies with none"):
        accept(signed(response(assertion()), other_idp_keys()))


def test_other_identity_provider_in_its_own_name() -> None:
    """Another identity provider than the one that was asked is refused, though it says truthfully who it is."""
    document = signed(response(assertion(of=issuer(OTHER_IDP)), of=issuer(OTHER_IDP)), other_idp_keys())

    with pytest.raises(SignInFailed, match="asked was"):
        accept(document)


def test_assertion_of_another_identity_provider_in_a_good_response() -> None:
    """The Issuer of the Assertion counts as well."""
    with pytest.raises(SignInFailed, match="the Assertion is of"):
        accept(signed(response(assertion(of=issuer(OTHER_IDP))), idp_keys()))


@pytest.mark.parametrize("outer", ["", issuer(attributes=f' Format="{ns.NAMEID_PERSISTENT}"'), issuer("")])
def test_issuer_of_a_signed_response(outer: str) -> None:
    """A signed Response has an Issuer, and it is an entity identifier (profiles 4.1.4.2)."""
    document = response(assertion(), of=outer)
    template = signature_template("#_response")
    placed = document.replace("<samlp:Status>", f"{template}<samlp:Status>", 1)
    key = xmlsec.Key.from_memory(idp_keys().key_pem, xmlsec.constants.KeyDataFormatPem)

    with pytest.raises(SignInFailed):
        accept(computed(placed, key))


def test_key_that_serves_for_queries_alone() -> None:
    """Keys of another role of the same entity do not sign assertions."""
    entity = home(querying_keys=(rsa_pair("service provider").public_key,))
    document = signed(response(assertion()), rsa_pair("service provider"))

    with pytest.raises(SignInFailed, match="verifies with none"):
        sign_in(entity).accept(encoded(document), begun(), NOW)


def test_identity_provider_without_keys() -> None:
    """Without a key in metadata nobody can sign in there."""
    with pytest.raises(UnknownHomeOrganisation):
        sign_in(home(asserting_keys=())).accept(encoded(good_response()), begun(), NOW)


@pytest.mark.parametrize(
    ("old", "new"),
    [(PERSON, "rector@uni.example"), ("_session", "_other"), ("192.0.2.7", "192.0.2.8"), ("2.0:ac:classes:Pass", "2.0:ac:classes:pass")],
)
def test_change_after_signing(old: str, new: str) -> None:
    """Any change of what was signed is noticed, before anything else is made of it."""
    document = good_response()

    assert old in document
    with pytest.raises(SignInFailed, match="verifies with none"):
        accept(document.replace(old, new))


@pytest.mark.parametrize(
    ("signature_method", "digest_method"), [(ns.RSA_SHA1, ns.SHA256), (ns.RSA_SHA256, ns.SHA1), (ns.RSA_SHA1, ns.SHA1)]
)
def test_sha1(signature_method: str, digest_method: str) -> None:
    """SHA-1 is accepted neither in the signature nor in the digest."""
    document = signed(response(assertion()), idp_keys(), signature_method=signature_method, digest_method=digest_method)

    with pytest.raises(SignInFailed, match="is not accepted"):
        accept(document)


def test_hmac_with_the_public_key() -> None:
    """A Signature made with the public key as the secret of an HMAC is refused."""
    template = signature_template("#_response", signature_method=HMAC)
    document = response(assertion()).replace("</saml:Issuer>", f"</saml:Issuer>{template}", 1)
    key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, idp_keys().public_key)

    with pytest.raises(SignInFailed, match=r"SignatureMethod .*hmac-sha256 is not accepted"):
        accept(computed(document, key))


@pytest.mark.parametrize(
    "transforms",
    [
        (),
        (ns.ENVELOPED,),
        (ns.EXC_C14N,),
        (ns.EXC_C14N, ns.ENVELOPED),
        (ns.ENVELOPED, INCLUSIVE_C14N),
        (ns.ENVELOPED, ns.EXC_C14N, ns.EXC_C14N),
        (ns.ENVELOPED, BASE64),
        (ns.ENVELOPED, f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>self::node()</ds:XPath></ds:Transform>'),
        (ns.ENVELOPED, f'<ds:Transform Algorithm="{XSLT}"/>'),
    ],
    ids=["none", "no canonicalisation", "no enveloped", "turned round", "inclusive", "three", "base64", "xpath", "xslt"],
)
def test_other_transforms(transforms: tuple[str, ...]) -> None:
    """Nothing but enveloped-signature and exclusive canonicalisation may stand between the element and its digest."""
    template = signature_template("#_response", transforms=transforms)
    document = response(assertion()).replace("</saml:Issuer>", f"</saml:Issuer>{template}", 1)

    with pytest.raises(SignInFailed, match=r"[Tt]ransforms|Reference holds"):
        accept(document)


def test_prefix_list_of_a_transform() -> None:
    """OpenSAML names prefixes that are canonicalised inclusively; that is accepted, and what it covers is protected."""
    prefixes = f'<ec:InclusiveNamespaces xmlns:ec="{ns.EXC_C14N}" PrefixList="xs"/>'
    step = f'<ds:Transform Algorithm="{ns.EXC_C14N}">{prefixes}</ds:Transform>'
    document = with_template(signature_template("#_response", transforms=(ns.ENVELOPED, step)))

    assert PERSON in {identifier.value for identifier in accept(document).signed_in.identifiers}
    with pytest.raises(SignInFailed, match="verifies with none"):
        accept(document.replace(f'xmlns:xs="{ns.XS}"', 'xmlns:xs="urn:other"', 1))


@pytest.mark.parametrize(
    "parameter",
    [
        f'<ec:InclusiveNamespaces xmlns:ec="{ns.EXC_C14N}" PrefixList="xs"><x/></ec:InclusiveNamespaces>',
        f'<ec:InclusiveNamespaces xmlns:ec="{ns.EXC_C14N}" PrefixList="{" ".join("abcdefghijklmnopq")}"/>',
        f'<ec:InclusiveNamespaces xmlns:ec="{ns.EXC_C14N}"/><ec:InclusiveNamespaces xmlns:ec="{ns.EXC_C14N}"/>',
        "<ds:XPath>self::node()</ds:XPath>",
        f'<ec:InclusiveNamespaces xmlns:ec="{ns.EXC_C14N}" ec:PrefixList="xs"/>',
    ],
    ids=["with a child", "long", "twice", "xpath", "qualified"],
)
def test_other_parameters_of_a_transform(parameter: str) -> None:
    """A transform has no parameter but one plain prefix list."""
    step = f'<ds:Transform Algorithm="{ns.EXC_C14N}">{parameter}</ds:Transform>'
    template = signature_template("#_response", transforms=(ns.ENVELOPED, step))
    document = response(assertion()).replace("</saml:Issuer>", f"</saml:Issuer>{template}", 1)

    with pytest.raises(SignInFailed, match=r"Transform elements|has a namespace"):
        accept(document)


@pytest.mark.parametrize("reference", ["", "#_assertion", "#xpointer(/)", "#xpointer(id('_response'))", "http://127.0.0.1/", "_response"])
def test_reference_to_something_else(reference: str) -> None:
    """The one reference points to the element that holds the Signature, by its ID."""
    template = signature_template(reference)
    document = response(assertion()).replace("</saml:Issuer>", f"</saml:Issuer>{template}", 1)

    with pytest.raises(SignInFailed, match="the Reference points to"):
        accept(document)


@pytest.mark.parametrize(
    ("written", "misread"),
    [
        (
            f'SignatureMethod Algorithm="{ns.RSA_SHA256}"',
            f'SignatureMethod xmlns:a="urn:a" a:Algorithm="{HMAC}" Algorithm="{ns.RSA_SHA256}"',
        ),
        ('Reference URI="#_response"', 'Reference xmlns:a="urn:a" a:URI="#_assertion" URI="#_response"'),
        (f'DigestMethod Algorithm="{ns.SHA256}"', f'DigestMethod xmlns:a="urn:a" a:Algorithm="{ns.SHA1}" Algorithm="{ns.SHA256}"'),
    ],
    ids=["signature method", "reference", "digest method"],
)
def test_qualified_attributes_in_the_signature(written: str, misread: str) -> None:
    """Attributes with a namespace, which libxmlsec1 would follow and lxml would not see, are refused."""
    document = good_response()

    assert written in document
    with pytest.raises(SignInFailed, match="has a namespace"):
        accept(document.replace(written, misread))


def test_object_in_the_signature() -> None:
    """A Signature holds nothing that is not needed."""
    template = signature_template("#_response").replace("<ds:SignatureValue/>", "<ds:SignatureValue/><ds:Object>x</ds:Object>")

    with pytest.raises(SignInFailed, match="Signature holds"):
        accept(with_template(template))


def test_signature_of_the_subject_alone() -> None:
    """A Signature that covers a part of the Assertion does not cover the Assertion."""
    subject = f'<saml:Subject xmlns:saml="{ns.SAML}" ID="_subject"><saml:NameID>x</saml:NameID></saml:Subject>'
    part = signed(subject, idp_keys())

    with pytest.raises(SignInFailed):
        accept(response(assertion(about=part)))


def test_signed_metadata_of_the_same_key_is_no_response() -> None:
    """Anything else that the identity provider has signed, such as its metadata, signs nobody in."""
    document = signed(f'<md:EntityDescriptor xmlns:md="{ns.MD}" ID="_m" entityID="{IDP}"/>', idp_keys())

    with pytest.raises(SignInFailed, match="not a Response"):
        accept(document)


def test_signed_assertion_alone() -> None:
    """An Assertion without a Response around it is not accepted."""
    with pytest.raises(SignInFailed, match="not a Response"):
        accept(signed(assertion(), idp_keys()))


def test_elliptic_curve_and_rolled_over_keys() -> None:
    """Any of the keys in metadata serves, RSA or EC."""
    entity = home(asserting_keys=(rsa_pair("old").public_key, ec_pair("new").public_key))
    document = signed(response(assertion()), ec_pair("new"), signature_method=ns.ECDSA_SHA256)

    assert IDP == sign_in(entity).accept(encoded(document), begun(), NOW).issuer
