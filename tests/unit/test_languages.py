"""Which language a request is answered in."""

import pytest
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from attribute_authority.web.companion.languages import LANGUAGES, OWN_NAMES, choose_language


def accepted(header: str) -> LanguageAccept:
    """Read an Accept-Language header as a request does."""
    return parse_accept_header(header, LanguageAccept)


def test_a_language_that_is_asked_for_goes_first() -> None:
    """The address of the page decides over the cookie and the browser."""
    language = choose_language("sv", "fi", accepted("en"))

    assert language == "sv"


def test_a_remembered_language_goes_before_that_of_the_browser() -> None:
    """The cookie decides where the address says nothing."""
    language = choose_language(None, "fi", accepted("en"))

    assert language == "fi"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("fi-FI,fi;q=0.9,en-US;q=0.8,en;q=0.7", "fi"),
        ("sv-FI", "sv"),
        ("SV", "sv"),
        ("en-GB,fi;q=0.5", "en"),
        ("fr,sv;q=0.5,fi;q=0.4", "sv"),
        ("fi;q=0,sv;q=0.1", "sv"),
        ("de,fr", "en"),
        ("*", "en"),
        ("", "en"),
        ("fi;q=much,,;=;", "en"),
        ("x" * 5_000, "en"),
    ],
)
def test_the_browser_decides_where_nothing_else_does(header: str, expected: str) -> None:
    """Accept-Language is negotiated, regions and qualities included, and English is what remains."""
    language = choose_language(None, None, accepted(header))

    assert language == expected


@pytest.mark.parametrize("code", ["", "FI", "fi-FI", "de", "../en", "fi\r\nSet-Cookie: a=b", "\x00"])
def test_what_is_no_language_code_is_passed_over(code: str) -> None:
    """Only the three codes are taken from the address and the cookie; anything else counts as nothing."""
    language = choose_language(code, code, accepted("sv"))

    assert language == "sv"


def test_every_language_has_a_name_of_its_own() -> None:
    """The language switch has a name for each language."""
    named = set(OWN_NAMES)

    assert set(LANGUAGES) == named
