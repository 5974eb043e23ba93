"""An authority with sources through its life: started, checked, reloaded and ended while a server is away; our own database away."""

import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from pathlib import Path
from threading import Event

import pytest

from attribute_authority.configuration import read_configuration
from attribute_authority.core.resolving import PERSISTENT_FORMAT
from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.organisation_assembly import open_organisations
from attribute_authority.storage.sql import SqlStore, open_store
from tests.factories.doors import IDP, ORCID, persistent
from tests.factories.queries import PERSON, SP, name_id
from tests.factories.supervisors import DEADLINE, Directory, answer, until
from tests.faults.homes import SECONDS, Home
from tests.faults.sites import Site, configure, make_site, serving, sources_tables
from tests.peers.postgresql import PostgresqlServer

_ENDS_WITHIN = 20
"""Seconds: ten for queries in hand, and some for everything else."""

KNOWN = f"https://orcid.org/{ORCID}"
_SALT = b"a salt of the home organisation's"
_COMPUTED = '[[organisation.source]]\nkind = "computed-id"\nsalt_file = "uni.salt"'
_WITHOUT_SALT = 'kind = "computed-id"\nsalt_file = "missing.salt"'
_LONGEST_QUESTION = 30
"""What a question may be given in the configuration; longer than an authority may take to end."""


@pytest.fixture
def home(homes: Mapping[str, Home]) -> Home:
    """The home organisation with a directory."""
    return homes["ldap"]


