"""Text in the form that Exclusive XML Canonicalization prescribes (Canonical XML 1.0 section 2.3)."""

from typing import Final

_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE: Final = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})


def text(value: str) -> str:
    """Escape the text of an element."""
    return value.translate(_TEXT)


def attributes(*pairs: tuple[str, str | None]) -> str:
    """Write attributes, absent ones left out; the caller gives them in the order of their names, as canonical form has them."""
    return "".join([f' {name}="{value.translate(_ATTRIBUTE)}"' for name, value in pairs if value is not None])
