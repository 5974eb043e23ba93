"""A web service that takes whatever it is sent, over kept connections, and says nothing: the least that a REST sink can be delivered to.

usage: python -m tests.bench.receiver

To GET it says how many requests of other kinds it has taken, and over how many connections.
"""

import asyncio
import json
import sys
from dataclasses import dataclass, field

_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


@dataclass(slots=True)
class Counted:
    """How many requests came, and how many connections they came over."""

    requests: int = 0
    connections: set[int] = field(default_factory=set)

    def tell(self) -> bytes:
        """Return the answer to whoever asks for it."""
        body = json.dumps({"requests": self.requests, "connections": len(self.connections)}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class _Receiver(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, number: int, counted: Counted) -> None:
        self._number = number
        self._counted = counted
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (size := _size_of(self._received)) and len(self._received) >= size:
            self._transport.write(self._answer())
            self._received = self._received[size:]

    def _answer(self) -> bytes:
        if self._received.startswith(b"GET "):
            return self._counted.tell()
        self._counted.requests += 1
        self._counted.connections.add(self._number)
        return _TAKEN


def _size_of(received: bytes) -> int:
    """Size in bytes of the first request, or 0 while its head has not come."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if not end:
        return 0
    length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
    return len(head) + len(end) + int(length or 0)


async def _serve() -> None:
    counted = Counted()
    numbers = iter(range(sys.maxsize))
    server = await asyncio.get_running_loop().create_server(lambda: _Receiver(next(numbers), counted), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"event": "listening", "url": f"http://127.0.0.1:{port}/"}), file=sys.stderr, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
