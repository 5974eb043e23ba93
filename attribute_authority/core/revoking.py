"""Revoking permissions at ORCID that serve nothing any more, for as long as it takes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from attribute_authority.domain.linking import DueRevocation
from attribute_authority.errors import CouldNotAsk
from attribute_authority.events import EventLog
from attribute_authority.ports import Clock, LinkingStore, Registry
from attribute_authority.sealing import Sealer

_LEASE: Final = timedelta(minutes=2)
_AT_ONCE: Final = 5
_FIRST_PAUSE: Final = timedelta(seconds=15)
_LONGEST_PAUSE: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Revoking:
    """Takes what is due from the store and revokes it at the registry; several workers and nodes may do so at once."""

    store: LinkingStore
    registry: Registry
    sealer: Sealer
    events: EventLog
    clock: Clock

    def run_due(self) -> int:
        """Revoke what is due, a few grants at most; returns how many were revoked. Raises CouldNotAsk where the store is away."""
        due = self.store.claim_revocations(self.clock(), _LEASE, _AT_ONCE)
        return sum(self._revoke(revocation) for revocation in due)

    def _revoke(self, due: DueRevocation) -> bool:
        response = self.sealer.open(due.sealed)
        try:
            if response is None:
                raise CouldNotAsk("the sealed token opens with none of the sealing keys")
            self.registry.revoke(response.decode())
        except CouldNotAsk as failure:
            self.store.record_revocation_failure(due.grant_id, self.clock() + pause_after(due.failures + 1))
            self.events.fault("revocation-failed", grant=due.grant_id, failures=due.failures + 1, cause=failure.cause)
            return False
        self.store.record_revoked(due.grant_id, self.clock())
        self.events.operation("revoked", grant=due.grant_id)
        return True


def pause_after(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row: twice as long each time, six hours at most."""
    return min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 20), _LONGEST_PAUSE)
