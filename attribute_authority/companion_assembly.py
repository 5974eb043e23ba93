"""The composition root of the companion page; apart from `assembly`, so that the back channel carries nothing of it."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Final, TypeVar

from attribute_authority.assembly import (
    load_companion_decryption_keys,
    load_pseudonyms,
    new_correlation_id,
    new_saml_id,
    own_metadata,
    present,
    read_file,
    release_rules,
)
from attribute_authority.companion_loading import CompanionTables, load_sealer, load_static_files, make_registry
from attribute_authority.companion_settings import CompanionSettings, TrustedHeadersSettings
from attribute_authority.core.linking import Linking
from attribute_authority.core.revoking import Revoking
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.events import EventLog
from attribute_authority.ports import EntityDirectory, Registry
from attribute_authority.saml.sign_in import OwnRole, SignIn, discovery_url
from attribute_authority.sealing import Sealer
from attribute_authority.setting_values import is_loopback_http
from attribute_authority.settings import Settings
from attribute_authority.storage.companion import SqlCompanionStore, open_companion_store
from attribute_authority.storage.engine import Patience
from attribute_authority.web.companion.addresses import AttemptLimits
from attribute_authority.web.companion.app import Companion, make_companion
from attribute_authority.web.companion.confirming import Confirming
from attribute_authority.web.companion.connecting import Connecting, PendingAuthorization, PendingCode, PendingProposal
from attribute_authority.web.companion.cookies import Cookies
from attribute_authority.web.companion.deliveries import Delivering, describe_destinations
from attribute_authority.web.companion.pages import Pages
from attribute_authority.web.companion.sealed_states import SealedStates
from attribute_authority.web.companion.sessions import Session, Sessions
from attribute_authority.web.companion.signing_in import HeaderWay, PendingSignIn, SamlWay, Way
from attribute_authority.web.companion.trusted_headers import TrustedHeaders
from attribute_authority.web.companion.visit import Appearance, Parts

THREADS: Final = 16
"""Pages that one worker makes at a time; what they wait for is the database and ORCID."""

_PLACES_AT_ORCID: Final = 8
_Kept = TypeVar("_Kept")
_STATES: Final = "browser-state"
_GRANTS: Final = "orcid-grant"


def open_pages_store(settings: Settings) -> SqlCompanionStore:
    """Open the database for the companion page. Raises OperatorError or CouldNotAsk."""
    milliseconds = int(settings.database.timeout * 1000)
    return open_companion_store(settings.database.url, Patience(connecting=milliseconds, answering=milliseconds), pool_size=THREADS)


def own_role(settings: Settings) -> OwnRole:
    """Return our service-provider role, as the companion page has it. Raises OperatorError naming the files."""
    companion, pair = settings.companion, settings.authority.signing[0]
    return OwnRole(
        entity_id=EntityId(settings.authority.entity_id),
        acs_url=f"{settings.companion_url}/saml/acs",
        discovery_return_url=f"{settings.companion_url}/login",
        signing_key=read_file(pair.key),
        signing_certificate=read_file(pair.certificate),
        decryption_keys=() if companion is None else load_companion_decryption_keys(companion),
    )


def make_linking(settings: Settings, tables: CompanionTables, store: SqlCompanionStore) -> Linking:
    """Make the core of the page over the store. Raises OperatorError."""
    patience = timedelta(seconds=tables.companion.session_lifetime)
    return Linking(store, load_sealer(tables, _GRANTS), settings.authority.environment, patience)


def make_revoking(tables: CompanionTables, store: SqlCompanionStore, registry: Registry, events: EventLog) -> Revoking:
    """Make what revokes permissions. Raises OperatorError."""
    return Revoking(store, registry, load_sealer(tables, _GRANTS), events, present)


def make_pages(
    settings: Settings, tables: CompanionTables, store: SqlCompanionStore, directory: EntityDirectory, events: EventLog
) -> Companion:
    """Make the application. Raises OperatorError where keys, secrets or files cannot be used."""
    files, logo_url = load_static_files(tables)
    states = _States(store, load_sealer(tables, _STATES))
    own, pseudonyms = tables.companion, load_pseudonyms(settings)
    parts = Parts(
        base_url=settings.companion_url,
        pages=Pages(files),
        appearance=_appearance(settings, own, logo_url),
        cookies=Cookies(secure=not is_loopback_http(settings.companion_url)),
        sessions=Sessions(states.of("session", Session), timedelta(seconds=own.session_lifetime), new_secret),
        limits=AttemptLimits(store, pseudonyms, own.trusted_proxies, own.attempts_per_minute),
        linking=make_linking(settings, tables, store),
        delivering=_delivering(settings, store),
        registry=make_registry(settings, tables),
        directory=directory,
        replays=store,
        rules=_told_rules(settings),
        metadata=own_metadata(settings),
        events=events,
        pseudonyms=pseudonyms,
        clock=present,
        new_secret=new_secret,
        new_correlation_id=new_correlation_id,
    )
    proposals = states.of("proposal", PendingProposal)
    connecting = Connecting(
        states.of("authorization", PendingAuthorization), states.of("code", PendingCode), proposals, BoundedSemaphore(_PLACES_AT_ORCID)
    )
    return make_companion(parts, files, _way(settings, own, directory, states), connecting, Confirming(proposals))


def new_secret() -> str:
    """Return 256 random bits as text that may stand in a URL and a cookie."""
    return secrets.token_urlsafe(32)


class _States:
    """Makes the states of each kind."""

    def __init__(self, store: SqlCompanionStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    def of(self, kind: str, model: type[_Kept]) -> SealedStates[_Kept]:
        return SealedStates(self._store, self._sealer, kind, model)


def _way(settings: Settings, own: CompanionSettings, directory: EntityDirectory, states: _States) -> Way:
    if own.trusted_headers is not None:
        return HeaderWay(_trusted_headers(own.trusted_headers, settings, directory))
    skew = timedelta(seconds=own.clock_skew)
    sign_in = SignIn(own_role(settings), directory, settings.authority.environment, skew, new_saml_id)
    pending = states.of("sign-in", PendingSignIn)
    return SamlWay(sign_in, pending, own.identity_provider, _discover(own.discovery_url, settings.authority.entity_id))


def _discover(service: str | None, entity_id: str) -> Callable[[str], str] | None:
    return None if service is None else lambda return_url: discovery_url(service, entity_id, return_url)


def _trusted_headers(table: TrustedHeadersSettings, settings: Settings, directory: EntityDirectory) -> TrustedHeaders:
    return TrustedHeaders(
        table.proxies,
        table.identity_provider,
        table.identifiers,
        table.name,
        table.orcid,
        directory,
        settings.authority.environment,
        EntityId(settings.authority.entity_id),
        present,
    )


def _appearance(settings: Settings, own: CompanionSettings, logo_url: str | None) -> Appearance:
    service = own.service
    return Appearance(
        names=dict(service.name.items()),
        logo_url=logo_url,
        contact=service.contact,
        privacy_notices=dict(service.privacy_notice.items()),
        accessibility_statements=dict(service.accessibility_statement.items()),
        is_sandbox=settings.authority.environment is Environment.SANDBOX,
    )


def _delivering(settings: Settings, store: SqlCompanionStore) -> Delivering:
    contacts = {EntityId(organisation.identity_provider): organisation.contact for organisation in settings.organisation}
    return Delivering(store, describe_destinations(settings.sinks, contacts), settings.authority.environment)


def _told_rules(settings: Settings) -> tuple[ReleaseRule, ...]:
    """Return the rules that researchers are told of; that the operator's own test may ask is no release to anybody else."""
    if settings.self_test is None:
        return release_rules(settings)
    own_test = EntityId(settings.self_test.entity_id)
    return tuple(rule for rule in release_rules(settings) if rule.requesters != frozenset((own_test,)))
