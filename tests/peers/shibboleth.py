"""The Shibboleth service provider's own attribute resolver, `resolvertest`, as its Debian package installs it.

One query is one login: an assertion of the home organisation goes in on standard input, the service provider extracts its
attributes, filters them, asks the authority, and prints the attributes of the session. The configuration is the package's own
`shibboleth2.xml` and `attribute-map.xml` with the published snippets of `deploy/shibboleth-sp` merged in; it stands in a directory
of its own, and what the system has installed is only read.
"""

import os
import subprocess
from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from lxml import etree
from lxml.builder import ElementMaker

from tests.peers import missing, require
from tests.peers.lab import EPPN, URI_NAME_FORMAT, Federation, Member, NameId, Reply, TrustedAuthority, reply

_STOCK = Path("/etc/shibboleth")
_SNIPPETS = Path(__file__).parents[2] / "deploy" / "shibboleth-sp"
_CONFIGURATION = "urn:mace:shibboleth:3.0:native:sp:config"
_ATTRIBUTE_MAP = "urn:mace:shibboleth:2.0:attribute-map"
_ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
_AUTHORITY_IN_SNIPPETS = "https://aa.example.org/orcid"
_METADATA_IN_SNIPPETS = "orcid-authority-metadata.xml"
_DEADLINE_SECONDS = 60
_COMPLAINTS = (" ERROR ", " WARN ", " CRIT ")

_SAML = ElementMaker(namespace=_ASSERTION, nsmap={"saml": _ASSERTION})


class Knowledge(StrEnum):
    """From where the service provider knows the authority: its own metadata, or metadata within the resolver alone."""

    METADATA = "shibboleth2.xml"
    NESTED = "nested-metadata.xml"


class Mode(StrEnum):
    """How the query proves its sender: the stock way, or by one of the published `RelyingParty` variants."""

    TLS = "tls"
    SIGNED = "signed"
    MESSAGE_ONLY = "message-only"
    ENCRYPTED = "encrypted"


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """A configured Shibboleth service provider below `directory`."""

    program: Path
    directory: Path
    federation: Federation
    member: Member


def configure(
    directory: Path,
    federation: Federation,
    member: Member,
    authority: TrustedAuthority,
    mode: Mode,
    *,
    knowledge: Knowledge = Knowledge.METADATA,
) -> ServiceProvider:
    """Write the configuration of `member`, which trusts and queries `authority`."""
    program = require("resolvertest", "shibboleth-sp-utils")
    if not (_STOCK / "shibboleth2.xml").exists():
        missing(f"{_STOCK}/shibboleth2.xml is not installed (Debian package shibboleth-sp-common)")
    directory.mkdir(parents=True, exist_ok=True)
    root = _configuration(directory, federation, member)
    _write(directory / "shibboleth2.xml", _with_additions(root, _published(authority, mode, knowledge)))
    _write(directory / "attribute-map.xml", _attribute_map())
    (directory / "console.logger").write_text(_logger(directory / "log"))
    return ServiceProvider(program, directory, federation, member)


def query(service_provider: ServiceProvider, name_id: NameId, *, now: datetime | None = None) -> Reply:
    """Let `name_id` log in at the service provider; its attributes are named by the ids of the attribute map.

    `failure` holds the complaints of the resolver's log: the login went on nevertheless, unless the program failed, which raises.
    """
    log = service_provider.directory / "log"
    log.unlink(missing_ok=True)
    assertion = etree.tostring(_login(service_provider, name_id, now or datetime.now(UTC)))
    done = subprocess.run(
        [service_provider.program],
        input=assertion,
        capture_output=True,
        check=True,
        timeout=_DEADLINE_SECONDS,
        env={**os.environ, **_environment(service_provider.directory)},
    )
    said = log.read_text() if log.exists() else ""
    complaints = [line for line in said.splitlines() if any(level in line for level in _COMPLAINTS)]
    return reply(_session_attributes(done.stdout.decode()), "\n".join(complaints) or None, said + done.stderr.decode())


def _environment(directory: Path) -> dict[str, str]:
    return {"SHIBSP_CONFIG": str(directory / "shibboleth2.xml"), "SHIBSP_LOGGING": str(directory / "console.logger")}


def _session_attributes(output: str) -> dict[str, list[str]]:
    attributes: dict[str, list[str]] = defaultdict(list)
    for name, separator, values in (line.partition(": ") for line in output.splitlines()):
        if separator:
            attributes[name].extend(values.split(";"))
    return attributes


