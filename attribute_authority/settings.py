"""The tables of the configuration, each a class; `configuration` reads them.

Relative paths are relative to the file they stand in. Secrets are files, never values.
What the keys mean for an operator stands in conf/authority.toml, which lists each with its default and reason.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from attribute_authority.companion_settings import CompanionSettings, OrcidSettings
from attribute_authority.domain.delivery import SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.domain.query import NothingToRelease, Recipient
from attribute_authority.organisation_settings import (
    DeliveriesSettings,
    LimitsSettings,
    MailSettings,
    OrganisationSettings,
    SourcesSettings,
    WhenEnumerating,
)
from attribute_authority.setting_values import (
    DatabaseUrl,
    EmailAddress,
    EntityIdText,
    FilePath,
    HeaderName,
    KeyPair,
    Localised,
    LocalisedAddress,
    Network,
    Port,
    Table,
    WebAddress,
    integer,
    seconds,
)


class Contact(Table):
    """A contact person of our metadata (metadata 2.3.2.2)."""

    type: Literal["technical", "support", "administrative", "billing", "other"]
    given_name: str | None = None
    surname: str | None = None
    email: EmailAddress


class OwnOrganisation(Table):
    """The organisation that runs the authority, per language (metadata 2.3.2.1)."""

    name: Localised
    display_name: Localised
    url: LocalisedAddress


class Logo(Table):
    """A logo, https, and its size in pixels."""

    url: WebAddress
    width: Annotated[int, integer(1, 10_000)]
    height: Annotated[int, integer(1, 10_000)]


class Presentation(Table):
    """How the authority shows itself to people (mdui:UIInfo), per language."""

    display_name: Localised = Field({})
    description: Localised = Field({})
    information_url: LocalisedAddress = Field({})
    privacy_statement_url: LocalisedAddress = Field({})
    logo: Logo | None = None


class AuthoritySettings(Table):
    """`[authority]`: who we are."""

    entity_id: EntityIdText
    base_url: WebAddress
    environment: Annotated[Environment, Field(strict=False)] = Environment.PRODUCTION
    signing: Annotated[tuple[KeyPair, ...], Field(min_length=1, strict=False)]
    encryption: Annotated[tuple[KeyPair, ...], Field(strict=False)] = ()
    state_directory: FilePath
    presentation: Presentation = Presentation()
    organisation: OwnOrganisation | None = None
    contact: Annotated[tuple[Contact, ...], Field(strict=False)] = ()

    @model_validator(mode="before")
    @classmethod
    def _default_state(cls, values: object) -> object:
        return {"state_directory": "state", **values} if isinstance(values, dict) else values


class BackChannelSettings(Table):
    """`[back_channel]`: where service providers reach us."""

    host: str = "0.0.0.0"  # noqa: S104 - a service is reached from outside; the operator narrows it
    port: Port = 8443
    base_url: WebAddress | None = None
    tls: KeyPair | None = None
    request_timeout: Annotated[float, seconds(600)] = 30.0
    max_body_bytes: Annotated[int, integer(16_384, 16_777_216)] = 262_144
    client_certificate_header: HeaderName | None = None
    trusted_proxies: Annotated[tuple[Network, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _header_needs_proxies(self) -> Self:
        if (self.client_certificate_header is None) != (not self.trusted_proxies):
            raise ValueError("client_certificate_header and trusted_proxies belong together: expected both or neither")
        if self.client_certificate_header is not None and self.tls is not None:
            raise ValueError("client_certificate_header is for a proxy that ends TLS: expected no tls beside it")
        return self


class OperationsSettings(Table):
    """`[operations]`: health, for the machine's own eyes."""

    host: str = "127.0.0.1"
    port: Port = 9090


class DatabaseSettings(Table):
    """`[database]`: where links are kept; `timeout` is in seconds, `pool_size` counts threads and connections per worker."""

    url: DatabaseUrl
    timeout: Annotated[float, seconds(60)] = 3.0
    pool_size: Annotated[int, integer(1, 64)] = 4


class AttributeQuerySettings(Table):
    """`[attribute_query]`: what is demanded of every query; `clock_skew` is in seconds, either way."""

    clock_skew: Annotated[int, integer(1, 3600)] = 180
    accept_sha1: bool = False


class MetadataSettings(Table):
    """`[[metadata]]`: a source of trust."""

    file: FilePath
    signing_certificate: FilePath | None = None


