"""A strict double of the Shibboleth identity provider's attribute resolution, because no Debian package has the real one.

It reads the published files of `deploy/shibboleth-idp` and does with them what the sources and the documentation of versions 4 and 5
say: `%{…}` placeholders, Velocity templates, the HTTP connector with its checks of status, type and length, the script, the attribute
registry and the attribute filter. Whatever it does not know it refuses, so that a misspelt attribute or bean does not pass unnoticed.
Left out are the result cache and `noRetryDelay`, which only keep requests away.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import quote_plus, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from tests.peers.shibboleth_idp_script import Response, ScriptEngine, ScriptFailed

SNIPPETS = Path(__file__).parents[2] / "deploy" / "shibboleth-idp"

_RESOLVER = "urn:mace:shibboleth:2.0:resolver"
_FILTER = "urn:mace:shibboleth:2.0:afp"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_BEANS = "http://www.springframework.org/schema/beans"
_BEAN_UTIL = "http://www.springframework.org/schema/util"
_BEAN_PROPERTY = "{http://www.springframework.org/schema/p}"
_COMMON = {"id", _TYPE, "exportAttributes", "propagateResolutionExceptions", "noRetryDelay"}
_TRUST = {"serverCertificate", "clientPrivateKey", "clientCertificate"}
_SETTINGS = {
    "HTTP": _COMMON | _TRUST | {"httpClientRef", "headerMapRef", "acceptStatuses", "acceptTypes", "maxLength"},
    "RelationalDatabase": _COMMON | {"queryTimeout"},
}
_PLACEHOLDER = re.compile(r"%\{([^}:]+)(?::([^}]*))?\}")
_PRINCIPAL = "${resolutionContext.principal}"
_ESCAPED = re.compile(r'\$paramEscaper\.escape\("([^"]*)"\)')
_DURATION = re.compile(r"PT([0-9.]+)S")


class LoginBlocked(Exception):
    """A failure of the connector ended the whole resolution: nobody could log in as before."""


class _ConnectorFailed(Exception):
    """What the identity provider throws as an IOException or a ResolutionException."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a login brought: attribute values by id, and what the log says where the connector failed."""

    attributes: Mapping[str, tuple[str, ...]]
    failure: str | None = None


@dataclass(frozen=True)
class Settings:
    """The directory of the published files, and the properties of the deployer, which win over the published ones."""

    properties: Mapping[str, str]
    snippets: Path = SNIPPETS

    @cached_property
    def known(self) -> Mapping[str, str]:
        """All properties."""
        published = read_properties(self.snippets / "idp.properties") | read_properties(self.snippets / "secrets.properties")
        return published | dict(self.properties)

    def fill(self, text: str) -> str:
        """Replace the placeholders as Spring does; raises KeyError for one that has neither a property nor a default."""
        return _PLACEHOLDER.sub(self._value, text)

    def _value(self, placeholder: re.Match[str]) -> str:
        name, default = placeholder.groups()
        return self.known[name] if default is None else self.known.get(name, default)

    def connector(self, file: str) -> "Connector":
        """Read the one data connector of a file. Raises ValueError for settings that the identity provider does not know."""
        (element,) = _parse(self.snippets / file).iterfind(f"{{{_RESOLVER}}}DataConnector")
        unknown = set(element.attrib) - _SETTINGS[str(element.attrib[_TYPE])]
        if unknown:
            raise ValueError(f"unknown settings: {unknown}")
        return Connector(self, element)

    def bean(self, tag: str, name: str) -> etree._Element:
        """Return the one bean of that name in global.xml."""
        (bean,) = (bean for bean in _parse(self.snippets / "global.xml").iterfind(tag) if bean.get("id") == name)
        return bean


