"""EncryptedIDs: weak algorithms, foreign plaintexts, and ciphertexts that point elsewhere."""

import re
from base64 import b64decode
from pathlib import Path

import pytest
from lxml import etree

from attribute_authority.errors import AuthorityError, Denied, MalformedQuery, UnsupportedQuery
from attribute_authority.saml import namespaces as ns
from tests.attacks.refusals import assert_refused, assert_released
from tests.factories.doors import Lab, Told, encryption_keys, lab, sp_keys
from tests.factories.metadata import rsa_pair
from tests.factories.queries import DECLARATIONS, PERSON, SP, asking, encrypted_id, envelope, name_id, raw_name_id, signed

RSA_1_5 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
TRIPLE_DES = "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"
GCM = [ns.AES128_GCM, ns.AES192_GCM, ns.AES256_GCM]
CBC = [ns.AES128_CBC, ns.AES192_CBC, ns.AES256_CBC]


def door() -> Lab:
    """Make a lab with an encryption key."""
    return lab(decryption_keys=(encryption_keys(),))


def encrypted(plaintext: str | None = None, algorithm: str = ns.AES128_GCM) -> str:
    """Encrypt to the authority."""
    return encrypted_id(plaintext or name_id(), encryption_keys(), algorithm=algorithm)


def ask_signed(about: str) -> Told:
    """Ask in a signed query."""
    return door().ask(envelope(signed(asking(about), sp_keys())))


def ask_unsigned(about: str) -> Told:
    """Ask in an unsigned query, over a connection with the requester's key."""
    return door().ask(envelope(asking(about)), client=sp_keys())


def ciphertext(about: str) -> str:
    """Return the base64 of the encrypted data."""
    return about.rpartition("<xenc:CipherValue>")[2].partition("</xenc:CipherValue>")[0]


@pytest.mark.parametrize("algorithm", GCM)
@pytest.mark.parametrize("key_transport", [ns.RSA_OAEP, ns.RSA_OAEP_11])
@pytest.mark.parametrize("key_beside_data", [False, True])
def test_authenticated_encryption(algorithm: str, key_transport: str, key_beside_data: bool) -> None:
    """AES-GCM with a key by RSA-OAEP is read, signed or not, wherever the key stands; the answer echoes the NameID in clear."""
    about = encrypted_id(name_id(), encryption_keys(), algorithm=algorithm, key_transport=key_transport, key_beside_data=key_beside_data)

    for told in (ask_signed(about), ask_unsigned(about)):
        assert_released(told)
        assert told.one("saml:Assertion/saml:Subject/saml:NameID").text == PERSON


@pytest.mark.parametrize("algorithm", CBC)
def test_malleable_encryption(algorithm: str) -> None:
    """AES-CBC is read inside a signed query; without signature anybody could use us as a padding oracle."""
    about = encrypted(algorithm=algorithm)

    assert_released(ask_signed(about))
    assert_refused(ask_unsigned(about), UnsupportedQuery, f"{algorithm} is not accepted here")


@pytest.mark.parametrize("algorithm", [ns.AES128_CBC, ns.AES128_GCM])
def test_rsa_1_5(algorithm: str) -> None:
    """Keys by PKCS #1 v1.5 are refused before they are looked at: no oracle for Bleichenbacher."""
    about = encrypted_id(name_id(), encryption_keys(), algorithm=algorithm, key_transport=RSA_1_5)

    for told in (ask_signed(about), ask_unsigned(about)):
        assert_refused(told, UnsupportedQuery, "is not accepted here")


@pytest.mark.parametrize("algorithm", [TRIPLE_DES, "none", "", "http://www.w3.org/2001/04/xmlenc#kw-aes128", ns.RSA_OAEP])
def test_other_algorithm(algorithm: str) -> None:
    """Algorithms that are not on the list are refused by name."""
    assert_refused(ask_signed(encrypted().replace(ns.AES128_GCM, algorithm)), UnsupportedQuery, "is not accepted here")


def test_algorithm_not_named() -> None:
    """An algorithm is not guessed."""
    about = encrypted()

    for method in re.findall("<xenc:EncryptionMethod [^>]*/>", about):
        assert_refused(ask_signed(about.replace(method, "")), UnsupportedQuery, "")


def test_no_key_configured() -> None:
    """Without an encryption key an EncryptedID is not supported."""
    told = lab().ask(envelope(signed(asking(encrypted()), sp_keys())))

    assert_refused(told, UnsupportedQuery, "no encryption key is configured")


def test_wrong_key() -> None:
    """An identifier that was encrypted to somebody else cannot be opened."""
    assert_refused(ask_signed(encrypted_id(name_id(), rsa_pair("stranger"))), Denied, "opens with none of our keys")


def test_second_key() -> None:
    """Of several keys, in a roll-over, the one that fits is used."""
    two = lab(decryption_keys=(rsa_pair("new-encryption"), encryption_keys()))

    assert_released(two.ask(envelope(signed(asking(encrypted()), sp_keys()))))


