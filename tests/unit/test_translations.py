"""The catalogues: complete, not stale, and true to the markup and placeholders of their messages."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po

from attribute_authority.web.companion.catalogues import LOCALE_DIRECTORY, catalogue_path
from attribute_authority.web.companion.languages import ENGLISH, LANGUAGES

TRANSLATED = [language for language in LANGUAGES if language != ENGLISH]
SAME_IN_EVERY_LANGUAGE: frozenset[str] = frozenset()
PLACEHOLDER = re.compile(r"%\(\w+\)s")
TAG = re.compile(r"<[^>]+>")


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Every message of templates and words, extracted anew as `make translations` does."""
    template = tmp_path_factory.mktemp("messages") / "companion.pot"
    mapping = LOCALE_DIRECTORY / "babel.toml"
    command = ["pybabel", "-q", "extract", f"--mapping-file={mapping}", "--keywords=msg", f"--output-file={template}"]
    CommandLineInterface().run([*command, str(LOCALE_DIRECTORY.parent)])
    return _read(template)


def _read(path: Path) -> Catalog:
    with path.open("rb") as source:
        return read_po(source, abort_invalid=True)


def _texts(catalogue: Catalog) -> dict[str, str]:
    return {str(message.id): str(message.string) for message in catalogue if message.id}


def _sorted(pattern: re.Pattern[str], text: str) -> list[str]:
    return sorted(pattern.findall(text))


def test_messages_are_found(messages: Catalog) -> None:
    """The extraction reaches both templates and words, so that the other tests compare with something."""
    found = _texts(messages)

    assert {"Who receives it", "Something went wrong"} <= set(found)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated(messages: Catalog, language: str) -> None:
    """No message is missing from a catalogue or empty in it."""
    translated = _texts(_read(catalogue_path(language)))
    missing = [message for message in _texts(messages) if not translated.get(message, "").strip()]

    assert missing == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_is_stale(messages: Catalog, language: str) -> None:
    """A catalogue holds nothing that no page says any more, neither in force nor commented out."""
    catalogue = _read(catalogue_path(language))
    stale = set(_texts(catalogue)) - set(_texts(messages))

    assert (stale, dict(catalogue.obsolete)) == (set(), {})


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_is_a_guess(language: str) -> None:
    """Nothing is marked fuzzy."""
    fuzzy = [message.id for message in _read(catalogue_path(language)) if message.id and message.fuzzy]

    assert fuzzy == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_message_is_left_in_english(language: str) -> None:
    """Every translation differs from its message."""
    left = {message for message, text in _texts(_read(catalogue_path(language))).items() if message == text}

    assert left == SAME_IN_EVERY_LANGUAGE


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("pattern", [PLACEHOLDER, TAG], ids=["placeholders", "markup"])
def test_placeholders_and_markup_are_kept(language: str, pattern: re.Pattern[str]) -> None:
    """A translation has the same placeholders and the same tags as its message."""
    texts = _texts(_read(catalogue_path(language)))
    different = [message for message, text in texts.items() if _sorted(pattern, message) != _sorted(pattern, text)]

    assert different == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_sentences_end_alike(language: str) -> None:
    """A translation ends with the same punctuation as its message, so that labels stay labels and questions stay questions."""
    texts = _texts(_read(catalogue_path(language)))
    different = [message for message, text in texts.items() if (message + " ")[-2:-1] != text[-1] and {message[-1], text[-1]} & set(".:?!")]

    assert different == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_texts_hold_no_ambiguous_ampersand(language: str) -> None:
    """Messages are markup: a bare ampersand or percent sign in one would break the page that shows it."""
    texts = _texts(_read(catalogue_path(language)))
    broken = [text for pair in texts.items() for text in pair if re.search(r"&(?!\w+;)|%(?!\()", text)]

    assert broken == []
