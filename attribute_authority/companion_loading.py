"""What the companion page takes from files: sealing keys, the client secret, the operator's logo; also for `check`.

Apart from `companion_assembly`, so that checking does not load what only serving needs.
"""

from dataclasses import dataclass

from attribute_authority.assembly import read_file
from attribute_authority.companion_settings import CompanionSettings, OrcidSettings
from attribute_authority.errors import OperatorError
from attribute_authority.sealing import Sealer
from attribute_authority.settings import Settings
from attribute_authority.web.companion.static_files import StaticFiles, read_static_file
from connectors.orcid import ClientRegistration, OrcidRegistry


@dataclass(frozen=True, slots=True)
class CompanionTables:
    """The two tables of the configuration without which there is no companion page."""

    companion: CompanionSettings
    orcid: OrcidSettings

    @classmethod
    def of(cls, settings: Settings) -> "CompanionTables | None":
        """Return the tables, or None where no companion page is configured."""
        if settings.companion is None or settings.orcid is None:
            return None
        return cls(settings.companion, settings.orcid)


def load_sealer(tables: CompanionTables, purpose: str) -> Sealer:
    """Load the sealing keys. Raises OperatorError naming the file."""
    keys = []
    for file in tables.companion.sealing_keys:
        keys.append(read_file(file))
        try:
            Sealer(keys[-1:], purpose)
        except OperatorError as fault:
            raise OperatorError(f"{file}: {fault.cause}") from fault
    return Sealer(keys, purpose)


def make_registry(settings: Settings, tables: CompanionTables) -> OrcidRegistry:
    """Make our client at the registry. Raises OperatorError where the secret cannot be read."""
    orcid = tables.orcid
    try:
        secret = read_file(orcid.client_secret_file).decode().strip()
    except UnicodeDecodeError as error:
        raise OperatorError(f"{orcid.client_secret_file}: expected the client secret as text") from error
    if not secret:
        raise OperatorError(f"{orcid.client_secret_file}: expected the client secret, and the file is empty")
    return OrcidRegistry(
        ClientRegistration(
            environment=settings.authority.environment,
            client_id=orcid.client_id,
            client_secret=secret,
            scopes=orcid.scopes,
            timeout=orcid.timeout,
            registry_url=orcid.registry_url,
        )
    )


def load_static_files(tables: CompanionTables) -> tuple[StaticFiles, str | None]:
    """Load style sheet, marks and the operator's logo; returns also the address of the logo, None without one. Raises OperatorError."""
    files, logo = StaticFiles.packaged(), tables.companion.service.logo
    if logo is None:
        return files, None
    name = f"logo{logo.suffix.lower()}"
    try:
        files = files.including(name, read_static_file(logo))
    except OSError as error:
        raise OperatorError(f"{logo}: cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise OperatorError(f"{logo}: expected an image, .svg, .png, .jpg or .webp") from error
    return files, files.url(name)