class ReleaseSettings(Table):
    """`[[release]]`: a rule; every condition that is given must hold."""

    requesters: Annotated[tuple[EntityIdText, ...] | None, Field(strict=False)] = None
    entity_category: str | None = None
    registration_authority: str | None = None
    requested_attribute: bool | None = None
    home_organisations: Annotated[tuple[EntityIdText, ...] | None, Field(strict=False)] = None

    @model_validator(mode="after")
    def _names_its_requesters(self) -> Self:
        # That metadata does not ask for the iD names nobody, and no researcher could be told who receives it.
        conditions = (self.requesters, self.entity_category, self.registration_authority, self.requested_attribute or None)
        if all(condition is None for condition in conditions):
            raise ValueError(
                "a rule must say who it is for: expected requesters, entity_category, registration_authority or requested_attribute"
            )
        return self


class RequesterSettings(Table):
    """`[[requester]]`: what one service provider needs differently."""

    entity_id: EntityIdText
    subject_confirmation_recipient: Annotated[Recipient, Field(strict=False)] = Recipient.AUTO
    nothing_to_release: Annotated[NothingToRelease, Field(strict=False)] = NothingToRelease.BARE_ASSERTION
    default_name_qualifier: EntityIdText | None = None
    queries_per_minute: Annotated[int, integer(0, 10_000_000)] | None = None
    queries_per_day: Annotated[int, integer(0, 1_000_000_000)] | None = None
    when_enumerating: Annotated[WhenEnumerating | None, Field(strict=False)] = None


class SelfTestSettings(Table):
    """`[self_test]`: the requester as which `query` asks when it is not told otherwise."""

    entity_id: EntityIdText
    key: FilePath
    certificate: FilePath


class EventsSettings(Table):
    """`[events]`: the log; the key makes pseudonyms that stay the same across workers and restarts."""

    pseudonym_key: FilePath | None = None


class Settings(Table):
    """The whole file."""

    authority: AuthoritySettings
    back_channel: BackChannelSettings = BackChannelSettings()
    operations: OperationsSettings = OperationsSettings()
    database: DatabaseSettings
    attribute_query: AttributeQuerySettings = AttributeQuerySettings()
    metadata: Annotated[tuple[MetadataSettings, ...], Field(strict=False)] = ()
    release: Annotated[tuple[ReleaseSettings, ...], Field(strict=False)] = ()
    requester: Annotated[tuple[RequesterSettings, ...], Field(strict=False)] = ()
    organisation: Annotated[tuple[OrganisationSettings, ...], Field(strict=False)] = ()
    sources: SourcesSettings = SourcesSettings()
    deliveries: DeliveriesSettings = DeliveriesSettings()
    mail: MailSettings | None = None
    limits: LimitsSettings = LimitsSettings()
    self_test: SelfTestSettings | None = None
    events: EventsSettings = EventsSettings()
    companion: CompanionSettings | None = None
    orcid: OrcidSettings | None = None

    @field_validator("requester")
    @classmethod
    def _one_table_each(cls, requesters: tuple[RequesterSettings, ...]) -> tuple[RequesterSettings, ...]:
        _refuse_twins([requester.entity_id for requester in requesters])
        return requesters

    @field_validator("organisation")
    @classmethod
    def _one_organisation_each(cls, organisations: tuple[OrganisationSettings, ...]) -> tuple[OrganisationSettings, ...]:
        _refuse_twins([organisation.identity_provider for organisation in organisations])
        return organisations

    @model_validator(mode="after")
    def _companion_needs_orcid(self) -> Self:
        if (self.companion is None) != (self.orcid is None):
            raise ValueError("companion and orcid belong together: expected both or neither")
        return self

    @model_validator(mode="after")
    def _no_simulator_in_production(self) -> Self:
        if self.orcid is not None and self.orcid.registry_url is not None and self.authority.environment is Environment.PRODUCTION:
            raise ValueError("orcid.registry_url is for demonstrations: expected authority.environment to be sandbox beside it")
        return self

    @property
    def sinks(self) -> dict[EntityId, tuple[str, ...]]:
        """The names of the sinks of each home organisation that has any."""
        organisations = ((EntityId(one.identity_provider), tuple(sink.sink_name for sink in one.sink)) for one in self.organisation)
        return {identity_provider: names for identity_provider, names in organisations if names}

    @property
    def sink_names(self) -> tuple[SinkName, ...]:
        """Every sink, in the order of the file."""
        return tuple(SinkName(home_organisation, name) for home_organisation, names in self.sinks.items() for name in names)

    @property
    def companion_url(self) -> str:
        """The base URL of the companion pages as browsers see it."""
        own = None if self.companion is None else self.companion.base_url
        return own or self.authority.base_url

    @property
    def attribute_query_url(self) -> str:
        """The URL of the back channel as service providers see it; the Location of our AttributeService."""
        return f"{self.back_channel.base_url or self.authority.base_url}/saml/attribute-query"


def _refuse_twins(names: Sequence[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"only one table is expected for each, and there are more for {', '.join(sorted(twice))}")