def check(directory: Directory) -> tuple[int, str]:
    """Run `check`; return its exit status and what it complains of."""
    command = [sys.executable, "-m", "attribute_authority", "--config", str(directory.config), "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def reload(site: Site, event: str = "reloaded") -> None:
    """Have the authority read its configuration again, and wait for what it says of it."""
    before = len(site.server.events(event))
    site.server.signal(signal.SIGHUP)
    until(lambda: len(site.server.events(event)) > before, site.server)


def test_start_although_a_source_is_away(tmp_path: Path, home: Home) -> None:
    """`serve` serves without the server; who needs it is told to try again, until it is there."""
    directory = make_site(tmp_path, (home,))
    with home.faults["stopped"](), serving(directory) as site:
        refused = site.ask(home.about)
        known = site.ask(name_id())

        assert (("Responder",), (KNOWN,)) == (refused.codes, known.values)


def test_check_names_a_source_that_is_away(tmp_path: Path, homes: Mapping[str, Home]) -> None:
    """`check` fails with the name of the one server that is away, and is content when it is there."""
    directory, home = make_site(tmp_path, tuple(homes.values())), homes["postgresql"]
    with home.faults["stopped"]():
        away, complaints = check(directory)

    assert (1, 1, True) == (away, len(complaints.splitlines()), home.source in complaints)
    assert (0, "") == check(directory)


def test_end_while_a_source_hangs(tmp_path: Path, home: Home) -> None:
    """At SIGTERM a query in hand is answered by its deadline, here that of a reload, and a server that hangs is left behind."""
    directory = make_site(tmp_path, (home,), patient_tables(home, deadline=60))
    with serving(directory) as site, home.faults["paused"](), closing(site.server.connect()) as line:
        configure(directory, patient_tables(home, deadline=1))
        reload(site)
        message_id = site.send(line, home.about)
        until(lambda: site.is_asking(home), site.server)
        site.server.signal(signal.SIGTERM)
        refused = answer(line)

        assert (("Responder",), "no answer within 1.0 s") == (refused.codes, site.event_of(message_id)["cause"])
        assert 0 == site.server.process.wait(_ENDS_WITHIN)
    assert 1 == len(site.server.events("stopped"))
    assert "Traceback" not in site.server.log()


def patient_tables(home: Home, deadline: float) -> str:
    """Configure a source that may take its time."""
    return sources_tables((home,), deadline=deadline).replace(f"timeout = {SECONDS}", f"timeout = {_LONGEST_QUESTION}")


def test_our_own_database_stands_still(tmp_path: Path, home: Home, postgresql: PostgresqlServer, postgresql_url: str) -> None:
    """While a source works and our own database does not, nobody is told "no iD", and health says why; afterwards all is well again."""
    directory, abouts = make_site(tmp_path, (home,), database=postgresql_url), (home.about, name_id())
    with serving(directory) as site:
        before = [site.ask(about).values for about in abouts]
        site.degraded()
        with postgresql.paused():
            refused = [site.ask(about) for about in abouts]
            statuses = [site.server.get(path) for path in ("/health/ready", "/health/live", "/metrics")]

        assert [(home.orcid,), (KNOWN,)] == before
        assert [(("Responder",), "CouldNotAsk")] * 2 == [(told.codes, told.event["failure"]) for told in refused]
        assert [503, 200, 200] == statuses
        until(lambda: [site.ask(about).values for about in abouts] == before, site.server)
        assert [] == site.degraded()
        with postgresql.paused():
            site.server.signal(signal.SIGTERM)

            assert 0 == site.server.process.wait(_ENDS_WITHIN)


def test_reload_while_a_source_hangs(tmp_path: Path, homes: Mapping[str, Home], home: Home) -> None:
    """SIGHUP takes the source of the new configuration at once; a question to the former one ends as it would have."""
    other = homes["mariadb"]
    directory = make_site(tmp_path, (home, other), sources_tables((home,)))
    with serving(directory) as site, closing(site.server.connect()) as line:
        before = site.ask(other.about)
        with home.faults["paused"]():
            message_id = site.send(line, home.about)
            until(lambda: site.is_asking(home), site.server)
            configure(directory, sources_tables((other,)))
            reload(site)
            taken = site.ask(other.about)
            refused = answer(line)

        assert (("Success",), ()) == (before.codes, before.values)
        assert (other.orcid,) == taken.values
        assert (("Responder",), "SourceUnavailable") == (refused.codes, site.event_of(message_id)["failure"])
        assert [] == site.degraded()


def test_reload_of_a_source_that_cannot_be_opened(tmp_path: Path, home: Home) -> None:
    """SIGHUP with a salt that is not there leaves everything as it was, and says why."""
    directory = make_site(tmp_path, (home,))
    with serving(directory) as site:
        configure(directory, sources_tables((home,)).replace(home.table, _WITHOUT_SALT))
        reload(site, "reload-failed")
        (complaint,) = site.server.events("reload-failed")

        assert (home.orcid,) == site.ask(home.about).values
    assert "missing.salt" in complaint["cause"]


@dataclass(frozen=True, slots=True)
class Builder:
    """Another node with an index to build: it begins, and goes on when it is told to."""

    store: SqlStore
    has_begun: Event = field(default_factory=Event)
    may_go_on: Event = field(default_factory=Event)

    def find_sources(self, *_: object) -> tuple[str, ...] | None:
        """Find none, so that it is built."""
        return () if self.may_go_on.is_set() else None

    def build(self, name: PairwiseIndexName, digest_of: Callable[[str], bytes], now: datetime) -> int:
        """Build it, slowly."""

        def compute(text: str) -> bytes:
            self.has_begun.set()
            self.may_go_on.wait(DEADLINE)
            return digest_of(text)

        return self.store.build(name, compute, now)

    def follow(self, *_: object) -> int:
        """Follow nothing."""
        return 0

    def names(self, *_: object) -> tuple[PairwiseIndexName, ...]:
        """Name none."""
        return ()

    def drop(self, *_: object) -> None:
        """Drop none."""


def test_an_index_of_computed_ids_in_the_making(tmp_path: Path) -> None:
    """Who asks while another node computes everybody's ids is told to try again, and then gets the iD; it is no outage."""
    about = name_id(computed_id(), format=PERSISTENT_FORMAT, name_qualifier=IDP)
    directory = make_site(tmp_path, (), f'{sources_tables(())}\n[[organisation]]\nidentity_provider = "{IDP}"\n{_COMPUTED}')
    (tmp_path / "uni.salt").write_bytes(_SALT)
    builder = Builder(open_store(directory.database))
    (organisation,) = open_organisations(read_configuration(directory.config), builder)
    with ThreadPoolExecutor(1) as elsewhere, serving(directory) as site, closing(builder.store):
        building = elsewhere.submit(organisation.sources[0].source.resolve, persistent(computed_id()))
        try:
            until(lambda: builder.has_begun.is_set() or building.done(), site.server)
            refused, degraded = site.ask(about), site.degraded()
        finally:
            builder.may_go_on.set()
        building.result()

        assert (("Responder",), "SourceUnavailable") == (refused.codes, refused.event["failure"])
        assert "is being built" in refused.event["cause"]
        assert [] == degraded
        assert (KNOWN,) == site.ask(about).values


def computed_id() -> str:
    """Compute what the identity provider calls the person whom all ask about, towards the service provider."""
    digest = sha1(b"!".join((SP.encode(), PERSON.encode(), _SALT)))  # noqa: S324 - what the identity provider uses
    return b64encode(digest.digest()).decode()
