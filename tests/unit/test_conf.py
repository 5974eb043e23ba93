"""conf/authority.toml, where operators look keys up: nothing missing, nothing out of date."""

import re
import tomllib
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, TypeGuard, cast, get_args

import pytest
from pydantic_core import PydanticUndefined

from attribute_authority.configuration import read_configuration
from attribute_authority.setting_values import KeyPair, SinkTable, SourceTable, Table
from attribute_authority.settings import Settings
from connectors import CATALOGUE, find_sink_kind, find_source_kind

_FILE = Path(__file__).parents[2] / "conf" / "authority.toml"
_COMMENTED = re.compile(r"(?m)^# (?=[a-z0-9_]+ = |\[)")


def _uncommented() -> dict[str, object]:
    return tomllib.loads(_COMMENTED.sub("", _FILE.read_text(encoding="utf-8")))


def _table_in(annotation: object) -> type[Table] | None:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return next((table for part in get_args(annotation) if (table := _table_in(part)) is not None), None)


def _keys(table: type[Table], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, field in table.model_fields.items():
        inner = _table_in(field.annotation)
        if inner in (SourceTable, SinkTable):
            # Each kind has its own keys.
            continue
        if inner is not None and inner is not KeyPair:
            yield from _keys(inner, (*above, name))
        else:
            yield (*above, name), field.default


def _connectors(role: str) -> list[dict[str, object]]:
    (organisation,) = cast("list[dict[str, list[dict[str, object]]]]", _uncommented()["organisation"])
    return organisation[role]


def _shown(path: tuple[str, ...]) -> object:
    value: object = _uncommented()
    for name in path:
        value = value[0] if isinstance(value, list) else value
        assert isinstance(value, dict)
        value = value[name]
    return value


def _is_many(default: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(default, tuple)


_PATHS = [pytest.param(path, default, id=".".join(path)) for path, default in _keys(Settings)]


@pytest.mark.parametrize(("path", "default"), _PATHS)
def test_every_key_is_shown_with_its_default(path: tuple[str, ...], default: object) -> None:
    """Each key of the models stands in the file, and where it has a default, that is what is shown."""
    shown = _shown(path)
    written = (
        tuple(str(value) if isinstance(value, IPv4Network | IPv6Network) else value for value in default) if _is_many(default) else default
    )

    assert written in (PydanticUndefined, None) or written == (tuple(shown) if isinstance(shown, list) else shown)


def _as_written(default: object) -> object:
    if isinstance(default, frozenset):
        return sorted(default)
    return {} if default is PydanticUndefined else default


@pytest.mark.parametrize(("role", "kind"), [(role, kind) for role, kinds in CATALOGUE.items() for kind in kinds])
def test_every_kind_of_connector_is_shown_with_its_defaults(role: str, kind: str) -> None:
    """Each kind is shown once, with each of its keys; where a key has a default, that is what is shown."""
    (shown,) = (table for table in _connectors(role) if table["kind"] == kind)
    found = find_source_kind(kind) if role == "source" else find_sink_kind(kind)
    assert found is not None
    fields = found.settings.model_fields
    defaults = {name: _as_written(field.default) for name, field in fields.items() if not field.is_required() and field.default is not None}

    assert {name: default for name, default in defaults.items() if name in shown} == {
        name: shown[name] for name in defaults if name in shown
    }
    common = set(SourceTable.model_fields if role == "source" else SinkTable.model_fields) - {"kind"}
    assert set(fields) - common == set(shown) - common


@pytest.mark.parametrize(("role", "table"), [("source", SourceTable), ("sink", SinkTable)])
def test_keys_that_every_kind_has_are_shown(role: str, table: type[Table]) -> None:
    """The keys that every kind of a role has are shown at one of them, with their defaults."""
    fields = {name: field.default for name, field in table.model_fields.items() if name != "kind"}
    shown = {name: [connector[name] for connector in _connectors(role) if name in connector] for name in fields}

    assert dict.fromkeys(fields, 1) == {name: len(values) for name, values in shown.items()}
    assert all(default in (None, shown[name][0]) for name, default in fields.items())


def test_nothing_is_shown_that_is_no_key() -> None:
    """With every comment made a key, the file is refused for no other reason than that some of its keys exclude each other."""
    content: dict[str, Any] = _uncommented()
    back_channel = content["back_channel"]
    back_channel.pop("tls")
    for alternative in ("identity_provider", "trusted_headers"):
        content["companion"].pop(alternative)
    content["orcid"].pop("registry_url")
    for role in CATALOGUE:
        content["organisation"][0].pop(role)
    back_channel["trusted_proxies"] = ["127.0.0.1"]
    settings = Settings.model_validate(content, context={"directory": _FILE.parent})

    assert "X-Client-Certificate" == settings.back_channel.client_certificate_header


def test_the_file_as_it_stands_is_a_configuration() -> None:
    """What is not commented out is a valid configuration, of which paths are relative to its directory."""
    settings = read_configuration(_FILE)

    assert _FILE.parent / "keys" / "signing.key" == settings.authority.signing[0].key


def test_what_init_writes_has_its_keys_in_the_order_of_the_file() -> None:
    """The tables of init's short file come in the order of the long one, so that one can be read beside the other."""
    template = Path(__file__).parents[2] / "attribute_authority" / "commands" / "authority.toml.template"
    order = list(_uncommented())

    short = re.findall(r"(?m)^\[+(\w+)\]+$", template.read_text(encoding="utf-8"))

    assert sorted(short, key=order.index) == short
