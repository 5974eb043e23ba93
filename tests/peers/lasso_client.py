"""lasso's client, run by the system's Python because lasso comes as a Debian package only."""

import json
import subprocess
from dataclasses import asdict
from functools import cache
from pathlib import Path

from tests.peers import missing, require
from tests.peers.lab import (
    EDU_PERSON_ORCID,
    URI_NAME_FORMAT,
    Member,
    Proof,
    Question,
    Reply,
    TrustedAuthority,
    reply,
    service_provider_metadata,
)

_SCRIPT = Path(__file__).parent / "scripts" / "lasso_query.py"
_DEADLINE_SECONDS = 60


def query(directory: Path, member: Member, authority: TrustedAuthority, question: Question) -> Reply:
    """Ask `authority` as `member`."""
    python = require("/usr/bin/python3", "python3")
    if not _has_lasso(python):
        missing("lasso is not installed for /usr/bin/python3 (Debian package python3-lasso)")
    own_metadata = directory / "lasso-own-metadata.xml"
    own_metadata.write_bytes(service_provider_metadata(member))
    asked = {
        "own_metadata": str(own_metadata),
        "key": str(member.keys.key),
        "certificate": str(member.keys.certificate),
        "authority": authority.entity_id,
        "authority_metadata": str(authority.metadata),
        "trusted": str(authority.trusted_certificates(directory)),
        "attribute": EDU_PERSON_ORCID,
        "attribute_name_format": URI_NAME_FORMAT,
        "name_id": asdict(question.name_id),
        "signed": question.proof is Proof.SIGNED,
        "client_certificate": question.proof is Proof.TLS,
        "tampering": dict(question.tampering),
    }
    done = subprocess.run([python, _SCRIPT], input=json.dumps(asked), capture_output=True, check=True, text=True, timeout=_DEADLINE_SECONDS)
    outcome = json.loads(done.stdout)
    return reply(outcome["attributes"], outcome["failure"], done.stderr)


@cache
def _has_lasso(python: Path) -> bool:
    return subprocess.run([python, "-c", "import lasso"], capture_output=True, check=False).returncode == 0
