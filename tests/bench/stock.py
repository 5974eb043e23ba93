"""The peer: pysaml2's own attribute authority, with the xmlsec1 program, as its documentation sets it up.

usage: python -m tests.bench.stock KEY CERTIFICATE METADATA DATABASE
"""

import shutil
import sqlite3
import sys
from pathlib import Path

from saml2 import BINDING_SOAP
from saml2.config import Config
from saml2.saml import NAME_FORMAT_URI
from saml2.server import Server

from tests.bench.site import serve

_ENTITY_ID = "https://stock.example/aa"
_FIND = """
SELECT link.orcid FROM identifier JOIN link ON link.subject_id = identifier.subject_id
WHERE identifier.kind = 'eppn' AND identifier.value = ? AND identifier.name_qualifier = '' AND identifier.sp_name_qualifier = ''
AND link.environment = 'production' AND link.withdrawn_at IS NULL
"""


def main() -> None:
    """Answer signed queries with a signed Response."""
    key, certificate, metadata, database = map(Path, sys.argv[1:])
    authority = Server(config=_configure(key, certificate, metadata))
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)

    def answer(body: bytes) -> bytes:
        query = authority.parse_attribute_query(body.decode(), BINDING_SOAP).message
        found = connection.execute(_FIND, (query.subject.name_id.text,)).fetchone()
        response = authority.create_attribute_response(
            {"eduPersonOrcid": [f"https://orcid.org/{found[0]}"]},
            query.id,
            "",
            query.issuer.text,
            name_id=query.subject.name_id,
            sign_response=True,
        )
        envelope = authority.apply_binding(BINDING_SOAP, str(response), response=True)["data"]
        return envelope.encode() if isinstance(envelope, str) else bytes(envelope)

    serve(answer, key, certificate)


def _configure(key: Path, certificate: Path, metadata: Path) -> Config:
    service = {
        "endpoints": {"attribute_service": [(_ENTITY_ID, BINDING_SOAP)]},
        "policy": {"default": {"name_form": NAME_FORMAT_URI}},
    }
    settings = {
        "entityid": _ENTITY_ID,
        "xmlsec_binary": shutil.which("xmlsec1"),
        "key_file": str(key),
        "cert_file": str(certificate),
        "metadata": {"local": [str(metadata)]},
        "service": {"aa": service},
    }
    return Config().load(settings)


if __name__ == "__main__":
    main()
