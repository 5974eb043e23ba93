"""`demo`: an authority with one link, queried like a service provider would."""

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import requests

from attribute_authority.commands.init import make_authority
from attribute_authority.errors import CouldNotAsk

_IDENTITY_PROVIDER = "https://idp.uni.example/idp"
_PERSON = "eppn=josiah@uni.example"
_STRANGER = "eppn=nobody@uni.example"
_ORCID = "0000-0002-1825-0097"
_POLL_SECONDS = 0.05
# Below those that the system gives to outgoing connections, one of which might take a free port before we do.
_PORTS = range(20_000, 32_000)
_READY_SECONDS = 60
_ANSWER_SECONDS = 5


@click.command()
@click.option("--once", is_flag=True, help="End after the walk; otherwise the authority stays until Ctrl-C.")
def demo(once: bool) -> None:
    """Start an authority on localhost with one linked person, and query it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Killed, without its terminal, or started where Ctrl-C is ignored: neither the authority nor its keys may stay behind.
        signal.signal(number, signal.default_int_handler)
    with TemporaryDirectory(prefix="attribute-authority-demo-") as directory:
        back_channel, operations = _free_ports()
        base_url = f"https://localhost:{back_channel}"
        config = make_authority(Path(directory) / "authority", f"{base_url}/orcid", base_url)
        _narrow(config, operations)
        click.echo(f"1. A fresh authority, with one linked person: {config}")
        _run(config, "link", "add", "--orcid", _ORCID, "--idp", _IDENTITY_PROVIDER, "--id", _PERSON)
        with _serving(config, operations):
            click.echo(f"2. It listens at {base_url}. A service provider asks, signed, about the person:")
            _run(config, "query", "--id", _PERSON)
            click.echo("3. It asks about somebody unknown; the answer says no more than that there is no iD:")
            _run(config, "query", "--id", _STRANGER)
            click.echo("4. Why the first answer is what it is, which only we can see:")
            _run(config, "explain", "--requester", f"{base_url}/orcid/self-test", "--id", _PERSON)
            if not once:
                _stay(f"It goes on until Ctrl-C. Try: {' '.join(_command(config, ('query', '--id', _PERSON)))}")


def _free_ports() -> tuple[int, int]:
    free = (port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port))
    return next(free), next(free)


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def _narrow(config: Path, operations: int) -> None:
    text = config.read_text(encoding="utf-8").replace('host = "0.0.0.0"', 'host = "127.0.0.1"')
    config.write_text(text.replace("port = 9090", f"port = {operations}"), encoding="utf-8")


def _command(config: Path, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "attribute_authority", "--config", str(config), *arguments]


def _run(config: Path, *arguments: str) -> None:
    click.echo(f"   $ attribute-authority {' '.join(arguments)}")
    done = subprocess.run(_command(config, arguments), capture_output=True, text=True, check=False)
    click.echo("".join(f"     {line}\n" for line in (done.stdout + done.stderr).splitlines()), nl=False)
    if done.returncode != 0:
        raise CouldNotAsk(f"the step ended with exit code {done.returncode}")


@contextmanager
def _serving(config: Path, operations: int) -> Iterator[None]:
    log = config.parent / "serve.log"
    with log.open("wb") as stream, subprocess.Popen(_command(config, ("serve", "--workers", "1")), stderr=stream) as server:
        try:
            deadline = time.monotonic() + _READY_SECONDS
            while not _is_ready(operations):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise CouldNotAsk(f"the authority did not start:\n{log.read_text(encoding='utf-8')}")
                time.sleep(_POLL_SECONDS)
            yield
        finally:
            server.send_signal(signal.SIGTERM)


def _is_ready(operations: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{operations}/health/ready", timeout=_ANSWER_SECONDS).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def _stay(message: str) -> None:
    with suppress(KeyboardInterrupt):
        click.echo(message)
        signal.pause()
