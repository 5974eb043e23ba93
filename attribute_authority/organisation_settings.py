"""The tables of home organisations, of sources, and of limits; what their keys mean for an operator stands in conf/authority.toml."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, SerializeAsAny

from attribute_authority.setting_values import EntityIdText, Localised, SourceTable, Table, integer, seconds


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
    scopes: Annotated[tuple[Annotated[str, AfterValidator(_scope)], ...] | None, Field(strict=False)] = None
    sources_asked: Annotated[Asking, Field(strict=False)] = Asking.ALL
    source: Annotated[tuple[SerializeAsAny[SourceTable], ...], Field(strict=False)] = ()


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
