"""One linking: who signed in, what ORCID granted, what was agreed to, and how a linked researcher stands."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from attribute_authority.domain.identifiers import EntityId, Identifier, OrcidId
from attribute_authority.domain.link import Link, LinkSource, NewLink


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person whom a home organisation has signed in; every identifier has passed the check of its scope.

    `name` is for the person's own eyes alone; `orcid` is the iD that the home organisation itself released, None where it released none.
    """

    home_organisation: EntityId
    identifiers: tuple[Identifier, ...]
    name: str | None
    orcid: OrcidId | None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a browser carries to the registry (RFC 6749 section 4.1.1); `language` is fi, sv or en.

    `signs_in_anew` has the registry ask who it is although somebody is signed in there (OpenID Connect Core 3.1.2.1, prompt=login).
    """

    redirect_uri: str
    state: str
    nonce: str
    language: str
    signs_in_anew: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What ORCID granted: the authenticated iD, the name on the record if it is public, scopes, and the end of the access token.

    `response` is the token response in full, JSON; it holds secrets.
    """

    orcid: OrcidId
    name: str | None
    scopes: tuple[str, ...]
    expires_at: datetime | None
    response: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant at rest. `sealed` is the token response, sealed; from `revoke_at` on it is to be revoked unless a link has claimed it."""

    grant_id: str
    sealed: bytes = field(repr=False)
    scopes: tuple[str, ...]
    obtained_at: datetime
    expires_at: datetime | None
    revoke_at: datetime


@dataclass(frozen=True, slots=True)
class Consent:
    """What a researcher agreed to: the version of the text, the language it was read in, and the instant."""

    text_version: str
    language: str
    given_at: datetime


class LinkingKind(StrEnum):
    """What a linking does: link a first iD, replace another one, or renew the permission of the same one."""

    NEW = "new"
    REPLACE = "replace"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything that one linking stores, in one transaction.

    `grant_id` names the held grant that the link claims. `replaces` is the number of the link that is withdrawn in the same instant,
    None where there is none.
    """

    new: NewLink
    consent: Consent
    grant_id: str
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """How far the revocation of a withdrawn link's tokens is: since when it is due, how often it failed, and when it was done."""

    due_since: datetime
    failures: int
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class DueRevocation:
    """A grant that is to be revoked now, for as long as its lease lasts by nobody else."""

    grant_id: str
    sealed: bytes = field(repr=False)
    failures: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a known person stands: the link in force, if any, with the latest consent to it and the scopes that ORCID granted.

    `withdrawn` is the link that was withdrawn last, and `revocation` that of its tokens; None where there is nothing to revoke.
    """

    subject_id: int
    link: Link | None
    consent: Consent | None
    scopes: tuple[str, ...]
    withdrawn: Link | None
    revocation: Revocation | None

    @property
    def is_confirmed(self) -> bool:
        """Whether the researcher has confirmed the iD in force at the registry, by having linked it or agreed to it here."""
        return self.link is not None and (self.link.source is LinkSource.COMPANION or self.consent is not None)
