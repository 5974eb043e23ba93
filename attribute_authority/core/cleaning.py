"""Cleaning what a home organisation's system said about a delivery, before anybody keeps it, shows it, or sends it on.

Systems quote what they were asked with. The books and the mail need their words, and neither the person's identifiers nor the iD.
Whatever is in doubt goes: an ellipsis too many costs an operator less than a name in the wrong place.
"""

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_plus

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import MAX_IDENTIFIER_LENGTH, Identifier, OrcidId

LONGEST: Final = 300
"""How many characters are left of an answer at most."""

_GONE: Final = "…"
_READ: Final = 16_384
_PASSES: Final = 8
_SHORTEST_PART: Final = 3
_LONG: Final = 8

_NAMED: Final = r"pass(?:word|wd|phrase)?|pwd|secret|credentials?|(?:api|private)[-_]?key|token|cookie|salasana|lösenord"
_SECRETS: Final = (
    # Elements go with what is in them, while there are tags to tell them by.
    re.compile(rf"<([\w:.-]*(?:{_NAMED}))\b[^<>]*(?<!/)>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"""authorization["']?\s*[=:]\s*(?:"[^"]*"?|'[^']*'?|[^"',;\n<>]+)""", re.IGNORECASE),
    re.compile(rf"""(?:{_NAMED})s?["']?\s*[=:]\s*(?:"[^"]*"?|'[^']*'?|[^\s<>]+)""", re.IGNORECASE),
    re.compile(r"\b(?:bearer|basic|digest|negotiate|ntlm|dpop)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(?<=://)[^\s/@<>]+(?=@)"),
    re.compile(r"(?<![\w-])eyJ[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?<![A-Za-z0-9+_=-])(?=[A-Za-z+_=-]*[0-9])[A-Za-z0-9+_=-]{40,}"),
)
_INLINE: Final = re.compile(
    r"</?(?:a|abbr|b|big|code|em|font|i|kbd|mark|s|samp|small|span|strong|sub|sup|tt|u|var|wbr)\b[^<>]*>", re.IGNORECASE
)
_MARKUP: Final = (
    re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL),
    re.compile(r"<!\[CDATA\[|\]\]>"),
    re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL),
    re.compile(r"<[!/?A-Za-z][^<>]*(?:>|\Z)"),
)
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")
_ESCAPED: Final = re.compile(rf"&#?\w+;?|{_ESCAPE.pattern}")
# Only from where a word begins: whoever looks for the sign from every letter of a long one looks for a long time.
_ADDRESS: Final = re.compile(r"""(?<![^\s<>"'(),;:=])[^\s<>"'(),;:=@]*(?:@|%40)[^\s<>"'(),;]*""", re.IGNORECASE)
_ORCID: Final = re.compile(r"(?:[0-9]{4}[^0-9A-Za-z]{0,3}(?:%2D)?){3}[0-9]{3}[0-9X]", re.IGNORECASE)
_REPEATED: Final = re.compile(rf"{_GONE}{{2,}}")


def clean_answer(text: str | None, delivery: Delivery) -> str | None:
    """Return what is left of the other system's words when everything about the person, secrets and markup are taken out.

    It is one line of at most LONGEST characters, None where nothing is left.
    """
    if text is None:
        return None
    present = () if delivery.orcid is None else (delivery.orcid,)
    person = _Person.of(delivery.identifiers, (*present, *delivery.former))
    plain = text[:_READ]
    for _ in range(_PASSES):
        # One layer at a time: markup may hold escaped markup, and a name may stand in any of them.
        peeled = _peel(_without_secrets(person.remove_from(_visible(plain))))
        if peeled == plain:
            break
        plain = peeled
    else:
        plain = _ESCAPED.sub(" ", _visible(plain))
    line = " ".join(plain.replace("<", " ").replace(">", " ").split())
    if len(text) > _READ:
        # An identifier that was cut in two cannot be told any more; none is longer than this, however it is escaped.
        line = line[: -4 * MAX_IDENTIFIER_LENGTH]
    return _shortened(_REPEATED.sub(_GONE, person.remove_from(line)))


