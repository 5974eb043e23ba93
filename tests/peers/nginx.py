"""nginx, as its Debian package installs it, in front of the pages or of the back channel, with the configuration that is published.

The snippet of `deploy/nginx` is taken as it is; only ports, names of files and the host name differ from what an operator copies.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from attribute_authority.keys import make_key
from tests.peers import require
from tests.peers.lab import KeyPair
from tests.peers.postgresql import free_port
from tests.peers.processes import Server, started

_SNIPPETS = Path(__file__).parents[2] / "deploy" / "nginx"
PAGES, BACK_CHANNEL = "companion.conf", "attribute-authority.conf"
_MAIN = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
{user}
events {{}}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    access_log {directory}/access.log;
    include {directory}/snippet.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class ReverseProxy:
    """A running nginx. `url` is what we are known by outside; `certificate` is the one to trust, PEM."""

    url: str
    plain_url: str
    certificate: Path
    directory: Path
    server: Server = field(repr=False)

    @property
    def access_log(self) -> str:
        """One line for each request that was answered."""
        return (self.directory / "access.log").read_text()


@contextmanager
def reverse_proxy(directory: Path, upstream_port: int, *, port: int | None = None, snippet: str = PAGES) -> Iterator[ReverseProxy]:
    """Run nginx on https://localhost, on `port` or a free one, before what listens on 127.0.0.1 at `upstream_port`.

    Its certificate is made afresh. Raises RuntimeError with what nginx said where it does not start.
    """
    nginx = require("nginx", "nginx-light")
    directory.mkdir(parents=True, exist_ok=True)
    keys = _make_keys(directory)
    https, plain = port or free_port(), free_port()
    replacements = _of_pages(directory, upstream_port, keys) if snippet == PAGES else _of_back_channel(upstream_port, keys)
    listening = {"listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;"} | (
        {"listen 80;": f"listen 127.0.0.1:{plain};"} if snippet == PAGES else {}
    )
    (directory / "snippet.conf").write_text(_adapted(_SNIPPETS / snippet, replacements | listening))
    (directory / "nginx.conf").write_text(_MAIN.format(directory=directory, user=_user()))
    command = (nginx, "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr")
    with started(command, ready="start worker process ", environment=os.environ, directory=directory) as server:
        yield ReverseProxy(f"https://localhost:{https}", f"http://localhost:{plain}", keys.certificate, directory, server)


def _make_keys(directory: Path) -> KeyPair:
    made = make_key("localhost", datetime.now(UTC), ("localhost", "127.0.0.1"), bits=2048)
    keys = KeyPair(directory / "tls.key", directory / "tls.crt")
    keys.key.write_bytes(made.key)
    keys.certificate.write_bytes(made.certificate)
    return keys


def _of_pages(directory: Path, upstream_port: int, keys: KeyPair) -> dict[str, str]:
    return {
        "server 127.0.0.1:8080;": f"server 127.0.0.1:{upstream_port};",
        "server_name orcid.example.org;": "server_name localhost;",
        "/etc/ssl/certs/orcid.example.org.pem": str(keys.certificate),
        "/etc/ssl/private/orcid.example.org.key": str(keys.key),
        "/var/log/nginx/orcid.access.log": str(directory / "access.log"),
    }


def _of_back_channel(upstream_port: int, keys: KeyPair) -> dict[str, str]:
    return {
        "server 127.0.0.1:8443;": f"server 127.0.0.1:{upstream_port};",
        "server_name aa.example.org;": "server_name localhost;",
        "/etc/attribute-authority/keys/tls.crt": str(keys.certificate),
        "/etc/attribute-authority/keys/tls.key": str(keys.key),
    }


def _adapted(snippet: Path, replacements: Mapping[str, str]) -> str:
    text = snippet.read_text()
    for published, ours in replacements.items():
        assert published in text, f"{snippet.name} does not hold {published!r} any more"
        text = text.replace(published, ours)
    return text


def _user() -> str:
    """The user directive: started by root, the workers would otherwise be somebody who cannot write to the directory."""
    return "user root;" if os.geteuid() == 0 else ""
