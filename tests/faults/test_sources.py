"""Servers of home organisations that are stopped, held still and started again under load, while the authority serves."""

from collections.abc import Iterator, Mapping

import pytest

from tests.factories.doors import ORCID, OTHER_SP
from tests.factories.queries import SP, name_id
from tests.factories.supervisors import until
from tests.faults.homes import KINDS, Home, private_words
from tests.faults.load import Question, load
from tests.faults.sites import ANSWER_SECONDS, Site, make_site, serving

KNOWN = "known"
RELEASED = f"https://orcid.org/{ORCID}"


@pytest.fixture(scope="module", params=[1, 2], ids=["one-worker", "two-workers"])
def site(request: pytest.FixtureRequest, homes: Mapping[str, Home], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve an authority with every kind of source, by one worker or two."""
    directory = make_site(tmp_path_factory.mktemp("site"), tuple(homes.values()))
    with serving(directory, request.param) as served:
        yield served


def everybody_else(homes: Mapping[str, Home], kind: str) -> dict[str, tuple[Question, str]]:
    """Return what another service provider asks that does not need that server, and the iD that each brings."""
    others = {home.kind: (Question(OTHER_SP, home.about), home.orcid) for home in homes.values() if home.kind != kind}
    return {KNOWN: (Question(OTHER_SP, name_id()), RELEASED), **others}


def is_paused(site: Site, home: Home) -> bool:
    """Whether the source is reported as left alone; the authority itself must be ready all the while."""
    return (
        any(sentence.startswith(f"{home.source}: could not be reached") for sentence in site.degraded()) and site.paused(home.source) == 1
    )


def is_back(site: Site, home: Home) -> bool:
    """Whether nothing is reported any more."""
    return not site.degraded() and site.paused(home.source) == 0


@pytest.mark.parametrize("fault", ["stopped", "paused"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_under_load(site: Site, homes: Mapping[str, Home], kind: str, fault: str) -> None:
    """A server that goes away costs others nothing; who needs it is told to try again, and is served by itself when it is back."""
    home, others = homes[kind], everybody_else(homes, kind)
    questions = {name: question for name, (question, _) in others.items()} | {kind: Question(SP, home.about)}
    with load(site.server, questions) as asked:
        asked.wait_for_more()
        with home.faults[fault]():
            until(lambda: is_paused(site, home), site.server)
            asked.wait_for_more()
            refused = site.ask(home.about)
        asked.wait_for_values(kind, home.orcid)
        until(lambda: is_back(site, home), site.server)

    for name, (_, orcid) in others.items():
        assert {(("Success",), (orcid,))} == asked.outcomes(name)
        assert asked.longest(name) < ANSWER_SECONDS
    assert {(("Success",), (home.orcid,)), (("Responder",), ())} == asked.outcomes(kind)
    assert ("Responder",) == refused.codes
    assert_told_why(refused.event, home)
    assert [] == [word for word in private_words() if word in site.server.log()]


def assert_told_why(event: Mapping[str, object], home: Home) -> None:
    """The log names the source, and when to come back."""
    assert "SourceUnavailable" == event["failure"]
    assert str(event["cause"]).startswith(f"{home.source}: ")
    assert float(str(event["retry_after"])) > 0


def test_every_worker_learns_of_an_outage(site: Site, homes: Mapping[str, Home]) -> None:
    """What one worker alone has found out each of them reports; none says "no iD", and all are served again."""
    home = homes["ldap"]
    with (
        site.line_to_each_worker(site.server.back_channel, "/metadata") as lines,
        site.line_to_each_worker(site.server.operations, "/health/live") as operations,
    ):
        with home.faults["stopped"]():
            first = site.ask(home.about, over=lines[0])
            reports = [site.degraded(over=line) for line in operations]
            refused = [first, *(site.ask(home.about, over=line) for line in lines[1:])]
        until(lambda: site.ask(home.about, over=lines[-1]).values == (home.orcid,), site.server)

        assert [("Responder",)] * len(lines) == [told.codes for told in refused]
        assert_told_why(refused[-1].event, home)
        assert all(sentence.startswith(f"{home.source}: could not be reached") for (sentence,) in reports)
        assert [(home.orcid,)] * len(lines) == [site.ask(home.about, over=line).values for line in lines]
        assert [[]] * len(operations) == [site.degraded(over=line) for line in operations]
