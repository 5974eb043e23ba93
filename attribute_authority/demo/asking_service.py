"""How the demo's service provider asks the authority: a signed AttributeQuery over TLS, as any service provider would send it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from attribute_authority.commands.naming import name_id_of
from attribute_authority.domain.identifiers import Identifier, IdentifierKind
from attribute_authority.errors import CouldNotAsk
from attribute_authority.keys import FreshKey
from attribute_authority.ports import Clock
from attribute_authority.saml.asking import Question, read_response, write_query
from attribute_authority.saml.namespaces import SOAP_ACTION, STATUS_SUCCESS

_TIMEOUT_SECONDS: Final = 10
_PREFERRED: Final = (IdentifierKind.SUBJECT_ID, IdentifierKind.EPPN, IdentifierKind.UNIQUE_ID)


@dataclass(frozen=True, slots=True)
class Authority:
    """The attribute authority as its metadata tells it; `tls_certificate` is the file with what its TLS is trusted by."""

    attribute_query_url: str
    signing_certificate: bytes
    tls_certificate: Path


@dataclass(frozen=True, slots=True)
class Told:
    """What the authority answered about an identifier, and how long it took; `values` is None where it could not be asked."""

    identifier: str
    values: tuple[str, ...] | None
    milliseconds: float


class AskingService:
    """Asks as one service provider; `clock` tells the instant, `stopwatch` counts seconds, `new_id` makes message ids."""

    def __init__(
        self,
        entity_id: str,
        keys: FreshKey,
        authority: Authority,
        *,
        clock: Clock,
        stopwatch: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._entity_id = entity_id
        self._keys = keys
        self._authority = authority
        self._clock = clock
        self._stopwatch = stopwatch
        self._new_id = new_id

    def ask(self, identifiers: tuple[Identifier, ...]) -> Told:
        """Ask about a person by the best of the identifiers of the login. Raises CouldNotAsk where there is none to ask with."""
        identifier = next((known for kind in _PREFERRED for known in identifiers if known.kind is kind), None)
        if identifier is None:
            raise CouldNotAsk("the login brought no identifier to ask with")
        started = self._stopwatch()
        try:
            values = self._values(identifier)
        except (CouldNotAsk, requests.RequestException):
            values = None
        return Told(str(identifier), values, (self._stopwatch() - started) * 1000)

    def _values(self, identifier: Identifier) -> tuple[str, ...]:
        url = self._authority.attribute_query_url
        question = Question(self._new_id(), self._entity_id, url, name_id_of(identifier))
        answer = requests.post(
            url,
            write_query(question, self._clock(), self._keys.key, self._keys.certificate),
            headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{SOAP_ACTION}"'},
            verify=str(self._authority.tls_certificate),
            timeout=_TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        heard = read_response(answer.content, question, (self._authority.signing_certificate,))
        if heard.codes[:1] != (STATUS_SUCCESS,) or "Response" not in heard.signed:
            raise CouldNotAsk(f"the authority answered {' '.join(heard.codes)}: {heard.message}")
        return heard.values
