"""What can be wrong before the service runs, all of it found together, each fault with the key of the configuration it belongs to."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from attribute_authority.assembly import (
    load_companion_decryption_keys,
    load_decryption_keys,
    load_pseudonyms,
    load_signers,
    load_tls,
    metadata_sources,
    open_link_store,
    own_metadata,
    present,
    read_file,
)
from attribute_authority.core.asking import Organisation
from attribute_authority.domain.entity import Role
from attribute_authority.errors import CouldNotAsk, FaultyConfiguration, OperatorError
from attribute_authority.organisation_assembly import check_organisations, close_organisations, open_organisations
from attribute_authority.saml.metadata import build_index
from attribute_authority.saml.metadata_index import IndexReport, SqliteEntityDirectory
from attribute_authority.saml.signing import load_signer
from attribute_authority.setting_values import KeyPair
from attribute_authority.settings import SelfTestSettings, Settings
from attribute_authority.storage.schema import pending

Step = tuple[str, Callable[[], object]]
"""A key of the configuration, and what raises where that key is at fault."""


def check_all(settings: Settings) -> tuple[str, ...]:
    """Return every fault of keys, certificates and database, a sentence each."""
    return gather(
        *((key, partial(read_file, file)) for key, file in _files(settings)),
        ("authority.signing", lambda: load_signers(settings)),
        ("authority.encryption", lambda: load_decryption_keys(settings)),
        ("back_channel.tls", lambda: load_tls(settings)),
        ("events.pseudonym_key", lambda: load_pseudonyms(settings)),
        ("authority", lambda: own_metadata(settings)),
        ("self_test", lambda: _check_self_test(settings.self_test)),
        *_companion_steps(settings),
        ("database.url", lambda: refuse_old_database(settings)),
        *_organisation_steps(settings, _open_sources),
        *_delivery_steps(settings, _open_sinks),
    )


def check_connectors(settings: Settings) -> tuple[str, ...]:
    """Try every source and sink of home organisations, and return a sentence for each that is away; nobody is named to them."""
    return gather(*_organisation_steps(settings, _try_sources), *_delivery_steps(settings, _try_sinks))


def _delivery_steps(settings: Settings, step: Callable[[Settings], None]) -> tuple[Step, ...]:
    return (("organisation", lambda: step(settings)),) if settings.sinks else ()


def _open_sinks(settings: Settings) -> None:
    # Only here, as for the companion page: most commands deliver nothing.
    from attribute_authority.delivery_assembly import close_sinks, load_mail, open_sinks

    close_sinks(open_sinks(settings))
    load_mail(settings)


def _try_sinks(settings: Settings) -> None:
    from attribute_authority.delivery_assembly import check_sinks, close_sinks, open_sinks

    sinks = open_sinks(settings)
    try:
        faults = check_sinks(sinks)
    finally:
        close_sinks(sinks)
    if faults:
        raise FaultyConfiguration(faults)


def _organisation_steps(settings: Settings, step: Callable[[Settings], None]) -> tuple[Step, ...]:
    configured = any(organisation.source for organisation in settings.organisation)
    return (("organisation", lambda: step(settings)),) if configured else ()


def _open_sources(settings: Settings) -> None:
    with _opened(settings):
        pass


def _try_sources(settings: Settings) -> None:
    with _opened(settings) as organisations:
        faults = check_organisations(organisations)
    if faults:
        raise FaultyConfiguration(faults)


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Organisation, ...]]:
    with ExitStack() as opened:
        store = open_link_store(settings)
        opened.callback(store.close)
        organisations = open_organisations(settings, store)
        opened.callback(close_organisations, organisations)
        yield organisations


def _companion_steps(settings: Settings) -> tuple[Step, ...]:
    if settings.companion is None or settings.orcid is None:
        return ()
    # Only here: most commands check no more than the database, and have no use for what the pages are made of.
    from attribute_authority.companion_loading import CompanionTables, load_sealer, load_static_files, make_registry

    tables = CompanionTables(settings.companion, settings.orcid)
    return (
        ("companion.encryption", lambda: load_companion_decryption_keys(tables.companion)),
        ("companion.sealing_keys", lambda: load_sealer(tables, "check")),
        ("companion.service.logo", lambda: load_static_files(tables)),
        ("orcid.client_secret_file", lambda: make_registry(settings, tables)),
    )


def gather(*steps: Step) -> tuple[str, ...]:
    """Run every step and return the faults of all of them; one that several steps meet is told once, with the first one's key."""
    faults: dict[str, str] = {}
    for key, step in steps:
        try:
            step()
        except FaultyConfiguration as faulty:
            for cause in faulty.faults:
                faults.setdefault(cause, key)
        except (OperatorError, CouldNotAsk) as fault:
            faults.setdefault(fault.cause, key)
    return tuple(f"{key}: {cause}" for cause, key in faults.items())


def refuse_old_database(settings: Settings) -> None:
    """Raise OperatorError where the database is not there or migrations are pending, CouldNotAsk where it cannot be reached."""
    if pending(settings.database.url):
        raise OperatorError("the database is not there, or of an older version: run `attribute-authority database upgrade`")


def index_metadata(settings: Settings, path: Path) -> IndexReport:
    """Read the metadata and replace the index at `path`, in a directory that is there.

    Raises OperatorError for metadata that cannot be trusted, and where an identity provider has our entityID, for then its
    assertions and ours could not be told apart. The index then stays as it was.
    """
    try:
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as directory:
            fresh = Path(directory) / path.name
            report = build_index(metadata_sources(settings), fresh, present())
            _refuse_namesake(settings.authority.entity_id, fresh)
            os.replace(fresh, path)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}") from error
    return report


def _refuse_namesake(entity_id: str, index: Path) -> None:
    directory = SqliteEntityDirectory(index)
    namesake = directory.find_entity(entity_id, present())
    directory.reopen()
    if namesake is not None and Role.IDENTITY_PROVIDER in namesake.roles:
        raise OperatorError(f"{entity_id} is an identity provider there: authority.entity_id is expected to differ from every one of them")


def _check_self_test(self_test: SelfTestSettings | None) -> None:
    if self_test is not None:
        load_signer(read_file(self_test.key), read_file(self_test.certificate))


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    for key, pair in _pairs(settings):
        yield f"{key}.key", pair.key
        yield f"{key}.certificate", pair.certificate
    if settings.events.pseudonym_key is not None:
        yield "events.pseudonym_key", settings.events.pseudonym_key


def _pairs(settings: Settings) -> Iterator[tuple[str, KeyPair | SelfTestSettings]]:
    for name, pairs in (("signing", settings.authority.signing), ("encryption", settings.authority.encryption)):
        for index, pair in enumerate(pairs):
            yield f"authority.{name}[{index + 1}]", pair
    if settings.back_channel.tls is not None:
        yield "back_channel.tls", settings.back_channel.tls
    if settings.self_test is not None:
        yield "self_test", settings.self_test
