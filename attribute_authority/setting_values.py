"""The kinds of value and table in the configuration, each with the sentence that an operator reads where it does not fit.

A value is never converted: "30" is no number. The names of files become paths, relative ones from the directory of the configuration,
which is `directory` in the validation's context.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from attribute_authority.domain.identifiers import EntityId, parse_entity_id
from attribute_authority.errors import InvalidIdentifier

_SQLITE: Final = "sqlite:///"
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_SINK_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_EMAIL: Final = re.compile(r"[^@\s:]+@[^@\s]+")


def _entity_id(text: str) -> EntityId:
    try:
        return parse_entity_id(text)
    except InvalidIdentifier as error:
        raise ValueError(error.cause) from error


def parse_web_address(text: str) -> str:
    """Check the address under which something is reached from outside, and drop slashes at its end. Raises ValueError."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(sign in text for sign in "?#@") or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("expected an absolute https URL in ASCII without query, fragment and password")
    return text.rstrip("/")


def parse_page_address(text: str) -> str:
    """Check an address that only browsers use: https, or plain http on this very machine, for demonstrations. Raises ValueError."""
    if is_loopback_http(text) and not any(sign in text for sign in "?#@") and text.isascii() and text.isprintable() and " " not in text:
        return text.rstrip("/")
    return parse_web_address(text)


def is_loopback_http(text: str) -> bool:
    """Whether an address is plain http on this very machine."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port != 0
    except ValueError:
        return False


def _header_name(text: str) -> str:
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError("expected the name of an HTTP header")
    return text


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise ValueError("expected an OAuth scope without spaces, such as openid or /read-limited")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("expected an e-mail address without mailto:")
    return text


def _network(text: object) -> object:
    try:
        return ip_network(text if isinstance(text, str) else "")
    except ValueError as error:
        raise ValueError("expected an address or network such as 192.0.2.7 or 2001:db8::/32, without host bits") from error


def integer(low: int, high: int) -> BeforeValidator:
    """An integer from `low` to `high`."""

    def check(value: object) -> object:
        # True is an int to Python, and a mistake here.
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"expected an integer from {low} to {high}")
        return value

    return BeforeValidator(check)


def seconds(high: int) -> BeforeValidator:
    """A number of seconds, whole or not, above 0 and at most `high`."""

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= high:
            raise ValueError(f"expected a number of seconds above 0, at most {high}")
        return float(value)

    return BeforeValidator(check)


def _beside_configuration(path: object, info: ValidationInfo) -> Path:
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError("expected the name of a file")
    return Path((info.context or {}).get("directory", "")) / path


def _file_of_sqlite(url: str, info: ValidationInfo) -> str:
    file = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not file or file.startswith("/"):
        return url
    # The rest of a URL is percent-encoded, and a directory may have any name.
    return f"{_SQLITE}{quote(str((info.context or {}).get('directory', Path())))}/{file}"


Language = Literal["fi", "sv", "en"]
EntityIdText = Annotated[str, AfterValidator(_entity_id)]
WebAddress = Annotated[str, AfterValidator(parse_web_address)]
PageAddress = Annotated[str, AfterValidator(parse_page_address)]
OauthScope = Annotated[str, AfterValidator(_scope)]
FilePath = Annotated[Path, BeforeValidator(_beside_configuration)]
Port = Annotated[int, integer(0, 65535)]
EmailAddress = Annotated[str, AfterValidator(_email)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
DatabaseUrl = Annotated[str, AfterValidator(_file_of_sqlite)]
Localised = dict[Language, Annotated[str, Field(min_length=1)]]
LocalisedAddress = dict[Language, WebAddress]


class Table(BaseModel):
    """A table of the file: unknown keys are refused, values are not converted, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class KeyPair(Table):
    """A private key and its certificate, PEM files."""

    key: FilePath
    certificate: FilePath


class SourceTable(Table):
    """`[[organisation.source]]`: what every kind of source has; each kind adds its own keys. `timeout` is in seconds, for one question."""

    kind: str
    timeout: Annotated[float, seconds(30)] = 2.0


def _sink_name(text: str) -> str:
    if not _SINK_NAME.fullmatch(text):
        raise ValueError("expected a name of up to 64 lower-case letters, digits and hyphens")
    return text


class SinkTable(Table):
    """`[[organisation.sink]]`: what every kind of sink has; each kind adds its own keys.

    `name` tells sinks of one organisation apart, by default the kind. `timeout` is in seconds, for one delivery; `connections` is how many
    deliveries each process makes at a time.
    """

    kind: str
    name: Annotated[str, AfterValidator(_sink_name)] | None = None
    timeout: Annotated[float, seconds(120)] = 10.0
    connections: Annotated[int, integer(1, 64)] = 4

    @property
    def sink_name(self) -> str:
        """The name that tells it apart."""
        return self.name or self.kind
