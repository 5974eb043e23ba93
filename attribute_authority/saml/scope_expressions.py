"""Regular expressions in metadata: which ones are safe to match against what an identity provider sends (shibmd:Scope regexp).

Matching backtracks, and both sides of it come from outside: `(a+)+b` would keep a process busy for ever. So an expression is
read for the number of ways in which it could take a text apart, and left out where these are too many, or where it has anything
that domain names are not described with: look-around, back-references, flags.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from attribute_authority.domain.identifiers import MAX_IDENTIFIER_LENGTH
from attribute_authority.errors import OperatorError

_MAX_LENGTH: Final = 256
_MAX_WAYS: Final = 100_000
# Doubled operators in a class, and a bracket, are kept by Python for sets.
_TOKEN: Final = re.compile(
    r"""(?P<group>\((?:\?:|(?!\?))) | (?P<end>\)) | (?P<or>\|)
    | (?:(?P<sign>[*+?]) | \{(?P<least>\d{1,3})(?:(?P<comma>,)(?P<most>\d{1,3})?)?\})[?+]?
    | (?P<atom>\\[^A-Za-z0-9] | \\[dDwWsS] | \[\^?(?:\\[^A-Za-z0-9] | \\[dDwWsS] | (?!--|&&|\|\||~~)[^\]\\[])+\] | [^\\\[\](){}*+?|])""",
    re.VERBOSE | re.DOTALL,
)
_SIGNS: Final = {"*": (0, MAX_IDENTIFIER_LENGTH), "+": (1, MAX_IDENTIFIER_LENGTH), "?": (0, 1)}


def check_expression(expression: str) -> None:
    """Raise OperatorError, with the reason, for an expression that is none, or that could take too long to match."""
    if len(expression) > _MAX_LENGTH:
        raise OperatorError(f"it has more than {_MAX_LENGTH} characters")
    ways = _ways(expression)
    if ways > _MAX_WAYS:
        raise OperatorError("matching it could take too long: repetitions stand inside of repetitions, or there are too many")
    try:
        re.compile(expression)
    except (re.error, OverflowError) as error:
        raise OperatorError(f"it is no regular expression ({error})") from error


@dataclass(slots=True)
class _Group:
    """A group as far as it was read: the ways of its earlier branches, of this branch, and of the part that a repetition would repeat."""

    branches: int = 0
    branch: int = 1
    last: int = 1

    def add(self, part: int) -> None:
        self.branch, self.last = _bounded(self.branch * self.last), part

    def end_branch(self) -> None:
        self.add(1)
        self.branches, self.branch = _bounded(self.branches + self.branch), 1

    def repeat(self, least: int, most: int) -> None:
        self.last = _bounded((most - least + 1) * self.last**most)


def _ways(expression: str) -> int:
    """Return an upper bound, itself bounded, of the ways in which a text can be taken apart. Raises OperatorError."""
    groups = [_Group()]
    for token in _tokens(expression):
        if token["group"]:
            groups.append(_Group())
        elif token["end"]:
            _close(groups)
        elif token["or"]:
            groups[-1].end_branch()
        elif token["atom"]:
            groups[-1].add(1)
        else:
            groups[-1].repeat(*_times(token))
    groups[0].end_branch()
    return groups[0].branches


def _close(groups: list[_Group]) -> None:
    group = groups.pop()
    if not groups:
        raise OperatorError("it is no regular expression (a group ends that did not begin)")
    group.end_branch()
    groups[-1].add(group.branches)


def _tokens(expression: str) -> Iterator[re.Match[str]]:
    end = 0
    for token in _TOKEN.finditer(expression):
        if token.start() != end:
            break
        end = token.end()
        yield token
    if end != len(expression):
        raise OperatorError(f"it has something at character {end + 1} that is not accepted in a scope")


def _times(token: re.Match[str]) -> tuple[int, int]:
    """Return how often the last part may stand: at least and at most, as far as any identifier is long."""
    if token["sign"]:
        return _SIGNS[token["sign"]]
    least = min(int(token["least"]), MAX_IDENTIFIER_LENGTH)
    most = int(token["most"] or (MAX_IDENTIFIER_LENGTH if token["comma"] else least))
    return least, max(least, min(most, MAX_IDENTIFIER_LENGTH))


def _bounded(ways: int) -> int:
    return min(ways, _MAX_WAYS + 1)
