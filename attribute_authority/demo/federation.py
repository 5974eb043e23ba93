"""The whole demo federation on localhost: two home organisations, a registry, a service provider, and the authority that is shown."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from socket import socket
from time import perf_counter
from typing import Final

from attribute_authority.assembly import new_saml_id, own_metadata, present
from attribute_authority.configuration import read_configuration
from attribute_authority.demo.asking_service import AskingService, Authority
from attribute_authority.demo.authority import AuthorityPorts, Surroundings, serving, write_authority
from attribute_authority.demo.directory import Directory
from attribute_authority.demo.discovery import Discovery
from attribute_authority.demo.identity_provider import IdentityProvider
from attribute_authority.demo.metadata import ServiceDescription, write_aggregate, write_identity_provider, write_service_provider
from attribute_authority.demo.people import (
    INSTITUTE_NAMES,
    INSTITUTE_PEOPLE,
    INSTITUTE_SCOPE,
    UNIVERSITY_NAMES,
    UNIVERSITY_PEOPLE,
    UNIVERSITY_SCOPE,
    HomeOrganisation,
    Person,
)
from attribute_authority.demo.records import RECORDS
from attribute_authority.demo.registry import RegistrySimulator
from attribute_authority.demo.registry_ledger import RegisteredClient
from attribute_authority.demo.service_provider import ServiceProvider, ServiceProviderParts
from attribute_authority.demo.sites import base_url, listen, serve
from attribute_authority.demo.texts import LANGUAGES, text
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.keys import FreshKey, make_key
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.saml.metadata_reader import read_metadata
from attribute_authority.saml.sign_in import OwnRole, SignIn

CLIENT_ID: Final = "APP-DEMONSTRATION"
_RSA_BITS: Final = 2048
_CLOCK_SKEW: Final = timedelta(minutes=3)
_ATTEMPTS: Final = 3
_TAKEN: Final = "in use"


@dataclass(frozen=True, slots=True)
class Federation:
    """The federation as it runs: the addresses for browsers, the configuration of the authority, and the registry's own eyes."""

    service_url: str
    companion_url: str
    discovery_url: str
    registry_url: str
    directory_url: str
    organisations: tuple[HomeOrganisation, ...]
    service_entity_id: str
    config: Path
    ports: AuthorityPorts
    registry: RegistrySimulator