def _configuration(directory: Path, federation: Federation, member: Member) -> etree._Element:
    root = etree.parse(_STOCK / "shibboleth2.xml").getroot()
    defaults = _defaults(root)
    defaults.set("entityID", member.entity_id)
    for resolver in defaults.findall(f"{{{_CONFIGURATION}}}CredentialResolver"):
        resolver.set("key", str(member.keys.key))
        resolver.set("certificate", str(member.keys.certificate))
    for element in root.iter(f"{{{_CONFIGURATION}}}*"):
        _make_absolute(element, directory)
    etree.SubElement(defaults, f"{{{_CONFIGURATION}}}MetadataProvider", type="XML", path=str(federation.metadata))
    return root


def _with_additions(root: etree._Element, additions: list[etree._Element]) -> etree._Element:
    _defaults(root).extend(additions)
    return root


def _defaults(root: etree._Element) -> etree._Element:
    defaults = root.find(f"{{{_CONFIGURATION}}}ApplicationDefaults")
    assert defaults is not None
    return defaults


def _make_absolute(element: etree._Element, directory: Path) -> None:
    path = element.get("path")
    if path is not None:
        element.set("path", str((directory if path == "attribute-map.xml" else _STOCK) / path))


def _published(authority: TrustedAuthority, mode: Mode, knowledge: Knowledge) -> list[etree._Element]:
    snippets = [*_snippet(knowledge).iterchildren("{*}*")]
    if mode is not Mode.TLS:
        snippets.insert(0, _snippet(f"relying-party/{mode}.xml"))
    for snippet in snippets:
        for element in snippet.iter("{*}*"):
            _substitute(element, authority)
    return [deepcopy(snippet) for snippet in snippets]


def _substitute(element: etree._Element, authority: TrustedAuthority) -> None:
    if element.get("Name") == _AUTHORITY_IN_SNIPPETS:
        element.set("Name", authority.entity_id)
    if element.text == _AUTHORITY_IN_SNIPPETS:
        element.text = authority.entity_id
    if element.get("path") == _METADATA_IN_SNIPPETS:
        element.set("path", str(authority.metadata))


def _snippet(name: str) -> etree._Element:
    return etree.parse(_SNIPPETS / name).getroot()


def _attribute_map() -> etree._Element:
    root = etree.parse(_STOCK / "attribute-map.xml").getroot()
    for addition in _snippet("attribute-map.xml").iterchildren(f"{{{_ATTRIBUTE_MAP}}}Attribute"):
        root.append(deepcopy(addition))
    return root


def _write(path: Path, root: etree._Element) -> None:
    path.write_bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _logger(log: Path) -> str:
    return (
        "log4j.rootCategory=INFO, file\n"
        "log4j.appender.file=org.apache.log4j.FileAppender\n"
        f"log4j.appender.file.fileName={log}\n"
        "log4j.appender.file.layout=org.apache.log4j.PatternLayout\n"
        "log4j.appender.file.layout.ConversionPattern=%d %p %c: %m%n\n"
    )


def _login(service_provider: ServiceProvider, name_id: NameId, now: datetime) -> etree._Element:
    """The assertion of a login; an ePPN is an attribute of it, a persistent identifier its Subject."""
    home = service_provider.federation.home.entity_id
    instant, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (now, now + timedelta(minutes=5)))
    subject = name_id if name_id.format != EPPN else NameId("_login", "urn:oasis:names:tc:SAML:2.0:nameid-format:transient")
    qualifiers = {"NameQualifier": subject.name_qualifier, "SPNameQualifier": subject.sp_name_qualifier}
    given = {name: value for name, value in qualifiers.items() if value is not None}
    assertion: etree._Element = _SAML.Assertion(
        _SAML.Issuer(home),
        _SAML.Subject(_SAML.NameID(subject.value, Format=subject.format, **given)),
        _SAML.Conditions(NotBefore=instant, NotOnOrAfter=end),
        ID="_login-assertion",
        IssueInstant=instant,
        Version="2.0",
    )
    if name_id.format == EPPN:
        value = _SAML.AttributeValue(name_id.value)
        assertion.append(_SAML.AttributeStatement(_SAML.Attribute(value, Name=EPPN, NameFormat=URI_NAME_FORMAT)))
    return assertion
