"""Every page in every state and language: well-formed, accessible in structure, free of foreign assets, and escaped."""

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import pytest
from lxml import etree, html

from attribute_authority.domain.linking import LinkingKind
from attribute_authority.web.companion.consent import consent_version
from attribute_authority.web.companion.delivery_views import DeliveryProgress
from attribute_authority.web.companion.formats import day, time_of_day
from attribute_authority.web.companion.languages import ENGLISH, LANGUAGES, OWN_NAMES
from attribute_authority.web.companion.pages import Pages
from attribute_authority.web.companion.static_files import StaticFile, StaticFiles
from attribute_authority.web.companion.views import Confirm, Home, Notice, Problem, ProblemKind, Recipients, ShownOrcid
from attribute_authority.web.companion.words import PROBLEMS
from tests.factories import companion_views as samples

STATIC: Final = StaticFiles.packaged()
PAGES: Final = Pages(STATIC)
EVERY: Final = samples.every_page()
CONSENT_TEXTS: Final = {
    "2026-11-21": "ec19a388597ae1c39d8628d95281b6a910f256546a4bd8b8fcdce018f4cbfc82",
    "2026-11-21-deliveries": "a4e56bb6ff82c52f7556f423d6af0571e317a01ab5e5da122452445760229963",
}
"""The digest of the consent text of each version, in every language. A text that was in force is never edited: it gets a new version."""


def render(name: str, language: str = ENGLISH, *, bare: bool = False) -> str:
    """Render a sample page by its name."""
    page = EVERY[name]
    return PAGES.render(page, samples.frame(language, person=samples.person_on(page), bare=bare))


def parse(text: str) -> html.HtmlElement:
    """Read a page; the parser recovers from nothing that HTML does not allow."""
    return html.document_fromstring(text)


def texts(page: html.HtmlElement) -> list[str]:
    """Return every piece of text that a reader or a screen reader gets, spaces evened out."""
    found = page.xpath("//text()[not(parent::script or parent::style)] | //@alt | //@aria-label | //@title")
    return [evened for piece in found if (evened := " ".join(str(piece).split()))]


def visible(page: html.HtmlElement, xpath: str) -> str:
    """Return the text of what an expression finds, spaces evened out."""
    return " ".join(" ".join(element.text_content() for element in page.xpath(xpath)).split())


each_page = pytest.mark.parametrize("name", EVERY)
each_language = pytest.mark.parametrize("language", LANGUAGES)


@each_language
@each_page
def test_a_page_has_the_structure_that_assistive_technology_goes_by(name: str, language: str) -> None:
    """Language, title, one h1, landmarks, a working skip link; ids are unique, and what refers to one finds it."""
    text = render(name, language)
    page = parse(text)
    ids = page.xpath("//@id")
    references = [part for value in page.xpath("//@aria-labelledby | //@aria-describedby | //@for") for part in value.split()]
    fragments = [target.removeprefix("#") for target in page.xpath("//a/@href[starts-with(., '#')]")]

    assert text.startswith("<!DOCTYPE html>")
    assert [language] == page.xpath("/html/@lang")
    assert len(page.xpath("//h1")) == len(page.xpath("//main")) == len(page.xpath("//header")) == len(page.xpath("//footer")) == 1
    assert len(ids) == len(set(ids))
    assert {*references, *fragments} <= set(ids)
    assert visible(page, "//h1") in visible(page, "//title") or name.startswith("start")


@each_language
@each_page
def test_a_page_is_well_formed(name: str, language: str) -> None:
    """Tags nest and close as they must; the parser has nothing to repair."""
    text = re.sub(r"<(meta|link|input|img|br|wbr)\b([^>]*)>", r"<\1\2/>", render(name, language).removeprefix("<!DOCTYPE html>"))
    text = re.sub(r"\s(autofocus|defer)(?=[\s>])", r' \1=""', text)
    root = etree.fromstring(text.strip())

    assert root.tag == "html"


