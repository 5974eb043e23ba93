"""The rules of the web browser SSO profile (profiles 4.1.4.2 and 4.1.4.3) and of the POST binding (bindings 3.5.5.2).

They are judged on the tree that was verified, with an instant that is given.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree

from attribute_authority.errors import SignInFailed, SignInRefused
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.query import NAME_ID
from attribute_authority.saml.response_shape import ReceivedAssertion, ReceivedResponse
from attribute_authority.saml.xml import NotReadable, elements_only, whole_text

MAX_AGE: Final = timedelta(minutes=5)
"""How old a Response may be, beside the skew: without JavaScript a person has to press a button to send it on."""

_SUBJECT_CONFIRMATION: Final = f"{{{ns.SAML}}}SubjectConfirmation"
_CONFIRMATION_DATA: Final = f"{{{ns.SAML}}}SubjectConfirmationData"
_AUDIENCE_RESTRICTION: Final = f"{{{ns.SAML}}}AudienceRestriction"
_AUDIENCE: Final = f"{{{ns.SAML}}}Audience"
# Whoever does not understand a condition must not take the assertion for valid (core 2.5.1).
_KNOWN_CONDITIONS: Final = (_AUDIENCE_RESTRICTION, f"{{{ns.SAML}}}OneTimeUse", f"{{{ns.SAML}}}ProxyRestriction")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a Response must agree with: the request it answers, who answers, and who we are; `skew` is how far clocks may differ."""

    message_id: str
    issuer: str
    entity_id: str
    acs_url: str
    skew: timedelta


def check_response(received: ReceivedResponse, expected: Expected, now: datetime) -> None:
    """Check what stands outside of the assertion. Raises SignInFailed."""
    if received.in_response_to != expected.message_id:
        raise SignInFailed("the Response answers another request")
    if received.issuer not in (None, expected.issuer):
        raise SignInFailed(f"the Response is of {received.issuer!r}, asked was {expected.issuer}")
    destination = received.element.get("Destination")
    if destination != expected.acs_url and (destination is not None or received.signature is not None):
        raise SignInFailed(f"the Destination of the Response is {destination!r}")
    _check_fresh(received.element, expected, now)


def check_status(received: ReceivedResponse) -> None:
    """Raise SignInRefused unless the status is Success, SignInFailed where then there is no assertion."""
    if received.codes[:1] != (ns.STATUS_SUCCESS,):
        raise SignInRefused(f"the Response says {' '.join(received.codes)}")
    if received.assertion is None:
        raise SignInFailed("the Response says Success and holds no assertion")


def check_assertion(assertion: ReceivedAssertion, expected: Expected, now: datetime) -> datetime:
    """Check an assertion, and return from when on it would be too old for a second use. Raises SignInFailed."""
    if assertion.issuer != expected.issuer:
        raise SignInFailed(f"the Assertion is of {assertion.issuer!r}, asked was {expected.issuer}")
    try:
        issued = _check_fresh(assertion.element, expected, now)
        _check_confirmations(assertion.subject, expected, now)
        _check_conditions(assertion.conditions, expected, now)
        _check_ends(assertion.authn_statement, "SessionNotOnOrAfter", expected, now)
    except NotReadable as error:
        raise SignInFailed(str(error)) from error
    return issued + MAX_AGE + expected.skew


def _check_fresh(element: etree._Element, expected: Expected, now: datetime) -> datetime:
    issued = _read_instant(element, "IssueInstant")
    if issued is None or not now - MAX_AGE - expected.skew <= issued <= now + expected.skew:
        raise SignInFailed(f"the IssueInstant {element.get('IssueInstant')!r} of the {etree.QName(element).localname} is not of now")
    return issued


def _check_confirmations(subject: etree._Element, expected: Expected, now: datetime) -> None:
    confirmations = elements_only(subject)
    if confirmations and confirmations[0].tag == NAME_ID:
        del confirmations[0]
    if any(confirmation.tag != _SUBJECT_CONFIRMATION for confirmation in confirmations):
        raise NotReadable("the Subject holds something else than one NameID and confirmations")
    if not any(_confirms(confirmation, expected, now) for confirmation in confirmations):
        raise SignInFailed("no bearer confirmation of the Assertion is meant for us, for this request and for now")


def _confirms(confirmation: etree._Element, expected: Expected, now: datetime) -> bool:
    if confirmation.get("Method") != ns.CM_BEARER:
        return False
    parts = [child for child in elements_only(confirmation) if child.tag == _CONFIRMATION_DATA]
    if len(parts) != 1 or parts[0].get("NotBefore") is not None:
        return False
    until = _read_instant(parts[0], "NotOnOrAfter")
    return (
        parts[0].get("Recipient") == expected.acs_url
        and parts[0].get("InResponseTo") == expected.message_id
        and until is not None
        and now - expected.skew < until
    )


def _check_conditions(conditions: etree._Element, expected: Expected, now: datetime) -> None:
    children = elements_only(conditions)
    unknown = [child.tag for child in children if child.tag not in _KNOWN_CONDITIONS]
    if unknown:
        raise SignInFailed(f"the Assertion has conditions that are not known: {unknown}")
    restrictions = [child for child in children if child.tag == _AUDIENCE_RESTRICTION]
    if not restrictions or not all(expected.entity_id in _audiences(restriction) for restriction in restrictions):
        raise SignInFailed("the Assertion is not meant for us (AudienceRestriction)")
    start = _read_instant(conditions, "NotBefore")
    if start is not None and now + expected.skew < start:
        raise SignInFailed(f"the Assertion is not valid before {start.isoformat()}")
    _check_ends(conditions, "NotOnOrAfter", expected, now)


def _audiences(restriction: etree._Element) -> Iterable[str]:
    # An entity identifier holds no white space; the schema's anyURI takes it away at both ends.
    return [whole_text(audience).strip() for audience in elements_only(restriction) if audience.tag == _AUDIENCE]


def _check_ends(element: etree._Element, name: str, expected: Expected, now: datetime) -> None:
    until = _read_instant(element, name)
    if until is not None and until <= now - expected.skew:
        raise SignInFailed(f"the {name} {until.isoformat()} has passed")


def _read_instant(element: etree._Element, name: str) -> datetime | None:
    """Return the instant of an attribute, None where it is absent. Raises SignInFailed."""
    text = element.get(name)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text[:19]) if _INSTANT.fullmatch(text) else None
    except ValueError:
        instant = None
    if instant is None:
        raise SignInFailed(f"{name} is {text[:40]!r}, expected a UTC instant ending in Z (core 1.3.3)")
    return instant.replace(tzinfo=UTC)