@dataclass(frozen=True)
class Connector:
    """A data connector as it is configured."""

    settings: Settings
    element: etree._Element

    def get(self, name: str) -> str | None:
        """Return a setting, placeholders filled in, or None."""
        value = self.element.get(name)
        return None if value is None else self.settings.fill(value)

    def required(self, name: str) -> str:
        """Return a setting that must be there."""
        value = self.get(name)
        assert value is not None, name
        return value

    def listed(self, name: str) -> frozenset[str]:
        """Return a setting that is a list separated by spaces."""
        return frozenset((self.get(name) or "").split())

    def text(self, *path: str) -> str:
        """Return the text of the only element at `path`, placeholders filled in."""
        (element,) = self.element.iterfind("/".join(f"{{{_RESOLVER}}}{name}" for name in path))
        return self.settings.fill((element.text or "").strip())

    def url(self, principal: str) -> str:
        """Render the URL template; nothing is escaped but what the template escapes."""
        rendered = _ESCAPED.sub(lambda found: form_escape(found[1].replace(_PRINCIPAL, principal)), self.text("URLTemplate"))
        return _without_reference(rendered.replace(_PRINCIPAL, principal), rendered)

    def query(self, principal: str) -> str:
        """Render the query template; a handler of Velocity's doubles every quote in what is inserted."""
        template = self.text("QueryTemplate")
        return _without_reference(template.replace(_PRINCIPAL, principal.replace("'", "''")), template)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the map that the connector names."""
        name = self.get("headerMapRef")
        if name is None:
            return {}
        entries = self.settings.bean(f"{{{_BEAN_UTIL}}}map", name).iterfind(f"{{{_BEANS}}}entry")
        return {str(entry.attrib["key"]): self.settings.fill(str(entry.attrib["value"])) for entry in entries}

    @property
    def timeout(self) -> float:
        """How long the HTTP client waits for each step, seconds."""
        bean = self.settings.bean(f"{{{_BEANS}}}bean", self.required("httpClientRef"))
        limits = {self.settings.fill(str(bean.attrib[f"{_BEAN_PROPERTY}{name}"])) for name in ("connectionTimeout", "socketTimeout")}
        (limit,) = limits
        found = _DURATION.fullmatch(limit)
        assert found is not None, limit
        return float(found[1])


@dataclass(frozen=True)
class IdentityProvider:
    """An identity provider with one HTTP connector; logins resolve, filter and encode attributes as it does."""

    settings: Settings
    engine: ScriptEngine
    file: str = "attribute-resolver-http.xml"
    connector: Connector = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "connector", self.settings.connector(self.file))

    def resolve(self, principal: str) -> Resolution:
        """Resolve the attributes of somebody. Raises LoginBlocked where the connector lets its failure out."""
        try:
            found = self._ask(principal)
        except (_ConnectorFailed, ScriptFailed) as failure:
            if self.connector.get("propagateResolutionExceptions") != "false":
                raise LoginBlocked from failure
            return Resolution({}, str(failure))
        exported = self.connector.listed("exportAttributes")
        return Resolution({name: values for name, values in found.items() if name in exported})

    def log_in(self, principal: str, service_provider: str) -> Mapping[str, tuple[str, ...]]:
        """Return the attributes of the assertion for a service provider, by their names in SAML."""
        permitted = _permitted(self.settings, service_provider)
        names = _registry(self.settings)
        return {names[name]: values for name, values in self.resolve(principal).attributes.items() if name in permitted}

    def _ask(self, principal: str) -> dict[str, tuple[str, ...]]:
        with self._answer(self.connector.url(principal)) as response:
            length = self._accepted_length(response)
            body = response.read()
        if len(body) != length:
            raise _ConnectorFailed("premature end of the body")
        script = Path(self.connector.text("ResponseMapping", "ScriptFile"))
        return self.engine.run(script.read_text(encoding="utf-8"), Response(body))

    @contextmanager
    def _answer(self, url: str) -> Iterator[HTTPResponse]:
        address = urlsplit(url)
        assert (address.scheme, address.port is None, address.fragment) == ("https", False, "")
        context = self._context()
        connection = HTTPSConnection(address.hostname or "", address.port, timeout=self.connector.timeout, context=context)
        try:
            connection.connect()
            self._check_key(connection)
            # As Apache's HTTP client asks by itself; what comes compressed has no known length for it.
            connection.request(
                "GET", f"{address.path}?{address.query}", headers={"Accept-Encoding": "gzip,deflate"} | self.connector.headers
            )
            yield connection.getresponse()
        except (OSError, HTTPException) as error:
            raise _ConnectorFailed(f"HTTP request failed: {type(error).__name__}") from error
        finally:
            connection.close()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.connector.required("serverCertificate"))
        key, certificate = self.connector.get("clientPrivateKey"), self.connector.get("clientCertificate")
        if key is not None and certificate is not None:
            context.load_cert_chain(certificate, key)
        return context

    def _check_key(self, connection: HTTPSConnection) -> None:
        assert isinstance(connection.sock, ssl.SSLSocket)
        shown = x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True) or b"")
        pinned = x509.load_pem_x509_certificate(Path(self.connector.required("serverCertificate")).read_bytes())
        if _public_key(shown) != _public_key(pinned):
            raise _ConnectorFailed("the server has another key")

    def _accepted_length(self, response: HTTPResponse) -> int:
        """Return the length of an answer that passes the three checks of the response mapping, in their order."""
        if str(response.status) not in self.connector.listed("acceptStatuses"):
            raise _ConnectorFailed(f"HTTP status unacceptable: {response.status}")
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if media_type not in self.connector.listed("acceptTypes"):
            raise _ConnectorFailed(f"Content-Type unacceptable: {media_type}")
        known = response.length if not response.chunked and response.headers.get("Content-Encoding") is None else None
        if known is None or known > int(self.connector.required("maxLength")):
            raise _ConnectorFailed("Content-Length exceeded acceptable limits or was unset")
        return known


def form_escape(text: str) -> str:
    """Escape as Guava's urlFormParameterEscaper does: all but letters, digits and -_.* as %XX of UTF-8, a space as +."""
    return quote_plus(text, safe="-_.*").replace("~", "%7E")


def read_properties(file: Path) -> dict[str, str]:
    """Read a Java properties file of the plain kind: a name, an equals sign, a value, one to a line."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _equals, value in pairs}


def _without_reference(rendered: str, template: str) -> str:
    """Return what was rendered, where the template has no reference or directive that this double does not know."""
    remaining = template.replace(_PRINCIPAL, "")
    assert not set("$#") & set(remaining), remaining
    return rendered


def _registry(settings: Settings) -> dict[str, str]:
    """The SAML name of each attribute id that the published rule is for."""
    rule = read_properties(settings.snippets / "eduPersonOrcid.properties")
    assert rule["transcoder"] == "SAML2StringTranscoder"
    return {rule["id"]: rule["saml2.name"]}


def _permitted(settings: Settings, service_provider: str) -> set[str]:
    permitted = set()
    for policy in _parse(settings.snippets / "attribute-filter.xml").iterfind(f"{{{_FILTER}}}AttributeFilterPolicy"):
        requirement, *rules = policy.iterchildren("{*}*")
        assert (requirement.get(_TYPE), {rule.get("permitAny") for rule in rules}) == ("Requester", {"true"})
        if requirement.get("value") == service_provider:
            permitted |= {str(rule.attrib["attributeID"]) for rule in rules}
    return permitted


def _parse(file: Path) -> etree._Element:
    return etree.parse(file).getroot()


def _public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
