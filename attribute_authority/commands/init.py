"""`init`: a working authority in an empty directory."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

import click

from attribute_authority.assembly import present
from attribute_authority.configuration import read_configuration
from attribute_authority.domain.identifiers import parse_entity_id
from attribute_authority.errors import InvalidIdentifier, OperatorError
from attribute_authority.keys import make_key
from attribute_authority.saml.requester_metadata import write_requester_metadata
from attribute_authority.setting_values import parse_web_address
from attribute_authority.storage.upgrading import upgrade

_CONFIG: Final = "authority.toml"
_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    mode: int


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--base-url", default="https://localhost:8443", show_default=True, help="Our address as the outside sees it.")
@click.option("--entity-id", default=None, help="Our entityID; otherwise the base URL followed by /orcid.")
def init(directory: Path, base_url: str, entity_id: str | None) -> None:
    """Write configuration, fresh keys and an empty database into DIRECTORY; nothing that is there is overwritten."""
    try:
        base_url = parse_web_address(base_url)
        entity_id = parse_entity_id(entity_id or f"{base_url}/orcid")
    except (ValueError, InvalidIdentifier) as error:
        raise click.UsageError(f"--base-url {base_url}, --entity-id {entity_id}: {error}.") from error
    config = make_authority(directory, entity_id, base_url)
    click.echo(f"Written: {config}, fresh keys and an empty database beside it")
    click.echo("Next:    add [[metadata]] and [[release]] for your service providers there, then")
    for step in ("check", "link add --orcid … --idp … --id eppn=…", "serve"):
        click.echo(f"         attribute-authority --config {config} {step}")


def make_authority(directory: Path, entity_id: str, base_url: str) -> Path:
    """Write an authority and return its configuration file. Raises OperatorError where one of its files exists."""
    planned = _plan(entity_id, base_url)
    present_already = [name for name in (*planned, "links.db") if (directory / name).exists()]
    if present_already:
        raise OperatorError(f"{directory}: {', '.join(present_already)} would be overwritten: choose an empty directory")
    try:
        for name, file in planned.items():
            _write(directory / name, file)
    except OSError as error:
        raise OperatorError(f"{directory}: cannot be written: {error.strerror}") from error
    upgrade(read_configuration(directory / _CONFIG).database.url)
    return directory / _CONFIG


def _plan(entity_id: str, base_url: str) -> Mapping[str, _File]:
    now = present()
    address = urlsplit(base_url)
    host, port = address.hostname or "localhost", address.port or 443
    hosts = tuple(dict.fromkeys((host, "localhost", "127.0.0.1")))
    signing, tls, self_test = make_key(host, now), make_key(host, now, hosts), make_key(f"self-test.{host}"[:64], now)
    encryption = make_key(host, now)
    requester = f"{entity_id}/self-test"
    template = Template(files("attribute_authority.commands").joinpath("authority.toml.template").read_text(encoding="utf-8"))
    config = template.substitute(entity_id=_toml(entity_id), base_url=_toml(base_url), port=port, self_test=_toml(requester))
    return {
        _CONFIG: _File(config.encode(), _PUBLIC),
        "keys/signing.key": _File(signing.key, _PRIVATE),
        "keys/signing.crt": _File(signing.certificate, _PUBLIC),
        "keys/tls.key": _File(tls.key, _PRIVATE),
        "keys/tls.crt": _File(tls.certificate, _PUBLIC),
        "keys/encryption.key": _File(encryption.key, _PRIVATE),
        "keys/encryption.crt": _File(encryption.certificate, _PUBLIC),
        "keys/sealing.key": _File(secrets.token_bytes(32), _PRIVATE),
        "keys/pseudonym.key": _File(secrets.token_bytes(32), _PRIVATE),
        "self-test/requester.key": _File(self_test.key, _PRIVATE),
        "self-test/requester.crt": _File(self_test.certificate, _PUBLIC),
        "self-test/requester.xml": _File(write_requester_metadata(requester, self_test.certificate), _PUBLIC),
    }


def _write(path: Path, file: _File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.content)


def _toml(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
