"""Sessions: who is signed in in this browser, for a fixed time, on any node."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from attribute_authority.domain.linking import SignedIn
from attribute_authority.web.companion.sealed_states import SealedStates, digest


@dataclass(frozen=True, slots=True)
class Session:
    """A session; `csrf` stands in every form of it, and `reference` names it to other states without opening it."""

    person: SignedIn
    csrf: str
    reference: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Sessions:
    """Begins, finds and ends sessions; each sign-in has a new one, so that nobody can prepare a session for somebody else."""

    states: SealedStates[Session]
    lifetime: timedelta
    new_secret: Callable[[], str]

    def begin(self, person: SignedIn, now: datetime) -> str:
        """Begin a session and return its secret. Raises CouldNotAsk."""
        secret = self.new_secret()
        session = Session(person, self.new_secret(), digest(f"reference:{secret}"), now + self.lifetime)
        self.states.keep(secret, session, session.expires_at)
        return secret

    def find(self, secret: str | None, now: datetime) -> Session | None:
        """Return the session of a secret, or None. Raises CouldNotAsk."""
        return None if secret is None else self.states.read(secret, now)

    def end(self, secret: str | None, now: datetime) -> None:
        """End a session for good, wherever its cookie may still be. Raises CouldNotAsk."""
        if secret is not None:
            self.states.take(secret, now)
