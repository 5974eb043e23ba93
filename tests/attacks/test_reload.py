"""What is revoked by a reload stays revoked, also where a worker starts beside it or after it."""

import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.supervisors import Directory, Running, make_directory, running, until

SLOW_WORKER = """
import os, signal, sys
from io import StringIO
from attribute_authority.events import EventLog
from attribute_authority.serving import Supervisor

def run_worker(number, lifeline):
    print("has read its configuration", flush=True)
    sys.stdin.readline()
    signal.signal(signal.SIGHUP, lambda *_: os.write(1, b"reads it again\\n"))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    print("has its handlers", flush=True)

def reload():
    print("reload", flush=True)

class Telling(Supervisor):
    def _tell(self, number):
        super()._tell(number)
        print("told", flush=True)

def forget(process):
    pass

Telling(1, run_worker, reload, forget, EventLog(StringIO())).run()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """Write an authority."""
    return make_directory(tmp_path)


def speak_tls(directory: Directory, pair: KeyPair) -> None:
    """Have the back channel end TLS with these keys."""
    (directory.path / "tls.key").write_bytes(pair.key_pem)
    (directory.path / "tls.crt").write_bytes(pair.certificate_pem)
    directory.configure()
    text = directory.config.read_text()
    directory.config.write_text(text.replace("[operations]", 'tls = { key = "tls.key", certificate = "tls.crt" }\n\n[operations]'))


def serves(server: Running, pair: KeyPair) -> bool:
    """Whether a new connection is made with that certificate."""
    pem = ssl.get_server_certificate(("127.0.0.1", server.back_channel))
    return load_pem_x509_certificate(pem.encode()) == pair.certificate


def test_exchanged_tls_key_does_not_come_back(directory: Directory) -> None:
    """A worker that is replaced after a reload has the TLS key of the reload, not the one that the service was started with."""
    speak_tls(directory, rsa_pair("tls"))
    with running(directory) as server:
        speak_tls(directory, rsa_pair("next-tls"))
        server.signal(signal.SIGHUP)
        until(lambda: len(server.events("reloaded")) == 1, server)
        assert serves(server, rsa_pair("next-tls"))

        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: len(server.events("worker-ended")) == 1, server)
        assert serves(server, rsa_pair("next-tls"))


def test_metadata_of_a_refused_reload_are_not_taken(directory: Directory) -> None:
    """Metadata that come with a faulty configuration reach no worker, not even one that starts later."""
    with running(directory) as server:
        index = directory.path / "state" / "metadata.index"
        before = index.read_bytes()
        directory.trust(rsa_pair("intruder"))
        (directory.path / "signing.key").write_text("x")
        server.signal(signal.SIGHUP)
        until(lambda: len(server.events("reload-failed")) == 1, server)

        assert before == index.read_bytes()


def test_reload_while_a_worker_starts() -> None:
    """A worker that has read its configuration but has no handlers yet learns of a reload as soon as it has them."""
    command = [sys.executable, "-c", SLOW_WORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = [process.stdout.readline()]
        process.send_signal(signal.SIGHUP)
        said += [process.stdout.readline(), process.stdout.readline()]
        process.stdin.write("\n")
        process.stdin.flush()
        said.append(process.stdout.readline())
        process.kill()

    # The lines of supervisor and worker come over one pipe, in the order in which they were written.
    assert ["has read its configuration", "reload", "told", "reads it again"] == [line.strip() for line in said]