@each_page
def test_headings_never_skip_a_level(name: str) -> None:
    """After the h1 a heading is at most one level below the one before it."""
    levels = [int(heading.tag[1]) for heading in parse(render(name)).xpath("//h1 | //h2 | //h3 | //h4")]
    after_first = levels[levels.index(1) :]
    jumps = [pair for pair in pairwise(after_first) if pair[1] - pair[0] > 1]

    assert jumps == []


@each_page
def test_controls_have_labels_and_forms_a_token(name: str) -> None:
    """Each visible input has a label, each image an alt, each button a text; each form posts the session's token."""
    page = parse(render(name))
    unlabelled = [field for field in page.xpath("//input[@type != 'hidden']") if not page.xpath(f"//label[@for = '{field.get('id')}']")]
    forms = page.xpath("//form")

    assert unlabelled == []
    assert [] == page.xpath("//img[not(@alt)]")
    assert all(button.text_content().strip() for button in page.xpath("//button | //a"))
    assert all(form.get("method") == "post" and form.xpath(".//input[@name = 'csrf']/@value") == ["csrf-token"] for form in forms)


@each_language
@each_page
def test_a_strict_content_security_policy_allows_everything_on_a_page(name: str, language: str) -> None:
    """No script, style or handler in the markup, and no asset but our own."""
    page = parse(render(name, language))
    assets = page.xpath("//link/@href | //img/@src | //*[@srcset]/@srcset | //script/@src")

    assert [] == page.xpath(
        "//script[not(@src) or text()] | //style | //iframe | //object | //embed | //base | //@style | //@*[starts-with(name(), 'on')]"
    )
    assert all(asset.startswith("/static/") for asset in assets)
    assert all(target.startswith("/") for target in page.xpath("//form/@action | //button/@formaction"))


@each_language
@each_page
def test_a_page_gets_along_with_what_an_operator_leaves_out(name: str, language: str) -> None:
    """Without name, contact and notices a page still has a title and shows no None."""
    text = render(name, language, bare=True)

    assert "None" not in text
    assert visible(parse(text), "//title")


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != ENGLISH])
@each_page
def test_no_english_is_left_on_a_page_in_another_language(name: str, language: str) -> None:
    """What reads the same as on the English page is a name, an iD, an address or a date, never a sentence."""
    same = set(texts(parse(render(name, language)))) & set(texts(parse(render(name))))
    values = {"ORCID®", "subject-id", "eduPersonPrincipalName", "https://orcid.org/", "Qvain", "Tutkimustietovaranto", "7c0e4a91b2", "."}
    own = {samples.PERSON, samples.ORGANISATION, samples.IDENTIFIER, "Aino M. Meikäläinen", "orcid@palvelu.example", "ORCID-linkki"} | {
        samples.SUPPORT,
        samples.REFERENCE,
    }
    codes = {"/something-else", *(shown.uri.rpartition("/")[2] for shown in (samples.ORCID, samples.OTHER_ORCID))}

    assert same - values - own - codes - set(OWN_NAMES.values()) == set()


@each_language
def test_every_page_has_a_title_of_its_own(language: str) -> None:
    """Titles tell apart what is shown: each problem, and each kind of question, has its own."""
    problems = {visible(parse(render(f"problem-{kind}", language)), "//title") for kind in ProblemKind}
    others = {visible(parse(render(name, language)), "//title") for name in ("start", "home-linked", "home-new", "unlink", "signed-out")}
    confirms = {visible(parse(render(f"confirm-{kind}", language)), "//title") for kind in (*LinkingKind, "missing")}

    assert len(problems | others | confirms) == len(ProblemKind) + 5 + 4


def test_every_problem_has_its_words() -> None:
    """No kind of problem is without words."""
    worded = set(PROBLEMS)

    assert set(ProblemKind) == worded


