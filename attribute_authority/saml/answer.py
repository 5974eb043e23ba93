"""Writing Responses: canonical text, once, signed as it stands.

What goes over the wire is, letter for letter, the canonical form that the signatures cover; so nothing is parsed, built as a
tree or canonicalised on the way out, and an answer costs its two signatures and little else. Three rules make that true:

- Namespaces are declared where exclusive canonicalisation would declare them: at their first visible use on each path.
- Attributes stand in the order of their names, no element is written as `<x/>`, and `canonical` escapes every value.
- Prefixes are ns0, ns1, ns2 in the order of their first use, because pysaml2's client renames them so before it verifies.

The tests hold this against python-xmlsec and the xmlsec1 program for awkward characters in every place that takes a value.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from attribute_authority.domain.query import Answer, NameId
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.canonical import attributes, text
from attribute_authority.saml.signing import Signer

_LIFETIME: Final = timedelta(minutes=5)
# pysaml2 allows no difference of clocks at all when it reads NotBefore.
_BACKDATING: Final = timedelta(minutes=3)

_INSTANT_LENGTH: Final = len("2026-01-31T12:00:00")

_DS_DECLARATION: Final = f' xmlns:ns2="{ns.DS}"'
_TRANSFORMS: Final = (
    f'<ns2:Transforms><ns2:Transform Algorithm="{ns.ENVELOPED}"></ns2:Transform>'
    f'<ns2:Transform Algorithm="{ns.EXC_C14N}"></ns2:Transform></ns2:Transforms>'
    f'<ns2:DigestMethod Algorithm="{ns.SHA256}"></ns2:DigestMethod>'
)


_ATTRIBUTE: Final = (
    f'<ns1:Attribute FriendlyName="{ns.EDU_PERSON_ORCID_FRIENDLY_NAME}" Name="{ns.EDU_PERSON_ORCID}" NameFormat="{ns.NAME_FORMAT_URI}">'
)


@dataclass(frozen=True, slots=True)
class Status:
    """The outcome in SAML's words: one or two status codes and a sentence (core 3.2.2.1)."""

    code: str
    second: str | None = None
    message: str | None = None


_SUCCESS: Final = Status(ns.STATUS_SUCCESS)


@dataclass(frozen=True, slots=True)
class AnswerWriter:
    """Writes the Responses of one authority; `new_id` gives fresh, unguessable xs:ID values."""

    entity_id: str
    signer: Signer
    new_id: Callable[[], str]

    def write_answer(self, answer: Answer, now: datetime, *, recipient: str | None, bare_assertion: bool) -> str:
        """Write the Success for an answer.

        `recipient`, where not None, goes into SubjectConfirmationData. Without values there is, with `bare_assertion`, an
        assertion that echoes the Subject and has no statement, otherwise none at all (core 3.3.4).
        """
        assertion = self._assertion(answer, now, recipient) if answer.values or bare_assertion else ""
        return self._response(answer.in_response_to, _SUCCESS, now, assertion)

    def write_error(self, in_response_to: str | None, status: Status, now: datetime) -> str:
        """Write a Response without assertion; `in_response_to` is None where the request's ID could not be read (core 3.2.2)."""
        return self._response(in_response_to, status, now, "")

    def _response(self, in_response_to: str | None, status: Status, now: datetime, assertion: str) -> str:
        response_id = self.new_id()
        head = (
            f'<ns0:Response xmlns:ns0="{ns.SAMLP}" ID="{response_id}"{attributes(("InResponseTo", in_response_to))}'
            f' IssueInstant="{_instant(now)}" Version="2.0"><ns1:Issuer xmlns:ns1="{ns.SAML}">{text(self.entity_id)}</ns1:Issuer>'
        )
        return self._signed(response_id, head, f"{_status(status)}{assertion}</ns0:Response>")

    def _assertion(self, answer: Answer, now: datetime, recipient: str | None) -> str:
        assertion_id = self.new_id()
        head = (
            f'<ns1:Assertion xmlns:ns1="{ns.SAML}" ID="{assertion_id}" IssueInstant="{_instant(now)}" Version="2.0">'
            f"<ns1:Issuer>{text(self.entity_id)}</ns1:Issuer>"
        )
        expiry = _instant(now + _LIFETIME)
        subject = _subject(answer, expiry, recipient)
        conditions = _conditions(answer.requester, _instant(now - _BACKDATING), expiry)
        return self._signed(assertion_id, head, f"{subject}{conditions}{_statement(answer.values)}</ns1:Assertion>")

    def _signed(self, reference: str, head: str, tail: str) -> str:
        digest = b64encode(sha256(f"{head}{tail}".encode()).digest()).decode()
        # Apart from its namespace declaration, SignedInfo reads the same inside the Signature and on its own.
        start = "<ns2:SignedInfo"
        rest = (
            f'><ns2:CanonicalizationMethod Algorithm="{ns.EXC_C14N}"></ns2:CanonicalizationMethod>'
            f'<ns2:SignatureMethod Algorithm="{self.signer.algorithm}"></ns2:SignatureMethod>'
            f'<ns2:Reference URI="#{reference}">{_TRANSFORMS}'
            f"<ns2:DigestValue>{digest}</ns2:DigestValue></ns2:Reference></ns2:SignedInfo>"
        )
        value = b64encode(self.signer.sign(f"{start}{_DS_DECLARATION}{rest}".encode())).decode()
        key = (
            f"<ns2:KeyInfo><ns2:X509Data><ns2:X509Certificate>{self.signer.certificate}</ns2:X509Certificate></ns2:X509Data></ns2:KeyInfo>"
        )
        signature = f"<ns2:Signature{_DS_DECLARATION}>{start}{rest}<ns2:SignatureValue>{value}</ns2:SignatureValue>{key}</ns2:Signature>"
        return f"{head}{signature}{tail}"


