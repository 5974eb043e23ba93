"""Fixtures of the faults: real servers that can be stopped, and stopped in their tracks."""

from collections.abc import Iterator, Mapping

import pytest

from tests.faults.homes import Home, directory_home, mariadb_home, postgresql_home
from tests.peers.mariadb import MariadbServer, mariadb
from tests.peers.postgresql import PostgresqlServer, postgresql, postgresql_url
from tests.peers.slapd import running_slapd

__all__ = ["mariadb", "postgresql", "postgresql_url"]


@pytest.fixture(scope="session")
def homes(postgresql: PostgresqlServer, mariadb: MariadbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Home]]:
    """Home organisations by the kind of their server, which all run."""
    with running_slapd() as slapd:
        stored = (
            postgresql_home(postgresql, postgresql.make_database("template0")),
            mariadb_home(mariadb, tmp_path_factory.mktemp("homes")),
        )
        yield {home.kind: home for home in (directory_home(slapd), *stored)}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have counted, one line for each."""
    told = [(report.nodeid, value) for report in terminalreporter.getreports("passed") for key, value in report.user_properties]
    if told:
        terminalreporter.section("figures of the faults")
    for test, figures in told:
        terminalreporter.line(f"{test.rpartition('::')[2]}: {figures}")