@pytest.mark.parametrize("notice", Notice)
def test_what_was_just_done_is_told(notice: Notice) -> None:
    """The home page tells each notice as a status, before anything else."""
    page = parse(render(f"home-notice-{notice}"))

    assert len(page.xpath("//main//*[@role = 'status']")) == 1


AWKWARD: Final = "<script>alert(1)</script> & \"quoted\" 'x' %(person)s %s {{ 7*7 }} \u202e אב"


@each_language
def test_awkward_characters_are_shown_and_never_obeyed(language: str) -> None:
    """Names from home organisations, ORCID and metadata are text, whatever stands in them."""
    recipients = Recipients((AWKWARD,), (AWKWARD,), (AWKWARD,), those_that_request_it=False)
    confirm = replace(
        samples.CONFIRM,
        orcid_name=AWKWARD,
        person=AWKWARD,
        organisation=AWKWARD,
        identifier=AWKWARD,
        recipients=recipients,
        scopes=(AWKWARD,),
    )
    home = replace(samples.HOME, organisation=AWKWARD, identifier=AWKWARD, recipients=recipients)
    frame = replace(samples.frame(language, person=AWKWARD), service_name=AWKWARD, contact=AWKWARD, csrf=AWKWARD)
    problem = Problem(ProblemKind.DEFECT, AWKWARD, AWKWARD, AWKWARD)

    for text in (PAGES.render(view, frame) for view in (confirm, home, problem)):
        page = parse(text)

        assert [] == page.xpath("//script")
        assert visible(page, "//b | //code | //title").count(AWKWARD) >= 2
        assert "49" not in visible(page, "//main").replace("7*7", "")


def test_an_orcid_id_is_shown_as_orcid_asks() -> None:
    """The icon comes with the full https URI as a link whose accessible name says that it leads to the record."""
    link = parse(render("home-linked")).xpath("//main//span[@class = 'orcid']/a")[0]

    assert samples.ORCID.uri == link.get("href") == link.text_content()
    assert f"View ORCID record {samples.ORCID.uri}" == link.get("aria-label")
    assert link.xpath("./img/@src")[0].startswith("/static/orcid-id.svg?v=")


def test_an_id_that_orcid_has_not_confirmed_looks_different() -> None:
    """What was imported or comes from the home organisation has the hollow icon and says so."""
    for name in ("home-imported", "home-entered", "home-organisation-has-one"):
        shown = parse(render(name)).xpath("//main//span[@class = 'orcid']")[0]

        assert shown.xpath("./a/img/@src")[0].startswith("/static/orcid-id-unauthenticated.svg?v=")
        assert "(not confirmed)" in shown.text_content()


def test_consent_is_never_given_beforehand() -> None:
    """No box is ticked when a page is opened, and a replacement has a second one."""
    for name, boxes in (("new", ["consent"]), ("replace", ["consent", "replace"]), ("refresh", ["consent"]), ("missing", ["consent"])):
        page = parse(render(f"confirm-{name}"))

        assert boxes == page.xpath("//input[@type = 'checkbox']/@name")
        assert [] == page.xpath("//input/@checked")


def test_a_missing_consent_is_told_where_the_focus_goes() -> None:
    """The summary of errors is an alert that takes the focus and leads to each box; the title says that there is an error."""
    page = parse(render("confirm-replace-missing"))
    summary = page.xpath("//*[@role = 'alert'][@tabindex = '-1'][@autofocus]")[0]

    assert ["#consent", "#replace"] == summary.xpath(".//a/@href")
    assert ["true", "true"] == page.xpath("//input[@type = 'checkbox']/@aria-invalid")
    assert visible(page, "//title").startswith("Error:")


def test_a_replacement_shows_both_ids() -> None:
    """Who replaces an iD sees the present one and the new one."""
    shown = parse(render("confirm-replace")).xpath("//main//span[@class = 'orcid']/a/@href")

    assert [samples.ORCID.uri, samples.OTHER_ORCID.uri] == shown


