"""A process that dies between any two steps of a linking: nothing is half-done, nothing is lost, and the researcher can begin again."""

from datetime import timedelta
from pathlib import Path
from shutil import copy

import pytest
from sqlalchemy import create_engine, text

from attribute_authority.domain.identifiers import Environment, parse_identifier_text
from attribute_authority.domain.linking import Standing
from attribute_authority.storage.companion import SqlCompanionStore, open_companion_store
from attribute_authority.storage.upgrading import upgrade
from tests.factories import responses
from tests.factories.companion import ORCID, OTHER_ORCID, Ports, ScriptedRegistry, Site, grant
from tests.faults.dying import Death, survives

_MOST_CALLS = 80
_PERSON = parse_identifier_text(f"eppn={responses.PERSON}")


def _site(url: str, death: Death | None) -> tuple[Site, SqlCompanionStore]:
    store, registry = open_companion_store(url), ScriptedRegistry([grant(ORCID), grant(OTHER_ORCID)])
    parts = (store, store, store, store, registry) if death is None else tuple(death.watch(port) for port in (*(store,) * 4, registry))
    return Site(registry=registry, ports=Ports(*parts), run="" if death is None else "dying-"), store


def _link_replace_and_unlink(url: str, death: Death | None) -> None:
    site, store = _site(url, death)
    browser = site.browser()
    browser.sign_in()
    browser.get("/orcid/callback?code=first&state=" + browser.go_to_orcid()["state"])
    browser.submit("/confirm/", consent="yes")
    browser.get("/orcid/callback?code=second&state=" + browser.go_to_orcid()["state"])
    browser.submit("/confirm/", consent="yes", replace="yes")
    browser.get("/unlink")
    browser.submit("/unlink")
    store.close()


def _standing(url: str) -> Standing | None:
    store = open_companion_store(url)
    try:
        return store.recognise(responses.IDP, (_PERSON,), Environment.PRODUCTION, responses.NOW)
    finally:
        store.close()


def _half_done(url: str) -> list[str]:
    """Name what must never be found: links without consent or permission, permissions that nothing would ever revoke."""
    questions = {
        "a link without its consent": "SELECT count(*) FROM link WHERE id NOT IN (SELECT link_id FROM consent)",
        "a link without its permission": "SELECT count(*) FROM link"
        " WHERE id NOT IN (SELECT link_id FROM orcid_grant WHERE link_id IS NOT NULL)",
        "a permission that is forgotten": "SELECT count(*) FROM orcid_grant WHERE revoked_at IS NULL AND revoke_at IS NULL"
        " AND (link_id IS NULL OR link_id IN (SELECT id FROM link WHERE withdrawn_at IS NOT NULL))",
        "a subject without identifier": "SELECT count(*) FROM subject WHERE id NOT IN (SELECT subject_id FROM identifier)",
        "two links in force": "SELECT count(*) - 1 FROM link WHERE withdrawn_at IS NULL HAVING count(*) > 1",
    }
    with create_engine(url).connect() as connection:
        return [name for name, question in questions.items() if connection.execute(text(question)).scalar()]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_that_dies_between_two_steps_leaves_nothing_half_done(tmp_path: Path, after: bool) -> None:
    """Killed before or after each call to the store or the registry in turn; then the state is whole, and linking works as if new."""
    deaths = 0
    empty = tmp_path / "empty.db"
    upgrade(f"sqlite:///{empty}")
    # Templates and all else that is made once is made here, before the first fork.
    Site().browser().sign_in()
    for at in range(1, _MOST_CALLS):
        url = f"sqlite:///{copy(empty, tmp_path / f'{at}.db')}"
        survived = survives(lambda url=url, at=at: _link_replace_and_unlink(url, Death(at, after)))  # type: ignore[misc]
        deaths += not survived

        assert [] == _half_done(url), f"killed {'after' if after else 'before'} call {at}"
        standing = _standing(url)
        if standing is None or standing.link is None:
            assert survives(lambda url=url: _link_replace_and_unlink(url, None))  # type: ignore[misc]
        if survived:
            break

    assert 20 < deaths < _MOST_CALLS - 1


def test_a_permission_that_was_obtained_is_never_forgotten(tmp_path: Path) -> None:
    """Killed right after the grant was stored, it is revoked when its time is up."""
    url = f"sqlite:///{tmp_path}/links.db"
    upgrade(url)
    site, store = _site(url, None)
    browser = site.browser()
    browser.sign_in()
    browser.get("/orcid/callback?code=first&state=" + browser.go_to_orcid()["state"], follow=False)

    due = store.claim_revocations(site.now + timedelta(hours=2), timedelta(minutes=1), 10)
    store.close()

    assert 1 == len(due)
