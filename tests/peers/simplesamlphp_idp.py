"""SimpleSAMLphp, as its Debian package installs it, as the identity provider of a home organisation.

PHP's own web server runs the package's pages; the configuration stands in `scripts/simplesamlphp_idp` and reads what differs from test
to test from a JSON file. It reads the metadata of service providers as they publish it. Version 1.19 encrypts assertions to a public key
with AES-128-CBC and RSA-OAEP alone, so the Response around them is signed too.
"""

import json
import os
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import requests
from lxml import etree

from tests.peers import missing, require
from tests.peers.lab import KeyPair
from tests.peers.postgresql import free_port
from tests.peers.processes import Server, started

_INSTALLED = Path("/usr/share/simplesamlphp")
_CONFIGURATION = Path(__file__).parent / "scripts" / "simplesamlphp_idp"
_NO_SERVICE_PROVIDERS = b'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"/>'
_DEADLINE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Researcher:
    """Somebody who can sign in; attributes bear their LDAP name, or the name on the wire where that is no urn:oid."""

    name: str
    password: str
    attributes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class HomeOrganisation:
    """What the identity provider is to be: its entityID, its signing key, the scopes of its metadata, and its people."""

    entity_id: str
    keys: KeyPair
    scopes: tuple[str, ...]
    people: tuple[Researcher, ...]
    encrypts: bool = True


@dataclass(frozen=True, slots=True)
class Posted:
    """The form that the browser would post to the service provider; `relay_state` is None where the form has none."""

    action: str
    saml_response: str
    relay_state: str | None

    @property
    def document(self) -> bytes:
        """The Response itself."""
        return b64decode(self.saml_response)


@dataclass(frozen=True, slots=True)
class _Form:
    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A running identity provider."""

    base_url: str
    home: HomeOrganisation
    directory: Path
    server: Server = field(repr=False)

    @property
    def sign_on_url(self) -> str:
        """Where it takes an AuthnRequest by HTTP-Redirect."""
        return f"{self.base_url}/saml2/idp/SSOService.php"

    @property
    def log(self) -> str:
        """What it logged, PHP's own complaints included."""
        written = self.directory / "simplesamlphp.log"
        return (written.read_text() if written.exists() else "") + self.server.said

    def metadata(self) -> bytes:
        """Its metadata, as it publishes it now."""
        response = requests.get(f"{self.base_url}/saml2/idp/metadata.php", params={"output": "xml"}, timeout=_DEADLINE_SECONDS)
        response.raise_for_status()
        return response.content

    def trust(self, service_provider_metadata: bytes) -> None:
        """Take a metadata document as all the service providers that there are."""
        (self.directory / "service-providers.xml").write_bytes(service_provider_metadata)

    def sign_in(self, authn_request_url: str, researcher: Researcher) -> Posted:
        """Follow an AuthnRequest as a browser without JavaScript, log in, and return what would be posted next.

        Raises RuntimeError with the log where a page comes that should not.
        """
        with requests.Session() as browser:
            login = self._form(browser.get(authn_request_url, timeout=_DEADLINE_SECONDS), "password")
            entered = {**login.fields, "username": researcher.name, "password": researcher.password}
            answered = self._form(browser.post(login.action, data=entered, timeout=_DEADLINE_SECONDS), "SAMLResponse")
        return Posted(answered.action, answered.fields["SAMLResponse"], answered.fields.get("RelayState"))

    def _form(self, page: requests.Response, wanted: str) -> _Form:
        document = etree.fromstring(page.content, etree.HTMLParser())
        for form in (_read_form(element, page.url) for element in document.iter("form")):
            if wanted in form.fields:
                return form
        text = " ".join(" ".join(map(str, document.itertext("h1", "h2", "p"))).split())
        raise RuntimeError(f"{page.status_code} without a form that has {wanted}: {text}\n{self.log}")


@contextmanager
def identity_provider(directory: Path, home: HomeOrganisation) -> Iterator[IdentityProvider]:
    """Run the identity provider of `home` on a free port, with all that it writes below `directory`."""
    php = _installed_php()
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    (directory / "identity-provider.json").write_text(json.dumps(_settings(directory, home, base_url)))
    (directory / "service-providers.xml").write_bytes(_NO_SERVICE_PROVIDERS)
    command = (php, "-d", "display_errors=stderr", "-S", f"127.0.0.1:{port}", "-t", _INSTALLED / "www")
    with started(command, ready="Development Server", environment=_environment(directory), directory=directory) as server:
        yield IdentityProvider(base_url, home, directory, server)


def _read_form(form: etree._Element, page_url: str) -> _Form:
    fields = {control.get("name", ""): control.get("value", "") for control in form.iter("input") if control.get("type") != "checkbox"}
    return _Form(urljoin(page_url, form.get("action", "")), fields)


def _settings(directory: Path, home: HomeOrganisation, base_url: str) -> dict[str, object]:
    return {
        "directory": str(directory),
        "base_url": base_url,
        "entity_id": home.entity_id,
        "key": str(home.keys.key),
        "certificate": str(home.keys.certificate),
        "scopes": home.scopes,
        "encrypts": home.encrypts,
        "people": {f"{one.name}:{one.password}": dict(one.attributes) for one in home.people},
        "service_providers": str(directory / "service-providers.xml"),
    }


def _environment(directory: Path) -> dict[str, str]:
    own = {"SIMPLESAMLPHP_CONFIG_DIR": str(_CONFIGURATION), "IDENTITY_PROVIDER_FILE": str(directory / "identity-provider.json")}
    return {**os.environ, **own}


def _installed_php() -> Path:
    php = require("php", "php-cli")
    if not _INSTALLED.is_dir():
        missing(f"{_INSTALLED} is not installed (Debian package simplesamlphp)")
    return php
