"""What a refusal must look like: the public form outside, the cause in the event alone, and no iD anywhere."""

from attribute_authority import errors
from tests.factories.doors import ORCID, Told

PUBLIC_FORMS: dict[type[errors.AuthorityError], tuple[int, tuple[str, ...]]] = {
    errors.NotSoap: (500, ("S:Client",)),
    errors.WrongSoapVersion: (500, ("S:VersionMismatch",)),
    errors.MustUnderstand: (500, ("S:MustUnderstand",)),
    errors.MalformedQuery: (200, ("Requester",)),
    errors.UnsupportedQuery: (200, ("Requester", "RequestUnsupported")),
    errors.InvalidAttribute: (200, ("Requester", "InvalidAttrNameOrValue")),
    errors.Denied: (200, ("Requester", "RequestDenied")),
    errors.VersionTooHigh: (200, ("VersionMismatch", "RequestVersionTooHigh")),
    errors.VersionTooLow: (200, ("VersionMismatch", "RequestVersionTooLow")),
    errors.CouldNotAsk: (200, ("Responder",)),
}


def assert_refused(told: Told, failure: type[errors.AuthorityError], cause: str) -> None:
    """The answer is the public form of `failure` and nothing else, and the event knows a cause that holds these words."""
    assert (failure.__name__, True) == (told.event.get("failure"), cause in told.event.get("cause", "")), told.event
    assert PUBLIC_FORMS[failure] == (told.reply.status, told.codes)
    public = told.entry.findtext("faultstring") or told.one("samlp:Status/samlp:StatusMessage").text

    assert f"{failure.public} ({told.event['correlation_id']})" == public
    assert_no_orcid(told.text)
    assert "Assertion" not in told.text.replace("urn:oasis:names:tc:SAML:2.0:assertion", "")


def assert_released(told: Told) -> None:
    """The answer holds the iD: the counterpart that shows an attack was no mere mistake of the test."""
    assert (("Success",), (f"https://orcid.org/{ORCID}",)) == (told.codes, told.values), told.event


def assert_no_orcid(text: str) -> None:
    """No iD is in the text, in any form."""
    assert ORCID not in text
    assert ORCID.replace("-", "") not in text
