"""SOAP 1.1: the envelope around queries and answers (SOAP 1.1 section 4; bindings 3.2).

Text between the parts of an envelope is passed over: SimpleSAMLphp sends a stray backslash there.
"""

from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from attribute_authority.errors import MustUnderstand, NotSoap, WrongSoapVersion
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.xml import NotReadable, parse

_ENVELOPE: Final = f"{{{ns.SOAP11}}}Envelope"
_HEADER: Final = f"{{{ns.SOAP11}}}Header"
_BODY: Final = f"{{{ns.SOAP11}}}Body"
_MUST_UNDERSTAND: Final = f"{{{ns.SOAP11}}}mustUnderstand"
_ACTOR: Final = f"{{{ns.SOAP11}}}actor"

# xs is declared out here because xsi:type="xs:string" needs it in scope, while exclusive canonicalisation leaves it out of
# what is signed; so the signed text inside stands on the wire letter for letter.
_OPEN: Final = f'<S:Envelope xmlns:S="{ns.SOAP11}" xmlns:xs="{ns.XS}"><S:Body>'
_CLOSE: Final = "</S:Body></S:Envelope>"


def read_envelope(body: bytes) -> etree._Element:
    """Parse a message and return the one entry of its Body.

    Raises NotSoap, WrongSoapVersion or MustUnderstand.
    """
    try:
        envelope = parse(body)
    except NotReadable as error:
        raise NotSoap(str(error)) from error
    if envelope.tag != _ENVELOPE:
        if etree.QName(envelope).localname == "Envelope":
            raise WrongSoapVersion(f"the envelope is {envelope.tag}")
        raise NotSoap(f"the document element is {envelope.tag}")
    parts = [part for part in envelope if isinstance(part.tag, str)]
    if len(parts) == 2 and parts[0].tag == _HEADER:
        _check_header(parts.pop(0))
    if len(parts) != 1 or parts[0].tag != _BODY:
        raise NotSoap(f"the envelope holds {[part.tag for part in parts]} where one Body is expected")
    return _only_entry(parts[0])


def wrap(entry: str) -> bytes:
    """Put one entry, as XML text, into an envelope."""
    return f"{_OPEN}{entry}{_CLOSE}".encode()


def write_fault(code: str, reason: str) -> bytes:
    """Write a Fault; `code` is Client, Server, VersionMismatch or MustUnderstand (SOAP 1.1 section 4.4.1)."""
    return wrap(f"<S:Fault><faultcode>S:{code}</faultcode><faultstring>{escape(reason)}</faultstring></S:Fault>")


def _check_header(header: etree._Element) -> None:
    for entry in header:
        if not isinstance(entry.tag, str) or entry.get(_MUST_UNDERSTAND, "0") in ("0", "false"):
            continue
        if entry.get(_ACTOR, "") in ("", ns.SOAP_ACTOR_NEXT):
            raise MustUnderstand(f"the header entry {entry.tag} is not known")


def _only_entry(body: etree._Element) -> etree._Element:
    entries = [entry for entry in body if isinstance(entry.tag, str)]
    if len(entries) != 1:
        raise NotSoap(f"the Body holds {len(entries)} entries, expected one")
    return entries[0]
