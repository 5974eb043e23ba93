"""Cleaning other systems' words: what is said of the cause stays, what is said of the person goes."""

import html
import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attribute_authority.core.cleaning import LONGEST, clean_answer, without_person
from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier

HOME = "https://idp.uni.example/idp"
SERVICE = "https://sp.example.org/sp"
CARBERRY = OrcidId("0000-0002-1825-0097")
FORMER = OrcidId("0000-0002-1694-233X")
EPPN = parse_identifier(IdentifierKind.EPPN, "Josiah.Carberry@Uni.example")
OPAQUE = parse_identifier(IdentifierKind.PERSISTENT, "a+/b=c", HOME, SERVICE)


def delivery(*identifiers: Identifier, orcid: OrcidId | None = CARBERRY, former: tuple[OrcidId, ...] = (FORMER,)) -> Delivery:
    """Return a delivery about somebody with these identifiers."""
    return Delivery("r1", EntityId(HOME), identifiers, orcid, former, Environment.PRODUCTION, datetime(2026, 3, 1, tzinfo=UTC))


def cleaned(text: str) -> str | None:
    """Clean what was said about Josiah Carberry."""
    return clean_answer(text, delivery(EPPN, OPAQUE))


@pytest.mark.parametrize(
    "text",
    [
        "ORA-00001: unique constraint (HR.PERSON_UK) violated",
        "Object class violation: attribute 'eduPersonOrcid' not allowed",
        "constraintViolation (19): R&D 50% of 2026-03-01T12:00:00Z",
        "Henkilöä ei löydy: katso ohje 7.",
    ],
)
def test_words_about_the_cause_stay(text: str) -> None:
    """They are what an operator needs."""
    assert text == cleaned(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no entry for josiah.carberry@uni.example", "no entry for …"),
        ("no entry for JOSIAH.CARBERRY@UNI.EXAMPLE.", "no entry for …."),
        ("uid=Josiah.Carberry,ou=people,dc=uni", "uid=…,ou=people,dc=uni"),
        ("Josiah Carberry is not employed", "… is not employed"),
        ("CARBERRY, Josiah: not employed", "…: not employed"),
        ("/people/josiah.carberry%40uni.example: 404", "/people/…: 404"),
        ("persistentId a+/b=c, a%2B%2Fb%3Dc, a%2b/b%3dc", "persistentId …, …, …"),
        (r'{"id": "josiah.carberry@uni.example", "detail": "gone"}', '{"id": "…", "detail": "gone"}'),
        ("asked mary@other.example and root@localhost about it", "asked … and … about it"),
        ("from:Mary <mary@other.example>;x", "from:Mary … ;x"),
        ("https://orcid.org/0000-0002-1825-0097 is taken", "https://orcid.org/… is taken"),
        ("iD 0000000218250097, 0000 0002 1825 0097, 0000\u20130002\u20131825\u20130097", "iD …, …, …"),
        ("had 0000-0002-1694-233x, 000000021694233X", "had …, …"),
        ("of somebody else: 0000-0001-5109-3700, orcid.org/0000%2D0001%2D5109%2D3700", "of somebody else: …, orcid.org/…"),
    ],
)
def test_words_about_the_person_go(text: str, expected: str) -> None:
    """In whatever spelling, and also what only looks like a name or an iD, for it may be somebody else's."""
    assert expected == cleaned(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<html><head><title>404</title><style>p {}</style></head><body><p>Not found</p><!-- josiah --></body></html>", "404 Not found"),
        ("<S:Fault><faultstring>Invalid &amp; late</faultstring></S:Fault>", "Invalid & late"),
        ("<p><b>Jos</b>iah.Carberry is unknown</p>", "… is unknown"),
        ("<p>josiah.carberry&#64;uni.example and josiah&amp;#46;carberry</p>", "… and …"),
        (r"unknown: \u006aosiah.carberry\u0040uni.example", "unknown: …"),
        ("<![CDATA[no such person]]>", "no such person"),
        ("<script>alert(1)</script>&lt;script&gt;alert(2)&lt;/script&gt;after", "after"),
        ("broken <a href='https://idm", "broken"),
        ("5 < 6 > 4", "5 6 4"),
        ("two\r\nlines\tand\u00a0more\u2028", "two lines and more"),
        ("evil\u202e\u2066\x1b\x9b\x00\ufeff\ud800\ue000 end", "evil end"),
        ("jos\u200biah.car\u00adberry is unknown", "… is unknown"),
    ],
)
def test_one_plain_line_is_left(text: str, expected: str) -> None:
    """Neither markup nor what a terminal, a page or a mail program would act on; nothing hides behind either."""
    assert expected == cleaned(text)


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "userPassword: hunter2 is wrong",
        '{"password": "hunter2 hunter2", "error": "wrong"}',
        "client_secret='hunter2'&x=1",
        "API-Key: hunter2",
        "Authorization: Basic hunter2hunter2",
        "Authorization: hunter2 hunter2 hunter2\r\nnext line",
        "sent Bearer hunter2.hunter2",
        "https://orcid:hunter2@idm.uni.example/x",
        "<wsse:Password Type='PasswordText'>hunter2</wsse:Password>",
        "&lt;password&gt;hunter2&lt;/password&gt; end",
        "<password>hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY----- end",
        "token eyJhunter2.eyJhunter2.hunter2",
        "key " + "hunter2" * 6,
        "Set-Cookie: hunter2",
    ],
)
def test_secrets_go(text: str) -> None:
    """What systems quote of how they were asked."""
    assert "hunter2" not in (cleaned(text) or "")


