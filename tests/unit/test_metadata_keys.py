"""Keys in metadata: which ones prove that an entity asks, and which are never used."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attribute_authority.saml.metadata_reader import read_metadata
from tests.factories import metadata as make

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SP = "https://sp.example.org/shibboleth"
IDP = "https://idp.example.org/idp"


def read_keys(document: str) -> tuple[tuple[bytes, ...], list[str]]:
    """Return the keys of the one entity in the document, and what was reported."""
    warnings: list[str] = []
    (entity,) = read_metadata(document.encode(), None, NOW, warnings.append).entities()
    return entity.querying_keys, warnings


def keys_of(document: str) -> tuple[bytes, ...]:
    """Return the keys of the one entity in a document in which nothing is wrong."""
    keys, warnings = read_keys(document)

    assert [] == warnings
    return keys


def test_keys_without_use_count_and_those_for_encryption_do_not() -> None:
    """Keys of use signing and without use serve; a repeated key is there once."""
    signing, both, encryption = make.rsa_pair("one"), make.ec_pair("two"), make.rsa_pair("three")
    descriptors = (make.key_descriptor(signing, "signing"), make.key_descriptor(both), make.key_descriptor(encryption, "encryption"))
    keys = keys_of(make.entity(SP, make.service_provider(*descriptors, descriptors[0])))

    assert (signing.public_key, both.public_key) == keys


def test_keys_of_an_identity_provider_do_not_ask_for_the_service_provider() -> None:
    """An entity in both roles asks with the keys of its service provider role alone."""
    roles = (
        make.identity_provider(make.key_descriptor(make.ec_pair("i"))),
        make.service_provider(make.key_descriptor(make.ec_pair("s"))),
    )

    assert (make.ec_pair("s").public_key,) == keys_of(make.entity(SP, *roles))
    assert (make.ec_pair("i").public_key,) == keys_of(make.entity(IDP, roles[0]))


def test_expired_certificate_still_carries_its_key() -> None:
    """It is the key that counts, not the certificate around it."""
    pair = make.certify(make.ec_pair("old").key, "old", not_after=datetime(2021, 1, 1, tzinfo=UTC))

    assert (pair.public_key,) == keys_of(make.entity(SP, make.service_provider(make.key_descriptor(pair))))


def test_bare_rsa_key_is_read() -> None:
    """A ds:RSAKeyValue serves where there is no certificate."""
    pair = make.rsa_pair("bare")

    assert (pair.public_key,) == keys_of(make.entity(SP, make.service_provider(make.rsa_key_value_descriptor(pair))))


def test_certificate_of_the_issuer_in_the_chain_proves_nothing() -> None:
    """Of a chain in one KeyInfo only the first certificate is the key."""
    first, issuer = make.ec_pair("leaf"), make.ec_pair("issuer")
    chain = f"{first.certificate_base64}</ds:X509Certificate><ds:X509Certificate>{issuer.certificate_base64}"

    assert (first.public_key,) == keys_of(make.entity(SP, make.service_provider(make.x509_key_descriptor(chain))))


def test_comment_inside_a_certificate_does_not_cut_it_short() -> None:
    """Comments and white space within the base64 text are passed over."""
    text = make.ec_pair("c").certificate_base64
    broken_up = f"\n {text[:100]}<!-- nothing -->\n\t{text[100:]} "

    assert (make.ec_pair("c").public_key,) == keys_of(make.entity(SP, make.service_provider(make.x509_key_descriptor(broken_up))))


@pytest.mark.parametrize(
    ("descriptor", "reason"),
    [
        ("weak RSA", "1024 bits is too short"),
        ("weak EC", "224 bits is too short"),
        ("garbage", "cannot be read"),
        ("PEM", "not base64"),
        ("processing instruction", "cannot be read"),
        ("no key", "neither an X509Certificate nor an RSAKeyValue"),
    ],
)
def test_unusable_key_is_left_out_and_reported(descriptor: str, reason: str) -> None:
    """A weak or unreadable key is not used, the entity's other keys are, and the operator learns why."""
    good = make.ec_pair("good")
    text = good.certificate_base64
    descriptors: dict[str, Callable[[], str]] = {
        "weak RSA": lambda: make.key_descriptor(make.rsa_pair("weak", 1024)),
        "weak EC": lambda: make.key_descriptor(make.certify(ec.generate_private_key(ec.SECP224R1()), "weak")),
        "garbage": lambda: make.x509_key_descriptor("AAAA"),
        "PEM": lambda: make.x509_key_descriptor(f"-----BEGIN CERTIFICATE-----{text}-----END CERTIFICATE-----"),
        "processing instruction": lambda: make.x509_key_descriptor(f"{text[:100]}<?cut?>{text[100:]}"),
        "no key": lambda: "<md:KeyDescriptor><ds:KeyInfo><ds:KeyName>x</ds:KeyName></ds:KeyInfo></md:KeyDescriptor>",
    }
    keys, warnings = read_keys(make.entity(SP, make.service_provider(descriptors[descriptor](), make.key_descriptor(good))))
    (warning,) = warnings

    assert (good.public_key,) == keys
    assert warning.startswith(f"{SP}: a key was left out")
    assert reason in warning
