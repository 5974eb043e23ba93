"""Renders views: one template for each view, one environment for each language, everything compiled before the first request."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from attribute_authority.web.companion import words
from attribute_authority.web.companion.catalogues import read_translations
from attribute_authority.web.companion.delivery_views import Deliveries
from attribute_authority.web.companion.formats import day, local_instant, time_of_day
from attribute_authority.web.companion.languages import LANGUAGES, OWN_NAMES
from attribute_authority.web.companion.static_files import StaticFiles
from attribute_authority.web.companion.views import Confirm, Frame, Home, Page, Problem, SignedOut, Start, Unlink

_TEMPLATES: Final = {
    Start: "start.html",
    Home: "home.html",
    Deliveries: "deliveries.html",
    Confirm: "confirm.html",
    Unlink: "unlink.html",
    SignedOut: "signed_out.html",
    Problem: "problem.html",
}


class Pages:
    """Turns a view into HTML. Keeps no state between pages, and may be used by several threads at once."""

    def __init__(self, static_files: StaticFiles) -> None:
        self._templates = {language: _compile(language, static_files.url) for language in LANGUAGES}

    def render(self, page: Page | Deliveries, frame: Frame) -> str:
        """Return the page as an HTML document, or the part of one, in the language of its frame."""
        return self._templates[frame.language][type(page)].render(page=page, frame=frame)


def _compile(language: str, static_url: Callable[[str], str]) -> dict[type, Template]:
    environment = Environment(
        loader=PackageLoader("attribute_authority.web.companion"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True
    # The i18n extension gives the environment this method when it is loaded.
    vars(environment)["install_gettext_translations"](read_translations(language), newstyle=True)
    environment.globals.update(static_url=static_url, words=words, own_names=OWN_NAMES)
    environment.filters.update(
        day=lambda instant: _timestamp(instant, day(instant, language)),
        time_of_day=lambda instant: time_of_day(instant, language),
    )
    compiled = {name: environment.get_template(name) for name in environment.list_templates()}
    return {view: compiled[name] for view, name in _TEMPLATES.items()}


def _timestamp(instant: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(local_instant(instant).isoformat(timespec="minutes"), text)
