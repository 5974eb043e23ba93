"""Queries exactly as four unmodified client stacks sent them, replayed with the clock set to when they did.

Shibboleth SP 3.4.1, SimpleSAMLphp 1.19.7, pysaml2 7.5.5 and lasso 2.8.1. A `[client-cert: …]` line in a head is a note of the
certificate that the client presented, not part of the request. Each capture is answered, or refused, for a reason written out here.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_reader import read_metadata
from attribute_authority.storage.memory import MemoryLinkStore
from attribute_authority.web.query_door import Delivery
from tests.factories.doors import Lab, Told, eppn, lab, link, rule, whole
from tests.factories.metadata import KeyPair

CAPTURES = Path(__file__).parent / "captures"
SP = "https://sp-a.lab.example/shibboleth"
IDP = "https://idp.lab.example/idp"
ORCID = "0000-0002-1825-0097"
SHA1_REFUSED = f"SignatureMethod {ns.RSA_SHA1} is not accepted"


@dataclass(frozen=True, slots=True)
class Capture:
    """A request: when it was sent, its body as long as Content-Length says, its media type, and whether there was a certificate."""

    body: bytes
    content_type: str
    sent: datetime
    with_certificate: bool


@lru_cache
def capture(name: str) -> Capture:
    """Read a capture."""
    head, _, rest = (CAPTURES / f"{name}.request.http").read_bytes().partition(b"\n\n")
    lines = dict(line.lower().partition(": ")[::2] for line in head.decode().splitlines())
    body = rest[: int(lines["content-length"])]
    issued = re.search(rb'IssueInstant="([^"]+)Z"', body)
    assert issued is not None
    sent = datetime.fromisoformat(issued[1].decode()).replace(tzinfo=UTC)
    return Capture(body, lines["content-type"].partition(";")[0], sent, "none" not in lines["[client-cert"])


@lru_cache
def entities() -> tuple[Entity, ...]:
    """Read the metadata of who asked."""
    sent = capture("shib-default-eppn").sent
    return tuple(read_metadata((CAPTURES / "service-providers.xml").read_bytes(), None, sent, lambda _: None).entities())


@lru_cache
def own_keys() -> KeyPair:
    """The keys of the authority that was asked."""
    key = load_pem_private_key((CAPTURES / "aa.key").read_bytes(), None)
    return KeyPair(key, load_pem_x509_certificate((CAPTURES / "aa.crt").read_bytes()))  # type: ignore[arg-type] # an RSA key


def authority(**parts: Any) -> Lab:
    """Make the authority that was asked, which knows the person by ePPN and by persistent identifier."""
    store = MemoryLinkStore()
    persistent = parse_identifier(IdentifierKind.PERSISTENT, "pid-josiah-42", IDP, SP)
    store.add_link(link(ORCID, eppn("josiah@uni.example"), persistent, home=IDP))
    return lab(
        entities=entities(),
        rules=(rule(SP),),
        store=store,
        entity_id="https://aa.lab.example/aa",
        url="https://127.0.0.1:18443/aa",
        **parts,
    )


def replay(name: str, *, certificate: bool | None = None, **parts: Any) -> Told:
    """Send a capture again, with the TLS key that it had, or as `certificate` says."""
    sent = capture(name)
    (key,) = next(entity.querying_keys for entity in entities() if entity.entity_id == SP)
    present = sent.with_certificate if certificate is None else certificate
    door = authority(**parts).at(sent.sent)
    return Told(whole(door.door.begin(Delivery(sent.body, sent.content_type, key if present else None))), door.events()[-1])


def assert_answered(told: Told, value: str, kind: str) -> None:
    """The iD is released, signed by nobody else, and the NameID echoed as it came."""
    name_id = told.one("saml:Assertion/saml:Subject/saml:NameID")

    assert (("Success",), (f"https://orcid.org/{ORCID}",)) == (told.codes, told.values), told.event
    assert (value, kind) == (name_id.text, name_id.get("Format"))
    assert (IDP, SP) == (name_id.get("NameQualifier"), name_id.get("SPNameQualifier")) or kind == ns.EPPN_OID_URN


EPPN = ("josiah@uni.example", ns.EPPN_OID_URN)
PERSISTENT = ("pid-josiah-42", ns.NAMEID_PERSISTENT)
ANSWERED_BY_DEFAULT = {
    # unsigned: the TLS client certificate authenticates
    "shib-default-eppn": EPPN,
    "shib-default-persistent": PERSISTENT,
    "modshib-login-eppn": EPPN,
    "pysaml2-tls-eppn": EPPN,
    # signed with rsa-sha256
    "shib-signed-eppn-alg-ext": EPPN,
    "ssp-soap-eppn": EPPN,
    "ssp-soap-persistent": PERSISTENT,
    "pysaml2-signed-eppn": EPPN,
    "lasso-signed-eppn": EPPN,
}
SIGNED_WITH_SHA1 = {
    "shib-signed-eppn": EPPN,
    "shib-signed-persistent": PERSISTENT,
    "shib-msgonly-eppn": EPPN,
}
ENCRYPTED = "shib-default-eppn-port443-enc"
UNSIGNED = ("shib-default-eppn", "shib-default-persistent", "modshib-login-eppn", "pysaml2-tls-eppn")


def test_every_capture_has_its_outcome() -> None:
    """No capture is left out."""
    names = {file.name.removesuffix(".request.http") for file in CAPTURES.glob("*.http")}

    assert names == {*ANSWERED_BY_DEFAULT, *SIGNED_WITH_SHA1, ENCRYPTED}


@pytest.mark.parametrize("name", list(ANSWERED_BY_DEFAULT))
def test_answered_by_default(name: str) -> None:
    """What a client sends unsigned over TLS with its certificate, or signed with SHA-256, is answered without any setting."""
    assert_answered(replay(name), *ANSWERED_BY_DEFAULT[name])


@pytest.mark.parametrize("name", [name for name in ANSWERED_BY_DEFAULT if name not in UNSIGNED])
def test_signature_is_enough(name: str) -> None:
    """A signed query needs no certificate."""
    told = replay(name, certificate=False)

    assert_answered(told, *ANSWERED_BY_DEFAULT[name])
    assert told.event["signature_algorithm"] == ns.RSA_SHA256


@pytest.mark.parametrize("name", UNSIGNED)
def test_unsigned_query_needs_its_certificate(name: str) -> None:
    """Without the certificate an unsigned query is refused."""
    told = replay(name, certificate=False)

    assert ("Requester", "RequestDenied") == told.codes
    assert "the TLS client key is absent" in told.event["cause"]


@pytest.mark.parametrize("name", list(SIGNED_WITH_SHA1))
def test_sha1_is_refused_by_default(name: str) -> None:
    """Shibboleth signs with rsa-sha1 where our metadata do not tell it better; that is refused, with or without certificate."""
    told = replay(name)

    assert (("Requester", "RequestDenied"), SHA1_REFUSED) == (told.codes, told.event["cause"])


@pytest.mark.parametrize("name", list(SIGNED_WITH_SHA1))
def test_sha1_where_it_is_accepted(name: str) -> None:
    """Where the operator accepts SHA-1 the same query is answered."""
    assert_answered(replay(name, certificate=False, accept_sha1=True), *SIGNED_WITH_SHA1[name])


def test_encrypted_name_id() -> None:
    """The EncryptedID, AES-256-CBC inside a query signed with SHA-1, is answered with both settings: the NameID comes back in clear."""
    assert_answered(replay(ENCRYPTED, certificate=False, accept_sha1=True, decryption_keys=(own_keys(),)), *EPPN)


def test_encrypted_name_id_signed_with_sha1() -> None:
    """The key alone does not help against the signature."""
    told = replay(ENCRYPTED, decryption_keys=(own_keys(),))

    assert (("Requester", "RequestDenied"), SHA1_REFUSED) == (told.codes, told.event["cause"])


def test_encrypted_name_id_without_a_key() -> None:
    """Nor does the signature without the key."""
    told = replay(ENCRYPTED, accept_sha1=True)

    assert ("Requester", "RequestUnsupported") == told.codes
    assert "no encryption key is configured" in told.event["cause"]


@pytest.mark.parametrize("name", list(ANSWERED_BY_DEFAULT))
def test_recipient_for_pysaml2_alone(name: str) -> None:
    """Only pysaml2, known by its media type, gets the Recipient that it insists on and that SimpleSAMLphp does not bear."""
    data = replay(name).one("saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData")

    assert (SP if name.startswith("pysaml2") else None) == data.get("Recipient")


@pytest.mark.parametrize("name", [*ANSWERED_BY_DEFAULT, *SIGNED_WITH_SHA1])
def test_day_after(name: str) -> None:
    """A day later every one of them is stale."""
    sent = capture(name)
    door = authority(accept_sha1=True).at(sent.sent.replace(day=sent.sent.day + 1))
    (key,) = next(entity.querying_keys for entity in entities() if entity.entity_id == SP)
    reply = whole(door.door.begin(Delivery(sent.body, sent.content_type, key)))

    assert ("Requester", "RequestDenied") == Told(reply, {}).codes
    assert "the IssueInstant" in door.events()[-1]["cause"]
