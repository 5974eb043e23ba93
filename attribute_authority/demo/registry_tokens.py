"""The signing keys of the simulated ORCID registry, and the id_tokens that are signed with them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from attribute_authority.demo.registry_ledger import Researcher, TokenPair

ID_TOKEN_LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair and the `kid` that it is published under."""

    kid: str
    pair: RSAKey

    def public_jwk(self) -> dict[str, Any]:
        """Return what stands in the JWK Set."""
        return {**self.pair.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return the claims as a signed token (RS256)."""
        return jwt.encode({"alg": "RS256", "kid": self.kid}, claims, self.pair, algorithms=["RS256"])


def make_signing_key(kid: str) -> SigningKey:
    """Make a fresh RSA key of 2048 bits."""
    return SigningKey(kid, RSAKey.generate_key(2048))


def id_token_claims(issuer: str, pair: TokenPair, researcher: Researcher, now: datetime, token_id: str) -> dict[str, Any]:
    """Return what an id_token says about a researcher; names stand in it only where the record shows them."""
    authorization = pair.authorization
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": authorization.client_id,
        "sub": authorization.orcid,
        "auth_time": int(authorization.given_at.timestamp()),
        "amr": "pwd",
        "iat": int(now.timestamp()),
        "exp": int((now + ID_TOKEN_LIFETIME).timestamp()),
        "jti": token_id,
    }
    if authorization.nonce is not None:
        claims["nonce"] = authorization.nonce
    return {**claims, **public_names(researcher)}


def public_names(researcher: Researcher) -> dict[str, Any]:
    """Return the name claims of a record, none where it hides the name."""
    if researcher.public_name is None:
        return {}
    return {"name": researcher.public_name, "given_name": researcher.given_name, "family_name": researcher.family_name}
