"""The composition root: settings in, running objects out. The only file that sees the core, the doors and the storage together."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from attribute_authority.companion_settings import CompanionSettings
from attribute_authority.core.answering import Answering
from attribute_authority.core.asking import SourceAsking
from attribute_authority.core.deciding import Deciding
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.query import RequesterProfile
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.events import EventLog, Pseudonyms
from attribute_authority.ports import EntityDirectory, QueryWatch, ReplayGuard, RequesterGuard, SubjectFinder
from attribute_authority.saml.answer import AnswerWriter
from attribute_authority.saml.decryption import Decryption
from attribute_authority.saml.metadata import MetadataSource
from attribute_authority.saml.own_metadata import Contact, Logo, Organisation, OwnDescription, write_own_metadata
from attribute_authority.saml.own_sign_in_role import SignInRole
from attribute_authority.saml.signature import AllowedAlgorithms
from attribute_authority.saml.signing import Signer, load_signer
from attribute_authority.saml.verification import Verification, accepted_destinations
from attribute_authority.setting_values import KeyPair, Localised
from attribute_authority.settings import ReleaseSettings, RequesterSettings, Settings
from attribute_authority.storage.engine import Patience
from attribute_authority.storage.sql import SqlStore, open_store
from attribute_authority.web.client_key import ClientKeys, TrustedProxies
from attribute_authority.web.query_door import QueryDoor
from attribute_authority.web.tls import TlsServer, tls_server

_Made = TypeVar("_Made")
_INDEX: Final = "metadata.index"
_MIN_PSEUDONYM_KEY: Final = 16


def present() -> datetime:
    """Return the present instant, UTC."""
    return datetime.now(UTC)


def new_saml_id() -> str:
    """Return a fresh xs:ID of 128 random bits (core 1.3.4)."""
    return f"_{secrets.token_hex(16)}"


def new_correlation_id() -> str:
    """Return a fresh id that ties an answer to its line in the log."""
    return secrets.token_hex(6)


def index_file(settings: Settings) -> Path:
    """Return where the metadata index of all workers lies."""
    return settings.authority.state_directory / _INDEX


def metadata_sources(settings: Settings) -> tuple[MetadataSource, ...]:
    """Return the configured sources of metadata."""
    return tuple(MetadataSource(source.file, source.signing_certificate) for source in settings.metadata)


def open_link_store(settings: Settings) -> SqlStore:
    """Open the configured database, of which every change of links goes to the configured sinks. Raises OperatorError or CouldNotAsk."""
    milliseconds = int(settings.database.timeout * 1000)
    store = open_store(settings.database.url, Patience(connecting=milliseconds, answering=milliseconds))
    store.use_sinks(settings.sinks)
    return store


def load_signers(settings: Settings) -> tuple[Signer, ...]:
    """Load every signing key, the first of which signs. Raises OperatorError naming the files."""
    return _load_all(settings.authority.signing, load_signer)


def load_decryption_keys(settings: Settings) -> tuple[bytes, ...]:
    """Load the keys to which identifiers may be encrypted, PEM. Raises OperatorError naming the files."""
    return _load_all(settings.authority.encryption, _rsa_key)


def load_companion_decryption_keys(companion: CompanionSettings) -> tuple[bytes, ...]:
    """Load the keys to which assertions may be encrypted, PEM. Raises OperatorError naming the files."""
    return _load_all(companion.encryption, _rsa_key)


def load_tls(settings: Settings) -> TlsServer | None:
    """Load the TLS side of the back channel; None behind a proxy that ends TLS. Raises OperatorError naming the files."""
    pair = settings.back_channel.tls
    return None if pair is None else _load(pair, lambda _key, _certificate: tls_server(str(pair.key), str(pair.certificate)))


def load_pseudonyms(settings: Settings) -> Pseudonyms:
    """Load the key of pseudonyms; without a configured one they change with every start. Raises OperatorError."""
    file = settings.events.pseudonym_key
    key = secrets.token_bytes(32) if file is None else read_file(file)
    if len(key) < _MIN_PSEUDONYM_KEY:
        raise OperatorError(f"{file}: expected at least {_MIN_PSEUDONYM_KEY} random bytes")
    return Pseudonyms(key)


def release_rules(settings: Settings) -> tuple[ReleaseRule, ...]:
    """Return the configured release rules, in order."""
    return tuple(_rule(rule) for rule in settings.release)


def make_deciding(settings: Settings, subjects: SubjectFinder, sources: SourceAsking) -> Deciding:
    """Make the core of the service over a store and the sources of home organisations."""
    return Deciding(subjects, sources, release_rules(settings), settings.authority.environment)


def make_answering(settings: Settings, deciding: Deciding) -> Answering:
    """Make what answers queries on the core."""
    return Answering(deciding, {EntityId(requester.entity_id): _profile(requester) for requester in settings.requester})


@dataclass(frozen=True, slots=True)
class Surveillance:
    """What sees every query that goes through a door."""

    guard: RequesterGuard
    watch: QueryWatch
    events: EventLog
    pseudonyms: Pseudonyms


def make_query_door(
    settings: Settings, deciding: Deciding, replays: ReplayGuard, directory: EntityDirectory, surveillance: Surveillance
) -> QueryDoor:
    """Make what answers queries. Raises OperatorError where keys cannot be used."""
    verification = Verification(
        directory,
        replays,
        accepted_destinations(settings.attribute_query_url),
        timedelta(seconds=settings.attribute_query.clock_skew),
        Decryption(load_decryption_keys(settings)),
        AllowedAlgorithms.with_sha1() if settings.attribute_query.accept_sha1 else AllowedAlgorithms(),
    )
    writer = AnswerWriter(settings.authority.entity_id, load_signers(settings)[0], new_saml_id)
    return QueryDoor(
        verification,
        make_answering(settings, deciding),
        writer,
        surveillance.guard,
        surveillance.events,
        surveillance.watch,
        surveillance.pseudonyms,
        present,
        new_correlation_id,
    )


def make_client_keys(settings: Settings) -> ClientKeys:
    """Make what finds the TLS client's key: our own TLS layer, or a trusted proxy's header."""
    header = settings.back_channel.client_certificate_header
    return ClientKeys(None if header is None else TrustedProxies(header, settings.back_channel.trusted_proxies))


def own_metadata(settings: Settings) -> bytes:
    """Write our own metadata. Raises OperatorError where a certificate cannot be read."""
    authority, tls = settings.authority, settings.back_channel.tls
    presentation, run_by, logo = authority.presentation, authority.organisation, authority.presentation.logo
    return write_own_metadata(
        OwnDescription(
            entity_id=authority.entity_id,
            attribute_query_url=settings.attribute_query_url,
            signing_certificates=tuple(read_file(pair.certificate) for pair in authority.signing),
            tls_certificate=None if tls is None else read_file(tls.certificate),
            companion=_sign_in_role(settings),
            encryption_certificates=tuple(read_file(pair.certificate) for pair in authority.encryption),
            display_names=_texts(presentation.display_name),
            descriptions=_texts(presentation.description),
            information_urls=_texts(presentation.information_url),
            privacy_statement_urls=_texts(presentation.privacy_statement_url),
            logo=None if logo is None else Logo(logo.url, logo.width, logo.height),
            organisation=None if run_by is None else Organisation(_texts(run_by.name), _texts(run_by.url), _texts(run_by.display_name)),
            contacts=tuple(Contact(contact.type, contact.email, contact.given_name, contact.surname) for contact in authority.contact),
        )
    )


def _sign_in_role(settings: Settings) -> SignInRole | None:
    companion = settings.companion
    if companion is None or companion.trusted_headers is not None:
        # With trusted headers the web server in front of us is the service provider, and has metadata of its own.
        return None
    return SignInRole(
        acs_url=f"{settings.companion_url}/saml/acs",
        discovery_return_url=f"{settings.companion_url}/login",
        encryption_certificates=tuple(read_file(pair.certificate) for pair in companion.encryption),
    )


def read_file(file: Path) -> bytes:
    """Read a file of the configuration. Raises OperatorError naming it."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise OperatorError(f"{file}: cannot be read: {error.strerror}") from error


