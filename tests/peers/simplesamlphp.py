"""SimpleSAMLphp, as its Debian package installs it, asking the way its attributeaggregator module does.

The module itself is not packaged; `scripts/simplesamlphp_query.php` makes the same calls of the library with the module's settings,
which come from the published snippets of `deploy/simplesamlphp`. Queries are always signed, and the client certificate is presented too.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from tests.peers import missing, require
from tests.peers.lab import Member, NameId, Reply, TrustedAuthority, reply

_INSTALLED = Path("/usr/share/simplesamlphp")
_SCRIPTS = Path(__file__).parent / "scripts"
_SNIPPETS = Path(__file__).parents[2] / "deploy" / "simplesamlphp"
_EXTENSIONS = frozenset({"dom", "mbstring", "openssl", "soap"})
_DEADLINE_SECONDS = 60


class Mode(StrEnum):
    """Which part of the library judges the answer.

    SOAP: the SOAP client and the signature check. PROCESS: everything that the response of a login undergoes.
    """

    SOAP = "soap"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Question:
    """One query; `tampering` replaces text in the NameID after the query was signed.

    A `name_id` whose Format is the attribute of the published settings is sent in the Format of these settings.
    """

    name_id: NameId
    mode: Mode = Mode.PROCESS
    tampering: Mapping[str, str] = field(default_factory=dict)


def query(directory: Path, member: Member, authority: TrustedAuthority, question: Question) -> Reply:
    """Ask `authority` as `member`."""
    php = _installed_php()
    asked = {
        "directory": str(directory),
        "snippets": str(_SNIPPETS),
        "entity_id": member.entity_id,
        "acs_url": member.acs_url,
        "key": str(member.keys.key),
        "certificate": str(member.keys.certificate),
        "authority": authority.entity_id,
        "authority_metadata": str(authority.metadata),
        "name_id": asdict(question.name_id),
        "path": question.mode,
        "tampering": dict(question.tampering),
    }
    (directory / "question.json").write_text(json.dumps(asked))
    (directory / "config.php").write_text((_SCRIPTS / "simplesamlphp_config.php").read_text())
    done = subprocess.run(
        [php, "-d", "display_errors=stderr", _SCRIPTS / "simplesamlphp_query.php"],
        capture_output=True,
        check=True,
        text=True,
        timeout=_DEADLINE_SECONDS,
        env={**os.environ, **_environment(directory)},
    )
    outcome = json.loads(done.stdout)
    log = directory / "simplesamlphp.log"
    return reply(outcome["attributes"], outcome["failure"], (log.read_text() if log.exists() else "") + done.stderr)


def _environment(directory: Path) -> dict[str, str]:
    return {
        "SIMPLESAMLPHP": str(_INSTALLED),
        "SIMPLESAMLPHP_CONFIG_DIR": str(directory),
        "QUESTION_FILE": str(directory / "question.json"),
    }


def _installed_php() -> Path:
    php = require("php", "php-cli")
    if not _INSTALLED.is_dir():
        missing(f"{_INSTALLED} is not installed (Debian package simplesamlphp)")
    if absent := sorted(_EXTENSIONS.difference(_extensions(php))):
        missing(f"PHP has no {', '.join(absent)} (Debian packages php-xml, php-soap, php-mbstring)")
    return php


@cache
def _extensions(php: Path) -> frozenset[str]:
    return frozenset(subprocess.run([php, "-m"], capture_output=True, check=True, text=True).stdout.lower().split())
