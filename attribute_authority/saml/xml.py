"""Reading XML from strangers: one hardened parse, no document type, no entities, no network, UTF-8 alone.

Text is read whole or refused: an element whose text is broken up by comments or processing instructions reads differently in
different parsers, which has been used to impersonate people (`admin<!---->@example.org`).
"""

from dataclasses import dataclass
from typing import Final
from unicodedata import category

from lxml import etree

_DOCTYPE: Final = b"<!DOCTYPE"
_DECLARATION: Final = b"xmlns"
# What a parser takes in its stride can cost the work behind it the square or the cube of its size: inclusive canonicalisation
# goes through all namespaces in scope for every element, and each element's name is the whole of its namespace to lxml.
_MAX_NAMESPACE_LENGTH: Final = 1024
# Canonicalisation sorts the attributes of an element by insertion.
_MAX_ATTRIBUTES_OF_ONE: Final = 128
_IS_OVERSIZED: Final = etree.XPath(
    f"count(//node()) > $nodes or count(//@*) > $attributes or boolean(//*[string-length(namespace-uri()) > {_MAX_NAMESPACE_LENGTH}])"
    f" or boolean(//*[@*[{_MAX_ATTRIBUTES_OF_ONE + 1}]])"
)
_MAX_SHOWN: Final = 200
_INVISIBLE: Final = frozenset({"Cc", "Cf"})
_JOINERS: Final = "\u200c\u200d"
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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much markup a message may have: nodes, attributes and namespace declarations."""

    nodes: int
    attributes: int
    declarations: int


# The largest query that was seen has some fifty nodes and nine declarations.
QUERY_BOUNDS: Final = Bounds(nodes=1000, attributes=2000, declarations=128)
# An identity provider may release a hundred values, each with two declarations of its own and white space between them.
RESPONSE_BOUNDS: Final = Bounds(nodes=4000, attributes=4000, declarations=1000)


class NotReadable(ValueError):
    """The bytes are not XML of the kind that is accepted; the text says why."""


def parse(document: bytes, bounds: Bounds = QUERY_BOUNDS) -> etree._Element:
    """Parse a document and return its root.

    Raises NotReadable for anything but plain UTF-8 XML without a document type, and for more markup than `bounds` allow.
    """
    if b"\0" in document:
        # No character of XML in UTF-8 has this octet, and every one of UTF-16 and UTF-32 that markup is made of does.
        raise NotReadable("an encoding other than UTF-8 is not accepted")
    if _DOCTYPE in document:
        raise NotReadable("a document type declaration is not accepted")
    if document.count(_DECLARATION) > bounds.declarations:
        raise NotReadable(f"more than {bounds.declarations} namespace declarations are not accepted")
    try:
        root = etree.fromstring(document, _PARSER)
    except etree.XMLSyntaxError as error:
        # What the parser says may quote what was sent, a name for instance; the place does not.
        raise NotReadable(f"not well-formed XML, line {error.lineno}, column {error.offset}") from error
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None:
        raise NotReadable("a document type declaration is not accepted")
    encoding = tree.docinfo.encoding or "utf-8"
    if encoding.lower() not in _ENCODINGS:
        raise NotReadable(f"the encoding {encoding} is not accepted, UTF-8 is")
    if _IS_OVERSIZED(root, nodes=bounds.nodes, attributes=bounds.attributes):
        raise NotReadable("there is more markup than any message has")
    return root


def has_qualified_attributes(element: etree._Element) -> bool:
    """Whether an attribute with a namespace stands anywhere in an element.

    libxmlsec1 takes the first attribute with a local name, whatever its namespace, lxml the one without: where both stand,
    the algorithm or reference that was checked is not the one that is followed. XML Signature and XML Encryption have none.
    """
    return any(str(name).startswith("{") for part in element.iter("*") for name in part.attrib)


def shown_text(text: str) -> str:
    """Return a text as one short line for people to read, whoever wrote it.

    Control and format characters are left out, among them those that change the direction of what follows (Unicode TR 36 section 2.9);
    only joiners, which some languages are spelt with, stay.
    """
    line = " ".join(text.split())[:_MAX_SHOWN]
    visible = "".join(character for character in line if character in _JOINERS or category(character) not in _INVISIBLE)
    return " ".join(visible.split())


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
