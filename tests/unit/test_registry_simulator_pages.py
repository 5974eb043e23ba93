"""The pages of the simulated ORCID registry: who is asked what, and where each answer leads."""

from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from tests.factories.registries import (
    CLIENT_ID,
    CONNECT_URI,
    JOSIAH,
    OTHER_CLIENT_ID,
    STATE,
    RegistryLab,
    returned,
    running_registry,
)

SECONDS = 10


@pytest.fixture(name="lab")
def running() -> Iterator[RegistryLab]:
    """Run a registry."""
    with running_registry() as lab:
        yield lab


def test_denial(lab: RegistryLab) -> None:
    """Who denies is sent back with ORCID's error and the state."""
    sent = lab.browser.post(lab.authorize_url(), {"decision": "deny"}, allow_redirects=False, timeout=SECONDS)

    assert {"error": "access_denied", "error_description": "User denied access", "state": STATE} == returned(sent)
    assert "error_description=User%20denied%20access" in sent.headers["Location"]


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": "http://localhost:1/orcid/callback/evil"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": None},
        {"client_id": "nobody"},
        {"client_id": "APP-LOCKED"},
        {"client_id": None},
        {"scope": None},
        {"scope": "openid /nothing"},
        {"response_type": "token"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_own_error_page(lab: RegistryLab, change: dict[str, str | None], method: str) -> None:
    """A request that is wrong in itself sends nobody anywhere."""
    form = {"decision": "authorize", "researcher": JOSIAH.orcid}
    answer = lab.browser.request(method, lab.authorize_url(**change), data=form, allow_redirects=False, timeout=SECONDS)

    assert 400 == answer.status_code
    assert "Location" not in answer.headers


def test_permission_page(lab: RegistryLab) -> None:
    """The page says what it is, offers both answers, and runs no script."""
    answer = lab.visit(lab.authorize_url())

    assert "A simulator of ORCID for demonstrations, not ORCID" in answer.text
    assert 'id="authorize">Authorize access</button>' in answer.text
    assert "formnovalidate>Deny access</button>" in answer.text
    assert f'id="researcher-{JOSIAH.orcid}"' in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_markup_in_parameters(lab: RegistryLab) -> None:
    """Nothing of a request becomes markup of the page."""
    assert "<b>" not in lab.visit(lab.authorize_url(state='"><b>', nonce="'><b>")).text
    assert "<b>" not in lab.visit(lab.authorize_url(client_id='"><b>')).text


@pytest.mark.parametrize("form", [{}, {"decision": "authorize"}, {"decision": "authorize", "researcher": "nobody"}], ids=str)
def test_nobody_chosen(lab: RegistryLab, form: dict[str, str]) -> None:
    """Without knowing who it is the page asks again."""
    answer = lab.browser.post(lab.authorize_url(), form, allow_redirects=False, timeout=SECONDS)

    assert 400 == answer.status_code
    assert 'role="alert"' in answer.text


def test_remembered_sign_in(lab: RegistryLab) -> None:
    """Who is signed in is not asked again who they are, until they sign out."""
    lab.code()
    remembered = lab.visit(lab.authorize_url()).text
    lab.visit(f"{lab.url}/signout")

    assert 'id="signed-in">Josiah Carberry<' in remembered
    assert 'id="signed-in"' not in lab.visit(lab.authorize_url()).text


def test_prompt_login(lab: RegistryLab) -> None:
    """With prompt=login even somebody who is signed in signs in again."""
    lab.redeem(lab.code())

    assert 'name="researcher"' in lab.visit(lab.authorize_url(prompt="login")).text


def test_skipped_permission(lab: RegistryLab) -> None:
    """Permission is not asked for again while a token with the same scopes lives and its researcher is signed in."""
    tokens = lab.redeem(lab.code()).json()
    skipped = lab.visit(lab.authorize_url())
    other_scopes = lab.visit(lab.authorize_url(scope="openid /read-limited"))
    lab.post("/oauth/revoke", token=tokens["refresh_token"])
    asked_again = lab.visit(lab.authorize_url())

    assert "code" in returned(skipped)
    assert (200, 200) == (other_scopes.status_code, asked_again.status_code)


def test_prompt_none(lab: RegistryLab) -> None:
    """With prompt=none nobody is asked anything: the errors say what would have been needed."""
    url = lab.authorize_url(prompt="none")
    nobody = returned(lab.visit(url))
    code = lab.code()
    without_permission = returned(lab.visit(url))
    lab.redeem(code)

    assert {"error": "login_required", "state": STATE} == nobody
    assert {"error": "interaction_required", "state": STATE} == without_permission
    assert "code" in returned(lab.visit(url))


def test_institutional_sign_in(lab: RegistryLab) -> None:
    """Somebody who comes by way of an institution is sent to the client's own address with a code and no state."""
    page = f"{lab.url}/institutional-signin?client_id={CLIENT_ID}"
    shown = lab.visit(page)
    sent = lab.browser.post(page, {"researcher": JOSIAH.orcid}, allow_redirects=False, timeout=SECONDS)

    assert 'id="connect">Connect</button>' in shown.text
    assert CONNECT_URI == sent.headers["Location"].partition("?")[0]
    assert {"code"} == set(returned(sent))


@pytest.mark.parametrize("client_id", ["nobody", OTHER_CLIENT_ID])
def test_institutional_sign_in_that_is_not_set_up(lab: RegistryLab, client_id: str) -> None:
    """A client without an address for it gets nobody."""
    assert 400 == lab.visit(f"{lab.url}/institutional-signin?client_id={client_id}").status_code


def test_style_and_home(lab: RegistryLab) -> None:
    """Style and home page come from the simulator itself, and the home page leads to the institutional sign-in."""
    assert "text/css; charset=utf-8" == lab.visit(f"{lab.url}/registry.css").headers["Content-Type"]
    assert f"/institutional-signin?client_id={CLIENT_ID}" in unquote(lab.visit(lab.url).text)
