"""Verifying an enveloped signature with keys of our choice."""

import pytest
from lxml import etree

from attribute_authority.errors import Denied
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.signature import AllowedAlgorithms, verify_enveloped
from tests.factories.doors import sp_keys
from tests.factories.metadata import KeyPair, ec_pair, rsa_pair
from tests.factories.queries import attribute_query, signed


def verify(document: str, *pairs: KeyPair, allowed: AllowedAlgorithms | None = None) -> str:
    """Verify a document whose Signature is its second child."""
    root = etree.fromstring(document)
    return verify_enveloped(root, root[1], [pair.public_key for pair in pairs], allowed or AllowedAlgorithms())


def test_algorithm_is_told() -> None:
    """The algorithm of the signature goes into the event."""
    assert ns.RSA_SHA256 == verify(signed(attribute_query(), sp_keys()), sp_keys())


def test_any_of_several_keys() -> None:
    """During a roll-over the metadata have several keys, of different kinds; any of them will do."""
    keys = (rsa_pair("old"), ec_pair("new"))

    assert ns.ECDSA_SHA256 == verify(signed(attribute_query(), keys[1], signature_method=ns.ECDSA_SHA256), *keys)
    assert ns.RSA_SHA256 == verify(signed(attribute_query(), keys[0]), *keys[::-1])


@pytest.mark.parametrize("pairs", [(), ("other",), ("other", "another")])
def test_none_of_the_keys(pairs: tuple[str, ...]) -> None:
    """A signature by none of the keys is denied, and the cause tells how many were tried."""
    with pytest.raises(Denied, match=f"none of the {len(pairs)} keys"):
        verify(signed(attribute_query(), sp_keys()), *map(rsa_pair, pairs))


def test_sha1_is_a_choice() -> None:
    """The list with SHA-1 has everything that the other one has, and RSA with SHA-1."""
    usual, more = AllowedAlgorithms(), AllowedAlgorithms.with_sha1()

    assert (frozenset({ns.RSA_SHA1}), frozenset({ns.SHA1})) == (more.signatures - usual.signatures, more.digests - usual.digests)


def test_verifying_twice() -> None:
    """Verification leaves the tree as it was, so that it can be verified again."""
    root = etree.fromstring(signed(attribute_query(), sp_keys()))
    before = etree.tostring(root)
    results = [verify_enveloped(root, root[1], [sp_keys().public_key], AllowedAlgorithms()) for _ in range(2)]

    assert [ns.RSA_SHA256] * 2 == results
    assert before == etree.tostring(root)
