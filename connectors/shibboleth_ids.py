"""Computed identifiers: whose a persistent identifier or pairwise-id is that a Shibboleth identity provider computed and never stored.

A digest cannot be computed back. So the digests of everybody who linked are computed towards a requester when it asks for the first time,
and kept in our own store, which follows links from then on; whoever has not linked has no iD that could be found.
A hit is computed again before it counts. Nothing is sent anywhere, and the salt stays in this process.

How the identity provider computes stands in its saml-nameid.properties (idp.persistentId.*) and secrets.properties (idp.persistentId.salt).
"""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path
from threading import Lock
from typing import Final, Literal, Self

from pydantic import model_validator

from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, parse_identifier
from attribute_authority.domain.source import Finding, PairwiseIndexName
from attribute_authority.errors import CouldNotAsk, OperatorError, SourceUnavailable
from attribute_authority.ports import Clock, PairwiseIndex
from attribute_authority.setting_values import FilePath, SourceTable
from connectors import SourceKind, Surroundings
from connectors._pairwise import Algorithm, Encoding, PairwiseHash, Part, decode, decode_folded
from connectors._scopes import ScopeText

MINIMAL_SALT_LENGTH: Final = 16
"""Octets; the identity provider itself refuses less."""

MOST_RECIPIENTS: Final = 1000
"""Indexes of one source. Whoever may name any service provider could otherwise have one made for each that can be thought of."""

_MAKING_SECONDS: Final = 1.0


class ComputedIdSettings(SourceTable):
    """`kind = "computed-id"`. `source_identifier` is what the identity provider computes from, `pairwise_scope` that of its pairwise-ids.

    `timeout` is how long a question waits for another one of this process that makes the index.
    """

    kind: Literal["computed-id"]
    salt_file: FilePath
    salt_encoding: Literal["raw", "base64"] = "raw"
    algorithm: Algorithm = "SHA-1"
    encoding: Encoding = "base64"
    source_identifier: Literal["eppn", "subject-id", "unique-id"] = "eppn"
    source_part: Part = "whole"
    pairwise_scope: ScopeText | None = None

    @model_validator(mode="after")
    def _scoped_form_ignores_case(self) -> Self:
        if self.pairwise_scope is not None and self.encoding != "base32":
            raise ValueError('pairwise_scope: pairwise-ids compare without regard to case, which needs encoding = "base32"')
        return self


@dataclass(frozen=True, slots=True)
class _Asked:
    recipient: EntityId
    digest: bytes


