"""The languages of the pages, and which of them a request is answered in."""

from typing import Final

from werkzeug.datastructures import LanguageAccept

ENGLISH: Final = "en"
LANGUAGES: Final = ("fi", "sv", ENGLISH)
"""Every language, in the order in which they are offered."""

OWN_NAMES: Final = {"fi": "Suomi", "sv": "Svenska", ENGLISH: "English"}
"""What each language calls itself, for the language switch."""


def choose_language(asked: str | None, remembered: str | None, accepted: LanguageAccept) -> str:
    """Return the language of a request: the one asked for in its address, else in its cookie, else by Accept-Language, else English.

    `asked` and `remembered` may hold anything; what is none of the three codes is passed over.
    Of a language range its first subtag counts, so that British English is not passed over for a second choice (RFC 4647 section 3.4).
    """
    for code in (asked, remembered):
        if code in LANGUAGES:
            return code
    wanted = (tag.partition("-")[0].lower() for tag, quality in accepted if quality > 0)
    return next((language for language in wanted if language in LANGUAGES), ENGLISH)
