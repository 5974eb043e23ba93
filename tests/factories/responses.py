"""Makers of Responses: elements as text, put together by nesting calls, signed and encrypted where a test wants it.

response(signed(assertion(attribute(ns.EPPN_OID_URN, "josiah@uni.example")), idp_keys()))
"""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from attribute_authority.domain.entity import Entity, Role, Scope
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.saml.sign_in import AcceptedSignIn, BegunSignInRef, OwnRole, SignIn
from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.queries import encrypted_id, instant, signed

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SKEW = timedelta(minutes=3)
IDP = EntityId("https://idp.uni.example/idp")
OTHER_IDP = EntityId("https://idp.other.example/idp")
SP = EntityId("https://orcid.example.org/saml")
ACS = "https://orcid.example.org/saml/acs"
DISCOVERY_RETURN = "https://orcid.example.org/saml/discovered"
REQUEST = "_request"
PERSON = "josiah@uni.example"
OPAQUE = "8f2c9a"
DECLARATIONS = f' xmlns:samlp="{ns.SAMLP}" xmlns:saml="{ns.SAML}" xmlns:xs="{ns.XS}" xmlns:xsi="{ns.XSI}"'
SUCCESS = f'<samlp:Status><samlp:StatusCode Value="{ns.STATUS_SUCCESS}"/></samlp:Status>'
SOON = instant(NOW + timedelta(minutes=5))
RECENTLY = instant(NOW - timedelta(seconds=10))


def idp_keys() -> KeyPair:
    """The keys that assertions of the identity provider are signed with."""
    return rsa_pair("home organisation")


def other_idp_keys() -> KeyPair:
    """The keys of another identity provider of the federation."""
    return rsa_pair("other home organisation")


def own_keys() -> KeyPair:
    """Our own keys for signing."""
    return rsa_pair("companion")


def own_encryption_keys() -> KeyPair:
    """Our own keys that identity providers encrypt to."""
    return rsa_pair("companion encryption")


def home(**changes: Any) -> Entity:
    """The identity provider as trusted metadata has it."""
    entity = Entity(
        IDP,
        frozenset({Role.IDENTITY_PROVIDER}),
        scopes=(Scope("uni.example"), Scope(r"^.+\.uni\.example$", regexp=True)),
        asserting_keys=(idp_keys().public_key,),
        sign_on_url="https://idp.uni.example/sso",
        display_names=(("en", "University"), ("fi", "Yliopisto")),
    )
    return replace(entity, **changes)


def other_home() -> Entity:
    """Another identity provider of the federation."""
    return home(entity_id=OTHER_IDP, scopes=(Scope("other.example"),), asserting_keys=(other_idp_keys().public_key,))


def own_role(**changes: Any) -> OwnRole:
    """Ourselves, with an RSA key for signing and one for decryption."""
    role = OwnRole(SP, ACS, DISCOVERY_RETURN, own_keys().key_pem, own_keys().certificate_pem, (own_encryption_keys().key_pem,))
    return replace(role, **changes)


def sign_in(*entities: Entity, own: OwnRole | None = None, environment: Environment = Environment.PRODUCTION) -> SignIn:
    """Make the service-provider role; without `entities` both identity providers are known."""
    directory = MemoryEntityDirectory(entities or (home(), other_home()))
    return SignIn(own or own_role(), directory, environment, SKEW, lambda: REQUEST)


def begun(message_id: str = REQUEST, identity_provider: EntityId = IDP) -> BegunSignInRef:
    """What was remembered of the begun sign-in."""
    return BegunSignInRef(message_id, identity_provider)


def accept(document: str | bytes, now: datetime = NOW) -> AcceptedSignIn:
    """Have a document accepted, or not."""
    return _ordinary_sign_in().accept(encoded(document), begun(), now)


@lru_cache
def _ordinary_sign_in() -> SignIn:
    # It keeps nothing between two sign-ins, and loading its keys takes longer than a sign-in.
    return sign_in()


def encoded(document: str | bytes) -> str:
    """Encode a document as the form control carries it."""
    return b64encode(document.encode() if isinstance(document, str) else document).decode()


def name_id(
    value: str = OPAQUE,
    *,
    format: str | None = ns.NAMEID_PERSISTENT,  # noqa: A002 - the attribute's name
    name_qualifier: str | None = IDP,
    sp_name_qualifier: str | None = SP,
) -> str:
    """Write a NameID; `value` is escaped."""
    attributes = _attribute("Format", format) + _attribute("NameQualifier", name_qualifier)
    attributes += _attribute("SPNameQualifier", sp_name_qualifier)
    return f"<saml:NameID{attributes}>{escape(value)}</saml:NameID>"


def issuer(entity_id: str = IDP, attributes: str = "") -> str:
    """Write an Issuer."""
    return f"<saml:Issuer{attributes}>{escape(entity_id)}</saml:Issuer>"


