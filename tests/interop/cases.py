"""Who asks about whom, and how it must end; every client goes through all the cases that it is able to bring about."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.interop.service import LINKED, WITHDRAWN
from tests.peers.lab import PERSISTENT, Federation, Member, NameId, eppn, persistent

ORCID = f"https://orcid.org/{LINKED.orcid}"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


@dataclass(frozen=True, slots=True)
class Case:
    """A question of a service provider; `about` gets the federation and the service provider that asks."""

    name: str
    asker: Callable[[Federation], Member]
    about: Callable[[Federation, Member], NameId]

    def __str__(self) -> str:
        """Name the case in the test's id."""
        return self.name


def _by_eppn(_federation: Federation, _asker: Member) -> NameId:
    return eppn(LINKED.eppn)


def _by_persistent(federation: Federation, asker: Member) -> NameId:
    return persistent(LINKED.persistent(asker), federation.home, asker)


RELEASED = (
    Case("eppn", lambda members: members.released, _by_eppn),
    Case("persistent", lambda members: members.released, _by_persistent),
    Case("eppn-other-case", lambda members: members.released, lambda _f, _a: eppn(LINKED.eppn.replace("josiah", "Josiah"))),
    Case("eppn-neighbour", lambda members: members.neighbour, _by_eppn),
    Case("persistent-neighbour", lambda members: members.neighbour, _by_persistent),
    Case("eppn-expired-certificate", lambda members: members.expired, _by_eppn),
    Case("persistent-expired-certificate", lambda members: members.expired, _by_persistent),
)

SHAPES = (
    Case("eppn-as-unspecified", lambda members: members.released, lambda _f, _a: NameId(LINKED.eppn, UNSPECIFIED)),
    Case("eppn-without-format", lambda members: members.released, lambda _f, _a: NameId(LINKED.eppn, None)),
    Case("eppn-as-persistent", lambda members: members.released, lambda _f, _a: NameId(LINKED.eppn, PERSISTENT)),
)

NOTHING = (
    Case("unknown-eppn", lambda members: members.released, lambda _f, _a: eppn("nobody@uni.example")),
    Case("unknown-persistent", lambda members: members.released, lambda f, a: persistent("nobody", f.home, a)),
    Case("withdrawn-eppn", lambda members: members.released, lambda _f, _a: eppn(WITHDRAWN.eppn)),
    Case("withdrawn-persistent", lambda members: members.released, lambda f, a: persistent(WITHDRAWN.persistent(a), f.home, a)),
    Case("persistent-of-the-neighbour", lambda m: m.released, lambda f, a: persistent(LINKED.persistent(f.neighbour), f.home, a)),
    Case("persistent-in-other-case", lambda m: m.released, lambda f, a: persistent(LINKED.persistent(a).upper(), f.home, a)),
    Case("no-release-rule", lambda members: members.without_rule, _by_eppn),
)

REFUSED = (
    Case("not-in-metadata-eppn", lambda members: members.stranger, _by_eppn),
    Case("not-in-metadata-persistent", lambda members: members.stranger, _by_persistent),
    Case("foreign-key-eppn", lambda members: members.impostor, _by_eppn),
    Case("foreign-key-persistent", lambda members: members.impostor, _by_persistent),
)

FOREIGN_QUALIFIER = Case(
    "foreign-sp-name-qualifier",
    lambda members: members.released,
    lambda members, _asker: persistent(LINKED.persistent(members.neighbour), members.home, members.neighbour),
)