@pytest.mark.parametrize("text", [None, "", " \r\n", "<p></p>", "josiah.carberry@uni.example", "\u200b… …"])
def test_nothing_is_left_of_nothing(text: str | None) -> None:
    """An ellipsis alone says nothing."""
    assert clean_answer(text, delivery(EPPN)) is None


def test_a_short_local_part_is_no_name() -> None:
    """It would be found in every other word; the whole identifier goes all the same."""
    short = delivery(parse_identifier(IdentifierKind.EPPN, "ab@uni.example"))

    assert "… about cabs" == clean_answer("ab@uni.example about cabs", short)


def test_a_withdrawn_person_without_identifiers_is_cleaned_for() -> None:
    """There may be nothing to look for but what looks like somebody."""
    assert "no …" == clean_answer("no a@b", delivery(orcid=None, former=()))


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1, 100_000])
def test_it_is_short(length: int) -> None:
    """Three hundred characters, the last of which tells where there were more."""
    answer = clean_answer("wörd " * (length // 5) + "x" * (length % 5), delivery(EPPN)) or ""

    assert len(answer) <= LONGEST
    assert answer.endswith("…") == (length > LONGEST)


def test_an_identifier_that_was_cut_in_two_is_not_left() -> None:
    """What is read of a long answer may end in the middle of one."""
    answer = clean_answer("<i>" * 5_459 + "josiah.carberry@uni.example", delivery(EPPN))

    assert answer is None


@pytest.mark.parametrize(
    "pattern",
    [
        "<",
        "<!--",
        "&amp;",
        "amp;",
        "a@",
        "%4",
        "token",
        "token=",
        "-----BEGIN ",
        "<pass",
        "<password>",
        "0000-",
        "1",
        " ",
        "://",
        "eyJ.",
        "eyJ",
        "pass-",
        "bearer ",
        "authorization",
        "\\u0026",
        "a+",
    ],
)
def test_no_answer_takes_long(pattern: str) -> None:
    """Repetition meets no expression that would go over it again and again: this ends."""
    assert len(cleaned(pattern * 100_000) or "") <= LONGEST


_local_parts = st.text(
    st.characters(min_codepoint=33, exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc"), exclude_characters="@…"), min_size=3, max_size=12
)
_eppns = _local_parts.map(lambda text: parse_identifier(IdentifierKind.EPPN, f"{text}@uni.example"))
_opaques = _local_parts.map(lambda text: parse_identifier(IdentifierKind.PERSISTENT, text, HOME, SERVICE))
_orcids = st.sampled_from([CARBERRY, FORMER, OrcidId("0000-0001-5109-3700")])
_noise = st.text(st.sampled_from("ab <>&;@\"'=:/%\\u0040#x-\n…é") | st.characters(), max_size=20)
_written: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [
        str,
        str.upper,
        str.lower,
        html.escape,
        quote,
        lambda text: quote(text, safe=""),
        json.dumps,
        lambda text: f"<b>{text}</b>",
    ]
)


def _forms(identifier: Identifier) -> set[str]:
    spelt = {identifier.value, identifier.spelling or identifier.value}
    every = spelt | {text.partition("@")[0] for text in spelt if identifier.kind is IdentifierKind.EPPN}
    seen = {unicodedata.normalize("NFC", "".join(sign for sign in text if sign.isprintable())).strip() for text in every}
    return {text for text in seen if text}


@given(st.lists(st.one_of(_eppns, _opaques), min_size=1, max_size=3), _orcids, _noise, _noise, _written, st.data())
def test_nobody_is_left(  # noqa: PLR0917 - what is given
    identifiers: list[Identifier], orcid: OrcidId, before: str, after: str, write: Callable[[str], str], data: st.DataObject
) -> None:
    """Whatever the identifiers are, whatever stands around them, and however the other system writes them."""
    about = delivery(*identifiers, orcid=orcid)
    forms = {form for identifier in identifiers for form in _forms(identifier)}
    assume(all(len(form) >= 3 for form in forms))
    quoted = data.draw(st.sampled_from([identifier.spelling or identifier.value for identifier in identifiers]))
    answer = clean_answer(f"{before}{write(quoted)} {orcid.value}{after}", about) or ""

    assert [] == [form for form in forms if form.lower() in answer.lower()]
    assert orcid.value not in answer
    assert "@" not in answer
    assert not set("<>") & set(answer)
    assert answer == " ".join(answer.split())
    assert answer.isprintable()
    assert len(answer) <= LONGEST


@given(st.text(max_size=400))
def test_any_text_can_be_cleaned(text: str) -> None:
    """It never fails, and what is left can be stored, logged, shown and sent."""
    answer = cleaned(text)

    assert answer is None or (answer.isprintable() and answer.encode() and 0 < len(answer) <= LONGEST)


def test_what_was_kept_is_cleaned_of_later_identifiers() -> None:
    """Without shortening it: the reason is ours, and whole."""
    text = "the entry of josiah.carberry was refused:\nhas 0000-0002-1825-0097 " + "x" * 400

    assert "the entry of … was refused: has … " + "x" * 400 == without_person(text, [EPPN], [CARBERRY])