def confirmation(
    method: str = ns.CM_BEARER,
    *,
    recipient: str | None = ACS,
    in_response_to: str | None = REQUEST,
    until: str | None = SOON,
    not_before: str | None = None,
    address: str | None = "192.0.2.7",
) -> str:
    """Write a SubjectConfirmation."""
    named = _attribute("Address", address) + _attribute("InResponseTo", in_response_to) + _attribute("NotBefore", not_before)
    named += _attribute("NotOnOrAfter", until) + _attribute("Recipient", recipient)
    return f'<saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData{named}/></saml:SubjectConfirmation>'


def subject(*children: str) -> str:
    """Write a Subject, by default a persistent NameID with a bearer confirmation."""
    return f"<saml:Subject>{''.join(children or (name_id(), confirmation()))}</saml:Subject>"


def audience(*entity_ids: str) -> str:
    """Write an AudienceRestriction."""
    return (
        f"<saml:AudienceRestriction>{''.join(f'<saml:Audience>{name}</saml:Audience>' for name in entity_ids)}</saml:AudienceRestriction>"
    )


def conditions(*children: str, not_before: str | None = RECENTLY, until: str | None = SOON) -> str:
    """Write Conditions, by default with an AudienceRestriction to us; give "" for none."""
    named = _attribute("NotBefore", not_before) + _attribute("NotOnOrAfter", until)
    return f"<saml:Conditions{named}>{''.join(children or (audience(SP),))}</saml:Conditions>"


def authn_statement(session_until: str | None = None) -> str:
    """Write an AuthnStatement."""
    context = "<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
    context += "</saml:AuthnContextClassRef></saml:AuthnContext>"
    named = f' AuthnInstant="{RECENTLY}" SessionIndex="_session"{_attribute("SessionNotOnOrAfter", session_until)}'
    return f"<saml:AuthnStatement{named}>{context}</saml:AuthnStatement>"


def attribute(name: str, *values: str, name_format: str | None = ns.NAME_FORMAT_URI) -> str:
    """Write an Attribute with values of text."""
    return raw_attribute(name, *(escape(value) for value in values), name_format=name_format)


def raw_attribute(name: str, *contents: str, name_format: str | None = ns.NAME_FORMAT_URI) -> str:
    """Write an Attribute whose values hold what is given."""
    values = "".join(f'<saml:AttributeValue xsi:type="xs:string">{content}</saml:AttributeValue>' for content in contents)
    values = values.replace(' xsi:type="xs:string"><saml:NameID', "><saml:NameID")
    return f"<saml:Attribute Name={quoteattr(name)}{_attribute('NameFormat', name_format)}>{values}</saml:Attribute>"


def eppn(*values: str) -> str:
    """Write an eduPersonPrincipalName, by default that of the person."""
    return attribute(ns.EPPN_OID_URN, *(values or (PERSON,)))


def assertion(
    *attributes: str,
    about: str | None = None,
    holds: str | None = None,
    authenticated: str | None = None,
    message_id: str = "_assertion",
    issued: str = instant(NOW),
    version: str = "2.0",
    of: str | None = None,
    extra: str = "",
) -> str:
    """Write an Assertion with these attributes, by default an eduPersonPrincipalName; give "" for no AttributeStatement.

    `about` is the Subject, `holds` the Conditions, `authenticated` the AuthnStatement, `of` the Issuer; `extra` stands at the end.
    """
    written = "".join(attributes or (eppn(),))
    statement = f"<saml:AttributeStatement>{written}</saml:AttributeStatement>" if written else ""
    parts = (issuer() if of is None else of, subject() if about is None else about, conditions() if holds is None else holds)
    content = "".join((*parts, authn_statement() if authenticated is None else authenticated, statement, extra))
    return f'<saml:Assertion{DECLARATIONS} ID="{message_id}" IssueInstant="{issued}" Version="{version}">{content}</saml:Assertion>'


def response(
    *children: str,
    of: str | None = None,
    status: str = SUCCESS,
    message_id: str = "_response",
    in_response_to: str | None = REQUEST,
    destination: str | None = ACS,
    issued: str = instant(NOW),
    version: str = "2.0",
) -> str:
    """Write a Response with these assertions, by default none; `of` is the Issuer."""
    named = f' ID="{message_id}" IssueInstant="{issued}" Version="{version}"{_attribute("InResponseTo", in_response_to)}'
    content = "".join((issuer() if of is None else of, status, *children))
    return f"<samlp:Response{DECLARATIONS}{named}{_attribute('Destination', destination)}>{content}</samlp:Response>"


def encrypted(plaintext: str, recipient: KeyPair | None = None, *, algorithm: str = ns.AES128_GCM, key_transport: str = ns.RSA_OAEP) -> str:
    """Encrypt an Assertion, by default to us."""
    written = encrypted_id(plaintext, recipient or own_encryption_keys(), algorithm=algorithm, key_transport=key_transport)
    return written.replace("saml:EncryptedID", "saml:EncryptedAssertion")


def good_response(*attributes: str) -> str:
    """Write a Response as most identity providers do: signed, the assertion in clear and without a signature of its own."""
    return signed(response(assertion(*attributes)), idp_keys())


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f" {name}={quoteattr(value)}"
