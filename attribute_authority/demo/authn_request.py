"""Reading an AuthnRequest that arrives by HTTP-Redirect (bindings 3.4, profiles 4.1.4.1)."""

import binascii
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote_plus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate
from lxml.etree import _Element

from attribute_authority.demo.peers import BINDING_POST, KnownServiceProvider
from attribute_authority.errors import Denied, MalformedQuery
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.xml import NotReadable, parse, whole_text

_MAX_INFLATED: Final = 65_536
_RAW_DEFLATE: Final = -15
# A person may take a while before the sign-in page.
_FRESH: Final = timedelta(minutes=30)
_HASHES: Final[Mapping[str, HashAlgorithm]] = {ns.RSA_SHA256: SHA256(), ns.RSA_SHA384: SHA384(), ns.RSA_SHA512: SHA512()}
_PREFIXES: Final = {"saml": ns.SAML, "samlp": ns.SAMLP}
_TRUE: Final = ("true", "1")


@dataclass(frozen=True, slots=True)
class AuthnRequest:
    """A request that was checked. `relay_state` and `name_id_format` are None where it does not say."""

    request_id: str
    requester: KnownServiceProvider
    acs_url: str
    relay_state: str | None
    is_passive: bool
    name_id_format: str | None


def read_authn_request(query: str, destination: str, known: Mapping[str, KnownServiceProvider], now: datetime) -> AuthnRequest:
    """Read the raw query string of the redirect.

    Raises MalformedQuery for what is no AuthnRequest, Denied for an issuer, Destination, ACS, instant or signature that is not acceptable.
    """
    raw = _parameters(query)
    root = _parse(_inflate(_value(raw, "SAMLRequest") or ""))
    requester = known.get(_issuer(root))
    if requester is None:
        raise Denied(f"{_issuer(root)} is not a service provider of this federation")
    _check_signature(raw, requester)
    if root.get("Destination") != destination:
        raise Denied(f"the Destination is {root.get('Destination')}, expected {destination}")
    _check_instant(root.get("IssueInstant", ""), now)
    policy = root.find("samlp:NameIDPolicy", _PREFIXES)
    return AuthnRequest(
        request_id=root.get("ID", ""),
        requester=requester,
        acs_url=_acs_url(root, requester),
        relay_state=_value(raw, "RelayState"),
        is_passive=root.get("IsPassive") in _TRUE,
        name_id_format=None if policy is None else policy.get("Format"),
    )


def _parameters(query: str) -> Mapping[str, str]:
    """Return the parameters as they are encoded, which is what a signature of this binding covers."""
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise MalformedQuery("a parameter stands twice in the address")
    return dict(pairs)


def _value(raw: Mapping[str, str], name: str) -> str | None:
    encoded = raw.get(name)
    return None if encoded is None else unquote_plus(encoded)


def _inflate(text: str) -> bytes:
    try:
        deflated = b64decode(text, validate=True)
        inflater = zlib.decompressobj(_RAW_DEFLATE)
        document = inflater.decompress(deflated, _MAX_INFLATED)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise MalformedQuery(f"the SAMLRequest is not deflated and in base64: {error}") from error
    if not inflater.eof:
        raise MalformedQuery("the SAMLRequest is cut off, or larger than any request")
    return document


def _parse(document: bytes) -> _Element:
    try:
        root = parse(document)
    except NotReadable as error:
        raise MalformedQuery(f"the SAMLRequest: {error}") from error
    if root.tag != f"{{{ns.SAMLP}}}AuthnRequest" or root.get("Version") != "2.0" or not root.get("ID"):
        raise MalformedQuery("the SAMLRequest is not an AuthnRequest of SAML 2.0 with an ID")
    return root


def _issuer(root: _Element) -> str:
    issuer = root.find("saml:Issuer", _PREFIXES)
    if issuer is None:
        raise MalformedQuery("the AuthnRequest has no Issuer")
    try:
        return whole_text(issuer).strip()
    except NotReadable as error:
        raise MalformedQuery(f"the Issuer: {error}") from error


def _check_instant(text: str, now: datetime) -> None:
    try:
        issued_at = datetime.fromisoformat(text)
        is_fresh = abs(now - issued_at) <= _FRESH
    except (ValueError, TypeError) as error:
        raise MalformedQuery("the IssueInstant is no instant in UTC") from error
    if not is_fresh:
        raise Denied("the AuthnRequest is not fresh; please begin again at the service")


def _acs_url(root: _Element, requester: KnownServiceProvider) -> str:
    if root.get("ProtocolBinding") not in (None, BINDING_POST):
        raise Denied("only HTTP-POST can carry the Response")
    if root.get("AssertionConsumerServiceIndex") is not None:
        raise Denied("expected an AssertionConsumerServiceURL rather than an index")
    url = root.get("AssertionConsumerServiceURL") or requester.acs_urls[0]
    if url not in requester.acs_urls:
        raise Denied(f"{url} is not a registered AssertionConsumerService of {requester.entity_id}")
    return url


def _check_signature(raw: Mapping[str, str], requester: KnownServiceProvider) -> None:
    if "Signature" not in raw and "SigAlg" not in raw:
        if requester.signs_requests:
            raise Denied("the AuthnRequest is not signed, and the metadata of the service provider says that all are")
        return
    algorithm = _HASHES.get(_value(raw, "SigAlg") or "")
    if algorithm is None:
        raise Denied("the signature algorithm is not accepted")
    signed = "&".join(f"{name}={raw[name]}" for name in ("SAMLRequest", "RelayState", "SigAlg") if name in raw).encode()
    try:
        signature = b64decode(_value(raw, "Signature") or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedQuery("the Signature is not in base64") from error
    if not any(_is_signed_by(certificate, signature, signed, algorithm) for certificate in requester.signing_certificates):
        raise Denied("the signature is not of the service provider")


def _is_signed_by(certificate: bytes, signature: bytes, signed: bytes, algorithm: HashAlgorithm) -> bool:
    key = load_pem_x509_certificate(certificate).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True
