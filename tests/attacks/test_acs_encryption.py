"""Encrypted assertions: unsigned ones, weak algorithms, foreign plaintexts, and ciphertexts that point elsewhere."""

import re

import pytest
from lxml import etree

from attribute_authority.errors import SignInFailed
from attribute_authority.saml import namespaces as ns
from tests.factories.metadata import rsa_pair
from tests.factories.queries import signed
from tests.factories.responses import (
    NOW,
    PERSON,
    accept,
    assertion,
    begun,
    encoded,
    encrypted,
    idp_keys,
    name_id,
    other_idp_keys,
    own_encryption_keys,
    own_role,
    response,
    sign_in,
    subject,
)

RSA_1_5 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
TRIPLE_DES = "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"
GCM = [ns.AES128_GCM, ns.AES256_GCM]
CBC = [ns.AES128_CBC, ns.AES192_CBC, ns.AES256_CBC]
CIPHER_VALUE = re.compile("<xenc:CipherValue>[^<]*</xenc:CipherValue>")


def in_signed_response(about: str) -> str:
    """Put an EncryptedAssertion into a signed Response."""
    return signed(response(about), idp_keys())


def values(document: str) -> set[str]:
    """Return the values of the identifiers that were accepted."""
    return {identifier.value for identifier in accept(document).signed_in.identifiers}


@pytest.mark.parametrize("algorithm", GCM)
@pytest.mark.parametrize("key_transport", [ns.RSA_OAEP, ns.RSA_OAEP_11])
def test_authenticated_encryption(algorithm: str, key_transport: str) -> None:
    """AES-GCM with a key by RSA-OAEP is opened, with the Signature inside, outside or both."""
    bare = encrypted(assertion(), algorithm=algorithm, key_transport=key_transport)
    signed_inside = encrypted(signed(assertion(), idp_keys()), algorithm=algorithm, key_transport=key_transport)

    for document in (in_signed_response(bare), response(signed_inside), in_signed_response(signed_inside)):
        assert PERSON in values(document)


def test_encrypted_to_us_but_unsigned() -> None:
    """Anybody can encrypt to us: encryption is no signature."""
    with pytest.raises(SignInFailed, match="neither the Response nor the Assertion is signed"):
        accept(response(encrypted(assertion())))


def test_signed_inside_by_the_wrong_key() -> None:
    """The Signature inside is verified, and a good one outside does not stand in for it."""
    about = encrypted(signed(assertion(), other_idp_keys()))

    for document in (response(about), in_signed_response(about)):
        with pytest.raises(SignInFailed, match="verifies with none"):
            accept(document)


@pytest.mark.parametrize("algorithm", CBC)
def test_malleable_encryption(algorithm: str) -> None:
    """AES-CBC is opened inside a signed Response alone; elsewhere anybody could use us as a padding oracle."""
    about = encrypted(signed(assertion(), idp_keys()), algorithm=algorithm)

    assert PERSON in values(in_signed_response(about))
    for document in (response(about), signed(response(about), other_idp_keys())):
        with pytest.raises(SignInFailed, match=r"is not accepted here|verifies with none"):
            accept(document)


@pytest.mark.parametrize("algorithm", [ns.AES128_CBC, ns.AES128_GCM])
def test_rsa_1_5(algorithm: str) -> None:
    """Keys by PKCS #1 v1.5 are refused before they are looked at, whoever signed."""
    with pytest.raises(SignInFailed, match="rsa-1_5 is not accepted here"):
        accept(in_signed_response(encrypted(assertion(), algorithm=algorithm, key_transport=RSA_1_5)))


@pytest.mark.parametrize("algorithm", [TRIPLE_DES, "none", "", "http://www.w3.org/2001/04/xmlenc#kw-aes128", ns.RSA_OAEP])
def test_other_algorithm(algorithm: str) -> None:
    """Algorithms that are not on the list are refused by name."""
    with pytest.raises(SignInFailed, match="is not accepted here"):
        accept(in_signed_response(encrypted(assertion()).replace(ns.AES128_GCM, algorithm)))


def test_encrypted_to_somebody_else() -> None:
    """What was encrypted to another service provider does not open."""
    with pytest.raises(SignInFailed, match="opens with none of our keys"):
        accept(in_signed_response(encrypted(assertion(), rsa_pair("other service provider"))))


def test_no_key_to_open_with() -> None:
    """Without a key nothing is opened, and that is no crash."""
    with pytest.raises(SignInFailed, match="no encryption key is configured"):
        sign_in(own=own_role(decryption_keys=())).accept(encoded(in_signed_response(encrypted(assertion()))), begun(), NOW)


