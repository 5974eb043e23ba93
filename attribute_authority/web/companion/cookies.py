"""The cookies: a session, a mark of the browser, and the language.

Over https the first two bear the prefix `__Host-`, which no other host can set (RFC 6265bis section 4.1.3.2). The session stays
away from requests that other sites make, but for links (SameSite=Lax). The mark of the browser must come with the POST in which a
home organisation sends its Response, so it is SameSite=None, and opens nothing by itself.
"""

from dataclasses import dataclass
from typing import Final

from werkzeug import Request, Response

_YEAR: Final = 365 * 24 * 3600
_LONGEST: Final = 128


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and sets cookies; `secure` tells whether browsers come over https, which they do everywhere but in demonstrations."""

    secure: bool

    def session(self, request: Request) -> str | None:
        """Return the secret of the session that the browser shows, or None."""
        return self._read(request, "session")

    def set_session(self, response: Response, secret: str, lifetime: int) -> None:
        """Give the browser a session; `lifetime` is in seconds."""
        self._set(response, "session", secret, lifetime, "Lax")

    def end_session(self, response: Response) -> None:
        """Take the session from the browser."""
        self._set(response, "session", "", 0, "Lax")

    def browser(self, request: Request) -> str | None:
        """Return the mark of the browser, or None."""
        return self._read(request, "browser")

    def set_browser(self, response: Response, secret: str, lifetime: int) -> None:
        """Mark the browser; `lifetime` is in seconds."""
        # SameSite=None is refused without Secure; where there is no https, everything is on one machine and so on one site.
        self._set(response, "browser", secret, lifetime, "None" if self.secure else "Lax")

    def language(self, request: Request) -> str | None:
        """Return the language that the reader chose, or None."""
        return _bounded(request.cookies.get("language"))

    def set_language(self, response: Response, language: str) -> None:
        """Remember the language that the reader chose."""
        response.set_cookie("language", language, max_age=_YEAR, path="/", secure=self.secure, httponly=True, samesite="Lax")

    def _name(self, name: str) -> str:
        # Cookies know no ports: on one machine other sites of a demonstration share the name.
        return f"__Host-{name}" if self.secure else f"companion-{name}"

    def _read(self, request: Request, name: str) -> str | None:
        return _bounded(request.cookies.get(self._name(name)))

    def _set(self, response: Response, name: str, value: str, lifetime: int, same_site: str) -> None:
        response.set_cookie(self._name(name), value, max_age=lifetime, path="/", secure=self.secure, httponly=True, samesite=same_site)


def _bounded(value: str | None) -> str | None:
    return value if value and len(value) <= _LONGEST else None
