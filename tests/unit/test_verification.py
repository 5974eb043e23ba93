"""Verifying a received query: who asks, and the order in which that is judged."""

import pytest
from lxml import etree

from attribute_authority.errors import AuthorityError, Denied, UnsupportedQuery
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.query import read_query
from attribute_authority.saml.verification import Authentication, accepted_destinations
from tests.factories.doors import lab, sp_keys
from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.queries import NOW, SP, attribute_query, confirmation, envelope, issuer, name_id, signed, subject


def authentication(document: str, client: KeyPair | None = None) -> Authentication:
    """Authenticate a query."""
    received = read_query(etree.fromstring(document))
    entity, proof = lab().door.verification.authenticate(received, None if client is None else client.public_key, NOW)

    assert SP == entity.entity_id
    return proof


def test_how_a_requester_proves_itself() -> None:
    """By signature, by TLS key, or by both; a foreign TLS key beside a valid signature is no harm, a proxy may hold it."""
    message = signed(attribute_query(), sp_keys())

    assert Authentication(ns.RSA_SHA256, client_key=False) == authentication(message)
    assert Authentication(None, client_key=True) == authentication(attribute_query(), sp_keys())
    assert Authentication(ns.RSA_SHA256, client_key=True) == authentication(message, sp_keys())
    assert Authentication(ns.RSA_SHA256, client_key=False) == authentication(message, rsa_pair("other"))


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://aa.example.org/q", {"https://aa.example.org/q", "https://aa.example.org:443/q"}),
        ("https://aa.example.org:443/q", {"https://aa.example.org/q", "https://aa.example.org:443/q"}),
        ("https://aa.example.org:8443/q", {"https://aa.example.org:8443/q"}),
        ("http://aa.example.org/q", {"http://aa.example.org/q", "http://aa.example.org:80/q"}),
        ("https://aa.example.org:80/q", {"https://aa.example.org:80/q"}),
        ("https://[2001:db8::1]/q", {"https://[2001:db8::1]/q", "https://[2001:db8::1]:443/q"}),
        ("https://[2001:db8::1]:8443/q", {"https://[2001:db8::1]:8443/q"}),
        ("https://aa.example.org:443", {"https://aa.example.org", "https://aa.example.org:443"}),
    ],
)
def test_default_port_may_be_written_or_not(url: str, accepted: set[str]) -> None:
    """The default port of the scheme, and no other, may be left out (RFC 3986 section 6.2.3)."""
    assert accepted == set(accepted_destinations(url))


@pytest.mark.parametrize(
    ("message", "failure", "cause"),
    [
        (attribute_query(destination="urn:x", issued="2020-01-01T00:00:00Z"), Denied, "not signed"),
        (signed(attribute_query(destination="urn:x", issued="2020-01-01T00:00:00Z"), sp_keys()), Denied, "Destination"),
        (
            signed(attribute_query(issuer(), subject(confirmation("urn:x")), issued="2020-01-01T00:00:00Z"), sp_keys()),
            Denied,
            "IssueInstant",
        ),
        (signed(attribute_query(issuer(), subject(name_id(), confirmation("urn:x"))), sp_keys()), UnsupportedQuery, "confirmation"),
    ],
)
def test_order_of_the_checks(message: str, failure: type[AuthorityError], cause: str) -> None:
    """Who asks comes first, then where, then when; what is asked is read for nobody else."""
    event = lab().ask(envelope(message)).event

    assert failure.__name__ == event["failure"]
    assert cause in event["cause"]
