"""The tables of home organisations, of sources, and of limits; what their keys mean for an operator stands in conf/authority.toml."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, field_validator, model_validator

from attribute_authority.setting_values import (
    EmailAddress,
    EntityIdText,
    FilePath,
    Language,
    Localised,
    Port,
    SinkTable,
    SourceTable,
    Table,
    integer,
    seconds,
)


def _contact(text: str) -> str:
    if not text.startswith("mailto:") or "@" not in text or any(sign.isspace() for sign in text):
        raise ValueError("expected an address such as mailto:idm@uni.example")
    return text


def _scope(text: str) -> str:
    if not text or not text.isascii() or any(sign in "@/ " for sign in text) or text != text.strip("."):
        raise ValueError("expected a scope such as uni.example")
    return text.lower()


class Asking(StrEnum):
    """Which sources of an organisation are asked: all, so that they can contradict one another, or in order until one knows the person."""

    ALL = "all"
    UNTIL_FOUND = "until-found"


class WhenEnumerating(StrEnum):
    """What happens to a requester that seems to try identifiers out."""

    REPORT = "report"
    BLOCK = "block"


class OrganisationSettings(Table):
    """`[[organisation]]`: a home organisation that does more than sign people in."""

    identity_provider: EntityIdText
    name: Localised = Field({})
    contact: Annotated[str, AfterValidator(_contact)] | None = None
    contact_language: Language = "en"
    scopes: Annotated[tuple[Annotated[str, AfterValidator(_scope)], ...] | None, Field(strict=False)] = None
    sources_asked: Annotated[Asking, Field(strict=False)] = Asking.ALL
    source: Annotated[tuple[SerializeAsAny[SourceTable], ...], Field(strict=False)] = ()
    sink: Annotated[tuple[SerializeAsAny[SinkTable], ...], Field(strict=False)] = ()

    @field_validator("sink")
    @classmethod
    def _names_differ(cls, sinks: tuple[SinkTable, ...]) -> tuple[SinkTable, ...]:
        names = [sink.sink_name for sink in sinks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several sinks are called {', '.join(twice)}: give each a name of its own, which it then keeps")
        return sinks


class SourcesSettings(Table):
    """`[sources]`: how long and how many at once home organisations are asked. Times are in seconds."""

    deadline: Annotated[float, seconds(60)] = 4.0
    threads: Annotated[int, integer(1, 128)] = 16
    longest_pause: Annotated[float, seconds(3600)] = 60.0


class LimitsSettings(Table):
    """`[limits]`: how much one requester may ask; 0 is no limit. `unknown_share` is a part of 1, `block_minutes` counts minutes."""

    queries_per_minute: Annotated[int, integer(0, 10_000_000)] = 3_000
    queries_per_day: Annotated[int, integer(0, 1_000_000_000)] = 300_000
    unknown_share: Annotated[float, Field(gt=0, le=1)] = 0.98
    unknown_minimum: Annotated[int, integer(1, 1_000_000_000)] = 1_000
    when_enumerating: Annotated[WhenEnumerating, Field(strict=False)] = WhenEnumerating.REPORT
    block_minutes: Annotated[int, integer(1, 10_080)] = 60


class DeliveriesSettings(Table):
    """`[deliveries]`: how iDs reach home organisations. Times are in seconds, `give_up_after` in days."""

    give_up_after: Annotated[int, integer(1, 365)] = 14
    longest_pause: Annotated[float, seconds(86_400)] = 3_600.0
    poll: Annotated[float, seconds(60)] = 1.0


class MailSettings(Table):
    """`[mail]`: how organisations are told of deliveries that need a person; `collect` is in seconds."""

    host: str = "localhost"
    port: Port = 25
    security: Literal["starttls", "tls", "none"] = "starttls"
    tls_ca: FilePath | None = None
    username: str | None = None
    password_file: FilePath | None = None
    sender: EmailAddress
    timeout: Annotated[float, seconds(120)] = 20.0
    collect: Annotated[float, seconds(86_400)] = 900.0

    @model_validator(mode="after")
    def _is_safe(self) -> "MailSettings":
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together: expected both or neither")
        if self.security == "none" and self.host not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError('security = "none" is for a mail server on this very machine')
        return self
