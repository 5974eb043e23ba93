"""The names by which people know an entity: mdui:DisplayName of a role, else md:OrganizationDisplayName (mdui 2.1.2, metadata 2.3.2.1)."""

from collections.abc import Iterable, Iterator
from typing import Final

from lxml.etree import _Element

from attribute_authority.saml.namespaces import MD, MDUI, XML
from attribute_authority.saml.xml import shown_text

Names = tuple[tuple[str, str], ...]
"""Pairs of language and name, each language once."""

_EXTENSIONS: Final = f"{{{MD}}}Extensions"
_USER_INTERFACE: Final = f"{{{MDUI}}}UIInfo"
_DISPLAY_NAME: Final = f"{{{MDUI}}}DisplayName"
_ORGANISATION: Final = f"{{{MD}}}Organization"
_ORGANISATION_NAME: Final = f"{{{MD}}}OrganizationDisplayName"
_LANGUAGE: Final = f"{{{XML}}}lang"


def read_display_names(entity: _Element, roles: Iterable[_Element]) -> Names:
    """Return the names of the first role that has some, else those of the organisation."""
    for role in roles:
        names = _names(_user_interfaces(role), _DISPLAY_NAME)
        if names:
            return names
    return _names(entity.iterchildren(_ORGANISATION), _ORGANISATION_NAME)


def _user_interfaces(role: _Element) -> Iterator[_Element]:
    for extensions in role.iterchildren(_EXTENSIONS):
        yield from extensions.iterchildren(_USER_INTERFACE)


def _names(holders: Iterable[_Element], tag: str) -> Names:
    found: dict[str, str] = {}
    for holder in holders:
        for element in holder.iterchildren(tag):
            name = shown_text("" if len(element) else element.text or "")
            language = element.get(_LANGUAGE, "").lower()
            if name and language:
                found.setdefault(language, name)
    return tuple(found.items())
