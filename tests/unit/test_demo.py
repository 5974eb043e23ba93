"""`demo`: the whole way, as the first thing that somebody new runs."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from werkzeug.wrappers import Response

from attribute_authority.assembly import new_saml_id, present
from attribute_authority.configuration import read_configuration
from attribute_authority.demo.authority import AuthorityPorts, Surroundings, serving, write_authority
from attribute_authority.demo.browser import Browser
from attribute_authority.demo.federation import Federation, start_with_retries
from attribute_authority.demo.metadata import write_aggregate
from attribute_authority.demo.records import AINO
from attribute_authority.demo.sites import listen, serve
from attribute_authority.demo.walk import walk
from attribute_authority.domain.identifiers import Environment
from attribute_authority.errors import CouldNotAsk
from attribute_authority.keys import FreshKey
from tests.factories.metadata import rsa_pair

_DEMO = [sys.executable, "-m", "attribute_authority", "demo"]
_DEADLINE_SECONDS = 180
_URI = f"https://sandbox.orcid.org/{AINO}"
_SECRETS = ("encryption.key", "sealing.key", "orcid-client-secret")
_STEPS = (
    "The federation and the authority are up",
    "The service, before an iD is linked",
    "The companion page",
    "Signing in there, through discovery and the home organisation",
    "Connecting the iD at ORCID, and agreeing",
    "The service asks again, by a signed AttributeQuery",
    "The delivery to the home organisation",
    "Signing in to the service anew",
    "An operator looks the delivery up",
    "An operator asks",
    "An operator asks about somebody unknown",
    "An operator wants to know why",
    "Unlinking",
    "The service asks once more",
    "The home organisation, once the withdrawal is delivered",
    "The permission at ORCID",
)


def test_the_demo_walks_the_whole_way(tmp_path: Path) -> None:
    """Nothing before, the iD while it is linked, nothing after, the permission revoked; exit code 0, and nothing is left behind."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([*_DEMO, "--once"], capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False, env=environment)

    assert (0, "") == (done.returncode, done.stderr)
    steps = re.findall(r"^ ?(\d+)\. (.*) \((\d+) ms\)$", done.stdout, re.MULTILINE)
    assert [(str(number), title) for number, title in enumerate(_STEPS, 1)] == [(number, title) for number, title, _ in steps]
    told = re.findall(r"eduPersonOrcid: ([^\s,]+)", done.stdout)
    assert ["nothing", _URI, _URI, "none", _URI, "nothing"] == told
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_the_demo_goes_on_until_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """It says what to open; Ctrl-C and a closed terminal end it with exit code 0 and nothing left behind, running or written."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        _DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        said = []
        for line in demo.stdout:
            said.append(line)
            if line.startswith("It goes on until Ctrl-C"):
                break
        addresses = re.findall(r"Open (http://localhost:\d+)", "".join(said))
        answers = [requests.get(address, timeout=10).status_code for address in addresses]
        os.killpg(demo.pid, number)
        _, errors = demo.communicate(timeout=_DEADLINE_SECONDS)

    assert [200, 200] == answers
    assert (0, "") == (demo.returncode, errors)
    assert [] == list(tmp_path.iterdir())
    for address in addresses:
        with pytest.raises(requests.ConnectionError):
            requests.get(address, timeout=10)


def test_a_start_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """A kill while keys are still being made, and a second one while it is tidying up, leave nothing behind."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(_DEMO, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as demo:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        demo.terminate()
        demo.terminate()
        demo.communicate(timeout=_DEADLINE_SECONDS)

    assert 1 == demo.returncode
    assert [] == list(tmp_path.iterdir())


def test_taken_ports_make_it_try_others() -> None:
    """What was begun on the first ports is ended, and the demo starts on the next ones."""
    ended: list[int] = []
    federation = cast("Federation", object())

    def start(attempt: int, stack: ExitStack) -> Federation:
        stack.callback(ended.append, attempt)
        if attempt == 1:
            raise CouldNotAsk("the authority did not start: Address already in use")
        return federation

    with ExitStack() as stack:
        started = start_with_retries(stack, start)

        assert ([1], federation) == (ended, started)

    assert [1, 2] == ended


@pytest.mark.parametrize(("cause", "attempts"), [("Address already in use", [1, 2, 3]), ("a defect", [1])])
def test_it_gives_up_in_the_end_and_at_once_where_another_port_would_not_help(cause: str, attempts: list[int]) -> None:
    """Three times for ports, once for everything else, and what happened is told."""
    tried: list[int] = []

    def start(attempt: int, _: ExitStack) -> Federation:
        tried.append(attempt)
        raise CouldNotAsk(cause)

    with ExitStack() as stack, pytest.raises(CouldNotAsk, match=cause):
        start_with_retries(stack, start)

    assert attempts == tried


def test_a_step_that_fails_says_what_was_seen() -> None:
    """The number of the step, what was expected where, and what stood there instead."""
    said: list[str] = []
    with ExitStack() as stack:
        address = stack.enter_context(serve(Response("<h1>Closed today</h1>", content_type="text/html"), listen()))
        everywhere = (address,) * 5
        federation = Federation(*everywhere, (), address, Path(), AuthorityPorts(1, 2, 3), cast("Any", None))
        session = stack.enter_context(requests.Session())

        with pytest.raises(CouldNotAsk, match=rf"^step 2, .*: expected .*sign-in.* at {address}/ \(HTTP 200\), found: Closed today$"):
            walk(Browser(session, "en"), federation, said.append, lambda: 0.0)

    assert [] == said


def authority(directory: Path, ports: AuthorityPorts) -> Path:
    """Write an authority, and an empty federation beside it."""
    around = Surroundings(
        service_provider="http://localhost:1/metadata",
        discovery_url="http://localhost:2/discovery",
        registry_url="http://localhost:3",
        client_id="APP-1",
        client_secret="secret",
        home_organisation="http://localhost:4/metadata",
        directory_url="http://localhost:5",
        directory_token="token",
    )
    keys = rsa_pair("demo-federation")
    federation = directory / "federation"
    federation.mkdir()
    (federation / "federation.crt").write_bytes(keys.certificate_pem)
    (federation / "federation.xml").write_bytes(write_aggregate((), FreshKey(keys.key_pem, keys.certificate_pem), present(), new_saml_id))
    return write_authority(directory / "authority", ports, around)


def test_the_authority_of_the_demo_is_a_sandbox_with_secrets_of_its_own(tmp_path: Path) -> None:
    """Its configuration is read as any other; it listens on this machine alone, and nobody else reads its secrets."""
    config = authority(tmp_path, AuthorityPorts(20_001, 20_002, 20_003))
    settings = read_configuration(config)

    assert settings.companion is not None
    assert settings.orcid is not None
    assert (Environment.SANDBOX, "http://localhost:3") == (settings.authority.environment, settings.orcid.registry_url)
    assert {"127.0.0.1"} == {settings.back_channel.host, settings.operations.host, settings.companion.host}
    assert [0o600] * 3 == [(config.parent / f"keys/{name}").stat().st_mode & 0o777 for name in _SECRETS]


def test_an_authority_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    """What it says on ending is the reason by which the demo knows to try other ports."""
    with ExitStack() as stack:
        ports = AuthorityPorts(*(stack.enter_context(listen()).getsockname()[1] for _ in range(3)))

        with pytest.raises(CouldNotAsk, match="in use"), serving(authority(tmp_path, ports), ports):
            pytest.fail("it must not start")
