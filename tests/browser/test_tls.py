"""Over TLS, behind nginx as its published configuration sets it up, with the home organisation on another site."""

from pathlib import Path

from attribute_authority.demo.federation import demo_federation
from attribute_authority.demo.people import UNIVERSITY_PEOPLE
from attribute_authority.demo.sites import HOST
from tests.browser.stage import LINKED, NEW, NOT_LINKED, Stage, Walker
from tests.peers.chromium import Visitors, Window
from tests.peers.nginx import reverse_proxy
from tests.peers.postgresql import free_port

YEAR = 31_536_000


def test_cookies_survive_the_post_of_another_site(visitors: Visitors, tmp_path: Path) -> None:
    """The home organisation is on http://localhost, the companion page on https://127.0.0.1: its cookies come with the Response.

    The mark of the browser does so because it is SameSite=None; both bear the prefix `__Host-`, and the answer has HSTS.
    """
    people, port = list(UNIVERSITY_PEOPLE), free_port()
    with (
        demo_federation(tmp_path / "federation", people=people, companion_url=f"https://{HOST}:{port}") as federation,
        reverse_proxy(tmp_path / "nginx", federation.ports.companion, port=port),
    ):
        window = Window(trusting=True)
        walker = Walker(visitors.enter(window), federation, Stage(federation, people).newcomer(), window)
        walker.sign_in()
        walker.sees(NOT_LINKED)
        cookies = {cookie["name"]: cookie for cookie in walker.visitor.context.cookies(federation.companion_url)}
        walker.connect()
        walker.sees(NEW)
        walker.agree()
        walker.sees(LINKED)
        walker.visitor.show("linked over TLS")
        answer = walker.page.reload()
        walker.sign_in_at_service()
        walker.sees_at_service(walker.newcomer.orcid)

    assert answer is not None
    assert f"max-age={YEAR}" == answer.headers["strict-transport-security"]
    assert ("Lax", "None") == tuple(cookies[f"__Host-{name}"]["sameSite"] for name in ("session", "browser"))
    assert all(cookie["secure"] and cookie["httpOnly"] and cookie["path"] == "/" for cookie in cookies.values())
