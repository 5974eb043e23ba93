"""`client`: who may use the lookup door with a bearer token."""

import json
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from attribute_authority.assembly import open_link_store, present, release_rules
from attribute_authority.checking import refuse_old_database
from attribute_authority.commands.options import TEXT
from attribute_authority.configuration import read_configuration
from attribute_authority.domain.client import Client, NewClient
from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import EntityId, parse_entity_id
from attribute_authority.domain.release import ReleaseRule, allowing_rule
from attribute_authority.errors import OperatorError
from attribute_authority.settings import Settings
from attribute_authority.storage.sql import SqlStore

_TOKEN_OCTETS: Final = 32
_MOST_DAYS: Final = 36_500
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group()
def client() -> None:
    """Register, list and revoke clients of the lookup door."""


@client.command("add")
@click.argument("name", type=TEXT)
@click.option("--entity-id", type=TEXT, required=True, metavar="ENTITYID", help="The entityID as which it asks, by which rules name it.")
@click.option(
    "--home-organisation",
    "home_organisations",
    type=TEXT,
    required=True,
    multiple=True,
    metavar="ENTITYID",
    help="Identity provider whose people it may see; may be repeated.",
)
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The last day (UTC) on which its token counts.")
@click.option("--days", type=click.IntRange(1, _MOST_DAYS), metavar="N", help="For how many days its token counts.")
@click.pass_obj
def add_client(
    config: Path, /, *, name: str, entity_id: str, home_organisations: tuple[str, ...], expires: datetime | None, days: int | None
) -> None:
    """Register a client, and print its bearer token, which is not kept and never shown again."""
    if not _NAME.fullmatch(name):
        raise click.BadParameter("expected up to 64 letters, digits, dots, hyphens and underscores.", param_hint="NAME")
    now = present()
    expires_at = _expiry(expires, days, now)
    settings = read_configuration(config)
    token = f"aa_{secrets.token_urlsafe(_TOKEN_OCTETS)}"
    new = NewClient(
        name=name,
        entity_id=parse_entity_id(entity_id),
        home_organisations=frozenset(map(parse_entity_id, home_organisations)),
        token_digest=sha256(token.encode()).digest(),
        created_at=now,
        expires_at=expires_at,
    )
    _store(settings).add_client(new)
    _warn(release_rules(settings), new)
    click.echo("This token is shown only now: pass it on in a safe way.", err=True)
    click.echo(token)


@client.command("list")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def list_clients(config: Path, /, form: str) -> None:
    """List clients, revoked ones too, in the order of registration; tokens are not known to anybody here."""
    settings = read_configuration(config)
    now = present()
    for known in _store(settings).list_clients():
        click.echo(json.dumps(_object(known, now), ensure_ascii=False) if form == "json" else _line(known, now))


@client.command("revoke")
@click.argument("name", type=TEXT)
@click.pass_obj
def revoke_client(config: Path, /, name: str) -> None:
    """Revoke the token of a client, at once and for good."""
    revoked = _store(read_configuration(config)).revoke_client(name, present())
    if revoked is None:
        raise OperatorError(f"there is no client {name!r} in force")
    click.echo(f"revoked: {revoked.name}, {revoked.entity_id}")


def _expiry(last_day: datetime | None, days: int | None, now: datetime) -> datetime | None:
    if last_day is not None and days is not None:
        raise click.UsageError("Say until when: either --expires or --days.")
    if days is not None:
        return now + timedelta(days=days)
    if last_day is None:
        return None
    expires_at = datetime.combine(last_day, time.max, UTC)
    if expires_at <= now:
        raise click.BadParameter("that day is over.", param_hint="--expires")
    return expires_at


def _warn(rules: Sequence[ReleaseRule], new: NewClient) -> None:
    """Say what the client will not be told: an entity of no metadata needs a rule that names it, for each home organisation."""
    asking = Entity(new.entity_id, frozenset({Role.LOOKUP_CLIENT}))
    if not any(rule.names(asking) for rule in rules):
        click.echo(
            f"Warning: no release rule names {new.entity_id}; unless it is a service provider of metadata that another rule allows, "
            "it is told nothing.",
            err=True,
        )
        return
    for home_organisation in sorted(new.home_organisations):
        if allowing_rule(rules, asking, home_organisation) is None:
            click.echo(f"Warning: no release rule that names {new.entity_id} allows people of {home_organisation}.", err=True)


def _store(settings: Settings) -> SqlStore:
    refuse_old_database(settings)
    store = open_link_store(settings)
    click.get_current_context().call_on_close(store.close)
    return store


def _object(known: Client, now: datetime) -> dict[str, object]:
    return {
        "name": known.name,
        "entity_id": known.entity_id,
        "home_organisations": sorted(known.home_organisations),
        "state": _state(known, now),
        "created_at": known.created_at.isoformat(),
        "expires_at": None if known.expires_at is None else known.expires_at.isoformat(),
        "revoked_at": None if known.revoked_at is None else known.revoked_at.isoformat(),
    }


def _line(known: Client, now: datetime) -> str:
    until = "without end" if known.expires_at is None else f"until {known.expires_at:%Y-%m-%dT%H:%MZ}"
    organisations: Sequence[EntityId] = sorted(known.home_organisations)
    return "\t".join((known.name, _state(known, now), until, known.entity_id, " ".join(organisations)))


def _state(known: Client, now: datetime) -> str:
    if known.revoked_at is not None:
        return "revoked"
    return "expired" if known.expires_at is not None and known.expires_at <= now else "in force"
