"""A simulator of the ORCID registry: OAuth 2.0, OpenID Connect, revocation and a look at records, in memory, for localhost.

It says and refuses what ORCID does, in ORCID's words, and is otherwise as small as can be. Other than at ORCID, somebody whose record
is closed can still sign in, so that it can be shown what becomes of a permission for such a record.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from attribute_authority.demo.registry_api import error_object, json_answer, oauth_error, person
from attribute_authority.demo.registry_authorizing import AuthorizationRequest, sent_back
from attribute_authority.demo.registry_faults import Faults, Trouble
from attribute_authority.demo.registry_ledger import (
    Authorization,
    Ledger,
    NewToken,
    OauthError,
    RegisteredClient,
    Researcher,
    Standing,
    TokenPair,
    new_uuid,
)
from attribute_authority.demo.registry_pages import MEANINGS, STYLE, page
from attribute_authority.demo.registry_tokens import SigningKey, id_token_claims, make_signing_key, public_names
from attribute_authority.ports import Clock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SESSION_COOKIE = "orcid-simulator"

_ROUTES = Map(
    [
        Rule("/", endpoint="home", methods=["GET"]),
        Rule("/registry.css", endpoint="style", methods=["GET"]),
        Rule("/oauth/authorize", endpoint="authorize", methods=["GET", "POST"]),
        Rule("/oauth/token", endpoint="token", methods=["POST"]),
        Rule("/oauth/revoke", endpoint="revoke", methods=["POST"]),
        Rule("/oauth/userinfo", endpoint="userinfo", methods=["GET", "POST"]),
        Rule("/oauth/jwks", endpoint="jwks", methods=["GET"]),
        Rule("/.well-known/openid-configuration", endpoint="discovery", methods=["GET"]),
        Rule("/signout", endpoint="sign_out", methods=["GET"]),
        Rule("/institutional-signin", endpoint="institutional", methods=["GET", "POST"]),
        Rule("/v3.0/<orcid>/person", endpoint="person", methods=["GET"]),
    ]
)


class RegistrySimulator:
    """The registry as a WSGI application; `faults`, which may be exchanged for others at any time, is for tests alone.

    `clients` are by client_id. `new_token` makes codes, tokens and sessions.
    """

    def __init__(
        self,
        issuer_url: str,
        clients: Mapping[str, RegisteredClient],
        researchers: Iterable[Researcher],
        clock: Clock,
        *,
        new_token: NewToken = new_uuid,
        signing_key: SigningKey | None = None,
        faults: Faults | None = None,
    ) -> None:
        self._issuer = issuer_url.rstrip("/")
        self._clients = dict(clients)
        self._researchers = {researcher.orcid: researcher for researcher in researchers}
        self._clock = clock
        self._new_token = new_token
        self._keys = (signing_key or make_signing_key("simulator-1"),)
        self.faults = faults
        self._lock = Lock()
        self._sessions: dict[str, str] = {}
        self.ledger = Ledger(new_token)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        return self._respond(Request(environ))(environ, start_response)

    def keep_records(self, researchers: Iterable[Researcher]) -> None:
        """Hold these records from now on, and no others."""
        with self._lock:
            self._researchers = {researcher.orcid: researcher for researcher in researchers}

    def set_standing(self, orcid: str, standing: Standing, primary: str | None = None) -> None:
        """Close a record, or open it again; `primary` is the iD that a deprecated one gave way to."""
        with self._lock:
            self._researchers[orcid] = replace(self._researchers[orcid], standing=standing, primary=primary)

    def rotate_keys(self, new: SigningKey) -> None:
        """Sign with another key from now on, and publish no other."""
        with self._lock:
            self._keys = (new,)

    def _respond(self, request: Request) -> Response:
        trouble = None
        if self.faults is not None:
            self.faults.record(request)
            trouble = self.faults.next_trouble(request.path)
            if trouble is not None and trouble is not Trouble.ANSWER_LOST:
                return self.faults.make(trouble, request)
        response = self._route(request)
        return response if trouble is None or self.faults is None else self.faults.make(trouble, request)

    def _route(self, request: Request) -> Response:
        try:
            endpoint, values = _ROUTES.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return Response(error.name, error.code)
        response: Response = getattr(self, f"_{endpoint}")(request, **values)
        return response

    def _home(self, request: Request) -> Response:
        connecting = [(client_id, client.name) for client_id, client in self._clients.items() if client.connect_uri]
        return page("home", researchers=self._researchers.values(), connecting=connecting)

    def _style(self, request: Request) -> Response:
        return Response(STYLE, mimetype="text/css")

    def _authorize(self, request: Request) -> Response:
        asked = AuthorizationRequest.read(request)
        fault = asked.fault(self._clients)
        if fault is not None:
            # Whoever is at fault may not send browsers anywhere: no redirect.
            return page("refused", HTTPStatus.BAD_REQUEST, error=fault.error, description=fault.description)
        signed_in = None if asked.prompt == "login" and request.method == "GET" else self._signed_in(request)
        trusts = signed_in is not None and self.ledger.trusts(signed_in.orcid, asked.client_id, asked.scopes, self._clock())
        if asked.prompt == "none" and not trusts:
            return sent_back(asked, error="login_required" if signed_in is None else "interaction_required")
        if request.method == "GET" and signed_in is not None and trusts:
            return self._allowed(asked, signed_in)
        if request.method == "GET":
            return self._ask(request, asked, signed_in)
        return self._decide(request, asked, signed_in)

    def _ask(self, request: Request, asked: AuthorizationRequest, signed_in: Researcher | None, fault: str = "") -> Response:
        return page(
            "authorize",
            HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
            client=self._clients[asked.client_id].name,
            scopes=[(scope, MEANINGS.get(scope, scope)) for scope in asked.scopes],
            action=f"/oauth/authorize?{request.query_string.decode('latin-1')}",
            signed_in=signed_in,
            researchers=self._researchers.values(),
            fault=fault,
        )

    def _decide(self, request: Request, asked: AuthorizationRequest, signed_in: Researcher | None) -> Response:
        if request.form.get("decision") == "deny":
            return sent_back(asked, error="access_denied", error_description="User denied access")
        chosen = self._chosen(request) or signed_in
        if request.form.get("decision") != "authorize" or chosen is None:
            return self._ask(request, asked, signed_in, "Choose who you are, then authorize or deny.")
        return self._remembering(chosen, self._allowed(asked, chosen))

    def _allowed(self, asked: AuthorizationRequest, researcher: Researcher) -> Response:
        authorization = Authorization(
            asked.client_id, researcher.orcid, asked.scopes, asked.redirect_uri, asked.nonce, given_at=self._clock()
        )
        return sent_back(asked, code=self.ledger.issue_code(authorization))

    def _institutional(self, request: Request) -> Response:
        client_id = request.args.get("client_id", "")
        client = self._clients.get(client_id)
        if client is None or client.connect_uri is None:
            return page("refused", HTTPStatus.BAD_REQUEST, error="invalid_client", description="Institutional sign-in is not set up")
        signed_in = self._signed_in(request)
        chosen = (self._chosen(request) or signed_in) if request.method == "POST" else None
        if chosen is None:
            fault = "Choose who you are." if request.method == "POST" else ""
            shown = {"signed_in": signed_in, "researchers": self._researchers.values(), "fault": fault}
            status = HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK
            return page("institutional", status, client=client.name, action=f"{request.path}?client_id={client_id}", **shown)
        asked = AuthorizationRequest(client_id, "code", client.connect_uri, ("openid",), None, None, None)
        return self._remembering(chosen, self._allowed(asked, chosen))

    def _sign_out(self, request: Request) -> Response:
        with self._lock:
            self._sessions.pop(request.cookies.get(SESSION_COOKIE, ""), None)
        response = page("signed-out")
        response.delete_cookie(SESSION_COOKIE)
        return response

    def _signed_in(self, request: Request) -> Researcher | None:
        with self._lock:
            return self._researchers.get(self._sessions.get(request.cookies.get(SESSION_COOKIE, ""), ""))

    def _chosen(self, request: Request) -> Researcher | None:
        return self._researchers.get(request.form.get("researcher", ""))

    def _remembering(self, researcher: Researcher, response: Response) -> Response:
        session = self._new_token()
        with self._lock:
            self._sessions[session] = researcher.orcid
        response.set_cookie(SESSION_COOKIE, session, httponly=True, samesite="Lax")
        return response

    def _token(self, request: Request) -> Response:
        client_id, fault = self._authenticate(request)
        if fault is not None:
            return oauth_error(fault)
        issued = self._issue(request.form, client_id)
        if isinstance(issued, OauthError):
            return oauth_error(issued)
        response = json_answer(issued if self.faults is None else self.faults.token_response(issued))
        response.headers["OAUTH_AUTHORIZATION_CODE_EXCHANGE"] = "ON"
        return response

    def _issue(self, form: Mapping[str, str], client_id: str) -> dict[str, Any] | OauthError:
        scopes = tuple(form.get("scope", "").split())
        match form.get("grant_type"):
            case "authorization_code" if not form.get("code"):
                return OauthError(HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", "An authorization code must be supplied.")
            case "authorization_code" | "refresh_token" if not set(scopes) <= self._clients[client_id].scopes:
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_scope", f"Invalid scope: {form['scope']}")
            case "authorization_code":
                issued = self.ledger.redeem(form["code"], client_id, form.get("redirect_uri"), self._clock())
            case "refresh_token":
                issued = self.ledger.refresh(form.get("refresh_token", ""), client_id, scopes, self._clock())
            case "client_credentials" if len(scopes) == 1 and scopes[0] in ("/read-public", "/webhook"):
                return _without_researcher(self._new_token(), scopes[0])
            case "client_credentials":
                return OauthError(HTTPStatus.BAD_REQUEST, "invalid_scope", f"Invalid scope: {form.get('scope', '')}")
            case other:
                return OauthError(HTTPStatus.BAD_REQUEST, "unsupported_grant_type", f"Unsupported grant type: {other}")
        return issued if isinstance(issued, OauthError) else self._token_response(issued)

    def _token_response(self, pair: TokenPair) -> dict[str, Any]:
        researcher = self._researchers[pair.authorization.orcid]
        response = {
            "access_token": pair.access_token,
            "token_type": "bearer",
            "refresh_token": pair.refresh_token,
            "expires_in": int((pair.expires_at - self._clock()).total_seconds()),
            "scope": " ".join(pair.authorization.scopes),
            "name": researcher.public_name,
            "orcid": researcher.orcid,
        }
        if "openid" not in pair.authorization.scopes:
            return response
        claims = id_token_claims(self._issuer, pair, researcher, self._clock(), self._new_token())
        key = self._keys[0]
        return {**response, "id_token": key.sign(claims) if self.faults is None else self.faults.id_token(claims, key)}

    def _authenticate(self, request: Request) -> tuple[str, OauthError | None]:
        basic = request.authorization
        in_header = basic is not None and basic.type == "basic"
        client_id = (basic.username if basic and in_header else request.form.get("client_id")) or ""
        secret = basic.password if basic and in_header else request.form.get("client_secret")
        client = self._clients.get(client_id)
        if client is None:
            return "", OauthError(HTTPStatus.UNAUTHORIZED, "invalid_client", f"Client not found: {client_id}")
        if client.secret != secret:
            return "", OauthError(HTTPStatus.UNAUTHORIZED, "invalid_client", "Bad client credentials")
        if client.is_locked:
            return "", OauthError(HTTPStatus.BAD_REQUEST, "unauthorized_client", f"The client is locked: {client_id}")
        return client_id, None

    def _revoke(self, request: Request) -> Response:
        client_id, fault = self._authenticate(request)
        if fault is not None:
            return oauth_error(fault)
        self.ledger.revoke(request.form.get("token", ""), client_id)
        return Response(status=HTTPStatus.OK, headers={"Cache-Control": "no-store"})

    def _userinfo(self, request: Request) -> Response:
        bearer = request.authorization
        token = (bearer.token if bearer is not None and bearer.type == "bearer" else None) or ""
        pair = self.ledger.find_live(token, self._clock())
        if pair is None or "openid" not in pair.authorization.scopes:
            return oauth_error(OauthError(HTTPStatus.UNAUTHORIZED, "invalid_token", f"Invalid access token: {token}"))
        orcid = pair.authorization.orcid
        return json_answer({"id": f"{self._issuer}/{orcid}", "sub": orcid, **public_names(self._researchers[orcid])})

    def _jwks(self, request: Request) -> Response:
        return json_answer({"keys": [key.public_jwk() for key in self._keys]})

    def _discovery(self, request: Request) -> Response:
        # It promises what ORCID's promises; of the implicit grant there is nothing here.
        return json_answer(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{self._issuer}/oauth/authorize",
                "token_endpoint": f"{self._issuer}/oauth/token",
                "userinfo_endpoint": f"{self._issuer}/oauth/userinfo",
                "jwks_uri": f"{self._issuer}/oauth/jwks",
                "scopes_supported": ["openid"],
                "response_types_supported": ["code", "id_token", "id_token token"],
                "grant_types_supported": ["authorization_code", "implicit", "refresh_token"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "subject_types_supported": ["public"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "claims_supported": ["family_name", "given_name", "name", "auth_time", "iss", "sub"],
            }
        )

    def _person(self, request: Request, orcid: str) -> Response:
        researcher = self._researchers.get(orcid)
        if researcher is None:
            return error_object(HTTPStatus.NOT_FOUND, 9016, f"ORCID iD {orcid} not found")
        return person(researcher, self._issuer)


def _without_researcher(token: str, scope: str) -> dict[str, Any]:
    return {
        "access_token": token,
        "token_type": "bearer",
        "refresh_token": None,
        "expires_in": 631_138_518,
        "scope": scope,
        "name": None,
        "orcid": None,
    }
