"""Parked deliveries to tell of."""

from datetime import UTC, datetime, timedelta

from attribute_authority.core.letters import Service
from attribute_authority.domain.delivery import DeliveryRecord, DeliveryState, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, OrcidId, parse_identifier

HOME = EntityId("https://idp.uni.example/idp")
PARKED_AT = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
SERVICE = Service({"fi": "ORCID-palvelu", "sv": "ORCID-tjänsten", "en": "The ORCID service"}, "orcid@csc.example")
EPPN = "josiah.carberry@uni.example"
ORCID = OrcidId("0000-0002-1825-0097")


def parked(
    reference: str, sink: str = "ldap", message: str | None = "nobody there has this identifier", *, home_organisation: EntityId = HOME
) -> DeliveryRecord:
    """Return a parked delivery about Josiah Carberry."""
    return DeliveryRecord(
        reference=reference,
        sink=SinkName(home_organisation, sink),
        subject_id=1,
        identifiers=(parse_identifier(IdentifierKind.EPPN, EPPN),),
        orcid=ORCID,
        environment=Environment.PRODUCTION,
        state=DeliveryState.PARKED,
        changed_at=PARKED_AT - timedelta(hours=1),
        created_at=PARKED_AT - timedelta(hours=1),
        attempts=1,
        due_at=None,
        in_hand=False,
        ended_at=PARKED_AT,
        message=message,
        told_at=None,
    )