@dataclass(frozen=True, slots=True)
class ComputedIds:
    """The computed identifiers of one home organisation."""

    home_organisation: EntityId
    pairwise_hash: PairwiseHash = field(repr=False)
    encoding: Encoding
    source_kind: IdentifierKind
    pairwise_scope: str | None
    index: PairwiseIndex = field(repr=False)
    clock: Clock = field(repr=False)
    timeout: float
    _making: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        """Persistent identifiers, and pairwise-ids where their scope is configured."""
        scoped = () if self.pairwise_scope is None else (IdentifierKind.PAIRWISE_ID,)
        return frozenset((IdentifierKind.PERSISTENT, *scoped))

    @property
    def fingerprint(self) -> str:
        """What names the indexes of this source: another salt, algorithm, kind or part of identifier makes other indexes."""
        return self.pairwise_hash.fingerprint(self.source_kind)

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Find whose computed identifier it is, among everybody who has linked.

        The first question towards a recipient makes its index, which takes seconds where a million have linked.
        Raises SourceUnavailable while another worker, or for too long this one, makes it; CouldNotAsk.
        """
        asked = self._read(identifier)
        if asked is None:
            return None
        found = self._find(asked)
        if not found:
            # Another worker may have followed since; that there was nothing left to follow says nothing about this person.
            self._follow(asked.recipient)
            found = self._find(asked)
        return Finding(tuple(parse_identifier(self.source_kind, text) for text in found)) if found else None

    def check(self) -> None:
        """Try whether the indexes can be reached. Raises CouldNotAsk."""
        self.index.names(self.home_organisation)

    def close(self) -> None:
        """There is nothing to give up: the indexes belong to the store."""

    def follow_all(self) -> int:
        """Bring every index of this source up to the last change of links; returns how many changes there were. Raises CouldNotAsk."""
        ours = (name for name in self.index.names(self.home_organisation) if name == self._name(name.recipient))
        return sum(self._follow(name.recipient) for name in ours)

    def _name(self, recipient: EntityId) -> PairwiseIndexName:
        return PairwiseIndexName(self.home_organisation, recipient, self.source_kind, self.fingerprint)

    def _read(self, identifier: Identifier) -> _Asked | None:
        recipient = identifier.sp_name_qualifier
        if recipient is None or identifier.kind not in self.kinds:
            return None
        digest = self._persistent(identifier) if identifier.kind is IdentifierKind.PERSISTENT else self._pairwise(identifier)
        return None if digest is None or len(digest) != self.pairwise_hash.length else _Asked(recipient, digest)

    def _persistent(self, identifier: Identifier) -> bytes | None:
        return decode(identifier.value, self.encoding) if identifier.name_qualifier == self.home_organisation else None

    def _pairwise(self, identifier: Identifier) -> bytes | None:
        unique_part, _, scope = identifier.value.rpartition("@")
        return decode_folded(unique_part) if scope == self.pairwise_scope else None

    def _find(self, asked: _Asked) -> tuple[str, ...]:
        digest_of = self.pairwise_hash.towards(asked.recipient)
        candidates = self._candidates(asked)
        return tuple(text for text in candidates if compare_digest(digest_of(text), asked.digest))

    def _candidates(self, asked: _Asked) -> tuple[str, ...]:
        name = self._name(asked.recipient)
        found = self.index.find_sources(name, asked.digest)
        if found is None:
            self._make(name)
            found = self.index.find_sources(name, asked.digest)
        if found is None:
            raise CouldNotAsk("an index of computed identifiers was dropped while it was asked")
        return found

    def _make(self, name: PairwiseIndexName) -> None:
        if not self._making.acquire(timeout=self.timeout):
            raise SourceUnavailable("an index of computed identifiers is being made", _MAKING_SECONDS)
        try:
            ours = [known for known in self.index.names(self.home_organisation) if known == self._name(known.recipient)]
            # Whoever held the lock may have made it.
            if name not in ours:
                self._make_room(ours)
                self.index.build(name, self.pairwise_hash.towards(name.recipient), self.clock())
        finally:
            self._making.release()

    def _make_room(self, ours: Sequence[PairwiseIndexName]) -> None:
        # The oldest: whoever still asks for one has it made again.
        for name in ours[: max(0, len(ours) - MOST_RECIPIENTS + 1)]:
            self.index.drop(name)

    def _follow(self, recipient: EntityId) -> int:
        return self.index.follow(self._name(recipient), self.pairwise_hash.towards(recipient))


def _open(settings: ComputedIdSettings, surroundings: Surroundings) -> ComputedIds:
    salt = _read_salt(settings.salt_file, settings.salt_encoding)
    return ComputedIds(
        surroundings.home_organisation,
        PairwiseHash(salt, settings.algorithm, settings.source_part),
        settings.encoding,
        IdentifierKind(settings.source_identifier),
        settings.pairwise_scope,
        surroundings.index,
        surroundings.clock,
        settings.timeout,
    )


def _read_salt(file: Path, encoding: Literal["raw", "base64"]) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise OperatorError(f"salt_file: {file}: cannot be read: {error.strerror}") from error
    salt = _octets(content, file) if encoding == "raw" else _decoded(content, file)
    if len(salt) < MINIMAL_SALT_LENGTH:
        raise OperatorError(f"salt_file: {file}: holds a salt of {len(salt)} octets: expected at least {MINIMAL_SALT_LENGTH}")
    return salt


def _octets(content: bytes, file: Path) -> bytes:
    # Every octet counts, and an editor's line break would make every identifier nobody's without any other sign.
    if content.endswith((b"\n", b"\r")):
        raise OperatorError(
            f"salt_file: {file}: ends in a line break, which would be taken for a part of the salt: write it with printf %s, without "
            'echo and editors; a salt that really ends so is given in base64, with salt_encoding = "base64"'
        )
    return content


def _decoded(content: bytes, file: Path) -> bytes:
    try:
        return b64decode(content.strip(), validate=True)
    except binascii.Error:
        # Without its cause, which may tell about the content.
        raise OperatorError(f"salt_file: {file}: holds no base64 (RFC 4648)") from None


COMPUTED_ID: Final = SourceKind(ComputedIdSettings, _open)
"""`kind = "computed-id"`."""
