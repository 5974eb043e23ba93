"""Reading XML from strangers: one hardened parse, no document type, no entities, no network, UTF-8 alone.

Text is read whole or refused: an element whose text is broken up by comments or processing instructions reads differently in
different parsers, which has been used to impersonate people (`admin<!---->@example.org`).
"""

from typing import Final

from lxml import etree

_DOCTYPE: Final = b"<!DOCTYPE"
_ENCODINGS: Final = frozenset({"utf-8", "ascii", "us-ascii"})
_PARSER: Final = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    collect_ids=False,
    remove_comments=False,
    remove_pis=False,
)


class NotReadable(ValueError):
    """The bytes are not XML of the kind that is accepted; the text says why."""


def parse(document: bytes) -> etree._Element:
    """Parse a document and return its root. Raises NotReadable for anything but plain UTF-8 XML without a document type."""
    if b"\0" in document:
        # No character of XML in UTF-8 has this octet, and every one of UTF-16 and UTF-32 that markup is made of does.
        raise NotReadable("an encoding other than UTF-8 is not accepted")
    if _DOCTYPE in document:
        raise NotReadable("a document type declaration is not accepted")
    try:
        root = etree.fromstring(document, _PARSER)
    except etree.XMLSyntaxError as error:
        raise NotReadable(f"not well-formed XML: {error}") from error
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None:
        raise NotReadable("a document type declaration is not accepted")
    encoding = tree.docinfo.encoding or "utf-8"
    if encoding.lower() not in _ENCODINGS:
        raise NotReadable(f"the encoding {encoding} is not accepted, UTF-8 is")
    return root


def whole_text(element: etree._Element) -> str:
    """Return the text of an element that has nothing but text in it. Raises NotReadable for child elements, comments and the like."""
    if len(element):
        raise NotReadable(f"{element.tag} must hold text alone")
    return element.text or ""


def elements_only(element: etree._Element) -> list[etree._Element]:
    """Return the child elements; comments and processing instructions are passed over.

    Raises NotReadable where anything but white space stands between them.
    """
    if element.text and not element.text.isspace():
        raise NotReadable(f"{element.tag} holds text where elements are expected")
    children = []
    for child in element:
        if child.tail and not child.tail.isspace():
            raise NotReadable(f"{element.tag} holds text where elements are expected")
        if isinstance(child.tag, str):
            children.append(child)
    return children
