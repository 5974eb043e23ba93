"""A private OpenLDAP server on free ports of 127.0.0.1, with the people of a small home organisation.

It listens for LDAP, with StartTLS, and for LDAPS. Nothing of an installed server is touched: only its program and schema are used.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from ldap3 import NONE, Connection
from ldap3 import Server as LdapServer
from ldap3.core.exceptions import LDAPExceptionError

from attribute_authority.keys import FreshKey, make_key
from tests.peers import require
from tests.peers.postgresql import free_port
from tests.peers.processes import Server, started

SUFFIX = "dc=uni,dc=example"
PEOPLE = f"ou=people,{SUFFIX}"
BIND_DN = f"cn=orcid,ou=services,{SUFFIX}"
WRITER_DN = f"cn=orcid-writer,ou=services,{SUFFIX}"
PASSWORD = "hunter2 with spaces"
_ROOT_DN = f"cn=root,{SUFFIX}"
_ROOT_PASSWORD = "root-of-the-suite"
_SCHEMAS = tuple(Path(__file__).with_name("schema") / f"{name}.schema" for name in ("eduperson", "single-valued"))
_DEBIAN_SCHEMA = Path("/etc/ldap/schema")
_DEADLINE_SECONDS = 60
_PERSON = ("inetOrgPerson", "eduPerson", "extensibleObject")

_CONFIGURATION = """\
include {debian}/core.schema
include {debian}/cosine.schema
include {debian}/inetorgperson.schema
include {directory}/eduperson.schema
include {directory}/single-valued.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {directory}/slapd.pid
TLSCertificateFile {directory}/tls.crt
TLSCertificateKeyFile {directory}/tls.key
{extra}
threads 4

database mdb
suffix "{suffix}"
rootdn "{root_dn}"
rootpw "{root_password}"
directory {directory}/database
maxsize 16777216
dbnosync
index objectClass,eduPersonPrincipalName eq
access to attrs=userPassword by anonymous auth by * none
access to attrs=eduPersonOrcid,extensionAttribute7,rawIdentifier,objectClass
  by dn.exact="{writer_dn}" write by dn.exact="{bind_dn}" read by * none
