"""The script engine of the identity provider's double: Chromium's, with strict doubles of the Java classes that a mapping script meets.

Nashorn and Rhino, which the identity provider has as plug-ins, know ECMAScript 5: later syntax is refused before the script runs,
and the globals that came later are hidden from it. There is only what both engines have; `Java.type`, for one, is Nashorn's alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.chromium import launched

if TYPE_CHECKING:
    from playwright.sync_api import Page

_DOUBLES = Path(__file__).parent / "scripts" / "shibboleth_idp.js"
_NO_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|(?<=[=(,:] )/(?:\\.|[^/\\\n])+/[a-z]*", re.DOTALL)
_LATER = re.compile(r"=>|`|\.\.\.|\?\.|\?\?|\*\*|\b(?:let|const|class|async|await|yield|import|export|super|of)\b")


class Version(StrEnum):
    """Major versions of the identity provider; a class has another package in each."""

    FOUR = "net.shibboleth.utilities.java.support.httpclient.HttpClientSupport"
    FIVE = "net.shibboleth.shared.httpclient.HttpClientSupport"


class ScriptFailed(Exception):
    """The script threw, or used what is not there."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer that the script is to read."""

    body: bytes


@dataclass(frozen=True, slots=True)
class ScriptEngine:
    """A page of Chromium with nothing on it, in a thread of its own: a thread can drive one browser alone, and others may have theirs."""

    thread: ThreadPoolExecutor
    page: Page
    version: Version = Version.FIVE

    def run(self, script: str, response: Response) -> dict[str, tuple[str, ...]]:
        """Return the attributes that the script puts into connectorResults. Raises ScriptFailed."""
        later = later_syntax(script)
        if later:
            raise ScriptFailed(f"not ECMAScript 5: {later}")
        parameters = [script, response.body.decode(errors="replace"), self.version.value]
        outcome = self.thread.submit(self.page.evaluate, _DOUBLES.read_text(encoding="utf-8"), parameters).result()
        if outcome["failure"] is not None:
            raise ScriptFailed(outcome["failure"])
        return {attribute["id"]: tuple(attribute["values"]) for attribute in outcome["attributes"]}


def later_syntax(script: str) -> list[str]:
    """Return the words and signs of a script that ECMAScript 5 does not have."""
    return _LATER.findall(_NO_CODE.sub(" ", script))


@contextmanager
def script_engine() -> Iterator[ScriptEngine]:
    """Run an engine until the block is left."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        opened = ExitStack()
        try:
            yield ScriptEngine(thread, thread.submit(_open_page, opened).result())
        finally:
            thread.submit(opened.close).result()


def _open_page(opened: ExitStack) -> Page:
    return opened.enter_context(launched()).new_page()