def test_keys_that_are_rolled_over() -> None:
    """Any of our keys opens."""
    keys = (rsa_pair("next companion encryption").key_pem, own_encryption_keys().key_pem)
    document = in_signed_response(encrypted(assertion()))

    assert "_assertion" == sign_in(own=own_role(decryption_keys=keys)).accept(encoded(document), begun(), NOW).assertion_id


def test_changed_ciphertext() -> None:
    """A ciphertext that was tampered with does not open, and the failure tells nothing of where."""
    about = encrypted(signed(assertion(), idp_keys()))
    start = about.rindex("<xenc:CipherValue>") + 40
    changed = about[:start] + ("A" if about[start] != "A" else "B") + about[start + 1 :]

    with pytest.raises(SignInFailed, match="opens with none of our keys"):
        accept(response(changed))


@pytest.mark.parametrize("place", [0, 1], ids=["key", "data"])
@pytest.mark.parametrize("target", ["http://127.0.0.1:9/", "file:///etc/passwd", "#_response"])
def test_cipher_reference(place: int, target: str) -> None:
    """A ciphertext that lies elsewhere is not fetched."""
    about = encrypted(signed(assertion(), idp_keys()))
    found = list(CIPHER_VALUE.finditer(about))[place]
    pointing = about[: found.start()] + f'<xenc:CipherReference URI="{target}"/>' + about[found.end() :]

    for document in (response(pointing), in_signed_response(pointing)):
        with pytest.raises(SignInFailed, match="points to something outside"):
            accept(document)


def test_retrieval_method() -> None:
    """A key that lies elsewhere is not fetched."""
    about = encrypted(assertion()).replace("<xenc:EncryptedKey", '<ds:RetrievalMethod URI="http://127.0.0.1:9/"/><xenc:EncryptedKey', 1)

    with pytest.raises(SignInFailed, match="points to something outside"):
        accept(in_signed_response(about))


def test_qualified_attributes_in_the_encrypted_data() -> None:
    """Attributes with a namespace, which libxmlsec1 would follow and lxml would not see, are refused."""
    written = f'Algorithm="{ns.AES128_GCM}"'
    misread = encrypted(signed(assertion(), idp_keys())).replace(written, f'xmlns:a="urn:a" a:Algorithm="{ns.AES128_CBC}" {written}')

    with pytest.raises(SignInFailed, match="has a namespace"):
        accept(response(misread))


@pytest.mark.parametrize(
    "plaintext",
    [" ", "text", "<x/>", f"<saml:NameID>{PERSON}</saml:NameID>", "<saml:Assertion", "</saml:EncryptedAssertion>", "\0", "<x>" * 300],
)
def test_plaintext_that_is_no_assertion(plaintext: str) -> None:
    """Whatever else was encrypted is refused, without telling what it was."""
    with pytest.raises(SignInFailed, match="what was encrypted") as refused:
        accept(in_signed_response(encrypted(plaintext)))

    assert PERSON not in refused.value.cause


def test_plain_assertion_in_the_place_of_an_encrypted_one() -> None:
    """An EncryptedAssertion that holds a plain one is refused, as it would be what pysaml2 sees after decryption."""
    document = response(f"<saml:EncryptedAssertion>{signed(assertion(), idp_keys())}</saml:EncryptedAssertion>")

    with pytest.raises(SignInFailed, match="more than one assertion"):
        accept(document)


def test_plain_assertion_beside_the_ciphertext() -> None:
    """An EncryptedAssertion holds a ciphertext and nothing else."""
    about = encrypted(assertion()).replace("</saml:EncryptedAssertion>", "<x/></saml:EncryptedAssertion>")

    with pytest.raises(SignInFailed, match="something else than EncryptedData"):
        accept(in_signed_response(about))


def test_encryption_of_a_part() -> None:
    """Only the assertion as a whole is opened, not a NameID or attribute in it."""
    part = etree.fromstring(encrypted(name_id()).replace("EncryptedAssertion", "EncryptedID"))
    about = subject(etree.tostring(part, encoding="unicode"))

    with pytest.raises(SignInFailed, match="something else than the assertion is encrypted"):
        accept(signed(response(assertion(about=about)), idp_keys()))


def test_encrypted_assertion_of_an_unnamed_issuer() -> None:
    """A Response with an encrypted assertion has an Issuer (profiles 4.1.4.2)."""
    with pytest.raises(SignInFailed, match="has no Issuer"):
        accept(response(encrypted(signed(assertion(), idp_keys())), of=""))
