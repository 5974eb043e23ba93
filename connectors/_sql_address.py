"""Where somebody else's database is: what a configuration may say of it, and how that becomes an address with its password."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from attribute_authority.errors import OperatorError
from attribute_authority.setting_values import DatabaseUrl
from connectors._database_drivers import DatabaseAddress

_DRIVERS: Final = {
    "postgresql+psycopg": frozenset({"host"}),
    "mysql+pymysql": frozenset({"unix_socket"}),
    "mariadb+pymysql": frozenset({"unix_socket"}),
    "sqlite": frozenset[str](),
}
"""What may be spoken to, and what may stand in the query of its URL: the directory or the name of a local socket."""

_THIS_MACHINE: Final = frozenset({None, "localhost", "127.0.0.1", "::1"})
_HIGHEST_PORT: Final = 65_535


def _database_url(text: str) -> str:
    # Nothing of the text is repeated, since it may hold a password.
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"expected a database URL of {', '.join(_DRIVERS)}") from None
    if url.drivername not in _DRIVERS or not url.database or not url.query.keys() <= _DRIVERS[url.drivername]:
        raise ValueError(f"expected a database URL of {', '.join(_DRIVERS)} with the name of the database and no options")
    # The name of another machine would be connected to as well, and without TLS.
    if not all(isinstance(place, str) and place.startswith("/") and "," not in place for place in url.query.values()):
        raise ValueError("expected a database URL with the absolute path of a local socket")
    if url.port is not None and not 0 < url.port <= _HIGHEST_PORT:
        raise ValueError(f"expected a database URL with a port from 1 to {_HIGHEST_PORT}")
    if url.password is not None:
        raise ValueError("expected a database URL without a password, which stands in password_file")
    return text


ServerUrl = Annotated[DatabaseUrl, AfterValidator(_database_url)]


def demand_encryption(url: str, tls_ca: Path | None) -> None:
    """Raise ValueError where a database on another machine would be spoken to without verified TLS."""
    place = make_url(url)
    if place.drivername != "sqlite" and place.host not in _THIS_MACHINE and tls_ca is None:
        raise ValueError("tls_ca: a database on another machine is asked over verified TLS alone: expected the file of its CA")


def make_address(url: URL, password_file: Path | None, tls_ca: Path | None, timeout: float, *, writes: bool = False) -> DatabaseAddress:
    """Return the address with what is in the file of its password. Raises OperatorError where that cannot be read."""
    password = None if password_file is None else _read_password(password_file)
    return DatabaseAddress(url, password, tls_ca, timeout, writes)


def _read_password(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected UTF-8"
        raise OperatorError(f"password_file: {file}: cannot be read: {reason}") from None
    if not password:
        raise OperatorError(f"password_file: {file}: is empty")
    return password