def consent_text(*, delivers: bool) -> str:
    """Return all that is agreed to, of every kind, in every language."""
    confirms = [page for kind in LinkingKind if isinstance(page := EVERY[f"confirm-{kind}"], Confirm)]
    frames = [samples.frame(language, person=samples.PERSON) for language in LANGUAGES]
    pages = [parse(PAGES.render(replace(page, delivers=delivers), frame)) for frame in frames for page in confirms]
    return "\n".join(visible(page, "//*[@id = 'consent-text'] | //form[@class = 'consent']/fieldset") for page in pages)


@pytest.mark.parametrize("delivers", [False, True])
def test_the_consent_text_changes_only_with_its_version(delivers: bool) -> None:
    """A text that differs, in any language, needs a new version and a new line in CONSENT_TEXTS."""
    digest = hashlib.sha256(consent_text(delivers=delivers).encode()).hexdigest()

    assert CONSENT_TEXTS[consent_version(delivers=delivers)] == digest


def test_instants_are_in_finnish_time() -> None:
    """Day and time are those of Helsinki, in summer and in winter, over midnight too."""
    summer = datetime(2026, 6, 30, 21, 30, tzinfo=UTC)

    assert ("1. heinäkuuta 2026", "0.30") == (day(summer, "fi"), time_of_day(summer, "fi"))
    assert ("1 juli 2026", "00:30") == (day(summer, "sv"), time_of_day(summer, "sv"))
    assert ("21 November 2026", "09:05") == (day(samples.LINKED_AT, "en"), time_of_day(samples.LINKED_AT, "en"))


def test_a_page_with_all_that_it_loads_weighs_less_than_100_kilobytes() -> None:
    """The heaviest page, uncompressed, with the style sheet, the script and every mark."""
    assets = 0
    for name in ("companion.css", "companion.js", "favicon.svg", "orcid-id.svg", "orcid-id-unauthenticated.svg"):
        file = STATIC.find(name)
        assets += len(file.body) if file else 100_000
    heaviest = max(len(render(name, language).encode()) for name in EVERY for language in LANGUAGES)

    assert heaviest + assets < 50_000


def test_the_script_asks_its_own_stream_alone() -> None:
    """The script fetches nothing, and writes no markup that it has not been given as elements."""
    file = STATIC.find("companion.js")

    assert file is not None
    assert "text/javascript; charset=utf-8" == file.content_type
    assert not re.search(rb"innerHTML|eval|fetch|XMLHttpRequest|import|https?:", file.body)


def test_style_and_marks_load_nothing() -> None:
    """No file refers to another one, here or elsewhere, and no mark holds a script."""
    for name in ("companion.css", "favicon.svg", "orcid-id.svg", "orcid-id-unauthenticated.svg"):
        file = STATIC.find(name)

        assert file is not None
        assert not re.search(rb"url\(|@import|@font-face|<script|href|<style", file.body)


@pytest.mark.parametrize(("name", "scripts"), [("home-delivery-under-way", 1), ("home-removal-waiting", 1), ("home-delivery-done", 0)])
def test_only_what_can_still_change_is_followed(name: str, scripts: int) -> None:
    """A page on which something is under way brings the script, the stream in its own language, and tells changes politely; others none."""
    page = parse(render(name, "sv"))
    streams = page.xpath("//section[@id = 'deliveries'][@aria-live = 'polite']/@data-live")

    assert scripts == len(page.xpath("//script[starts-with(@src, '/static/companion.js?v=')][@defer]"))
    assert scripts == len(streams) == len(page.xpath("//*[@class = 'hint']"))


@pytest.mark.parametrize("progress", DeliveryProgress)
@each_language
def test_each_state_of_a_delivery_has_a_word_of_its_own(progress: DeliveryProgress, language: str) -> None:
    """No two states of a delivery, nor of a removal, begin alike, so that nobody has to go by colours."""

    def word(kind: str, state: DeliveryProgress) -> str:
        return visible(parse(render(f"home-{kind}-{state}", language)), "//p[starts-with(@class, 'progress')]/b")

    for kind in ("delivery", "removal"):
        others = {word(kind, other) for other in DeliveryProgress if other is not progress}

        assert word(kind, progress)
        assert word(kind, progress) not in others


