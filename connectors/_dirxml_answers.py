"""What NetIQ Identity Manager answers to a change: a batchResponse of DSML v2, a status of nds.dtd, or a SOAP Fault.

The driver answers success with an errorResponse too, whose type is "success" then. An event that a policy or the engine has vetoed is
no more than a warning to it, and nothing was changed.

What is read comes from another system: one hardened parse, no document type, no entities, no network, UTF-8 alone, no deeper than
libxml2 goes by default.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from lxml import etree

from connectors._dirxml import SOAP_NAMESPACE

DSML_NAMESPACE: Final = "urn:oasis:names:tc:DSML:2:0:core"

_MOST_NODES: Final = 1000
_ENCODINGS: Final = frozenset({"utf-8", "ascii", "us-ascii"})
_PARSER: Final = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, collect_ids=False
)
_IS_OVERSIZED: Final = etree.XPath(f"count(//node() | //@*) > {_MOST_NODES}")
_VETOED: Final = re.compile(r"\bvetoed\b", re.IGNORECASE)
_UNASSOCIATED: Final = re.compile(r"\bunassociated object\b", re.IGNORECASE)
_RESULT_CODE: Final = re.compile(r"[0-9]{1,5}")


class _Tag(StrEnum):
    """The names of elements that have a namespace, as lxml writes them."""

    ENVELOPE = f"{{{SOAP_NAMESPACE}}}Envelope"
    BODY = f"{{{SOAP_NAMESPACE}}}Body"
    FAULT = f"{{{SOAP_NAMESPACE}}}Fault"
    BATCH_RESPONSE = f"{{{DSML_NAMESPACE}}}batchResponse"
    ERROR_RESPONSE = f"{{{DSML_NAMESPACE}}}errorResponse"
    MODIFY_RESPONSE = f"{{{DSML_NAMESPACE}}}modifyResponse"
    RESULT_CODE = f"{{{DSML_NAMESPACE}}}resultCode"


_STATUS: Final = {"nds": "output/status", "output": "status", "status": "."}
"""Where the status of nds.dtd stands, by the element that the document begins with."""


class Judgement(IntEnum):
    """What an answer means; of several, the greatest counts."""

    TAKEN = 0
    STANDS_ALREADY = 1
    UNKNOWN = 2
    REFUSED = 3
    LATER = 4
    AWAY = 5
    NOT_LET_IN = 6


_BY_WORD: Final = {
    "success": Judgement.TAKEN,
    "warning": Judgement.TAKEN,
    "notAttempted": Judgement.LATER,
    "gatewayInternalError": Judgement.LATER,
    "fatal": Judgement.LATER,
    "retry": Judgement.AWAY,
    "couldNotConnect": Judgement.AWAY,
    "connectionClosed": Judgement.AWAY,
    "authenticationFailed": Judgement.NOT_LET_IN,
}
"""Types of errorResponse (DSML v2) and levels of status (nds.dtd). What stops at one event may stop at no other, so it is LATER."""

_BY_RESULT_CODE: Final = {
    0: Judgement.TAKEN,
    3: Judgement.LATER,  # timeLimitExceeded
    8: Judgement.NOT_LET_IN,  # strongerAuthRequired
    11: Judgement.LATER,  # adminLimitExceeded
    13: Judgement.NOT_LET_IN,  # confidentialityRequired
    16: Judgement.STANDS_ALREADY,  # noSuchAttribute: what was to go is not there
    20: Judgement.STANDS_ALREADY,  # attributeOrValueExists
    32: Judgement.UNKNOWN,  # noSuchObject
    48: Judgement.NOT_LET_IN,  # inappropriateAuthentication
    49: Judgement.NOT_LET_IN,  # invalidCredentials
    50: Judgement.LATER,  # insufficientAccessRights: to this entry or to all, nobody knows
    51: Judgement.LATER,  # busy
    52: Judgement.AWAY,  # unavailable
}
"""Result codes of LDAP (RFC 4511 appendix A); the others are refusals."""

_BY_FAULT: Final = {"Client": Judgement.REFUSED, "Server": Judgement.LATER}
"""Fault codes (SOAP 1.1 section 4.4.1); with the others nothing that is sent is understood."""


class Unreadable(ValueError):
    """The answer is nothing that is known here; the text says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer: what it means, and in which words of the other side."""

    judgement: Judgement
    message: str | None = field(default=None, repr=False)


def read_answer(body: bytes) -> Verdict:
    """Return what an answer says, with or without an envelope. Raises Unreadable."""
    payload = _payload(_parse(body))
    verdicts = tuple(_verdicts(payload))
    if not verdicts:
        raise Unreadable("it says nothing of how the change went")
    return max(verdicts, key=lambda verdict: verdict.judgement)


def _parse(body: bytes) -> etree._Element:
    # No character of XML in UTF-8 has this octet, and every one of UTF-16 and UTF-32 that markup is made of does.
    if b"\0" in body or b"<!DOCTYPE" in body:
        raise Unreadable("it has a document type, or is not in UTF-8")
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError:
        raise Unreadable("it is not well-formed XML") from None
    docinfo = root.getroottree().docinfo
    if docinfo.internalDTD is not None or (docinfo.encoding or "utf-8").lower() not in _ENCODINGS:
        raise Unreadable("it has a document type, or is not in UTF-8")
    if _IS_OVERSIZED(root):
        raise Unreadable("there is more markup than any answer has")
    return root


def _payload(root: etree._Element) -> etree._Element:
    if root.tag != _Tag.ENVELOPE:
        return root
    bodies = root.findall(_Tag.BODY)
    entries = [entry for body in bodies for entry in body.iterchildren("*")]
    if len(bodies) != 1 or len(entries) != 1:
        raise Unreadable("its envelope holds not exactly one document")
    return entries[0]


def _verdicts(payload: etree._Element) -> Iterator[Verdict]:
    match payload.tag:
        case _Tag.FAULT:
            yield _fault(payload)
        case _Tag.BATCH_RESPONSE:
            yield from map(_dsml, payload.iterchildren("*"))
        case "nds" | "output" | "status" as name:
            yield from map(_status, payload.iterfind(_STATUS[name]))
        case _:
            raise Unreadable("it is neither a batchResponse nor a status")


def _dsml(response: etree._Element) -> Verdict:
    if response.tag == _Tag.ERROR_RESPONSE:
        return _worded(response, "type")
    if response.tag != _Tag.MODIFY_RESPONSE:
        raise Unreadable("its batchResponse answers something that was not asked")
    results = response.findall(_Tag.RESULT_CODE)
    code = results[0].get("code", "") if len(results) == 1 else ""
    if not _RESULT_CODE.fullmatch(code):
        raise Unreadable("its modifyResponse has no result code")
    return Verdict(_BY_RESULT_CODE.get(int(code), Judgement.REFUSED), _message(response))


def _status(status: etree._Element) -> Verdict:
    return _worded(status, "level")


def _worded(element: etree._Element, attribute: str) -> Verdict:
    word = element.get(attribute)
    if not word:
        raise Unreadable(f"it says nothing of how the change went: no {attribute}")
    judgement = _BY_WORD.get(word, Judgement.REFUSED)
    message = _message(element)
    if word == "success" or judgement > Judgement.REFUSED or message is None:
        return Verdict(judgement, message)
    if _UNASSOCIATED.search(message):
        return Verdict(Judgement.UNKNOWN, message)
    return Verdict(Judgement.REFUSED if _VETOED.search(message) else judgement, message)


def _fault(fault: etree._Element) -> Verdict:
    code = (fault.findtext("faultcode") or "").strip().rpartition(":")[2]
    kind, _, detail = code.partition(".")
    if detail.startswith("Authentication"):
        return Verdict(Judgement.NOT_LET_IN)
    return Verdict(_BY_FAULT.get(kind, Judgement.AWAY), _message(fault))


def _message(element: etree._Element) -> str | None:
    # Whole: an identifier that was cut in two could not be taken out any more.
    return " ".join(" ".join(map(str, element.itertext("*"))).split()) or None
