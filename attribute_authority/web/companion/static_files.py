"""The few files that pages refer to, read once; the address of each carries a digest of its content, so that it may be kept for a year."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

_DIRECTORY: Final = Path(__file__).parent / "static"
_CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent; `digest` is part of its address."""

    body: bytes
    content_type: str
    digest: str


class StaticFiles:
    """Files by name, below one address."""

    def __init__(self, files: Mapping[str, StaticFile], base_url: str) -> None:
        self._files = dict(files)
        self._base_url = base_url

    @classmethod
    def packaged(cls, base_url: str = "/static") -> Self:
        """Return the style sheet, the script and the marks that come with the pages."""
        return cls({path.name: read_static_file(path) for path in sorted(_DIRECTORY.iterdir())}, base_url)

    def including(self, name: str, file: StaticFile) -> "StaticFiles":
        """Return the same with one more file, such as the operator's logo."""
        return StaticFiles({**self._files, name: file}, self._base_url)

    def find(self, name: str) -> StaticFile | None:
        """Return a file by its name, None where there is none."""
        return self._files.get(name)

    def url(self, name: str) -> str:
        """Return the address of a file, which changes with its content. Raises KeyError where there is none of that name."""
        return f"{self._base_url}/{quote(name)}?v={self._files[name].digest}"


def read_static_file(path: Path) -> StaticFile:
    """Read one file; its content type follows from its suffix. Raises OSError, and KeyError for a suffix that no page uses."""
    body = path.read_bytes()
    return StaticFile(body, _CONTENT_TYPES[path.suffix.lower()], hashlib.sha256(body).hexdigest()[:16])