def _load_all(pairs: Sequence[KeyPair], load: Callable[[bytes, bytes], _Made]) -> tuple[_Made, ...]:
    made: list[_Made] = []
    faults: list[str] = []
    for pair in pairs:
        try:
            made.append(_load(pair, load))
        except OperatorError as fault:
            faults.append(fault.cause)
    if faults:
        raise FaultyConfiguration(tuple(faults))
    return tuple(made)


def _load(pair: KeyPair, load: Callable[[bytes, bytes], _Made]) -> _Made:
    key, certificate = read_file(pair.key), read_file(pair.certificate)
    try:
        return load(key, certificate)
    except OperatorError as fault:
        raise OperatorError(f"{pair.key}, {pair.certificate}: {fault.cause}") from fault


def _rsa_key(key_pem: bytes, certificate_pem: bytes) -> bytes:
    try:
        key, certificate = load_pem_private_key(key_pem, None), load_pem_x509_certificate(certificate_pem)
    except (ValueError, TypeError) as error:
        raise OperatorError(f"expected an unencrypted PEM private key and a PEM certificate: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise OperatorError("expected an RSA key, for key transport by RSA-OAEP, and the certificate of that key")
    return key_pem


def _texts(localised: Localised) -> dict[str, str]:
    return dict(localised.items())


def _rule(rule: ReleaseSettings) -> ReleaseRule:
    return ReleaseRule(
        _entity_ids(rule.requesters),
        rule.entity_category,
        rule.registration_authority,
        rule.requested_attribute,
        _entity_ids(rule.home_organisations),
    )


def _entity_ids(texts: tuple[str, ...] | None) -> frozenset[EntityId] | None:
    return None if texts is None else frozenset(EntityId(text) for text in texts)


def _profile(requester: RequesterSettings) -> RequesterProfile:
    qualifier = requester.default_name_qualifier
    return RequesterProfile(
        requester.subject_confirmation_recipient,
        requester.nothing_to_release,
        None if qualifier is None else EntityId(qualifier),
    )
