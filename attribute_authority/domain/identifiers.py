"""The identifiers of a person: what a service provider asks with, and the ORCID iD that it asks for.

Canonical form is decided here alone: ePPN, eduPersonUniqueId, subject-id and pairwise-id compare without regard to case
(eduPerson 2.2.8; SAML V2.0 Subject Identifier Attributes 3.3 and 3.4), persistent name identifiers exactly (core 8.3.7).
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from attribute_authority.errors import InvalidIdentifier

EntityId = NewType("EntityId", str)

MAX_IDENTIFIER_LENGTH = 256
MAX_ENTITY_ID_LENGTH = 1024

# Lone surrogates stand for bytes of a command line that were no UTF-8; no database and no XML can hold them.
_EPPN = re.compile(r"[^\s@\x00-\x1f\x7f\ud800-\udfff]+@[^\s@\x00-\x1f\x7f\ud800-\udfff]+")
_UNIQUE_ID = re.compile(r"[A-Za-z0-9]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,255}")
_SUBJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9=-]{0,126}@[A-Za-z0-9][A-Za-z0-9.-]{0,126}")
_OPAQUE = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]+")
_ORCID = re.compile(r"(?:https?://(?:www\.)?(?P<host>(?:sandbox\.)?orcid\.org)/)?(?P<id>(?:[0-9]{4}-){3}[0-9]{3}[0-9Xx])/?")


class Environment(StrEnum):
    """Whose registry an iD belongs to; an iD of one is never released where the other is configured."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"

    @property
    def host(self) -> str:
        """Host name of the registry, as it stands in the URI form of an iD."""
        return "orcid.org" if self is Environment.PRODUCTION else "sandbox.orcid.org"


class IdentifierKind(StrEnum):
    """The kinds of subject identifier, named as on the command line and in the configuration."""

    EPPN = "eppn"
    UNIQUE_ID = "unique-id"
    SUBJECT_ID = "subject-id"
    PAIRWISE_ID = "pairwise-id"
    PERSISTENT = "persistent"


_SHAPES = {
    IdentifierKind.EPPN: (_EPPN, "local@scope with exactly one @"),
    IdentifierKind.UNIQUE_ID: (_UNIQUE_ID, "up to 64 letters or digits, @ and a scope"),
    IdentifierKind.SUBJECT_ID: (_SUBJECT_ID, "a unique part of letters, digits, = and -, @ and a scope"),
    IdentifierKind.PAIRWISE_ID: (_SUBJECT_ID, "a unique part of letters, digits, = and -, @ and a scope"),
    IdentifierKind.PERSISTENT: (_OPAQUE, "an opaque value without white space"),
}


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier of a subject, in canonical form; make it with `parse_identifier`.

    `name_qualifier` is the identity provider that issued a persistent identifier.
    `sp_name_qualifier` is the service provider or affiliation that a persistent or pairwise identifier was issued for.
    Both are None for kinds that are the same towards everybody.
    `spelling` is how the home organisation wrote the value, where that is not the canonical form: what it computes from the value
    depends on every letter. It makes no difference to which identifier this is.
    """

    kind: IdentifierKind
    value: str
    name_qualifier: EntityId | None = None
    sp_name_qualifier: EntityId | None = None
    spelling: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Write the identifier as `parse_identifier_text` reads it: KIND=VALUE, KIND=NQ!SPNQ!VALUE where qualified."""
        if self.kind is IdentifierKind.PERSISTENT:
            return f"{self.kind}={self.name_qualifier}!{self.sp_name_qualifier}!{self.value}"
        if self.sp_name_qualifier is not None:
            return f"{self.kind}={self.sp_name_qualifier}!{self.value}"
        return f"{self.kind}={self.value}"


def shape_of(kind: IdentifierKind) -> tuple[re.Pattern[str], str]:
    """Return what the values of a kind match as a whole, and the same in words; none is longer than MAX_IDENTIFIER_LENGTH."""
    return _SHAPES[kind]


