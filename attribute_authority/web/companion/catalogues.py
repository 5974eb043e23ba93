"""The words of the pages in each language: gettext catalogues, compiled in memory from the .po files that translators work on."""

from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from attribute_authority.web.companion.languages import ENGLISH

LOCALE_DIRECTORY: Final = Path(__file__).parent / "locale"


def catalogue_path(language: str) -> Path:
    """Return where the catalogue of a language stands; English has none, for its messages are the source."""
    return LOCALE_DIRECTORY / language / "LC_MESSAGES" / "companion.po"


def read_translations(language: str) -> NullTranslations:
    """Read the catalogue of a language. Raises OSError where it cannot be read."""
    if language == ENGLISH:
        return NullTranslations()
    with catalogue_path(language).open("rb") as source:
        catalogue = read_po(source, locale=language, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
