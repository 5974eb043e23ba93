#!/usr/bin/env python3
"""Takes signed deliveries on 127.0.0.1, behind a web server that does TLS: python3 receiver.py PORT SECRET-FILE TAKEN.sqlite."""

import hmac
import sqlite3
import sys
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SECRETS = [b64decode(line.removeprefix("whsec_")) for line in Path(sys.argv[2]).read_text(encoding="ascii").split()]


class Receiver(BaseHTTPRequestHandler):
    """Verifies by Standard Webhooks; answers 204 to a delivery, whether it is new or was taken before, and 401 to anything else."""

    timeout = 10

    def do_POST(self) -> None:
        """Take a delivery."""
        name, sent, signatures = (self.headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
        body = self.rfile.read(min(max(int(self.headers.get("Content-Length", "0")), 0), 65536))
        content = f"{name}.{sent}.".encode("latin-1") + body
        ours = [b"v1," + b64encode(hmac.digest(secret, content, "sha256")) for secret in SECRETS]
        genuine = any(hmac.compare_digest(one.encode("latin-1"), other) for one in signatures.split() for other in ours)
        accepted = genuine and sent.isdecimal() and abs(time.time() - int(sent)) <= 300
        if accepted:
            take_once(name, body)
        self.send_response(204 if accepted else 401)
        self.end_headers()


def take_once(name: str, body: bytes) -> None:
    """Do what a delivery is for, unless that was done; where it fails nothing is noted, no answer is sent, and the delivery comes again."""
    with sqlite3.connect(sys.argv[3]) as books:
        books.execute("CREATE TABLE IF NOT EXISTS taken (id TEXT PRIMARY KEY)")
        if books.execute("INSERT OR IGNORE INTO taken VALUES (?)", (name,)).rowcount:
            # Here the message to your broker takes the place of this line.
            print(body.decode(), flush=True)  # noqa: T201


HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
