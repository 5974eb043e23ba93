"""People, iDs and instants of the conformance suite; the iDs are published examples of ORCID, or lie in its own test range."""

from datetime import UTC, datetime, timedelta

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.domain.linking import Completion, Consent, HeldGrant

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOME = EntityId("https://idp.yliopisto.example/idp")
OTHER_HOME = EntityId("https://idp.hogskola.example/idp")
SERVICE = EntityId("https://sp.example.org/shibboleth")
OTHER_SERVICE = EntityId("https://wiki.example.org/sp")
CARBERRY = OrcidId("0000-0002-1825-0097")
OTHER_ORCID = OrcidId("0000-0001-5109-3700")
PRODUCTION = Environment.PRODUCTION
SANDBOX = Environment.SANDBOX


def eppn(name: str) -> Identifier:
    """Make an ePPN of the home organisation's scope."""
    return parse_identifier(IdentifierKind.EPPN, f"{name}@yliopisto.example")


def unique_id(name: str) -> Identifier:
    """Make an eduPersonUniqueId of the home organisation's scope."""
    return parse_identifier(IdentifierKind.UNIQUE_ID, f"{name}@yliopisto.example")


def persistent(value: str, *, home: str = HOME, service: str = SERVICE) -> Identifier:
    """Make a persistent NameID that the home organisation issued for a service provider."""
    return parse_identifier(IdentifierKind.PERSISTENT, value, home, service)


TEPPO = eppn("teppo")
MAIJA = eppn("maija")


def new_link(
    *identifiers: Identifier,
    orcid: OrcidId = CARBERRY,
    home: EntityId = HOME,
    environment: Environment = PRODUCTION,
    linked_at: datetime = NOW,
) -> NewLink:
    """Make a link that was entered by hand."""
    return NewLink(home, identifiers, orcid, environment, LinkSource.MANUAL, linked_at)


def orcid_number(number: int) -> OrcidId:
    """Make the iD with that number, as ORCID would: the check character follows from the digits (ISO 7064 MOD 11-2)."""
    digits = f"{number:015}"
    for check in "0123456789X":
        bare = f"{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:]}{check}"
        total = 0
        for digit in digits:
            total = (total + int(digit)) * 2
        if (total + (10 if check == "X" else int(check))) % 11 == 1:
            return OrcidId.parse(bare, PRODUCTION)
    raise AssertionError("one of eleven check characters always fits")


def people(how_many: int) -> list[NewLink]:
    """Make as many different people with an iD each."""
    return [new_link(eppn(f"person{number}"), orcid=orcid_number(number)) for number in range(how_many)]


def stored(outcome: Link | Exception) -> Link:
    """Return an outcome of an import that was to succeed."""
    assert isinstance(outcome, Link)
    return outcome


GRANT = "grant-1"
HELD_UNTIL = NOW + timedelta(minutes=30)
SCOPES = ("openid", "/activities/update")
CONSENT = Consent("2026-01", "sv", NOW)


def held_grant(grant_id: str = GRANT, *, obtained_at: datetime = NOW, revoke_at: datetime = HELD_UNTIL) -> HeldGrant:
    """Make a grant that waits to be confirmed."""
    return HeldGrant(grant_id, f"sealed {grant_id}".encode(), SCOPES, obtained_at, NOW + timedelta(days=7_300), revoke_at)


def completion(new: NewLink, grant_id: str = GRANT, *, replaces: int | None = None, consent: Consent = CONSENT) -> Completion:
    """Make what a confirmed page stores."""
    return Completion(new, consent, grant_id, replaces)