@dataclass(frozen=True, slots=True)
class _Sites:
    """The listeners of the sites, taken before anything is written, so that the addresses in metadata are theirs for sure."""

    university: socket
    institute: socket
    discovery: socket
    registry: socket
    service: socket
    directory: socket


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What may be otherwise: who is at the university, and where browsers find the companion page, None for its own port."""

    people: Sequence[Person]
    companion_url: str | None


@contextmanager
def demo_federation(
    directory: Path, *, people: Sequence[Person] = UNIVERSITY_PEOPLE, companion_url: str | None = None
) -> Iterator[Federation]:
    """Run the federation with its state in a directory, until the context ends. Raises CouldNotAsk where it does not start.

    Whoever gives `people` may change them while it runs. With `companion_url`, something of the caller's stands there
    in front of the companion page.
    """
    circumstances = _Circumstances(people, companion_url)
    with ExitStack() as stack:
        yield start_with_retries(stack, lambda attempt, within: _start(within, directory / f"attempt-{attempt}", circumstances))


def start_with_retries(stack: ExitStack, start: Callable[[int, ExitStack], Federation]) -> Federation:
    """Start something that may find its ports taken by then, a few times; what was started half is ended in between.

    Raises CouldNotAsk of the last attempt, and at once where the reason is another one.
    """
    for attempt in range(1, _ATTEMPTS):
        with ExitStack() as within:
            try:
                federation = start(attempt, within)
            except CouldNotAsk as fault:
                if _TAKEN not in fault.cause:
                    raise
                continue
            stack.push(within.pop_all())
            return federation
    return start(_ATTEMPTS, stack)


def _start(stack: ExitStack, directory: Path, circumstances: _Circumstances) -> Federation:
    sites = _Sites(*(stack.enter_context(listen()) for _ in range(6)))
    ports = _free_ports(circumstances.companion_url)
    organisations = _organisations(sites, circumstances.people)
    service = _service(sites)
    client = RegisteredClient(
        "ORCID linking service",
        secrets.token_urlsafe(32),
        frozenset({f"{ports.companion_url}/orcid/callback", f"{ports.companion_url}/orcid/connect"}),
        connect_uri=f"{ports.companion_url}/orcid/connect",
    )
    _write_federation(directory / "federation", organisations, service)
    discovery_url, registry_url = f"{base_url(sites.discovery)}/discovery", base_url(sites.registry)
    directory_url, token = base_url(sites.directory), secrets.token_urlsafe(32)
    around = Surroundings(
        service_provider=service.entity_id,
        discovery_url=discovery_url,
        registry_url=registry_url,
        client_id=CLIENT_ID,
        client_secret=client.secret,
        home_organisation=organisations[0].entity_id,
        directory_url=directory_url,
        directory_token=token,
    )
    config = write_authority(directory / "authority", ports, around)
    registry = RegistrySimulator(registry_url, {CLIENT_ID: client}, RECORDS, present)
    stack.enter_context(serve(registry, sites.registry))
    people = Directory(organisations[0], Environment.SANDBOX, token)
    stack.enter_context(serve(people, sites.directory))
    _serve_saml(stack, sites, organisations, people, (write_service_provider(service), own_metadata(read_configuration(config))))
    parts = _service_parts(service, organisations, config, discovery_url, ports)
    stack.enter_context(serve(ServiceProvider(parts), sites.service))
    stack.enter_context(serving(config, ports))
    return Federation(
        service_url=base_url(sites.service),
        companion_url=ports.companion_url,
        discovery_url=discovery_url,
        registry_url=registry_url,
        directory_url=directory_url,
        organisations=organisations,
        service_entity_id=service.entity_id,
        config=config,
        ports=ports,
        registry=registry,
    )


def _free_ports(companion_url: str | None) -> AuthorityPorts:
    # They are let go for the authority to take; whoever is quicker makes it try others.
    with ExitStack() as stack:
        back_channel, operations, companion = (stack.enter_context(listen()).getsockname()[1] for _ in range(3))
    return AuthorityPorts(back_channel, operations, companion, companion_url)


def _key(name: str) -> FreshKey:
    return make_key(name, present(), bits=_RSA_BITS)


def _organisations(sites: _Sites, people: Sequence[Person]) -> tuple[HomeOrganisation, ...]:
    university, institute = base_url(sites.university), base_url(sites.institute)
    return (
        HomeOrganisation(f"{university}/metadata", university, UNIVERSITY_NAMES, UNIVERSITY_SCOPE, people, _key(UNIVERSITY_SCOPE)),
        HomeOrganisation(f"{institute}/metadata", institute, INSTITUTE_NAMES, INSTITUTE_SCOPE, INSTITUTE_PEOPLE, _key(INSTITUTE_SCOPE)),
    )


def _service(sites: _Sites) -> ServiceDescription:
    address = base_url(sites.service)
    names = {language: text("service-title", language) for language in LANGUAGES}
    return ServiceDescription(f"{address}/metadata", f"{address}/saml/acs", f"{address}/sign-in", names, _key("archive.example"))


def _write_federation(directory: Path, organisations: tuple[HomeOrganisation, ...], service: ServiceDescription) -> None:
    directory.mkdir(parents=True)
    keys = _key("federation.example")
    entities = (*(write_identity_provider(home) for home in organisations), write_service_provider(service))
    (directory / "federation.xml").write_bytes(write_aggregate(entities, keys, present(), new_saml_id))
    (directory / "federation.crt").write_bytes(keys.certificate)


def _serve_saml(
    stack: ExitStack,
    sites: _Sites,
    organisations: tuple[HomeOrganisation, ...],
    people: Directory,
    service_providers: tuple[bytes, ...],
) -> None:
    university, institute = organisations
    at_university = IdentityProvider(university, service_providers, present, new_saml_id, held_orcid=people.orcid_of)
    stack.enter_context(serve(at_university, sites.university))
    stack.enter_context(serve(IdentityProvider(institute, service_providers, present, new_saml_id), sites.institute))
    stack.enter_context(serve(Discovery(organisations, service_providers), sites.discovery))


def _service_parts(
    service: ServiceDescription, organisations: tuple[HomeOrganisation, ...], config: Path, discovery_url: str, ports: AuthorityPorts
) -> ServiceProviderParts:
    return ServiceProviderParts(
        description=service,
        sign_in=_sign_in(service, organisations, present()),
        ask=AskingService(
            service.entity_id, service.keys, _authority(config), clock=present, stopwatch=perf_counter, new_id=new_saml_id
        ).ask,
        discovery_url=discovery_url,
        companion_url=ports.companion_url,
        organisations={home.entity_id: home.names for home in organisations},
        environment=Environment.SANDBOX,
        clock=present,
    )


def _sign_in(service: ServiceDescription, organisations: tuple[HomeOrganisation, ...], now: datetime) -> SignIn:
    entities = [entity for home in organisations for entity in read_metadata(write_identity_provider(home), None, now, _refuse).entities()]
    keys = service.keys
    own = OwnRole(EntityId(service.entity_id), service.acs_url, service.discovery_url, keys.key, keys.certificate, (keys.key,))
    return SignIn(own, MemoryEntityDirectory(entities), Environment.SANDBOX, _CLOCK_SKEW, new_saml_id)


def _refuse(warning: str) -> None:
    raise OperatorError(warning)


def _authority(config: Path) -> Authority:
    keys = config.parent / "keys"
    return Authority(read_configuration(config).attribute_query_url, (keys / "signing.crt").read_bytes(), keys / "tls.crt")