def _instant(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='seconds')[:_INSTANT_LENGTH]}Z"


def _status(status: Status) -> str:
    second = "" if status.second is None else f'<ns0:StatusCode Value="{status.second}"></ns0:StatusCode>'
    message = "" if status.message is None else f"<ns0:StatusMessage>{text(status.message)}</ns0:StatusMessage>"
    return f'<ns0:Status><ns0:StatusCode Value="{status.code}">{second}</ns0:StatusCode>{message}</ns0:Status>'


def _name_id(name_id: NameId) -> str:
    named = attributes(
        ("Format", name_id.format),
        ("NameQualifier", name_id.name_qualifier),
        ("SPNameQualifier", name_id.sp_name_qualifier),
        ("SPProvidedID", name_id.sp_provided_id),
    )
    return f"<ns1:NameID{named}>{text(name_id.value)}</ns1:NameID>"


def _subject(answer: Answer, expiry: str, recipient: str | None) -> str:
    confirmation = attributes(("InResponseTo", answer.in_response_to), ("NotOnOrAfter", expiry), ("Recipient", recipient))
    return (
        f'<ns1:Subject>{_name_id(answer.name_id)}<ns1:SubjectConfirmation Method="{ns.CM_SENDER_VOUCHES}">'
        f"<ns1:SubjectConfirmationData{confirmation}></ns1:SubjectConfirmationData></ns1:SubjectConfirmation></ns1:Subject>"
    )


def _conditions(requester: str, not_before: str, expiry: str) -> str:
    return (
        f'<ns1:Conditions NotBefore="{not_before}" NotOnOrAfter="{expiry}"><ns1:AudienceRestriction>'
        f"<ns1:Audience>{text(requester)}</ns1:Audience></ns1:AudienceRestriction></ns1:Conditions>"
    )


def _statement(values: tuple[str, ...]) -> str:
    if not values:
        return ""
    written = "".join(
        [f'<ns1:AttributeValue xmlns:xsi="{ns.XSI}" xsi:type="xs:string">{text(value)}</ns1:AttributeValue>' for value in values]
    )
    return f"<ns1:AttributeStatement>{_ATTRIBUTE}{written}</ns1:Attribute></ns1:AttributeStatement>"
