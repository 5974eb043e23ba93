"""The pages of the demo federation: templates, the one stylesheet, and the headers that every page has."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Request, Response

from attribute_authority.demo.texts import LANGUAGE_NAMES, LANGUAGES, text

_HERE: Final = Path(__file__).parent
_STATIC: Final[Mapping[str, str]] = {
    "demo.css": "text/css; charset=utf-8",
    "post.js": "text/javascript; charset=utf-8",
    "orcid.svg": "image/svg+xml",
    "mark.svg": "image/svg+xml",
}
# Cookies know no ports: whoever chooses a language here has chosen it for the companion page too.
_LANGUAGE_COOKIE: Final = "language"
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def language_of(request: Request) -> str:
    """Return the language of a page: the one asked for, else the one chosen before, else the best that the browser prefers."""
    for chosen in (request.args.get("lang"), request.cookies.get(_LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return chosen
    return request.accept_languages.best_match(LANGUAGES, "en") or "en"


def render(request: Request, template: str, *, status: int = 200, form_target: str | None = None, **values: object) -> Response:
    """Render a page. `form_target` is the address outside of this site to which its form goes."""
    language = language_of(request)
    page = _TEMPLATES.get_template(template).render(
        language=language, languages=_language_links(request), t=partial(_text, language), **values
    )
    response = Response(page, status, content_type="text/html; charset=utf-8")
    response.headers.update(_page_headers(form_target))
    if request.args.get("lang") == language:
        response.set_cookie(_LANGUAGE_COOKIE, language, httponly=True, samesite="Lax")
    return response


def static_file(name: str) -> Response:
    """Return a file of the stylesheet's directory. Raises NotFound."""
    media_type = _STATIC.get(name)
    if media_type is None:
        raise NotFound
    response = Response((_HERE / "static" / name).read_bytes(), content_type=media_type)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "max-age=300"
    return response


def metadata_file(document: bytes) -> Response:
    """Return SAML metadata."""
    return Response(document, content_type="application/samlmetadata+xml")


def _text(language: str, key: str) -> str:
    return text(key, language)


def _language_links(request: Request) -> list[tuple[str, str, str]]:
    # A page that answers a form has no address of its own to come back to.
    if request.method != "GET":
        return []
    # The rest stays as it is written: the signature of a SAML message by HTTP-Redirect covers its very encoding.
    others = [part for part in request.query_string.decode("latin-1").split("&") if part and not part.startswith("lang=")]
    return [(code, LANGUAGE_NAMES[code], f"?{'&'.join([*others, f'lang={code}'])}") for code in LANGUAGES]


def _page_headers(form_target: str | None) -> Mapping[str, str]:
    parts = None if form_target is None else urlsplit(form_target)
    # As strict as an identity provider may be: browsers hold a form to this also where the answer to it sends them on.
    target = "'self'" if parts is None else f"'self' {parts.scheme}://{parts.netloc}"
    policy = f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action {target}"
    return {
        "Content-Security-Policy": f"{policy}; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
