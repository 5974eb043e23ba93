"""Somebody else's systems that take iDs: a real OpenLDAP with the people in question, and a web service that takes whatever it is sent.

The directory writes to the disk before it answers, as it comes; what the tests run does not.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import urlopen

from tests.bench import servers
from tests.bench.peers import load_entries
from tests.bench.population import eppn_of
from tests.peers.slapd import PEOPLE as BRANCH
from tests.peers.slapd import WRITER_DN, Slapd, running_slapd

SINKS = ("ldap", "rest")
"""The kinds, which are their names as well."""

_ORGANISATION = """
[[organisation]]
identity_provider = "{home}"
"""
_LINES = """
[[organisation.sink]]
kind = "ldap"
urls = ["{ldap}"]
tls_ca = "{tls_ca}"
bind_dn = "{bind_dn}"
password_file = "{password_file}"
base = "{branch}"
filters = {{ eppn = "(eduPersonPrincipalName={{value}})" }}

[[organisation.sink]]
kind = "rest"
url = "{receiver}"
"""
_ENTRY = """dn: uid={uid},{branch}
objectClass: inetOrgPerson
objectClass: eduPerson
uid: {uid}
cn: {uid}
sn: {uid}
eduPersonPrincipalName: {uid}@uni.example

"""
_SMALL = "maxsize 16777216\ndbnosync\n"
_LARGE = "maxsize 1073741824\n"


@dataclass(frozen=True, slots=True)
class Sinks:
    """What is running: the root of the processes behind each sink, by its name, and the lines that configure both.

    `lines` belong at the end of an [[organisation]].
    """

    processes: dict[str, int]
    lines: str
    slapd: Slapd
    receiver: str

    def lines_for(self, home_organisation: str) -> str:
        """Return the lines of a home organisation that has nothing but the sinks."""
        return _ORGANISATION.format(home=home_organisation) + self.lines

    def count_connections(self, name: str) -> int:
        """Return over how many connections everything has come until now."""
        if name == "ldap":
            return self.slapd.count_binds(WRITER_DN)
        with urlopen(self.receiver) as answer:  # noqa: S310 - our own receiver, on this very machine
            return int(json.load(answer)["connections"])


def newcomer_eppn(number: int) -> str:
    """Return the ePPN of somebody whom the directory has and the authority does not know yet, numbered from 1."""
    return f"newcomer{number:07d}@uni.example"


@contextmanager
def running_sinks(newcomers: int, known: int, cores: frozenset[int]) -> Iterator[Sinks]:
    """Run both; the directory has so many newcomers and, from the first on, so many of the population.

    The caller runs on `cores` too, and the directory with it.
    """
    with running_slapd() as slapd, servers.receiver(cores) as receiver:
        with slapd.stopped():
            _fill(slapd, newcomers, known)
        lines = _LINES.format(
            ldap=slapd.ldaps_url,
            tls_ca=slapd.certificate,
            bind_dn=WRITER_DN,
            password_file=slapd.password_file,
            branch=BRANCH,
            receiver=receiver.url,
        )
        processes = {"ldap": int((slapd.directory / "slapd.pid").read_text(encoding="utf-8")), "rest": receiver.process}
        yield Sinks(processes, lines, slapd, receiver.url)


def _fill(slapd: Slapd, newcomers: int, known: int) -> None:
    configuration = slapd.directory / "slapd.conf"
    written = configuration.read_text(encoding="utf-8")
    if _SMALL not in written:
        raise AssertionError("the tests configure their directory in another way than the bench expects")
    configuration.write_text(written.replace(_SMALL, _LARGE), encoding="utf-8")
    eppns = [*map(newcomer_eppn, range(1, newcomers + 1)), *map(eppn_of, range(1, known + 1))]
    load_entries(slapd, (_ENTRY.format(uid=eppn.partition("@")[0], branch=BRANCH) for eppn in eppns))
