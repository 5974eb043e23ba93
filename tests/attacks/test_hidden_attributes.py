"""Two attributes of one local name, one of them with a namespace: what is checked must be what libxmlsec1 follows."""

import pytest

from attribute_authority.errors import Denied, OperatorError, UnsupportedQuery
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_signature import verify_root_signature
from attribute_authority.saml.xml import parse
from tests.attacks.refusals import assert_refused
from tests.factories.doors import encryption_keys, lab, sp_keys
from tests.factories.metadata import aggregate, entity, rsa_pair, service_provider, sign
from tests.factories.queries import SP, asking, attribute_query, encrypted_id, envelope, name_id, signed

RSA_1_5 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
HMAC_SHA1 = "http://www.w3.org/2000/09/xmldsig#hmac-sha1"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
CAUSE = "has a namespace"


def hidden(document: str, shown: str, real: str) -> str:
    """Put an attribute `real` with a namespace before the attribute `shown`."""
    assert f" {shown}" in document
    return document.replace(f" {shown}", f' xmlns:x="urn:x" x:{real} {shown}', 1)


@pytest.mark.parametrize("address", ["file:///dev/null", "/dev/null", "http://127.0.0.1:9/x", ""])
def test_file_behind_the_reference(address: str) -> None:
    """Nobody makes us open a file or pipe: libxmlsec1 would, before it looks at the signature, and could wait there for ever."""
    query = hidden(signed(attribute_query(), sp_keys()), 'URI="#_query"', f'URI="{address}"')

    assert_refused(lab().ask(envelope(query)), Denied, CAUSE)


@pytest.mark.parametrize(("shown", "real"), [(ns.RSA_SHA256, HMAC_SHA1), (ns.ENVELOPED, XSLT), (ns.EXC_C14N, XSLT), (ns.SHA256, ns.SHA1)])
def test_algorithm_behind_the_algorithm(shown: str, real: str) -> None:
    """No signature or digest algorithm and no transform gets past the list of those that are accepted."""
    query = hidden(signed(attribute_query(), sp_keys()), f'Algorithm="{shown}"', f'Algorithm="{real}"')

    assert_refused(lab().ask(envelope(query)), Denied, CAUSE)


@pytest.mark.parametrize(("shown", "real"), [(ns.AES128_GCM, ns.AES128_CBC), (ns.RSA_OAEP, RSA_1_5)])
def test_cipher_behind_the_cipher(shown: str, real: str) -> None:
    """Neither CBC in an unsigned query nor RSA 1.5 gets in: both make a padding oracle of us."""
    about = encrypted_id(
        name_id(),
        encryption_keys(),
        algorithm=real if shown == ns.AES128_GCM else ns.AES128_GCM,
        key_transport=real if shown == ns.RSA_OAEP else ns.RSA_OAEP,
    )
    disguised = hidden(about.replace(real, shown), f'Algorithm="{shown}"', f'Algorithm="{real}"')
    told = lab(decryption_keys=(encryption_keys(),)).ask(envelope(asking(disguised)), client=sp_keys())

    assert_refused(told, UnsupportedQuery, CAUSE)


def test_file_behind_the_reference_of_metadata() -> None:
    """Nor does a document of metadata make us open a file."""
    document = sign(aggregate(entity(SP, service_provider()), xml_id="_root"), rsa_pair("federation"))
    text = document.decode() if isinstance(document, bytes) else document
    disguised = hidden(text, 'URI="#_root"', 'URI="file:///dev/null"')

    with pytest.raises(OperatorError, match=CAUSE):
        verify_root_signature(parse(disguised.encode()), rsa_pair("federation").certificate_pem)
