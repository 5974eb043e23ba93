"""An LDAP directory, OpenLDAP or Active Directory, as a source: one search from the asked identifier to one entry (RFC 4511).

    [[organisation.source]]
    kind = "ldap"
    urls = ["ldaps://ldap1.uni.example", "ldaps://ldap2.uni.example"]
    bind_dn = "cn=orcid,ou=services,dc=uni,dc=example"
    password_file = "ldap.password"
    base = "ou=people,dc=uni,dc=example"
    filters = { eppn = "(eduPersonPrincipalName={value})" }
    identifiers = { eduPersonUniqueId = "unique-id" }
    orcid_attribute = "eduPersonOrcid"

Referrals and search continuations are never followed: who is not under `base` on these very servers is absent.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from attribute_authority.domain.identifiers import Identifier, IdentifierKind
from attribute_authority.domain.source import Finding
from attribute_authority.errors import SourceUnavailable
from attribute_authority.setting_values import SourceTable, integer
from connectors import SourceKind, Surroundings
from connectors._ldap_access import AttributeName, DirectoryTable, Kind, open_servers, require_base, require_success
from connectors._ldap_entry import EntryReading
from connectors._ldap_failures import RETRY_SECONDS
from connectors._ldap_filter import OwnPeople
from connectors._ldap_results import SIZE_LIMIT_EXCEEDED
from connectors._ldap_servers import Servers


class LdapSettings(DirectoryTable, SourceTable):
    """`[[organisation.source]]` with kind "ldap"; `connections` is how many each process has at most."""

    kind: Literal["ldap"]
    identifiers: dict[AttributeName, Kind] = Field({})
    orcid_attribute: AttributeName | None = None
    connections: Annotated[int, integer(1, 64)] = 4

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if not self.identifiers and self.orcid_attribute is None:
            raise ValueError("expected identifiers or orcid_attribute: otherwise nothing is learnt from an entry")
        return self


class LdapSource:
    """A directory as `ports.IdentifierSource` wants it."""

    def __init__(self, settings: LdapSettings, surroundings: Surroundings, servers: Servers) -> None:
        self._settings = settings
        self._templates = settings.templates()
        self._servers = servers
        self._own = OwnPeople(surroundings.home_organisation, settings.local_part_scope)
        self._reading = EntryReading(settings.identifiers, settings.orcid_attribute, surroundings.environment)

    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        """The kinds that there is a filter for."""
        return frozenset(self._templates)

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Search for the one entry that has the identifier.

        Raises SourceUnavailable where that one cannot be answered for: several entries, or values that cannot be read; CouldNotAsk where
        no server answers, or none as it should.
        """
        template = self._templates.get(identifier.kind)
        question = None if template is None else template.ask(identifier, self._own)
        if question is None:
            return None
        search = self._settings.search(question.filter, self._reading.attributes(question))
        answer = self._servers.search(search, self._settings.timeout)
        if answer.code == SIZE_LIMIT_EXCEEDED or len(answer.entries) > 1:
            raise SourceUnavailable(f"{answer.server}: several entries for one {identifier.kind}", RETRY_SECONDS)
        require_success(answer)
        return self._reading.read(answer.entries[0], question, answer.server) if answer.entries else None

    def check(self) -> None:
        """Connect, bind, and look whether `base` is there. Raises OperatorError where it is not; CouldNotAsk."""
        require_base(self._servers.search(self._settings.base_search(), self._settings.timeout), self._settings.base)

    def close(self) -> None:
        """Give up every connection."""
        self._servers.close()


def _open(settings: LdapSettings, surroundings: Surroundings) -> LdapSource:
    return LdapSource(settings, surroundings, open_servers(settings, settings.connections))


LDAP: Final = SourceKind(LdapSettings, _open)
