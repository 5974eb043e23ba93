"""What a search filter of the configuration demands of an entry, as far as we can check it ourselves.

A directory compares by rules of its own: Active Directory takes capitals and accents for nothing, a schema may fold what SAML tells apart
(core 8.3.7). So an entry that was found counts only where it holds what was asked, letter by letter or, for kinds that compare without
regard to case, in another case.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from unicodedata import normalize

from ldap3.operation.search import AND, MATCH_EQUAL, MATCH_EXTENSIBLE, NOT, OR, FilterNode
from ldap3.protocol.convert import prepare_filter_for_sending

_AMBIGUOUS_NAME_RESOLUTION: Final = "anr"
"""Active Directory takes this for an attribute, and compares beginnings of several others."""

_RULES_OF_ACTIVE_DIRECTORY: Final = "1.2.840.113556."
"""These test bits and follow chains."""

_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_MARK: Final = re.compile(r"0place([a-z]+)0place0")

# ldap3 declares no types for it.
_unescape: Final[Callable[[bytes], bytes]] = prepare_filter_for_sending

Parts = Mapping[str, str | None]
"""What stands in each place for one identifier."""


class Operator(Enum):
    """How the parts of a condition belong together; EQUAL compares an attribute, TRUSTED is left to the directory."""

    ALL = "all"
    ANY = "any"
    EQUAL = "equal"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition; `text` is what `attribute` is compared with, with marks where something of the identifier stands."""

    operator: Operator
    conditions: tuple["Condition", ...] = ()
    attribute: str = ""
    text: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """Every place that is compared, as often as it is."""
        own = tuple(match[1].replace("x", "_") for match in _MARK.finditer(self.text))
        return own + tuple(place for condition in self.conditions for place in condition.places)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that are compared."""
        own = (self.attribute,) if self.operator is Operator.EQUAL else ()
        return own + tuple(attribute for condition in self.conditions for attribute in condition.attributes)

    @property
    def certain(self) -> frozenset[str]:
        """The places that every entry that fits was compared with; who compares the value compares its parts."""
        if self.operator is Operator.EQUAL:
            places = frozenset(self.places)
            return places | {"local_part", "scope"} if "value" in places else places
        certain = [condition.certain for condition in self.conditions]
        if self.operator is Operator.ALL:
            return frozenset[str]().union(*certain)
        return frozenset[str].intersection(*certain) if certain else frozenset()

    def holds(self, values: Mapping[str, tuple[str, ...]], parts: Parts, exactly: bool) -> bool:
        """Whether an entry with these values, by attribute, really has what was asked."""
        match self.operator:
            case Operator.ALL:
                return all(condition.holds(values, parts, exactly) for condition in self.conditions)
            case Operator.ANY:
                return any(condition.holds(values, parts, exactly) for condition in self.conditions)
            case Operator.EQUAL:
                asked = _folded(_MARK.sub(lambda match: parts[match[1].replace("x", "_")] or "", self.text), exactly)
                return any(_folded(value, exactly) == asked for value in values.get(self.attribute, ()))
            case Operator.TRUSTED:
                return True


def mark(place: str) -> str:
    """Return what stands for a place in the text of a filter while it is taken apart."""
    return f"0place{place.replace('_', 'x')}0place0"


def read_condition(node: FilterNode) -> Condition:
    """Make a condition of a filter that ldap3 took apart. Raises ValueError where it cannot be used, LookupError where it is no filter."""
    if node.tag in {AND, OR}:
        parts = tuple(read_condition(element) for element in node.elements)
        if not parts:
            raise LookupError("an operator without operands")
        return Condition(Operator.ALL if node.tag == AND else Operator.ANY, parts)
    if node.tag == NOT:
        read_condition(node.elements[0])
        return Condition(Operator.TRUSTED)
    attribute = str(node.assertion.get("attr") or "")
    text = _unescape(node.assertion["value"]).decode() if _compares_whole(node) else ""
    if not _MARK.search(text):
        return Condition(Operator.TRUSTED)
    if not is_attribute_name(attribute) or attribute.lower() == _AMBIGUOUS_NAME_RESOLUTION:
        raise ValueError("expected the name of one attribute, without options, before =")
    return Condition(Operator.EQUAL, attribute=attribute.lower(), text=text)


def is_attribute_name(text: str) -> bool:
    """Whether a text is the name of an attribute (RFC 4512, 2.5), without options, and no number, which comes back as a name."""
    return _ATTRIBUTE.fullmatch(text) is not None


def _compares_whole(node: FilterNode) -> bool:
    if node.tag == MATCH_EQUAL:
        return True
    if node.tag != MATCH_EXTENSIBLE or node.assertion["dnAttributes"]:
        return False
    return not str(node.assertion["matchingRule"] or "").startswith(_RULES_OF_ACTIVE_DIRECTORY)


def _folded(text: str, exactly: bool) -> str:
    return text if exactly else normalize("NFC", text).lower()
