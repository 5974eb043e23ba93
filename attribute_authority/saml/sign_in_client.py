"""pysaml2's client for one sign-in: a fresh one for each message, knowing one identity provider and keeping nothing.

Its clock is the machine's, its log lines hold whole messages. So its judgement of time is widened until it never decides (ours is
in `response_profile`), and its loggers lead nowhere.
"""

import logging
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from xml.etree import ElementTree
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import quoteattr

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, SAMLError
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.s_utils import SamlException
from saml2.validate import NotValid, ResponseLifetimeExceed, ToEarly
from saml2.xmldsig import SIG_RSA_SHA256

from attribute_authority.errors import CouldNotAsk, SignInFailed
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.sign_in_crypto import Proven, security_context
from attribute_authority.saml.signing import RsaSigner, Signer

_PREFIXES: Final[dict[str, str]] = vars(ElementTree)["_namespace_map"]
_STOCK: Final = frozenset(_PREFIXES)
_NO_CLOCK: Final = 30 * 366 * 86_400
_LIBRARY_LOGGER: Final = logging.getLogger("saml2")
# With a handler of its own nothing goes to standard error, and nothing goes on to the root's handlers.
_LIBRARY_LOGGER.addHandler(logging.NullHandler())
_LIBRARY_LOGGER.propagate = False
_LIBRARY_LOGGER.setLevel(logging.CRITICAL + 1)

_FAILURES: Final = (
    SAMLError,
    SamlException,
    NotValid,
    ResponseLifetimeExceed,
    ToEarly,
    ParseError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
)


@dataclass(frozen=True, slots=True)
class SignInClient:
    """Speaks with one identity provider as one service provider; `signer` signs requests where its key is RSA."""

    entity_id: str
    acs_url: str
    identity_provider: str
    sign_on_url: str
    signer: Signer | None

    def request_url(self, message_id: str, now: datetime) -> str:
        """Write an AuthnRequest and return where the browser takes it, by HTTP-Redirect (bindings 3.4). Raises CouldNotAsk."""
        # For keys on elliptic curves receivers do not agree on the form of a signature in a query string.
        signer = self.signer if isinstance(self.signer, RsaSigner) else None
        try:
            _, redirect = self._client(None, signer).prepare_for_authenticate(
                entityid=self.identity_provider,
                binding=BINDING_HTTP_REDIRECT,
                sign=signer is not None,
                sigalg=SIG_RSA_SHA256,
                message_id=message_id,
                issue_instant=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            )
        except _FAILURES as error:
            raise CouldNotAsk(f"no AuthnRequest could be written: {type(error).__name__}") from error
        return str(dict(redirect["headers"])["Location"])

    def check(self, proven: Proven, message_id: str) -> None:
        """Have pysaml2 process a Response that is proven by its own rules. Raises SignInFailed where it does not accept it."""
        client = self._client(proven, None)
        encoded = b64encode(proven.shown).decode()
        try:
            answer = client.parse_authn_request_response(
                encoded, BINDING_HTTP_POST, outstanding={message_id: self.acs_url}, conv_info={"entity_id": self.entity_id}
            )
        except _FAILURES as error:
            _forget_prefixes()
            # What it says quotes the whole message, and a traceback would show it.
            raise SignInFailed(f"pysaml2 does not accept the Response: {type(error).__name__}") from None
        if answer is None or [assertion.id for assertion in answer.assertions] != [proven.assertion.message_id]:
            raise SignInFailed("pysaml2 does not read the assertion that was proven")

    def _client(self, proven: Proven | None, signer: Signer | None) -> Any:
        client = Saml2Client(config=self._configuration())
        client.sec = security_context(self.identity_provider, proven, signer)
        return client

    def _configuration(self) -> Any:
        service = {
            "endpoints": {"assertion_consumer_service": [(self.acs_url, BINDING_HTTP_POST)]},
            "want_response_signed": False,
            "want_assertions_or_response_signed": True,
        }
        return SPConfig().load(
            {
                "entityid": self.entity_id,
                # The only one of its own that neither needs nor starts a program; it is replaced before anything is asked of it.
                "crypto_backend": "XMLSecurity",
                "metadata": {"inline": [self._metadata()]},
                "service": {"sp": service},
                "accepted_time_diff": _NO_CLOCK,
                "allow_unknown_attributes": True,
            }
        )

    def _metadata(self) -> str:
        role = f'protocolSupportEnumeration="{ns.PROTOCOL}"'
        endpoint = f'Binding="{ns.BINDING_HTTP_REDIRECT}" Location={quoteattr(self.sign_on_url)}'
        return (
            f'<md:EntityDescriptor xmlns:md="{ns.MD}" entityID={quoteattr(self.identity_provider)}><md:IDPSSODescriptor {role}>'
            f"<md:SingleSignOnService {endpoint}/></md:IDPSSODescriptor></md:EntityDescriptor>"
        )


def _forget_prefixes() -> None:
    """Drop the prefixes of a refused message: where it breaks the schema, xmlschema registers them for the whole process, for good."""
    for uri in set(_PREFIXES) - _STOCK:
        _PREFIXES.pop(uri, None)
