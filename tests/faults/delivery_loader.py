"""A process that links, replaces and withdraws at random, as pages and commands do, until it is killed.

python -m tests.faults.delivery_loader CONFIG JOURNAL SEED
"""

import secrets
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event

from attribute_authority.assembly import open_link_store, present
from attribute_authority.configuration import read_configuration
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.domain.linking import Completion, Consent, HeldGrant
from attribute_authority.errors import CouldNotAsk
from attribute_authority.settings import Settings
from attribute_authority.storage.companion import open_companion_store
from attribute_authority.storage.engine import Patience
from tests.faults.delivery_journal import BEGUN, CONFIRMED, FAILED, Journal
from tests.faults.delivery_people import HOME, PEOPLE, RESTLESS, identifier, orcids

_BETWEEN = 0.02
"""Seconds between two changes."""


@dataclass(frozen=True, slots=True)
class _Step:
    person: int
    present: Link | None
    orcid: OrcidId | None


class Loader:
    """Changes links through the stores of the pages and of the command line, one change after the other."""

    def __init__(self, settings: Settings, journal: Journal, random: Random) -> None:
        milliseconds = int(settings.database.timeout * 1000)
        self._commands = open_link_store(settings)
        self._pages = open_companion_store(settings.database.url, Patience(connecting=milliseconds, answering=milliseconds), 1)
        self._pages.use_sinks(settings.sinks)
        self._journal = journal
        self._random = random

    def step(self) -> None:
        """Make one change, and write down what became of it."""
        try:
            step = self._choose(self._random.choice(self._random.choice((PEOPLE, RESTLESS))))
        except CouldNotAsk as failure:
            self._journal.write(FAILED, cause=failure.cause)
            return
        self._journal.write(BEGUN, person=step.person, orcid=None if step.orcid is None else step.orcid.value)
        try:
            self._make(step)
        except CouldNotAsk as failure:
            self._journal.write(FAILED, person=step.person, cause=failure.cause)
        else:
            self._journal.write(CONFIRMED, person=step.person)

    def _choose(self, person: int) -> _Step:
        standing = self._pages.recognise(HOME, (identifier(person),), Environment.PRODUCTION, present())
        link = None if standing is None else standing.link
        others: list[OrcidId | None] = [orcid for orcid in orcids(person) if link is None or orcid != link.orcid]
        return _Step(person, link, self._random.choice(others if link is None else [*others, None]))

    def _make(self, step: _Step) -> None:
        by_page = self._random.random() < 0.5
        if step.present is not None and step.orcid is None:
            (self._pages.withdraw if by_page else self._commands.withdraw_link)(step.present.link_id, present())
        elif step.orcid is not None and (by_page or step.present is not None):
            self._complete(step, step.orcid)
        elif step.orcid is not None:
            self._commands.add_link(_new_link(step.person, step.orcid, LinkSource.MANUAL))

    def _complete(self, step: _Step, orcid: OrcidId) -> None:
        now, grant_id = present(), secrets.token_hex(8)
        self._pages.hold_grant(HeldGrant(grant_id, b"sealed", ("/authenticate",), now, None, now + timedelta(hours=1)))
        replaces = None if step.present is None else step.present.link_id
        new = _new_link(step.person, orcid, LinkSource.COMPANION)
        self._pages.complete(Completion(new, Consent("1", "en", now), grant_id, replaces))


def _new_link(person: int, orcid: OrcidId, source: LinkSource) -> NewLink:
    return NewLink(HOME, (identifier(person),), orcid, Environment.PRODUCTION, source, present())


def main(config: str, journal: str, seed: str) -> None:
    """Change links until killed."""
    loader, pace = Loader(read_configuration(Path(config)), Journal(Path(journal)), Random(seed)), Event()
    while True:
        loader.step()
        pace.wait(_BETWEEN)


if __name__ == "__main__":
    main(*sys.argv[1:])
