"""axe-core on a page as it stands, by the rules of WCAG 2.0, 2.1 and 2.2 at levels A and AA and by best practice.

The script runs in a world of its own beside the page's scripts, as a browser extension's does. The page's Content-Security-Policy stays
in force for the page and need not be weakened, and nothing of the script is left in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tests.peers import missing

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # Off unless asked for by name.
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
_REPORT = """axe.run(document, %s).then(found => JSON.stringify({
    checked: [...found.violations, ...found.passes, ...found.incomplete].map(rule => rule.id),
    violations: found.violations.map(rule => ({
        rule: rule.id, impact: rule.impact, help: rule.help, url: rule.helpUrl,
        places: rule.nodes.map(node => `${node.target.join(' ')}: ${node.failureSummary}`),
    })),
}))"""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a page breaks, how badly, and where: a CSS selector and what is wrong there, for each place."""

    rule: str
    impact: str
    help: str
    url: str
    places: tuple[str, ...]

    def __str__(self) -> str:
        return "\n  ".join((f"{self.rule} ({self.impact}): {self.help} - {self.url}", *self.places))


@dataclass(frozen=True, slots=True)
class Examination:
    """What axe-core found on a page; `checked` are the rules that had anything to judge."""

    violations: tuple[Violation, ...]
    checked: frozenset[str]


def examine(page: Page) -> Examination:
    """Run axe-core on a page of a visitor with JavaScript; raises RuntimeError where there is none."""
    devtools = page.context.new_cdp_session(page)
    try:
        world = _separate_world(devtools)
        if _evaluate(devtools, world, "matchMedia('(scripting: none)').matches") == "True":
            raise RuntimeError("axe-core would never finish, because the visitor allows no scripts")
        _evaluate(devtools, world, _script())
        found = json.loads(_evaluate(devtools, world, _REPORT % json.dumps(_OPTIONS)))
    finally:
        devtools.detach()
    violations = (Violation(**{**one, "places": tuple(one["places"])}) for one in found["violations"])
    return Examination(tuple(violations), frozenset(found["checked"]))


def assert_accessible(page: Page) -> None:
    """Fail with every rule that the page breaks, and where."""
    violations = examine(page).violations

    assert not violations, f"{page.url} ({page.title()})\n" + "\n".join(map(str, violations))


def _separate_world(devtools: CDPSession) -> int:
    frame = devtools.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    return int(devtools.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"])


def _evaluate(devtools: CDPSession, world: int, expression: str) -> str:
    asked = {"expression": expression, "contextId": world, "awaitPromise": True, "returnByValue": True}
    answer: dict[str, Any] = devtools.send("Runtime.evaluate", asked)
    if "exceptionDetails" in answer:
        raise RuntimeError(f"axe-core did not run: {answer['exceptionDetails']}")
    return str(answer["result"].get("value"))


@cache
def _script() -> str:
    try:
        # Ends with undefined, because the last value is handed over otherwise.
        return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8") + "\n;undefined"
    except ModuleNotFoundError:
        missing("axe-core is not installed (Python package axe-playwright-python)")