@pytest.mark.parametrize("progress", [progress for progress in DeliveryProgress if progress is not DeliveryProgress.UNSENT])
def test_every_delivery_has_the_reference_that_support_needs(progress: DeliveryProgress) -> None:
    """Whatever was written has its reference on the page."""
    shown = visible(parse(render(f"home-delivery-{progress}")), "//code[@class = 'reference']")

    assert samples.REFERENCE == shown


def test_support_of_the_organisation_is_named_where_it_is_known() -> None:
    """A refusal names the organisation's support where the operator gave it, and says whether it was told."""
    known, told = render("home-delivery-parked"), render("home-delivery-told")

    assert [f"mailto:{samples.SUPPORT}"] == parse(known).xpath("//section[@id = 'deliveries']//a/@href")
    assert ("Ask its IT support" in known, "Ask its IT support" in told) == (True, False)
    assert ("has been told" in known, "has been told" in told) == (False, True)


def test_a_part_that_is_sent_by_itself_is_that_of_the_page() -> None:
    """What a stream shows is, element by element, what the page would, so that nothing moves unless it changes."""
    home = EVERY["home-delivers-to-several"]
    assert isinstance(home, Home)
    assert home.deliveries is not None
    part = html.fragments_fromstring(PAGES.render(home.deliveries, samples.frame()))
    (section,) = parse(PAGES.render(home, samples.frame(person=""))).xpath("//section[@id = 'deliveries']")

    assert [etree.tostring(one, with_tail=False) for one in section] == [etree.tostring(one, with_tail=False) for one in part]


def test_the_address_of_a_static_file_changes_with_its_content() -> None:
    """A digest of the content is part of the address, so that a browser may keep the file for a year."""
    first = STATIC.including("logo.svg", StaticFile(b"one", "image/svg+xml", "1111")).url("logo.svg")
    second = STATIC.including("logo.svg", StaticFile(b"two", "image/svg+xml", "2222")).url("logo.svg")

    assert ("/static/logo.svg?v=1111", "/static/logo.svg?v=2222") == (first, second)


@pytest.mark.parametrize("name", ["", ".", "..", "../pages.py", "/etc/passwd", "companion.css/", "COMPANION.CSS", "\x00"])
def test_only_known_static_files_are_found(name: str) -> None:
    """A name is looked up, never opened."""
    file = STATIC.find(name)

    assert file is None


def test_each_language_is_offered_in_itself() -> None:
    """The switch names each language in that language, marks the present one, and is on every page."""
    links = parse(render("problem-not-found", "sv")).xpath("//nav//a")

    assert [("fi", "Suomi"), ("sv", "Svenska"), ("en", "English")] == [(link.get("lang"), link.text_content()) for link in links]
    assert [None, "true", None] == [link.get("aria-current") for link in links]


def test_a_sandbox_is_never_taken_for_the_real_registry() -> None:
    """The banner is there exactly where the sandbox is configured."""
    real = PAGES.render(EVERY["start"], replace(samples.frame(), is_sandbox=False))

    assert ("sandbox" in render("start"), "sandbox" in real) == (True, False)


def test_a_sandbox_id_is_shown_with_its_host() -> None:
    """The URI is shown as it is, never shortened to the bare iD."""
    view = replace(samples.HOME, link=replace(samples.LINK, orcid=ShownOrcid("https://sandbox.orcid.org/0000-0002-1825-0097")))
    link = parse(PAGES.render(view, samples.frame(person=""))).xpath("//main//span[@class = 'orcid']/a")[0]

    assert link.text_content() == "https://sandbox.orcid.org/0000-0002-1825-0097"
