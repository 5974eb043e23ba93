"""What every board of outages and every store of clients does; a back end has fixtures `board` and `clients` that give empty ones."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from attribute_authority.domain.client import Client, NewClient
from attribute_authority.domain.source import Outage
from attribute_authority.errors import Conflict
from attribute_authority.ports import ClientStore, OutageBoard
from tests.conformance.samples import HOME, NOW, OTHER_HOME, SERVICE
from tests.conformance.together import at_once

SOON = NOW + timedelta(seconds=30)
MUCH_LATER = NOW + timedelta(days=365)
MOMENT = timedelta(microseconds=1)
OUTAGE = Outage("directory", 3, NOW, SOON, "ldaps://ldap.example: timed out")
TOKEN = hashlib.sha256(b"token").digest()


class OutageBoardConformance:
    """Telling of outages."""

    def test_source_without_outage_is_none(self, board: OutageBoard) -> None:
        """What nobody has reported is none, and clearing it is no error."""
        board.clear_outage("directory")

        assert board.read_outage("directory") is None
        assert () == board.list_outages()

    def test_last_outage_is_told(self, board: OutageBoard) -> None:
        """A later record takes the place of an earlier one of the same source."""
        board.record_outage(OUTAGE)
        later = Outage("directory", 4, NOW + MOMENT, MUCH_LATER, "")
        board.record_outage(later)

        assert later == board.read_outage("directory")

    def test_sources_are_apart(self, board: OutageBoard) -> None:
        """Every source has an outage of its own, listed by name."""
        for source in ("stored", "directory", "ä'%s"):
            board.record_outage(replace(OUTAGE, source=source))
        board.clear_outage("stored")

        assert ["directory", "ä'%s"] == [outage.source for outage in board.list_outages()]
        assert board.read_outage("Directory") is None

    def test_cleared_outage_is_over(self, board: OutageBoard) -> None:
        """A source that answers again is not told of any more."""
        board.record_outage(OUTAGE)
        board.clear_outage("directory")

        assert board.read_outage("directory") is None

    def test_trial_is_claimed_once(self, board: OutageBoard) -> None:
        """Who saw the same end gets the trial once, and the end is put off with nothing else changed."""
        board.record_outage(OUTAGE)

        assert [True, False] == [board.claim_trial(OUTAGE, MUCH_LATER) for _ in range(2)]
        assert replace(OUTAGE, until=MUCH_LATER) == board.read_outage("directory")

    def test_trial_of_an_outage_that_is_over_is_nobodys(self, board: OutageBoard) -> None:
        """Where the source answers again, or was never away, there is nothing to try, and nothing is recorded."""
        assert not board.claim_trial(OUTAGE, MUCH_LATER)
        assert board.read_outage("directory") is None

    def test_one_of_eight_at_once_gets_the_trial(self, board: OutageBoard) -> None:
        """However many workers come to the end of an outage at the same moment, one asks the source."""
        board.record_outage(OUTAGE)
        outcomes = at_once([lambda: board.claim_trial(OUTAGE, MUCH_LATER)] * 8)

        assert 1 == sum(outcomes)


def new_client(name: str = "ida", token: bytes = TOKEN, expires_at: datetime | None = None) -> NewClient:
    """Make a client to be registered."""
    return NewClient(name, SERVICE, frozenset({HOME, OTHER_HOME}), token, NOW, expires_at)


class ClientStoreConformance:
    """Keeping clients."""

    def test_client_comes_back_complete(self, clients: ClientStore) -> None:
        """What is returned, found and listed is what was given."""
        added = clients.add_client(new_client(expires_at=SOON))
        expected = Client(added.client_id, "ida", SERVICE, frozenset({HOME, OTHER_HOME}), NOW, SOON, None)

        assert expected == added
        assert expected.bearer == clients.find_bearer(TOKEN, NOW)
        assert (expected,) == clients.list_clients()

    @pytest.mark.parametrize("token", [b"", TOKEN[:-1], TOKEN + b"\0", b"\0" * 32], ids=["empty", "shorter", "longer", "other"])
    def test_unknown_token_is_none(self, clients: ClientStore, token: bytes) -> None:
        """Only the very digest finds a client."""
        clients.add_client(new_client())

        assert clients.find_bearer(token, NOW) is None

    def test_expired_token_is_none(self, clients: ClientStore) -> None:
        """From its end on a token counts no more."""
        clients.add_client(new_client(expires_at=SOON))
        found = [clients.find_bearer(TOKEN, at) is not None for at in (SOON - MOMENT, SOON, MUCH_LATER)]

        assert [True, False, False] == found

    def test_client_without_end_lasts(self, clients: ClientStore) -> None:
        """A token that was given no end does not expire."""
        added = clients.add_client(new_client())

        assert added.bearer == clients.find_bearer(TOKEN, MUCH_LATER)

    def test_client_without_home_organisations_sees_none(self, clients: ClientStore) -> None:
        """Nothing is made of nothing."""
        added = clients.add_client(replace(new_client(), home_organisations=frozenset()))

        assert frozenset() == added.home_organisations
        assert added.bearer == clients.find_bearer(TOKEN, NOW)

    def test_revoked_token_is_none_for_good(self, clients: ClientStore) -> None:
        """A revoked client stays on record, and is not found at any instant."""
        added = clients.add_client(new_client())
        revoked = clients.revoke_client("ida", SOON)

        assert replace(added, revoked_at=SOON) == revoked
        assert [None, None] == [clients.find_bearer(TOKEN, at) for at in (NOW, MUCH_LATER)]
        assert (revoked,) == clients.list_clients()

    def test_second_revocation_is_none(self, clients: ClientStore) -> None:
        """Who is revoked, or was never there, cannot be revoked."""
        clients.add_client(new_client())
        clients.revoke_client("ida", SOON)

        assert clients.revoke_client("ida", MUCH_LATER) is None
        assert clients.revoke_client("nobody", MUCH_LATER) is None
        assert [SOON] == [client.revoked_at for client in clients.list_clients()]

    def test_name_can_be_used_again_after_a_revocation(self, clients: ClientStore) -> None:
        """A new token for the same name is another client; the old token stays revoked."""
        first = clients.add_client(new_client())
        clients.revoke_client("ida", SOON)
        second = clients.add_client(new_client(token=b"other" * 8))

        assert first.client_id < second.client_id
        assert clients.find_bearer(TOKEN, NOW) is None
        assert second.bearer == clients.find_bearer(b"other" * 8, NOW)
        assert [first.client_id, second.client_id] == [client.client_id for client in clients.list_clients()]

    def test_name_is_used_once(self, clients: ClientStore) -> None:
        """A second client of a name is refused, also where the token of the first has expired."""
        clients.add_client(new_client(expires_at=NOW - MOMENT))

        with pytest.raises(Conflict, match="ida"):
            clients.add_client(new_client(token=b"other" * 8))
        assert 1 == len(clients.list_clients())

    def test_token_is_used_once(self, clients: ClientStore) -> None:
        """No token ever belongs to two clients, not even to one that was revoked."""
        clients.add_client(new_client())
        clients.revoke_client("ida", SOON)

        with pytest.raises(Conflict):
            clients.add_client(new_client("other"))
        assert clients.find_bearer(TOKEN, NOW) is None
