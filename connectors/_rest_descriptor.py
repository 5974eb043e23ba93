"""The identity descriptor, in which CSC's orcidConnect handed iDs to home organisations.

orcidConnect posted its classes IdentityDescriptor and Identifier by Spring's RestTemplate with plain Jackson, that is by the names of
bean properties, and an XMLGregorianCalendar as milliseconds since 1970:

    {"identifier": [
      {"name": "urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "nameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
       "friendlyName": "eduPersonPrincipalName", "issuer": "https://idp.uni.example/idp/shibboleth", "issueInstant": null,
       "mediator": "https://orcid.example.org/authority", "mediationInstant": 1795246200000, "identifierValue": "teppo@uni.example"},
      {"name": "urn:oid:1.3.6.1.4.1.5923.1.1.1.16", ..., "friendlyName": "eduPersonOrcid", "issuer": "https://orcid.org", ...,
       "identifierValue": "https://orcid.org/0000-0002-1825-0097"}]}

Ours differs in this: the issuer of the person's identifiers is the home organisation, which orcidConnect left null; there is one Identifier
for each kind that the person has, with the newest value, the ePPN first; and a withdrawal has an eduPersonOrcid whose identifierValue is
null. The instant of mediation is that of the link or withdrawal, and so the same at every attempt.

With field names "schema" the names are those of the XML schema https://confluence.csc.fi/x/d4p5Aw, around it stands an IdentityDescriptor,
and instants are written as xs:dateTime.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import EntityId, IdentifierKind
from attribute_authority.errors import DeliveryRefused
from connectors._rest_fields import PERSON_KINDS, instant_text

FieldNames = Literal["property", "schema"]

_NAME_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
_ORCID: Final = ("urn:oid:1.3.6.1.4.1.5923.1.1.1.16", "eduPersonOrcid")
_ATTRIBUTES: Final = {
    IdentifierKind.EPPN: ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eduPersonPrincipalName"),
    IdentifierKind.UNIQUE_ID: ("urn:oid:1.3.6.1.4.1.5923.1.1.1.13", "eduPersonUniqueId"),
    IdentifierKind.SUBJECT_ID: ("urn:oasis:names:tc:SAML:attribute:subject-id", "subject-id"),
}
"""Name and friendly name of the attribute that carries an identifier (eduPerson 202208; SAML V2.0 Subject Identifier Attributes 3.3)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def describe_identity(delivery: Delivery, mediator: EntityId, field_names: FieldNames) -> dict[str, Any]:
    """Return the descriptor of a delivery. Raises DeliveryRefused where the person has no identifier that fits into one."""
    people = [
        _identifier(_ATTRIBUTES[kind], delivery.home_organisation, value, delivery, mediator)
        for kind in PERSON_KINDS
        # An earlier one may be somebody else's by now.
        for value in delivery.values(kind)[:1]
    ]
    if not people:
        raise DeliveryRefused("the person has neither an eppn nor a unique-id nor a subject-id, by which to be known there")
    registry, orcid = f"https://{delivery.environment.host}", delivery.orcid
    orcid_uri = None if orcid is None else orcid.uri(delivery.environment)
    properties = [*people, _identifier(_ORCID, registry, orcid_uri, delivery, mediator)]
    if field_names == "property":
        return {"identifier": properties}
    return {"IdentityDescriptor": {"Identifier": [_as_in_schema(one, delivery) for one in properties]}}


def _identifier(
    attribute: tuple[str, str], issuer: str, value: str | None, delivery: Delivery, mediator: EntityId
) -> dict[str, str | int | None]:
    name, friendly_name = attribute
    return {
        "name": name,
        "nameFormat": _NAME_FORMAT,
        "friendlyName": friendly_name,
        "issuer": issuer,
        "issueInstant": None,
        "mediator": mediator,
        "mediationInstant": (delivery.changed_at - _EPOCH) // timedelta(milliseconds=1),
        "identifierValue": value,
    }


def _as_in_schema(properties: dict[str, str | int | None], delivery: Delivery) -> dict[str, str | int | None]:
    told = properties | {"mediationInstant": instant_text(delivery.changed_at)}
    return {f"{name[0].upper()}{name[1:]}": value for name, value in told.items()}
