"""Who receives the iD, in words for the researcher, as the release rules say."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.release import ReleaseRule
from attribute_authority.ports import EntityDirectory
from attribute_authority.web.companion.views import Recipients


def describe_recipients(
    rules: Sequence[ReleaseRule], home_organisation: EntityId | None, directory: EntityDirectory, *, language: str, now: datetime
) -> Recipients:
    """Put the rules that hold for a home organisation, or with None for every one, into what a person can read.

    A rule with several conditions is told by each of them, which may say more than is released and never less. Raises CouldNotAsk.
    """
    holding = [rule for rule in rules if rule.home_organisations is None or home_organisation in rule.home_organisations]
    unnamed = [rule for rule in holding if rule.requesters is None]
    return Recipients(
        named=tuple(sorted(set(_names(holding, directory, language, now)))),
        categories=_distinct(rule.entity_category for rule in unnamed),
        federations=_distinct(rule.registration_authority for rule in unnamed),
        those_that_request_it=any(rule.requested_attribute for rule in unnamed),
    )


def _names(rules: Sequence[ReleaseRule], directory: EntityDirectory, language: str, now: datetime) -> Iterator[str]:
    for rule in rules:
        for requester in rule.requesters or ():
            entity = directory.find_entity(requester, now)
            # What is in no metadata has no other name, and may still be a client of the lookup door.
            yield requester if entity is None else entity.name(language)


def _distinct(texts: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text is not None))
