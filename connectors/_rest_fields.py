"""What can be said of a delivery, by the names that a configuration has for it."""

from datetime import UTC, datetime
from typing import Final, Literal

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import IdentifierKind

FieldName = Literal[
    "eppn",
    "unique-id",
    "subject-id",
    "orcid-uri",
    "orcid-bare",
    "former",
    "reference",
    "changed-at",
    "home-organisation",
    "event",
    "environment",
]

PERSON_KINDS: Final = (IdentifierKind.EPPN, IdentifierKind.UNIQUE_ID, IdentifierKind.SUBJECT_ID)
"""The identifiers by which another system of the home organisation may know somebody: those that are the same towards everybody."""

PERSON_FIELDS: Final = frozenset(str(kind) for kind in PERSON_KINDS)

Value = str | list[str] | None


def field_values(delivery: Delivery) -> dict[FieldName, Value]:
    """Return everything that can be said; what is absent is None. Of several identifiers of a kind it is the newest."""
    orcid, environment = delivery.orcid, delivery.environment
    return {
        "eppn": _newest(delivery, IdentifierKind.EPPN),
        "unique-id": _newest(delivery, IdentifierKind.UNIQUE_ID),
        "subject-id": _newest(delivery, IdentifierKind.SUBJECT_ID),
        "orcid-uri": None if orcid is None else orcid.uri(environment),
        "orcid-bare": None if orcid is None else orcid.value,
        "former": [former.uri(environment) for former in delivery.former],
        "reference": delivery.reference,
        "changed-at": instant_text(delivery.changed_at),
        "home-organisation": delivery.home_organisation,
        "event": "withdrawn" if orcid is None else "linked",
        "environment": str(environment),
    }


def instant_text(instant: datetime) -> str:
    """Write an instant as xs:dateTime and RFC 3339 have it, in UTC with milliseconds."""
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _newest(delivery: Delivery, kind: IdentifierKind) -> str | None:
    return next(iter(delivery.values(kind)), None)
