"""From an entry of a directory to what it tells about a person. Values come as octets, and nothing about them is believed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from attribute_authority.domain.identifiers import Environment, Identifier, IdentifierKind, OrcidId, parse_identifier_text
from attribute_authority.domain.source import Finding
from attribute_authority.errors import InvalidIdentifier, SourceUnavailable
from connectors._ldap_failures import RETRY_SECONDS
from connectors._ldap_filter import Question
from connectors._ldap_session import Entry, ServerAddress

_MOST_VALUES: Final = 16


@dataclass(frozen=True, slots=True)
class EntryReading:
    """Which attributes are read: those with identifiers, by name, and the one with the iD of `environment`, None where there is none."""

    identifiers: Mapping[str, IdentifierKind]
    orcid_attribute: str | None
    environment: Environment

    def attributes(self, question: Question) -> tuple[str, ...]:
        """Return the names to ask for: what is read, and what shows that the entry is the right one."""
        orcid = () if self.orcid_attribute is None else (self.orcid_attribute,)
        return attributes_to_read(question, (*self.identifiers, *orcid))

    def read(self, entry: Entry, question: Question, server: ServerAddress) -> Finding | None:
        """Return what the entry tells, None where it is not the one that was asked about.

        Raises SourceUnavailable where values cannot be read, or the entry has several iDs.
        """
        if not is_asked_about(entry, question, server):
            return None
        identifiers = [
            identifier for attribute, kind in self.identifiers.items() for identifier in _read_identifiers(entry, attribute, kind, server)
        ]
        return Finding(tuple(dict.fromkeys(identifiers)), self._read_orcid(entry, server))

    def _read_orcid(self, entry: Entry, server: ServerAddress) -> OrcidId | None:
        if self.orcid_attribute is None:
            return None
        place = f"{server}: {self.orcid_attribute}"
        found: set[OrcidId] = set()
        for text in _few_texts(entry, self.orcid_attribute, server):
            try:
                found.add(OrcidId.parse(text, self.environment))
            except InvalidIdentifier:
                # Its words quote the value.
                raise _unusable(f"{place} holds a value that is no iD of {self.environment.host}") from None
        if len(found) > 1:
            raise _unusable(f"{place} holds several iDs for one person")
        return next(iter(found), None)


def attributes_to_read(question: Question, further: Iterable[str]) -> tuple[str, ...]:
    """Return the names to ask for: what shows that an entry is the right one, and what is read besides."""
    return tuple({name.lower(): name for name in (*question.condition.attributes, *further)}.values())


def is_asked_about(entry: Entry, question: Question, server: ServerAddress) -> bool:
    """Whether an entry that was found really is the one that was asked about. Raises SourceUnavailable where that cannot be read."""
    compared = {name: _texts(entry, name, server) for name in question.condition.attributes}
    if not any(compared.values()):
        raise _unusable(f"{server}: {', '.join(compared)} cannot be read in the entry that was found")
    return question.fits(compared)


def attribute_values(entry: Entry, attribute: str, server: ServerAddress) -> tuple[bytes, ...]:
    """Return the values of an attribute. Raises SourceUnavailable where they came as part of a range or in another form."""
    found: list[bytes] = []
    for name, values in entry.attributes.items():
        described, _, options = name.lower().partition(";")
        if described != attribute.lower():
            continue
        # Active Directory answers `member;range=0-1499` where there are more values than it sends at once.
        if options:
            raise _unusable(f"{server}: {attribute} came with options, as part of a range or in another form")
        found += values
    return tuple(found)


def _read_identifiers(entry: Entry, attribute: str, kind: IdentifierKind, server: ServerAddress) -> list[Identifier]:
    try:
        return [parse_identifier_text(f"{kind}={text}") for text in _few_texts(entry, attribute, server)]
    except InvalidIdentifier:
        raise _unusable(f"{server}: {attribute} holds a value that is no {kind}") from None


def _few_texts(entry: Entry, attribute: str, server: ServerAddress) -> tuple[str, ...]:
    texts = _texts(entry, attribute, server)
    if len(texts) > _MOST_VALUES:
        raise _unusable(f"{server}: {attribute} has more than {_MOST_VALUES} values")
    return texts


def _texts(entry: Entry, attribute: str, server: ServerAddress) -> tuple[str, ...]:
    return tuple(_decode(value, f"{server}: {attribute}") for value in attribute_values(entry, attribute, server))


def _decode(value: bytes, place: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _unusable(f"{place} holds a value that is not UTF-8") from None


def _unusable(cause: str) -> SourceUnavailable:
    """One person's entry is at fault, so that others can still be asked about."""
    return SourceUnavailable(cause, RETRY_SECONDS)
