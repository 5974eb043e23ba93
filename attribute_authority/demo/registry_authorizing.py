"""The request that a browser brings to the authorization endpoint, and the way back (RFC 6749 sections 4.1.1 and 4.1.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

from werkzeug.wrappers import Request, Response

from attribute_authority.demo.registry_ledger import OauthError, RegisteredClient


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks for, by way of the browser. Absent values are None."""

    client_id: str
    response_type: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    nonce: str | None
    prompt: str | None

    @classmethod
    def read(cls, request: Request) -> Self:
        """Read the query of a request."""
        given = request.args
        return cls(
            client_id=given.get("client_id", ""),
            response_type=given.get("response_type", ""),
            redirect_uri=given.get("redirect_uri", ""),
            scopes=tuple(given.get("scope", "").split()),
            state=given.get("state"),
            nonce=given.get("nonce"),
            prompt=given.get("prompt"),
        )

    def fault(self, clients: Mapping[str, RegisteredClient]) -> OauthError | None:
        """Return what ORCID shows on a page of its own instead of sending the browser back."""
        client = clients.get(self.client_id)
        if client is None:
            return self._fault("invalid_client", "Client not found")
        if client.is_locked:
            return self._fault("unauthorized_client", "The client is locked")
        if self.redirect_uri not in client.redirect_uris:
            return self._fault("invalid_grant", "Redirect URI doesn't match your registered redirect URIs.")
        if self.response_type != "code":
            return self._fault("unsupported_response_type", "Only the response type code is supported.")
        if not self.scopes or not set(self.scopes) <= client.scopes:
            return self._fault("invalid_scope", "The scope is missing, or not one that this client may ask for.")
        return None

    @staticmethod
    def _fault(error: str, description: str) -> OauthError:
        return OauthError(HTTPStatus.BAD_REQUEST, error, description)


def sent_back(asked: AuthorizationRequest, **parameters: str) -> Response:
    """Send the browser back to the client with parameters and, where one was given, the state."""
    if asked.state is not None:
        parameters["state"] = asked.state
    joint = "&" if urlsplit(asked.redirect_uri).query else "?"
    location = f"{asked.redirect_uri}{joint}{urlencode(parameters, quote_via=quote)}"
    return Response(
        status=HTTPStatus.SEE_OTHER, headers={"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    )
