"""How an identifier is written into a query: the NameID that a service provider would send."""

from typing import Final

from attribute_authority.domain.identifiers import Identifier, IdentifierKind
from attribute_authority.domain.query import NameId
from attribute_authority.saml import namespaces as ns

_FORMATS: Final = {
    IdentifierKind.EPPN: ns.EPPN_OID_URN,
    IdentifierKind.UNIQUE_ID: ns.UNIQUE_ID_OID_URN,
    IdentifierKind.SUBJECT_ID: ns.SUBJECT_ID,
    IdentifierKind.PAIRWISE_ID: ns.PAIRWISE_ID,
    IdentifierKind.PERSISTENT: ns.NAMEID_PERSISTENT,
}


def name_id_of(identifier: Identifier) -> NameId:
    """Return the NameID for an identifier."""
    return NameId(identifier.value, _FORMATS[identifier.kind], identifier.name_qualifier, identifier.sp_name_qualifier)
