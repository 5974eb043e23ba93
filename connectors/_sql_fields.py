"""What of a delivery can stand in a database, under the names that statements and mapped columns call it by."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final, Literal

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId
from attribute_authority.errors import DeliveryRefused

Form = Literal["uri", "bare"]

PERSON_FIELDS: Final[Mapping[str, IdentifierKind]] = {
    "eppn": IdentifierKind.EPPN,
    "unique_id": IdentifierKind.UNIQUE_ID,
    "subject_id": IdentifierKind.SUBJECT_ID,
    "pairwise_id": IdentifierKind.PAIRWISE_ID,
}
"""Whose it is; a pairwise-id is the one that was issued for this authority."""

ORCID_FIELDS: Final = ("orcid", "orcid_bare", "orcid_uri")
"""The iD as configured, without and with https://orcid.org/ before it."""

DELIVERY_FIELDS: Final = ("reference", "changed_at", "home_organisation")
FORMER: Final = "former"
"""An iD that must not stand there any more, in the configured form."""


@dataclass(frozen=True, slots=True)
class Fields:
    """How deliveries become values: the form of iDs, and the authority that pairwise-ids were issued for."""

    form: Form
    authority: EntityId

    def written(self, orcid: OrcidId, environment: Environment) -> str:
        """Return an iD in the configured form."""
        return orcid.value if self.form == "bare" else orcid.uri(environment)

    def of_delivery(self, delivery: Delivery) -> dict[str, Any]:
        """Return everything that does not tell whose it is, iDs as None where there is none any more."""
        orcid, environment = delivery.orcid, delivery.environment
        return {
            "orcid": None if orcid is None else self.written(orcid, environment),
            "orcid_bare": None if orcid is None else orcid.value,
            "orcid_uri": None if orcid is None else orcid.uri(environment),
            "reference": delivery.reference,
            "changed_at": delivery.changed_at.astimezone(UTC),
            "home_organisation": delivery.home_organisation,
        }

    def former(self, delivery: Delivery) -> tuple[str, ...]:
        """Return the iDs that must not stand there any more."""
        return tuple(self.written(one, delivery.environment) for one in delivery.former)

    def of_person(self, delivery: Delivery, names: Collection[str]) -> tuple[dict[str, str | None], ...]:
        """Return each way to name the person by these fields, the newest first; a field of which there is nothing is None.

        Raises DeliveryRefused where the person has no identifier of any of them.
        """
        found = [self._values(delivery, name) for name in names]
        if not any(found):
            raise DeliveryRefused(f"the person has no identifier of the configured kinds: {', '.join(sorted(names))}")
        ways = product(*(values or (None,) for values in found))
        return tuple(dict(zip(names, way, strict=True)) for way in ways)

    def _values(self, delivery: Delivery, name: str) -> tuple[str, ...]:
        kind = PERSON_FIELDS[name]
        ours = (one for one in delivery.identifiers if one.kind is kind and one.sp_name_qualifier in (None, self.authority))
        return tuple(one.spelling or one.value for one in ours)


def nobodys_delivery(home_organisation: EntityId, environment: Environment, now: datetime) -> Delivery:
    """Return a delivery that names nobody (RFC 2606: .invalid), to try statements with."""
    return Delivery(
        reference="0000-0000",
        home_organisation=home_organisation,
        identifiers=tuple(Identifier(kind, "nobody@nowhere.invalid") for kind in PERSON_FIELDS.values()),
        orcid=OrcidId("0000-0002-1825-0097"),
        former=(OrcidId("0000-0001-5109-3700"),),
        environment=environment,
        changed_at=now,
    )