access to * by dn.exact="{bind_dn}" read by dn.exact="{writer_dn}" read by anonymous auth by * none
"""

Values = Mapping[str, str | bytes | Sequence[str] | Sequence[bytes]]


class Slapd:
    """A server in a directory of its own; it knows how to stop and come back."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        self.directory = directory
        self.port = free_port()
        self.tls_port = free_port()
        self._extra = extra
        self._running = ExitStack()
        self._process: Server | None = None
        self._marks = count(1)

    @property
    def url(self) -> str:
        """The URL for LDAP, plain or with StartTLS."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps_url(self) -> str:
        """The URL for LDAPS."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def certificate(self) -> Path:
        """The certificate to trust, PEM; it is for 127.0.0.1 and localhost."""
        return self.directory / "tls.crt"

    @property
    def password_file(self) -> Path:
        """The password of BIND_DN and of WRITER_DN."""
        return self.directory / "password"

    def prepare(self, key: FreshKey) -> None:
        """Write the configuration, start the server and fill the directory."""
        (self.directory / "database").mkdir()
        (self.directory / "tls.key").write_bytes(key.key)
        self.certificate.write_bytes(key.certificate)
        self.password_file.write_text(PASSWORD + "\n")
        for schema in _SCHEMAS:
            shutil.copy(schema, self.directory)
        (self.directory / "slapd.conf").write_text(
            _CONFIGURATION.format(
                debian=_DEBIAN_SCHEMA,
                directory=self.directory,
                extra=self._extra.format(directory=self.directory),
                suffix=SUFFIX,
                root_dn=_ROOT_DN,
                root_password=_ROOT_PASSWORD,
                bind_dn=BIND_DN,
                writer_dn=WRITER_DN,
            )
        )
        _give_to(_owner(), self.directory)
        self.start()
        self._fill()

    def start(self) -> None:
        """Start the server and return when it listens."""
        slapd = require("slapd", "slapd")
        identity = ("-u", _owner(), "-g", _owner()) if os.geteuid() == 0 else ()
        # It makes room for as many connections as there may be files, which is gigabytes where that is not limited.
        limited = (require("prlimit", "util-linux"), "--nofile=1024")
        urls = f"{self.url} {self.ldaps_url}"
        command = (*limited, slapd, "-d", "stats", "-h", urls, "-f", self.directory / "slapd.conf", *identity)
        self._process = self._running.enter_context(
            started(command, ready="slapd starting", environment={"PATH": os.defpath}, directory=self.directory)
        )
        # It says so just before it listens.
        for port in (self.port, self.tls_port):
            _wait_for(port)

    def stop(self) -> None:
        """Stop the server and return when it is gone."""
        self._running.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the server for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the server still: connections stand and are still accepted by the system, and nothing answers on them."""
        process = int((self.directory / "slapd.pid").read_text())
        os.kill(process, signal.SIGSTOP)
        try:
            _wait_until_still(process)
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def log(self) -> str:
        """Return what it logged since it was started last, with everything that it did for anybody until now."""
        assert self._process is not None
        # Its lines come on another way than its answers: one that is sure to come after all the others tells that they are there.
        last = f"cn=mark-{next(self._marks)}"
        with self._as_root() as connection:
            connection.search(last, "(objectClass=*)", "BASE")
        self._process.wait_until_it_says(last)
        return self._process.said

    def count_binds(self, dn: str = BIND_DN) -> int:
        """Return how many connections were bound as `dn` since it was started last."""
        return self.log().count(f'BIND dn="{dn}" method=')

    def count_modifications(self) -> int:
        """Return how many modifications it was asked for since it was started last, the suite's own among them."""
        return len(set(re.findall(r"conn=([0-9]+) op=([0-9]+) MOD attr=", self.log())))

    def add(self, dn: str, classes: Sequence[str], values: Values) -> None:
        """Add an entry. Raises RuntimeError with what the server said."""
        with self._as_root() as connection:
            if not connection.add(dn, list(classes), dict(values), controls=[_manage_dsa_it()]):
                raise RuntimeError(f"{dn}: {connection.result}")

    def add_person(self, uid: str, values: Values) -> None:
        """Add a person below PEOPLE."""
        self.add(f"uid={uid},{PEOPLE}", _PERSON, {"cn": uid, "sn": uid, **values})

    def values(self, uid: str, attribute: str) -> list[bytes]:
        """Return the values of an attribute of a person, as they stand there, sorted."""
        with self._as_root() as connection:
            connection.search(f"uid={uid},{PEOPLE}", "(objectClass=*)", "BASE", attributes=[attribute])
            entries = connection.response or []
            return sorted(entries[0]["raw_attributes"].get(attribute, []))

    def set_values(self, uid: str, attribute: str, values: Sequence[str | bytes]) -> None:
        """Have a person's attribute hold these values and no other. Raises RuntimeError with what the server said."""
        with self._as_root() as connection:
            if not connection.modify(f"uid={uid},{PEOPLE}", {attribute: [("MODIFY_REPLACE", list(values))]}):
                raise RuntimeError(f"{uid}: {connection.result}")

    def remove_person(self, uid: str) -> None:
        """Remove a person, if there."""
        with self._as_root() as connection:
            connection.delete(f"uid={uid},{PEOPLE}")

    @contextmanager
    def person(self, uid: str, values: Values) -> Iterator[None]:
        """Have a person for a while."""
        self.add_person(uid, values)
        try:
            yield
        finally:
            self.remove_person(uid)

    def _fill(self) -> None:
        self.add(SUFFIX, ("dcObject", "organization"), {"o": "University"})
        for unit in ("people", "services"):
            self.add(f"ou={unit},{SUFFIX}", ("organizationalUnit",), {})
        for service in (BIND_DN, WRITER_DN):
            self.add(service, ("applicationProcess", "simpleSecurityObject"), {"userPassword": PASSWORD})

    @contextmanager
    def _as_root(self) -> Iterator[Connection]:
        server = LdapServer("127.0.0.1", port=self.port, get_info=NONE)
        connection = Connection(server, _ROOT_DN, _ROOT_PASSWORD, auto_bind="NO_TLS", check_names=False, auto_encode=False)
        try:
            yield connection
        finally:
            with suppress(LDAPExceptionError):
                connection.unbind()


@contextmanager
def running_slapd(key: FreshKey | None = None, extra: str = "") -> Iterator[Slapd]:
    """Run a server with a certificate of its own, unless `key` is given; `extra` are lines for its configuration."""
    require("slapd", "slapd")
    directory = Path(tempfile.mkdtemp(prefix="attribute-authority-slapd-"))
    slapd = Slapd(directory, extra)
    try:
        slapd.prepare(key or make_key("localhost", datetime.now(UTC), ("localhost", "127.0.0.1"), bits=2048))
        yield slapd
    finally:
        slapd.stop()
        shutil.rmtree(directory)


def _wait_for(port: int) -> None:
    given_up_at = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < given_up_at:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise RuntimeError(f"nothing listens on port {port}")


def _wait_until_still(process: int) -> None:
    """Return when every thread has stopped: the signal is only the beginning of it."""
    given_up_at = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < given_up_at:
        states = {task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{process}/task").glob("*/stat")}
        if states == {"T"}:
            return
    raise RuntimeError(f"process {process} does not stop")


def _owner() -> str:
    """Who the server is, where root starts it: it goes on as somebody who may nothing."""
    return "openldap"


def _give_to(name: str, directory: Path) -> None:
    if os.geteuid() != 0:
        return
    person = pwd.getpwnam(name)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, person.pw_uid, person.pw_gid)


def _manage_dsa_it() -> tuple[str, bool, None]:
    """Have referral objects taken as entries (RFC 3296)."""
    return ("2.16.840.1.113730.3.4.2", True, None)