def without_person(text: str, identifiers: Iterable[Identifier], orcids: Iterable[OrcidId]) -> str:
    """Return a text as one line in which nothing is left of whoever has these identifiers and iDs."""
    return _Person.of(identifiers, orcids).remove_from(" ".join(_visible(text).split()))


@dataclass(frozen=True, slots=True)
class _Person:
    """What must not be left of a person, as patterns: `long` cannot be mistaken for anything else, `every` is all of it."""

    long: re.Pattern[str] | None
    every: re.Pattern[str] | None

    @classmethod
    def of(cls, identifiers: Iterable[Identifier], orcids: Iterable[OrcidId]) -> "_Person":
        whole: set[str] = set()
        parts: set[str] = set()
        for identifier in identifiers:
            for spelt in {identifier.value, identifier.spelling or identifier.value}:
                local_part, at, _ = spelt.partition("@")
                whole.update(_spellings(spelt))
                if at and len(local_part) >= _SHORTEST_PART:
                    parts.update(_spellings(local_part))
        registered = [_digits(orcid) for orcid in orcids]
        names = [pattern for part in sorted(parts) for pattern in _names(part)]
        return cls(
            _pattern([*registered, *_escaped(text for text in whole if len(text) >= _LONG)]),
            _pattern([*registered, *_escaped(whole | parts), *names]),
        )

    def remove_from(self, text: str) -> str:
        # What is short may be a part of something that is only known whole, such as somebody else's address.
        if self.long is not None:
            text = self.long.sub(_GONE, text)
        text = _ORCID.sub(_GONE, _ADDRESS.sub(_GONE, text))
        return text if self.every is None else self.every.sub(_GONE, text)


def _spellings(text: str) -> Iterator[str]:
    for spelt in (text, text.lower(), text.upper(), text.casefold()):
        for written in (spelt, quote(spelt), quote(spelt, safe=""), quote_plus(spelt), json.dumps(spelt, ensure_ascii=False)[1:-1]):
            if seen := _visible(written).strip():
                yield seen


def _names(local_part: str) -> Iterator[str]:
    """Yield patterns of a person's name where the local part is made of it, as first.last is."""
    parts = [re.escape(part) for part in re.split(r"[._-]+", local_part)]
    if len(parts) == 2 and all(len(part) >= _SHORTEST_PART for part in parts):
        for first, second in (parts, reversed(parts)):
            yield rf"{first}\W{{1,3}}{second}"


def _digits(orcid: OrcidId) -> str:
    return r"[^0-9A-Za-z]{0,3}(?:%2D)?".join(orcid.value.replace("-", ""))


def _escaped(texts: Iterable[str]) -> list[str]:
    # The longest first, so that what begins alike is not taken for the shorter one.
    return [re.escape(text) for text in sorted(texts, key=lambda text: (-len(text), text))]


def _pattern(alternatives: Iterable[str]) -> re.Pattern[str] | None:
    every = "|".join(alternatives)
    return re.compile(every, re.IGNORECASE) if every else None


def _visible(text: str) -> str:
    """Return the text without controls, signs that nobody sees or that change directions, and what no database can hold."""
    seen = "".join(sign if sign.isprintable() else "\n" if sign in "\r\n" else " " if sign.isspace() else "" for sign in text)
    return unicodedata.normalize("NFC", seen)


def _without_secrets(text: str) -> str:
    for secret in _SECRETS:
        text = secret.sub(_GONE, text)
    return text


def _peel(text: str) -> str:
    text = _INLINE.sub("", text)
    for markup in _MARKUP:
        text = markup.sub(" ", text)
    return html.unescape(_ESCAPE.sub(_unescape, text))


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _shortened(line: str) -> str | None:
    if not line.strip(f"{_GONE} "):
        return None
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + _GONE
