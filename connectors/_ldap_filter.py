"""Search filters of the configuration (RFC 4515), with places for what is asked.

A filter is refused where it could fit somebody whom the question does not name: each alternative has to compare an attribute for equality
with the value that is asked, or with its local part.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ldap3.core.exceptions import LDAPExceptionError
from ldap3.operation.search import FilterNode, parse_filter
from ldap3.utils.conv import escape_filter_chars

from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind
from connectors._ldap_condition import Condition, Parts, mark, read_condition

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_SCOPED: Final = ("value", "local_part", "scope")
_PLACES: Final = {
    IdentifierKind.EPPN: _SCOPED,
    IdentifierKind.UNIQUE_ID: _SCOPED,
    IdentifierKind.SUBJECT_ID: _SCOPED,
    IdentifierKind.PAIRWISE_ID: (*_SCOPED, "sp_name_qualifier"),
    IdentifierKind.PERSISTENT: ("value", "name_qualifier", "sp_name_qualifier"),
}

# ldap3 declares no types for these.
_parse: Final[Callable[..., FilterNode]] = parse_filter
_escape: Final[Callable[[str], str]] = escape_filter_chars

_MOST_CONDITIONS: Final = 100
"""Conditions are taken apart one within the other."""


@dataclass(frozen=True, slots=True)
class OwnPeople:
    """What holds for everybody in the directory, so that a filter need not compare it."""

    home_organisation: EntityId
    local_part_scope: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """A filter that was filled in, and what an entry has to hold to be the answer."""

    filter: str
    condition: Condition
    parts: Parts
    exactly: bool

    def fits(self, values: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether an entry with these values, by attribute in lower case, is the one that was asked about."""
        return self.condition.holds(values, self.parts, self.exactly)


@dataclass(frozen=True, slots=True)
class FilterTemplate:
    """A filter for one kind of identifier; make it with `parse_template`."""

    kind: IdentifierKind
    text: str
    condition: Condition

    @property
    def needs_scope(self) -> bool:
        """Whether it compares local parts alone, so that their scope has to be known from elsewhere."""
        return self.kind is not IdentifierKind.PERSISTENT and "scope" not in self.condition.certain

    def ask(self, identifier: Identifier, own: OwnPeople) -> Question | None:
        """Fill in the identifier, every part of it escaped; None where nobody in the directory can have it."""
        parts = _parts(identifier)
        if not self._can_be_ours(identifier, parts, own) or any(parts[place] is None for place in self.condition.places):
            return None
        filled = _PLACE.sub(lambda match: _escape(parts[match[1]] or ""), self.text)
        return Question(filled, self.condition, parts, identifier.kind is IdentifierKind.PERSISTENT)

    def _can_be_ours(self, identifier: Identifier, parts: Parts, own: OwnPeople) -> bool:
        certain = self.condition.certain
        if self.needs_scope and (parts["scope"] or "").lower() != own.local_part_scope:
            return False
        if identifier.sp_name_qualifier is not None and "sp_name_qualifier" not in certain:
            return False
        return identifier.name_qualifier in {None, own.home_organisation} or "name_qualifier" in certain


def parse_template(kind: IdentifierKind, text: str) -> FilterTemplate:
    """Check a filter for identifiers of `kind`. Raises ValueError saying what was expected."""
    places = _PLACE.findall(text)
    unknown = sorted(set(places) - set(_PLACES[kind]))
    if unknown:
        raise ValueError(f"{{{unknown[0]}}} says nothing about {kind}: expected {_listed(_PLACES[kind])}")
    if any(brace in _PLACE.sub("", text) for brace in "{}"):
        raise ValueError("expected braces around names only: elsewhere they are written \\7b and \\7d")
    if "}{" in text:
        raise ValueError("expected something between two places, such as @ or !, so that no two people look the same")
    if not {"value", "local_part"} & set(places):
        raise ValueError("a filter without {value} or {local_part} fits everybody")
    if text.count("(") > _MOST_CONDITIONS:
        raise ValueError(f"expected at most {_MOST_CONDITIONS} conditions")
    condition = _condition(_PLACE.sub(lambda match: mark(match[1]), text))
    if len(condition.places) != len(places):
        raise ValueError("expected names in braces only in what a whole attribute is compared with by =")
    if "local_part" not in condition.certain and "value" not in condition.certain:
        raise ValueError("every alternative has to compare with {value} or {local_part} by =: this filter fits others too")
    if kind is IdentifierKind.PERSISTENT and "sp_name_qualifier" not in condition.certain:
        raise ValueError("a persistent identifier belongs to one service provider: expected {sp_name_qualifier} to be compared too")
    return FilterTemplate(kind, text, condition)


def _condition(text: str) -> Condition:
    try:
        return read_condition(_parse(text, None, False, True, None, False).elements[0])
    except (LDAPExceptionError, AttributeError, LookupError, UnicodeDecodeError) as error:
        raise ValueError("expected a search filter such as (eduPersonPrincipalName={value}), with balanced brackets") from error


def _parts(identifier: Identifier) -> Parts:
    # The home organisation may tell capitals apart where eduPerson does not.
    value = identifier.spelling or identifier.value
    local_part, _, scope = value.rpartition("@")
    return {
        "value": value,
        "local_part": local_part,
        "scope": scope,
        "name_qualifier": identifier.name_qualifier,
        "sp_name_qualifier": identifier.sp_name_qualifier,
    }


def _listed(places: tuple[str, ...]) -> str:
    return ", ".join(f"{{{place}}}" for place in places)
