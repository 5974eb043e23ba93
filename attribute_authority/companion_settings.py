"""The tables of the companion page; what their keys mean for an operator stands in conf/authority.toml."""

from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from attribute_authority.domain.identifiers import IdentifierKind
from attribute_authority.setting_values import (
    EmailAddress,
    EntityIdText,
    FilePath,
    HeaderName,
    KeyPair,
    Localised,
    LocalisedAddress,
    Network,
    OauthScope,
    PageAddress,
    Port,
    Table,
    integer,
    is_loopback_http,
    parse_page_address,
    seconds,
)


class ServiceSettings(Table):
    """`[companion.service]`: how the companion page shows itself, per language where it is text."""

    name: Localised = Field({})
    logo: FilePath | None = None
    contact: EmailAddress | None = None
    privacy_notice: LocalisedAddress = Field({})
    accessibility_statement: LocalisedAddress = Field({})


class TrustedHeadersSettings(Table):
    """`[companion.trusted_headers]`: sign-in by a Shibboleth SP in the web server in front of us, named by the headers that it sets."""

    proxies: Annotated[tuple[Network, ...], Field(min_length=1, strict=False)]
    identity_provider: HeaderName = "Shib-Identity-Provider"
    identifiers: Annotated[dict[Annotated[IdentifierKind, Field(strict=False)], HeaderName], Field(min_length=1)]
    name: HeaderName | None = None
    orcid: HeaderName | None = None


class CompanionSettings(Table):
    """`[companion]`: the pages on which researchers link their iD. Times are in seconds, rates in attempts per address and minute."""

    host: str = "127.0.0.1"
    port: Port = 8080
    base_url: PageAddress | None = None
    workers: Annotated[int, integer(1, 64)] = 1
    discovery_url: PageAddress | None = None
    identity_provider: EntityIdText | None = None
    encryption: Annotated[tuple[KeyPair, ...], Field(strict=False)] = ()
    sealing_keys: Annotated[tuple[FilePath, ...], Field(min_length=1, strict=False)]
    session_lifetime: Annotated[int, integer(60, 86_400)] = 3_600
    clock_skew: Annotated[int, integer(1, 600)] = 180
    page_timeout: Annotated[float, seconds(120)] = 20.0
    attempts_per_minute: Annotated[int, integer(1, 10_000)] = 300
    trusted_proxies: Annotated[tuple[Network, ...], Field(strict=False)] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    trusted_headers: TrustedHeadersSettings | None = None
    service: ServiceSettings = ServiceSettings()

    @model_validator(mode="after")
    def _has_one_way_to_sign_in(self) -> Self:
        if sum(way is not None for way in (self.discovery_url, self.identity_provider, self.trusted_headers)) != 1:
            raise ValueError("expected one way to sign in: discovery_url, identity_provider or trusted_headers")
        return self


class OrcidSettings(Table):
    """`[orcid]`: our client at the ORCID registry; `timeout` is in seconds, for one request to it."""

    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: FilePath
    scopes: Annotated[tuple[OauthScope, ...], Field(min_length=1, strict=False)] = ("openid",)
    timeout: Annotated[float, seconds(30)] = 5.0
    registry_url: str | None = None

    @field_validator("scopes")
    @classmethod
    def _authenticates_once(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if ("openid" in scopes) == ("/authenticate" in scopes):
            raise ValueError("expected either openid or /authenticate among the scopes, not both")
        return scopes

    @field_validator("registry_url")
    @classmethod
    def _is_a_simulator(cls, address: str | None) -> str | None:
        if address is not None and not is_loopback_http(address):
            raise ValueError("expected plain http on this machine: it is for demonstrations; real registries follow from the environment")
        return None if address is None else parse_page_address(address)
