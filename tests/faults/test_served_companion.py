"""The companion page as `serve` runs it: processes of its own, signals, deaths, and a database that stands still."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from attribute_authority.storage.upgrading import upgrade
from tests.factories import metadata as make
from tests.factories.doors import sp_keys
from tests.factories.queries import SP
from tests.factories.responses import IDP, home, idp_keys
from tests.factories.supervisors import DEADLINE, Directory, Running, ended, make_directory, running, until
from tests.peers.postgresql import PostgresqlServer

_PAGES = 2
_PAGE_SECONDS = 4


def _tables(name: str = "Linkitys") -> str:
    return f"""
[companion]
port = 0
base_url = "https://orcid.example.org"
workers = {_PAGES}
identity_provider = "{IDP}"
sealing_keys = ["sealing.key"]
page_timeout = {_PAGE_SECONDS}

[companion.service]
name = {{ en = "{name}" }}

[orcid]
client_id = "APP-TEST"
client_secret_file = "orcid-secret"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """Write an authority with companion pages."""
    made = make_directory(tmp_path)
    (tmp_path / "sealing.key").write_bytes(os.urandom(32))
    (tmp_path / "orcid-secret").write_text("secret\n")
    service = f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{home().sign_on_url}"/>'
    idp = make.entity(IDP, make.identity_provider(make.extensions(make.scope("uni.example")), make.key_descriptor(idp_keys()), service))
    requester = make.entity(SP, make.service_provider(make.key_descriptor(sp_keys())))
    (tmp_path / "federation.xml").write_text(make.aggregate(idp, requester))
    made.configure(extra=_tables())
    return made


@pytest.fixture
def served(directory: Directory) -> Iterator[Running]:
    """Serve it."""
    with running(directory, page_workers=_PAGES) as server:
        yield server


def get(server: Running, path: str = "/", **cookies: str) -> requests.Response:
    """Load a page."""
    return requests.get(f"http://127.0.0.1:{server.companion}{path}", cookies=cookies, allow_redirects=False, timeout=DEADLINE)


def test_pages_have_processes_of_their_own(served: Running) -> None:
    """Beside the one that answers queries there are two for the pages, and they serve."""
    assert 1 + _PAGES == len(served.workers())
    assert "Linkitys" in get(served).text


def test_a_sign_in_leads_to_the_identity_provider(served: Running) -> None:
    """What metadata says of it is where the browser goes."""
    assert get(served, "/login").headers["Location"].startswith(f"{home().sign_on_url}?SAMLRequest=")


def test_our_metadata_has_both_roles(served: Running) -> None:
    """At /metadata of the pages the service-provider role stands beside the authority's."""
    told = get(served, "/metadata").text

    assert "AttributeAuthorityDescriptor" in told
    assert "https://orcid.example.org/saml/acs" in told


def test_a_reload_changes_the_pages(directory: Directory, served: Running) -> None:
    """SIGHUP re-reads the configuration in every process, those of the pages too."""
    directory.configure(extra=_tables("Uusi nimi"))

    served.signal(signal.SIGHUP)
    until(lambda: len(served.events("reloaded")) == 1 + _PAGES, served)

    assert "Uusi nimi" in get(served).text


def test_a_reload_that_cannot_be_used_leaves_the_pages_as_they_were(directory: Directory, served: Running) -> None:
    """A fault in the new configuration is told, and nothing changes."""
    directory.configure(extra=_tables("Uusi nimi").replace("sealing.key", "missing.key"))

    served.signal(signal.SIGHUP)
    until(lambda: bool(served.events("reload-failed")), served)

    assert "Linkitys" in get(served).text


def test_a_process_of_the_pages_that_dies_is_replaced(served: Running) -> None:
    """Killed, it has a successor that serves."""
    before = set(served.workers())
    victim = max(before)

    os.kill(victim, signal.SIGKILL)
    ended(victim)
    until(lambda: len(set(served.workers()) - {victim}) == 1 + _PAGES, served)

    assert 200 == get(served).status_code


def test_queries_are_answered_while_pages_are_dead(served: Running) -> None:
    """The back channel does not depend on the pages."""
    for process in sorted(served.workers())[1:]:
        os.kill(process, signal.SIGSTOP)

    assert 200 == served.get("/health/ready")
    for process in served.workers():
        os.kill(process, signal.SIGCONT)


def test_a_database_that_stands_still_costs_a_page_its_deadline(
    directory: Directory, postgresql: PostgresqlServer, postgresql_url: str
) -> None:
    """With PostgreSQL stopped in its tracks, a page that needs it answers 503 all the same, and one that does not answers as ever."""
    upgrade(postgresql_url)
    directory.configure(extra=_tables(), database=postgresql_url)
    with running(directory, page_workers=_PAGES) as server:
        get(server, "/", **{"__Host-session": "none"})
        with postgresql.paused():
            statuses = [get(server, path, **{"__Host-session": "none"}).status_code for path in ("/", "/login", "/problem/unavailable")]

        assert [503, 503, 200] == statuses
        assert 200 == get(server, "/", **{"__Host-session": "none"}).status_code


def test_end_while_the_database_stands_still(directory: Directory, postgresql: PostgresqlServer, postgresql_url: str) -> None:
    """SIGTERM ends the pages properly although a thread waits for a database that does not answer."""
    directory.configure(extra=_tables(), database=postgresql_url)
    with running(directory, page_workers=_PAGES) as server:
        get(server, "/", **{"__Host-session": "none"})
        with postgresql.paused():
            get(server, "/", **{"__Host-session": "none"})
            server.signal(signal.SIGTERM)

            assert 0 == server.wait()
