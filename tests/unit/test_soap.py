"""SOAP 1.1 envelopes, in and out."""

import pytest
from lxml import etree

from attribute_authority.errors import AuthorityError, MustUnderstand, NotSoap, WrongSoapVersion
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.soap import read_envelope, wrap, write_fault
from tests.factories.queries import envelope

ENTRY = '<x xmlns="urn:x"/>'


@pytest.mark.parametrize("header", [None, "", "<x/>"])
def test_entry_is_found(header: str | None) -> None:
    """The one entry of the Body is returned, with and without Header, as the node that was parsed."""
    entry = read_envelope(envelope(ENTRY, header=header))

    assert entry.tag == "{urn:x}x"
    assert entry.getroottree().getroot().tag == f"{{{ns.SOAP11}}}Envelope"


@pytest.mark.parametrize(
    ("message", "failure"),
    [
        (b"x", NotSoap),
        (b"<x/>", NotSoap),
        (envelope(), NotSoap),
        (envelope(ENTRY, ENTRY), NotSoap),
        (envelope(ENTRY, soap=ns.SOAP12), WrongSoapVersion),
        (envelope(ENTRY, header='<x S:mustUnderstand="1"/>'), MustUnderstand),
    ],
)
def test_what_is_refused(message: bytes, failure: type[AuthorityError]) -> None:
    """Each flaw has its own failure."""
    with pytest.raises(failure):
        read_envelope(message)


def test_what_is_wrapped_is_read() -> None:
    """What we write, we read; the text inside stands there letter for letter."""
    message = wrap(ENTRY)

    assert ENTRY.encode() in message
    assert read_envelope(message).tag == "{urn:x}x"


@pytest.mark.parametrize("code", ["Client", "Server", "VersionMismatch", "MustUnderstand"])
def test_fault_code_is_a_qualified_name(code: str) -> None:
    """The faultcode is a QName whose prefix is bound to the envelope's namespace (SOAP 1.1 section 4.4)."""
    fault = etree.fromstring(write_fault(code, "no"))[0][0]
    (element,) = fault.findall("faultcode")
    prefix, _, local = str(element.text).partition(":")

    assert (ns.SOAP11, code) == (element.nsmap[prefix], local)
