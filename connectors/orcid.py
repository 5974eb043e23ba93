"""The ORCID registry: OAuth 2.0 authorization code flow and OpenID Connect, as a confidential client; ORCID has no PKCE.

When ORCID sends a researcher back without a code, it appends `error` and `error_description` (RFC 6749 section 4.1.2.1):
`access_denied` for a refusal, `login_required` or `interaction_required` where prompt=none was asked for. An unregistered redirect URI,
an unknown client or a missing scope is shown by ORCID on a page of its own, and nobody comes back.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import requests
from authlib.integrations.requests_client import OAuth2Session

from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.domain.linking import AuthorizationRequest, Grant
from attribute_authority.errors import InvalidIdentifier, RecordClosed, RegistryRefused, RegistryUnavailable
from connectors._http import bind
from connectors._openid import Expected, JwkSet, KeyCache, verified_claims
from connectors._token_answer import Secrets, TokenAnswer, judge, parse_object, revocation_refusal, text_of

if TYPE_CHECKING:
    from attribute_authority.ports import Registry

OPENID: Final = "openid"
AUTHENTICATE: Final = "/authenticate"

_COURTESY_SECONDS: Final = 2.0
"""How long the record, which may stay unread, and tokens of no use, which may stay unrevoked, are given."""

_LANGUAGES: Final = {"en": "en"}
_CODE = re.compile(r"[\x21-\x7e]{1,512}")
_JSON: Final = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class ClientRegistration:
    """Our registration at the ORCID registry; `timeout` is in seconds, for one request.

    `registry_url` is the base URL of a simulator, for demonstrations and tests; None for the registry of `environment`.
    """

    environment: Environment
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = (OPENID,)
    timeout: float = 5.0
    registry_url: str | None = None

    @property
    def base_url(self) -> str:
        """Where the registry's pages and OAuth endpoints are."""
        return (self.registry_url or f"https://{self.environment.host}").rstrip("/")

    @property
    def public_api(self) -> str:
        """Base URL of the Public API, version 3.0."""
        return f"{self.registry_url.rstrip('/') if self.registry_url else f'https://pub.{self.environment.host}'}/v3.0"

    @property
    def issuers(self) -> frozenset[str]:
        """Who may have issued an id_token: the sandbox has called itself by the production name too, and signs with its own keys."""
        if self.registry_url is None and self.environment is Environment.SANDBOX:
            return frozenset({self.base_url, f"https://{Environment.PRODUCTION.host}"})
        return frozenset({self.base_url})


