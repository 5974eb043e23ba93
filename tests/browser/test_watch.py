"""The watch on the browser sees what no page of ours may do, and axe-core what nobody should have to put up with."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.browser.axe import assert_accessible, examine
from tests.peers.chromium import Visitors, Window

STRICT = "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
GOOD = (
    "<!doctype html><html lang='fi'><head><title>Hyvä</title><meta name='viewport' content='width=device-width'>"
    "<link rel='stylesheet' href='/style.css'></head>"
    "<body><main><h1>Hyvä sivu</h1><p><a href='/good'>Uudelleen</a></p></main></body></html>"
)
STYLE = "body { background: #fff } .small { all: unset; display: inline-block; width: 4px; height: 4px }"
PAGES = {
    "/good": GOOD,
    "/inline-script": GOOD.replace("</main>", "<script>document.title = 'run'</script></main>"),
    "/inline-style": GOOD.replace("<p>", "<p style='margin: 0'>"),
    "/elsewhere": GOOD.replace("</main>", "<img src='https://attacker.example/pixel' alt=''></main>"),
    "/broken-image": GOOD.replace("</main>", "<img src='/none.png' alt=''></main>"),
    "/small": GOOD.replace(
        "</main>", "<button class='small' aria-label='1'></button><button class='small' aria-label='2'></button></main>"
    ),
    "/unreadable": GOOD.replace("lang='fi'", "").replace("</main>", "<img src='/style.css'><input></main>"),
}


class Pages(BaseHTTPRequestHandler):
    """Serves the pages above under a strict policy, their stylesheet, an empty icon, and 404 for everything else."""

    def do_GET(self) -> None:
        """Answer with what is at that path."""
        others = {"/style.css": ("text/css", STYLE), "/favicon.ico": ("image/x-icon", "")}
        kind, body = others.get(self.path, ("text/html; charset=utf-8", PAGES.get(self.path, GOOD)))
        self.send_response(200 if self.path in PAGES or self.path in others else 404)
        self.send_header("Content-Type", kind)
        if self.path != "/elsewhere":
            self.send_header("Content-Security-Policy", STRICT)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_good_page_passes(visitors: Visitors, site: str) -> None:
    """A page that keeps to its policy and to the rules has nothing held against it, and axe-core needs no weaker policy."""
    visitor = visitors.enter(Window(locale="fi-FI", width=320))
    visitor.page.goto(f"{site}/good")

    assert_accessible(visitor.page)
    assert () == visitor.watch.offences
    assert ("fi-FI", 320) == tuple(visitor.page.evaluate("[navigator.language, innerWidth]"))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/inline-script", "Content Security Policy"),
        ("/inline-style", "Content Security Policy"),
        ("/elsewhere", "request to another host: https://attacker.example/pixel"),
        ("/broken-image", "404"),
    ],
)
def test_offence_is_told(visitors: Visitors, site: str, path: str, told: str) -> None:
    """What a page does against its policy, or beyond this machine, is told."""
    visitor = visitors.enter()
    visitor.page.goto(site + path)
    offences = visitor.watch.offences
    visitor.watch.forgive(".")

    assert any(told in offence for offence in offences), offences


def test_exception_in_a_script_is_told(visitors: Visitors, site: str) -> None:
    """A script that fails is told, even where nobody sees it."""
    visitor = visitors.enter()
    visitor.page.goto(f"{site}/good")
    with visitor.context.expect_event("weberror"):
        visitor.page.evaluate("void setTimeout(() => { throw new Error('unseen') })")
    offences = visitor.watch.offences
    visitor.watch.forgive("unseen")

    assert ("exception: unseen",) == tuple(offence.partition("\n")[0] for offence in offences)


def test_page_with_an_error_status_is_no_offence(visitors: Visitors, site: str) -> None:
    """A page that tells of a failure comes with the status of one."""
    visitor = visitors.enter()
    answer = visitor.page.goto(f"{site}/unknown")

    assert answer is not None
    assert (404, ()) == (answer.status, visitor.watch.offences)


def test_inaccessible_page_is_told(visitors: Visitors, site: str) -> None:
    """axe-core finds a missing language, an image without text and a field without a label."""
    visitor = visitors.enter()
    visitor.page.goto(f"{site}/unreadable")
    found = examine(visitor.page)

    assert {"html-has-lang", "image-alt", "label"} <= {violation.rule for violation in found.violations}
    assert "color-contrast" in found.checked


def test_small_targets_are_looked_for(visitors: Visitors, site: str) -> None:
    """The rule of WCAG 2.2 about the size of targets, which axe-core leaves out by itself, is applied."""
    visitor = visitors.enter()
    visitor.page.goto(f"{site}/small")

    assert ["target-size"] == [violation.rule for violation in examine(visitor.page).violations]


def test_visitor_without_scripts_is_not_examined(visitors: Visitors, site: str) -> None:
    """Somebody who allows no scripts sees the page, and axe-core says that it cannot run there."""
    visitor = visitors.enter(Window(javascript=False))
    visitor.page.goto(f"{site}/good")

    assert "Hyvä sivu" == visitor.page.get_by_role("heading", level=1).inner_text()
    with pytest.raises(RuntimeError, match="allows no scripts"):
        examine(visitor.page)


def test_pictures_are_kept(visitors: Visitors, site: str, pictures: Path) -> None:
    """Every step that is shown is a picture, in order and by name."""
    visitor = visitors.enter()
    visitor.page.goto(f"{site}/good")
    visitor.show("Start page")
    visitor.show("the same, again")

    assert ["01-Start-page.png", "02-the-same-again.png"] == sorted(path.name for path in pictures.iterdir())