@pytest.mark.parametrize("algorithm", [ns.AES128_GCM, ns.AES256_CBC])
@pytest.mark.parametrize("spoil", ["truncated", "one octet", "empty", "no base64", "changed"])
def test_spoilt_ciphertext(algorithm: str, spoil: str) -> None:
    """A ciphertext that was cut or changed tells nothing but that it does not open."""
    about = encrypted(algorithm=algorithm)
    value = ciphertext(about)
    spoilt = {"truncated": value[:32], "one octet": "AA==", "empty": "", "no base64": "!", "changed": value[:-8] + "AAAAAAA="}[spoil]

    assert_refused(ask_signed(about.replace(value, spoilt)), Denied, "")


@pytest.mark.parametrize(
    "plaintext", ["", "x", PERSON, f"<saml:Issuer{DECLARATIONS}>{SP}</saml:Issuer>", f"<NameID>{PERSON}</NameID>", "<a", "&x;"]
)
def test_plaintext_that_is_no_name_id(plaintext: str) -> None:
    """What was encrypted must be a NameID of SAML."""
    assert_refused(ask_signed(encrypted(plaintext or " ")), Denied, "")


@pytest.mark.parametrize("content", ["josiah<!---->@uni.example", "josiah<?x?>@uni.example", "josiah@uni.example<x/>", "", " "])
def test_plaintext_that_reads_differently(content: str) -> None:
    """Comments and processing instructions are refused in an encrypted NameID too."""
    assert_refused(ask_signed(encrypted(raw_name_id(content))), MalformedQuery, "NameID")


def test_two_name_ids_in_the_plaintext() -> None:
    """A plaintext that names two people names nobody."""
    told = ask_signed(encrypted(name_id() + name_id("mary@uni.example")))

    assert_refused(told, Denied, "")


@pytest.mark.parametrize("doctype", [f'<!DOCTYPE x [<!ENTITY x "{PERSON}">]>', '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/hostname">]>'])
def test_document_type_in_the_plaintext(doctype: str) -> None:
    """A document type does not get in under encryption."""
    assert_refused(ask_signed(encrypted(f"{doctype}{raw_name_id('&x;')}")), Denied, "")


def test_plaintext_that_is_encrypted_again() -> None:
    """One layer of encryption is taken off, not more."""
    assert_refused(ask_signed(encrypted(encrypted())), Denied, "NameID")


@pytest.mark.parametrize("content", ["", "x", name_id(), "<xenc:EncryptedKey xmlns:xenc='http://www.w3.org/2001/04/xmlenc#'/>"])
def test_nothing_encrypted(content: str) -> None:
    """An EncryptedID without EncryptedData is not supported."""
    assert_refused(ask_signed(f"<saml:EncryptedID{DECLARATIONS}>{content}</saml:EncryptedID>"), UnsupportedQuery, "the EncryptedID holds")


def test_cipher_reference_to_a_file(tmp_path: Path) -> None:
    """A ciphertext is in the message: a reference is never followed, to a file that would open or to any other (FIFO, device, address)."""
    file = tmp_path / "ciphertext"
    about = encrypted()
    file.write_bytes(b64decode(ciphertext(about)))
    value = f"<xenc:CipherValue>{ciphertext(about)}</xenc:CipherValue>"

    for address in (str(file), file.as_uri()):
        told = ask_signed(about.replace(value, f'<xenc:CipherReference URI="{address}"/>'))

        assert_refused(told, UnsupportedQuery, "")


@pytest.mark.parametrize("element", ["EncryptedKey", "document"])
def test_retrieval_method_to_a_file(tmp_path: Path, element: str) -> None:
    """Nor is a key fetched from elsewhere."""
    file = tmp_path / "key"
    about = encrypted()
    root = etree.fromstring(about)
    (key,) = root.iter(f"{{{ns.XENC}}}EncryptedKey")
    file.write_bytes(etree.tostring(key, with_tail=False))
    written = about[about.index("<xenc:EncryptedKey") : about.index("</xenc:EncryptedKey>") + len("</xenc:EncryptedKey>")]
    kind = f' Type="{ns.XENC}EncryptedKey"' if element == "EncryptedKey" else ""

    for address in (str(file), file.as_uri()):
        method = f'<ds:RetrievalMethod URI="{address}"{kind}/>'

        for key_info in (method, method + written):
            assert_refused(ask_signed(about.replace(written, key_info)), UnsupportedQuery, "")


def test_key_of_the_attacker_by_name_or_value() -> None:
    """A KeyInfo that holds no EncryptedKey opens nothing."""
    about = encrypted()
    written = about[about.index("<xenc:EncryptedKey") : about.index("</xenc:EncryptedKey>") + len("</xenc:EncryptedKey>")]
    failures: tuple[type[AuthorityError], ...] = (UnsupportedQuery, Denied)

    for key_info in ("<ds:KeyName>x</ds:KeyName>", "<ds:KeyValue/>", ""):
        told = ask_signed(about.replace(written, key_info))

        assert told.event["failure"] in {failure.__name__ for failure in failures}


def test_ciphertext_of_somebody_else_in_an_own_query() -> None:
    """A signed query cannot be taken apart: the EncryptedID of a captured one does not serve in the attacker's."""
    captured = encrypted(name_id(), ns.AES256_CBC)
    message = asking(captured, requester="https://wiki.example.org/sp")

    assert_refused(door().ask(envelope(message), client=rsa_pair("other")), UnsupportedQuery, "is not accepted here")
