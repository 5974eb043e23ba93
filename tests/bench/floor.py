"""The floor: one RSA-2048 signature checked, some made, and Twisted's own handling of a request over TLS; nothing can cost less.

usage: python -m tests.bench.floor KEY CERTIFICATE ANSWER SIGNATURES     ANSWER is a file with what to send back

With one signature it is the floor of a service that signs the Response alone, as the stock peer does;
with two, of one that signs Response and Assertion, as the authority does.
With none there is none to check either: it is the floor of the lookup door, which knows its callers by a token or the TLS connection.
"""

import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.bench.site import serve

# About the size of a SignedInfo, which is what is hashed for a signature.
_SIGNED_INFO = b"." * 900


def main() -> None:
    """Serve the same answer to everybody, at the price of its signatures."""
    key_file, certificate_file, answer_file = map(Path, sys.argv[1:4])
    signatures = int(sys.argv[4])
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    public_key = key.public_key()
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    signature = key.sign(_SIGNED_INFO, scheme, digest)
    constant = answer_file.read_bytes()

    def answer(_query: bytes) -> bytes:
        if signatures:
            public_key.verify(signature, _SIGNED_INFO, scheme, digest)
        for _ in range(signatures):
            key.sign(_SIGNED_INFO, scheme, digest)
        return constant

    serve(answer, key_file, certificate_file)


if __name__ == "__main__":
    main()
