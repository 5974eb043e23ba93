"""Signed deliveries: what stands in the headers, and the receiver of `deploy/webhook` as a process."""

import hmac
import json
import socket
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import Receipt
from attribute_authority.errors import SinkUnavailable
from connectors._rest_settings import RestSettings
from connectors._rest_signature import signature_headers
from connectors.rest import REST
from tests.factories.registries import PATIENCE
from tests.factories.sink_deliveries import NOW, handed, sink_surroundings
from tests.factories.web_servers import strict_server

_RECEIVER = Path(__file__).parents[2] / "deploy" / "webhook" / "receiver.py"
_SECRET, _NEXT = b"0123456789abcdefghijklmn", b"nmlkjihgfedcba9876543210"


def _secret_file(directory: Path, *secrets: bytes) -> Path:
    file = directory / "webhook.secret"
    file.write_text("".join(f"whsec_{b64encode(secret).decode()}\n" for secret in secrets), encoding="ascii")
    return file


def _open(url: str, secrets: Path, now: datetime) -> Sink:
    settings = RestSettings.model_validate({"kind": "rest", "url": url, "signature_secret_file": str(secrets)})
    return REST.open(settings, sink_surroundings(now))


def test_vector_of_the_standard() -> None:
    """The signature is that of the standard's own libraries."""
    secret = b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    instant = datetime.fromtimestamp(1_614_265_330, UTC)

    assert {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == signature_headers((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", instant, b'{"test": 2432232314}')


def test_each_secret_signs(tmp_path: Path) -> None:
    """While secrets are rolled over each of them signs id, timestamp and body."""
    with strict_server() as server:
        server.expect("POST", "/hook")
        sink = _open(f"{server.url}/hook", _secret_file(tmp_path, _SECRET, _NEXT), NOW)
        sink.deliver(handed())
        sink.close()
    (request,) = server.received
    content = b"7KQ2-MZ4D.%d." % NOW.timestamp() + request.body

    assert "7KQ2-MZ4D" == request.headers["webhook-id"]
    assert [f"v1,{b64encode(hmac.digest(secret, content, 'sha256')).decode()}" for secret in (_SECRET, _NEXT)] == request.headers[
        "webhook-signature"
    ].split(" ")


@dataclass
class _Lab:
    """A running receiver and what it took."""

    url: str
    process: subprocess.Popen[bytes]

    def end(self) -> list[bytes]:
        """End it, and return the lines that it has printed."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=PATIENCE)
        return output.splitlines()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[_Lab]:
    """A receiver that knows a secret."""
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    command: list[str | Path] = [sys.executable, _RECEIVER, str(port), _secret_file(tmp_path, _SECRET), tmp_path / "taken.sqlite"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            while not _listens(port):
                assert process.poll() is None
            yield _Lab(f"http://127.0.0.1:{port}/", process)
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def test_receiver_has_20_lines() -> None:
    """Apart from imports, documentation and blank lines the receiver has no more than 20."""
    code = [line for line in _RECEIVER.read_text(encoding="utf-8").splitlines() if line.strip()]
    words = ("#", "import ", "from ", chr(34) * 3)
    lines = [line for line in code if not line.strip().startswith(words)]

    assert len(lines) <= 20


def _signed(body: bytes, instant: datetime, secret: bytes = _SECRET, reference: str = "7KQ2-MZ4D") -> dict[str, str]:
    return signature_headers((secret,), reference, instant, body)


def _post(receiver: _Lab, body: bytes, headers: dict[str, str]) -> int:
    return requests.post(receiver.url, body, headers=headers, timeout=PATIENCE).status_code


def test_receiver_takes_once(receiver: _Lab, tmp_path: Path) -> None:
    """A delivery of the real sink is taken once, however often it comes; another one is taken too."""
    sink = _open(receiver.url, _secret_file(tmp_path, _SECRET), datetime.now(UTC))
    for reference in ("7KQ2-MZ4D", "7KQ2-MZ4D", "8ABC-DEFG"):
        assert Receipt() == sink.deliver(handed(reference=reference))
    sink.close()
    printed = receiver.end()

    assert 2 == len(printed)
    assert "teppo@uni.example" == json.loads(printed[0])["identifier"][0]["identifierValue"]


def test_receiver_knows_each_of_several_signatures(receiver: _Lab, tmp_path: Path) -> None:
    """While secrets are rolled over one signature of several is enough."""
    sink = _open(receiver.url, _secret_file(tmp_path, _NEXT, _SECRET), datetime.now(UTC))
    assert Receipt() == sink.deliver(handed())
    sink.close()

    assert 1 == len(receiver.end())


def test_receiver_and_another_secret(receiver: _Lab, tmp_path: Path) -> None:
    """With another secret nothing is taken, and to the sink that concerns everybody."""
    sink = _open(receiver.url, _secret_file(tmp_path, _NEXT), datetime.now(UTC))
    with pytest.raises(SinkUnavailable, match="our credentials are not accepted"):
        sink.deliver(handed())
    sink.close()

    assert not receiver.end()


@pytest.mark.parametrize("minutes", [-6, 6])
def test_receiver_and_stale_timestamps(receiver: _Lab, tmp_path: Path, minutes: int) -> None:
    """A request that was signed more than five minutes ago, or will be, is refused."""
    sink = _open(receiver.url, _secret_file(tmp_path, _SECRET), datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(SinkUnavailable, match="our credentials are not accepted"):
        sink.deliver(handed())
    sink.close()

    assert not receiver.end()


def test_receiver_reads_no_body_without_end(receiver: _Lab) -> None:
    """A length below nothing does not have it read for as long as somebody sends: it answers at once."""
    with socket.create_connection(("127.0.0.1", urlsplit(receiver.url).port or 0), timeout=PATIENCE) as sending:
        sending.sendall(b"POST / HTTP/1.0\r\nContent-Length: -1\r\n\r\n")
        answered = sending.recv(12)

    assert b"HTTP/1.0 401" == answered


def test_receiver_and_forgeries(receiver: _Lab) -> None:
    """Whatever is changed of a signed request, or left out, it is refused; the request itself, replayed, does nothing again."""
    now, body = datetime.now(UTC), b'{"a": 1}'
    genuine = _signed(body, now)
    later = str(int(genuine["webhook-timestamp"]) + 1)
    forgeries = [
        (b'{"a": 2}', genuine),
        (body, genuine | {"webhook-id": "another"}),
        (body, genuine | {"webhook-timestamp": later}),
        (body, genuine | {"webhook-timestamp": "²"}),
        (body, genuine | {"webhook-signature": genuine["webhook-signature"].replace("v1,", "v1a,")}),
        (body, genuine | {"webhook-signature": "v1,"}),
        (body, _signed(body, now, _NEXT)),
        *((body, {name: value for name, value in genuine.items() if name != left_out}) for left_out in genuine),
        (body, {}),
    ]
    for forged, headers in forgeries:
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        assert 401 == requests.post(receiver.url, forged, headers=encoded, timeout=PATIENCE).status_code

    assert [204, 204] == [_post(receiver, body, genuine) for _ in range(2)]
    assert [body] == receiver.end()
