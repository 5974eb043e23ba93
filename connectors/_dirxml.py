"""Changes of one attribute as NetIQ Identity Manager takes them: the element `modify` of its document type nds.dtd."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

SOAP_NAMESPACE: Final = "http://schemas.xmlsoap.org/soap/envelope/"

_DTD_VERSION: Final = "4.0"


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """What changes about somebody: all values of an attribute go where `remove_all`, else `removed`; then `added` come."""

    association: str = field(repr=False)
    remove_all: bool = False
    removed: tuple[str, ...] = field(default=(), repr=False)
    added: tuple[str, ...] = field(default=(), repr=False)

    @property
    def only_adds(self) -> bool:
        """Whether nothing goes."""
        return not self.remove_all and not self.removed

    def steps(self) -> Iterator["AttributeChange"]:
        """Yield the same as changes of a single value, or of all."""
        if self.remove_all:
            yield AttributeChange(self.association, remove_all=True)
        for value in self.removed:
            yield AttributeChange(self.association, removed=(value,))
        for value in self.added:
            yield AttributeChange(self.association, added=(value,))


@dataclass(frozen=True, slots=True)
class ModifyWriting:
    """How changes are written: class and attribute as the driver names them, and what stands around `modify`."""

    class_name: str
    attribute: str
    envelope: bool
    nds: bool

    def write(self, change: AttributeChange) -> bytes:
        """Return the document. Raises ValueError where a value has a character that no XML holds."""
        document = self._modify(change)
        if self.nds:
            document = _inside(document, etree.Element("nds", dtdversion=_DTD_VERSION), "input")
        if self.envelope:
            envelope = etree.Element(etree.QName(SOAP_NAMESPACE, "Envelope"), nsmap={"soapenv": SOAP_NAMESPACE})
            document = _inside(document, envelope, etree.QName(SOAP_NAMESPACE, "Body"))
        return etree.tostring(document, encoding="UTF-8", xml_declaration=True)

    def _modify(self, change: AttributeChange) -> etree._Element:
        modify = etree.Element("modify", {"class-name": self.class_name})
        etree.SubElement(modify, "association", state="associated").text = change.association
        attribute = etree.SubElement(modify, "modify-attr", {"attr-name": self.attribute})
        if change.remove_all:
            etree.SubElement(attribute, "remove-all-values")
        for name, values in (("remove-value", change.removed), ("add-value", change.added)):
            for value in values:
                etree.SubElement(etree.SubElement(attribute, name), "value").text = value
        return modify


def _inside(document: etree._Element, outer: etree._Element, name: str | etree.QName) -> etree._Element:
    etree.SubElement(outer, name).append(document)
    return outer
