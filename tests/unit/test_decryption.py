"""Opening EncryptedIDs."""

import pytest
from lxml import etree

from attribute_authority.errors import Denied, UnsupportedQuery
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.decryption import Decryption
from tests.factories.doors import encryption_keys
from tests.factories.metadata import rsa_pair
from tests.factories.queries import PERSON, encrypted_id, name_id

OURS = Decryption([encryption_keys().key_pem])


def test_name_id_inside() -> None:
    """What comes out is the NameID, with its attributes."""
    opened = OURS.name_id(etree.fromstring(encrypted_id(name_id(), encryption_keys())), signed=False)

    assert (PERSON, ns.EPPN_OID_URN) == (opened.text, opened.get("Format"))


@pytest.mark.parametrize(("signed", "algorithm"), [(True, ns.AES256_CBC), (True, ns.AES256_GCM), (False, ns.AES256_GCM)])
def test_where_algorithms_are_accepted(signed: bool, algorithm: str) -> None:
    """GCM is accepted anywhere, CBC inside what is signed."""
    assert PERSON == OURS.name_id(etree.fromstring(encrypted_id(name_id(), encryption_keys(), algorithm=algorithm)), signed).text


def test_cbc_outside_of_a_signed_query() -> None:
    """Unsigned CBC is refused before the key is touched: even one for somebody else reads the same."""
    for recipient in (encryption_keys(), rsa_pair("stranger")):
        element = etree.fromstring(encrypted_id(name_id(), recipient, algorithm=ns.AES128_CBC))

        with pytest.raises(UnsupportedQuery):
            OURS.name_id(element, signed=False)


def test_without_keys() -> None:
    """An authority without encryption key supports no EncryptedID."""
    with pytest.raises(UnsupportedQuery, match="no encryption key"):
        Decryption([]).name_id(etree.fromstring(encrypted_id(name_id(), encryption_keys())), signed=True)


def test_foreign_key() -> None:
    """What was encrypted to somebody else stays closed."""
    with pytest.raises(Denied):
        Decryption([rsa_pair("stranger").key_pem]).name_id(etree.fromstring(encrypted_id(name_id(), encryption_keys())), signed=True)