class OrcidRegistry:
    """The registry as `ports.Registry` wants it. One instance serves all threads of a process; it keeps nothing but the public keys."""

    def __init__(self, client: ClientRegistration) -> None:
        self._client = client
        self._keys = KeyCache(self._fetch_keys, client.timeout)

    @property
    def sign_out_url(self) -> str:
        """Where a person signs out at the registry."""
        return f"{self._client.base_url}/signout"

    @property
    def origin(self) -> str:
        """Scheme and host of the registry's pages."""
        return "/".join(self._client.base_url.split("/")[:3])

    def authorize_url(self, request: AuthorizationRequest) -> str:
        """Return the address that the browser is sent to (RFC 6749 section 4.1.1).

        ORCID's pages have neither Finnish nor Swedish: whoever reads these gets English.
        """
        extras = {"nonce": request.nonce} if OPENID in self._client.scopes else {}
        if request.signs_in_anew:
            extras["prompt"] = "login"
        with self._session(self._client.timeout) as session:
            url, _ = session.create_authorization_url(
                f"{self._client.base_url}/oauth/authorize",
                state=request.state,
                redirect_uri=request.redirect_uri,
                scope=" ".join(self._client.scopes),
                lang=_LANGUAGES.get(request.language, "en"),
                **extras,
            )
        return str(url)

    def exchange(self, code: str, redirect_uri: str, nonce: str | None, now: datetime) -> Grant:
        """Exchange a code, once, and return what was granted after every check of the id_token (OpenID Connect Core 3.1.3.7).

        A `nonce` of None means that the researcher came from ORCID by itself; an id_token that has one is refused then.
        Tokens that turn out to be of no use are revoked as far as the registry lets them.
        Raises RegistryRefused, RecordClosed, RegistryUnavailable; the code must not be tried again after any of them.
        """
        if _CODE.fullmatch(code) is None:
            raise RegistryRefused("the code is not of the form of RFC 6749 appendix A.11")
        if OPENID in self._client.scopes:
            # Without keys the code would be spent for nothing.
            self._keys.prepare(now)
        answer = self._redeem(code, redirect_uri)
        try:
            return self._grant(answer, nonce, now)
        except (RegistryRefused, RecordClosed, RegistryUnavailable):
            self._give_back(answer)
            raise

    def revoke(self, response: str) -> None:
        """Revoke every token of a token response (RFC 7009); tokens that are not valid any more are no failure.

        Raises RegistryUnavailable.
        """
        held = parse_object(response) or {}
        for name in ("refresh_token", "access_token"):
            token = held.get(name)
            if isinstance(token, str) and token:
                self._revoke_token(token, name, self._client.timeout)

    def _redeem(self, code: str, redirect_uri: str) -> TokenAnswer:
        secrets = Secrets(self._client.client_secret, code)
        try:
            with self._session(self._client.timeout) as session:
                # Authlib's own reading takes for granted that what the other side sends is well-formed.
                session.parse_response_token = lambda response: judge(response, self._client.scopes, secrets)
                answer: TokenAnswer = session.fetch_token(
                    f"{self._client.base_url}/oauth/token",
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=redirect_uri,
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise RegistryUnavailable(secrets.hide(f"the token endpoint cannot be reached: {type(error).__name__}: {error}")) from None
        return answer

    def _grant(self, answer: TokenAnswer, nonce: str | None, now: datetime) -> Grant:
        if not {OPENID, AUTHENTICATE}.intersection(answer.scopes):
            raise RegistryRefused("the scopes that were granted do not authenticate the researcher")
        orcid = self._authenticated_orcid(answer, nonce, now)
        self._look_at_record(orcid)
        expires_at = None if answer.expires_in is None else now + answer.expires_in
        return Grant(orcid, answer.name, answer.scopes, expires_at, answer.text)

    def _authenticated_orcid(self, answer: TokenAnswer, nonce: str | None, now: datetime) -> OrcidId:
        if OPENID not in self._client.scopes:
            return self._parse_orcid(answer.orcid)
        if answer.id_token is None:
            raise RegistryRefused("the token response has no id_token, though openid was asked for")
        expected = Expected(self._client.issuers, self._client.client_id, nonce)
        orcid = self._parse_orcid(verified_claims(answer.id_token, self._keys, expected, now).get("sub"))
        if answer.orcid is not None and self._parse_orcid(answer.orcid) != orcid:
            raise RegistryRefused("the id_token and the token response are about different researchers")
        return orcid

    def _parse_orcid(self, text: object) -> OrcidId:
        if not isinstance(text, str):
            raise RegistryRefused("the token response names no iD")
        try:
            return OrcidId.parse(text, self._client.environment)
        except InvalidIdentifier:
            raise RegistryRefused("the token response names something that is no iD of this registry") from None

    def _look_at_record(self, orcid: OrcidId) -> None:
        try:
            status = self._get(f"{self._client.public_api}/{orcid.value}/person", min(_COURTESY_SECONDS, self._client.timeout)).status_code
        except requests.RequestException:
            # The token itself proves the iD.
            return
        if status == HTTPStatus.MOVED_PERMANENTLY:
            raise RecordClosed("the record is deprecated in favour of another one (301)")
        if status == HTTPStatus.CONFLICT:
            raise RecordClosed("the record is deactivated or locked (409)")

    def _give_back(self, answer: TokenAnswer) -> None:
        try:
            for name, token in answer.tokens:
                self._revoke_token(token, name, min(_COURTESY_SECONDS, self._client.timeout))
        except RegistryUnavailable:
            # What the researcher is told is why the tokens were of no use.
            return

    def _revoke_token(self, token: str, name: str, timeout: float) -> None:
        secrets = Secrets(self._client.client_secret, token)
        try:
            with self._session(timeout) as session:
                response = session.revoke_token(
                    f"{self._client.base_url}/oauth/revoke", token=token, token_type_hint=name, headers=dict(_JSON), allow_redirects=False
                )
        except requests.RequestException as error:
            raise RegistryUnavailable(secrets.hide(f"the revocation endpoint cannot be reached: {type(error).__name__}: {error}")) from None
        refusal = revocation_refusal(response, secrets)
        if refusal is not None:
            raise RegistryUnavailable(refusal)

    def _fetch_keys(self) -> JwkSet:
        try:
            response = self._get(f"{self._client.base_url}/oauth/jwks", self._client.timeout)
        except requests.RequestException as error:
            raise RegistryUnavailable(f"the keys of the registry cannot be fetched: {type(error).__name__}: {error}") from error
        key_set = parse_object(text_of(response)) if response.status_code == HTTPStatus.OK else None
        if key_set is None:
            raise RegistryUnavailable(f"the keys of the registry cannot be read (HTTP status {response.status_code})")
        return key_set

    def _get(self, url: str, timeout: float) -> requests.Response:
        with requests.Session() as session:
            bind(session, timeout)
            return session.get(url, headers=_JSON, allow_redirects=False)

    def _session(self, timeout: float) -> Any:
        session = OAuth2Session(
            self._client.client_id,
            self._client.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            revocation_endpoint_auth_method="client_secret_post",
        )
        bind(session, timeout)
        return session


if TYPE_CHECKING:
    _conforms: type[Registry] = OrcidRegistry