def parse_identifier(
    kind: IdentifierKind,
    text: str,
    name_qualifier: str | None = None,
    sp_name_qualifier: str | None = None,
) -> Identifier:
    """Make the canonical identifier of `kind`.

    A persistent identifier needs both qualifiers, a pairwise-id may have the second, the others have none.
    Raises InvalidIdentifier where text or qualifiers do not fit the kind.
    """
    shape, expected = _SHAPES[kind]
    if len(text) > MAX_IDENTIFIER_LENGTH or not shape.fullmatch(text):
        raise InvalidIdentifier(f"{text!r} is not a valid {kind}: expected {expected}, at most {MAX_IDENTIFIER_LENGTH} characters")
    if kind is IdentifierKind.PERSISTENT:
        if name_qualifier is None or sp_name_qualifier is None:
            raise InvalidIdentifier(
                "a persistent identifier needs a NameQualifier (identity provider) and an SPNameQualifier (service provider)"
            )
        return Identifier(kind, text, parse_entity_id(name_qualifier), parse_entity_id(sp_name_qualifier))
    if name_qualifier is not None or (sp_name_qualifier is not None and kind is not IdentifierKind.PAIRWISE_ID):
        raise InvalidIdentifier(f"{kind} takes no such qualifier")
    audience = None if sp_name_qualifier is None else parse_entity_id(sp_name_qualifier)
    canonical = text.lower()
    return Identifier(kind, canonical, None, audience, None if canonical == text else text)


def parse_identifier_text(text: str) -> Identifier:
    """Read `KIND=VALUE`, for qualified kinds `persistent=NQ!SPNQ!VALUE` and `pairwise-id=SPNQ!VALUE`.

    Raises InvalidIdentifier with what was expected.
    """
    kind_text, equals, rest = text.partition("=")
    if not equals or kind_text not in set(IdentifierKind):
        raise InvalidIdentifier(f"{text!r}: expected KIND=VALUE with KIND one of {', '.join(IdentifierKind)}")
    kind = IdentifierKind(kind_text)
    qualifiers = rest.split("!")
    value = qualifiers.pop()
    if kind is IdentifierKind.PERSISTENT and len(qualifiers) == 2:
        return parse_identifier(kind, value, qualifiers[0], qualifiers[1])
    if kind is IdentifierKind.PAIRWISE_ID and len(qualifiers) == 1:
        return parse_identifier(kind, value, None, qualifiers[0])
    return parse_identifier(kind, rest)


def parse_entity_id(text: str) -> EntityId:
    """Check an entityID: an absolute URI of at most 1024 characters (core 8.3.6). Raises InvalidIdentifier."""
    scheme, colon, rest = text.partition(":")
    if not (colon and rest and scheme[:1].isalpha()) or len(text) > MAX_ENTITY_ID_LENGTH or not _OPAQUE.fullmatch(text) or "!" in text:
        raise InvalidIdentifier(f"{text!r} is not an entityID: expected an absolute URI of at most {MAX_ENTITY_ID_LENGTH} characters")
    return EntityId(text)


@dataclass(frozen=True, slots=True)
class OrcidId:
    """An ORCID iD in bare form with a valid check character (ISO 7064 MOD 11-2), `0000-0002-1825-0097`."""

    value: str

    @classmethod
    def parse(cls, text: str, environment: Environment) -> "OrcidId":
        """Read the bare or the URI form, http or https, of the registry of `environment`.

        Raises InvalidIdentifier for another shape, a wrong check character, or the other registry's host.
        """
        match = _ORCID.fullmatch(text.strip())
        if match is None:
            raise InvalidIdentifier(
                f"{text!r} is not an ORCID iD: expected 0000-0000-0000-0000 or https://{environment.host}/0000-0000-0000-0000"
            )
        bare = match["id"].upper()
        if _check_character(bare) != bare[-1]:
            raise InvalidIdentifier(f"{text!r} is not an ORCID iD: the check character does not fit (ISO 7064 MOD 11-2)")
        if match["host"] not in (None, environment.host):
            raise InvalidIdentifier(f"{text!r} is of another ORCID registry: this authority holds iDs of {environment.host}")
        return cls(bare)

    def uri(self, environment: Environment) -> str:
        """Return the https URI form, as eduPersonOrcid carries it (eduPerson 202208, 2.2.16)."""
        return f"https://{environment.host}/{self.value}"


def _check_character(bare: str) -> str:
    total = 0
    for digit in bare[:-1].replace("-", ""):
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return "X" if check == 10 else str(check)
