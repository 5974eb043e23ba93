"""A Shibboleth identity provider, in the double that runs the published files, reads the iD at login from a running authority."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.cases import ORCID
from tests.interop.service import prepare, run, running
from tests.peers.lab import SCOPE, Federation, KeyPair, Member, TrustedAuthority
from tests.peers.shibboleth_idp import SNIPPETS, IdentityProvider, Settings
from tests.peers.shibboleth_idp_script import ScriptEngine, script_engine

TOKEN, TLS = "attribute-resolver-http.xml", "attribute-resolver-http-tls.xml"
Deploy = Callable[..., IdentityProvider]
SERVICE_PROVIDER = "https://sp.example.org/shibboleth"
RELEASED = {"urn:oid:1.3.6.1.4.1.5923.1.1.1.16": (ORCID,)}
NOBODY = ("nobody", "withdrawn", "jos iah", "josiah&eppn=josiah@uni.example", "o'hara", "josiah@uni.example", "x" * 300)


@dataclass(frozen=True, slots=True)
class LookupDoor:
    """The door of a running authority, its TLS certificate, and the home organisation with the token of its client."""

    url: str
    certificate: Path
    token: str
    home: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """Makes identity providers below `directory`, with the published files in their places."""

    directory: Path
    door: LookupDoor
    engine: ScriptEngine

    def idp(self, file: str, keys: KeyPair, **properties: str) -> IdentityProvider:
        """Set an identity provider up with one connector and the key of an entity, which may not be its own."""
        places = {
            "conf/orcid.js": SNIPPETS / "orcid.js",
            "credentials/orcid-authority-tls.crt": self.door.certificate,
            "credentials/idp-signing.key": keys.key,
            "credentials/idp-signing.crt": keys.certificate,
        }
        for place, source in places.items():
            (self.directory / place).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, self.directory / place)
        known = {"idp.home": str(self.directory), "idp.scope": SCOPE, "orcid.lookup": self.door.url, "orcid.token": self.door.token}
        known["idp.entityID"] = self.door.home
        # The published time-out is for people; what is measured here is only that an answer comes.
        return IdentityProvider(Settings({**known, "orcid.timeout": "PT30S", **properties}), self.engine, file)


@pytest.fixture(scope="module")
def engine() -> Iterator[ScriptEngine]:
    """The script engine of this module."""
    with script_engine() as opened:
        yield opened


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, federation: Federation) -> Iterator[LookupDoor]:
    """A running authority whose operator serves the home organisation's identity provider, as the README says."""
    configuration = prepare(tmp_path_factory.mktemp("prepared") / "aa", federation)
    home = federation.home.entity_id
    with configuration.open("a", encoding="utf-8") as lines:
        lines.write(f"\n[[release]]\nrequesters = {json.dumps([home])}\n")
    shown = run(configuration, "client", "add", "idp", "--entity-id", home, "--home-organisation", home)
    directory = tmp_path_factory.mktemp("authority") / "aa"
    with running(configuration, directory) as trusted:
        yield LookupDoor(f"{_address(trusted)}/api/v1/orcid", directory / "keys" / "tls.crt", _token(shown), home)


@pytest.fixture
def deploy(tmp_path: Path, door: LookupDoor, engine: ScriptEngine) -> Deploy:
    """Sets identity providers up."""
    return Deployment(tmp_path, door, engine).idp


@pytest.mark.parametrize("file", [TOKEN, TLS])
@pytest.mark.parametrize("principal", ["josiah", "Josiah"])
def test_login_releases_the_orcid(deploy: Deploy, federation: Federation, file: str, principal: str) -> None:
    """Whoever is linked comes to the service provider with the iD, whichever way the identity provider proves itself."""
    assert RELEASED == deploy(file, federation.home.keys).log_in(principal, SERVICE_PROVIDER)


@pytest.mark.parametrize("file", [TOKEN, TLS])
@pytest.mark.parametrize("principal", NOBODY)
def test_login_without_an_orcid_is_silent(deploy: Deploy, federation: Federation, file: str, principal: str) -> None:
    """For everybody else there is no attribute, and no failure for which the connector would pause."""
    resolution = deploy(file, federation.home.keys).resolve(principal)
    expected: Mapping[str, tuple[str, ...]] = {}

    assert (expected, None) == (resolution.attributes, resolution.failure)


def test_wrong_token_leaves_the_login_as_it_was(deploy: Deploy, federation: Federation) -> None:
    """With a token that the authority does not know the attribute is missing, and the log says why."""
    resolution = deploy(TOKEN, federation.home.keys, **{"orcid.token": "x" * 43}).resolve("josiah")

    assert ({}, "HTTP status unacceptable: 401") == (resolution.attributes, resolution.failure)


@pytest.mark.parametrize("name", ["stranger", "impostor"])
def test_unknown_key_leaves_the_login_as_it_was(deploy: Deploy, federation: Federation, name: str) -> None:
    """A client key that no metadata has is no proof."""
    member: Member = getattr(federation, name)
    resolution = deploy(TLS, member.keys).resolve("josiah")

    assert ({}, "HTTP status unacceptable: 401") == (resolution.attributes, resolution.failure)


def _address(trusted: TrustedAuthority) -> str:
    found = re.search(r"https://localhost:\d+", trusted.metadata.read_text(encoding="utf-8"))
    assert found is not None
    return found[0]


def _token(shown: str) -> str:
    """The token is the one long word of what the command shows."""
    (token,) = set(re.findall(r"[A-Za-z0-9_-]{32,}", shown))
    return str(token)
