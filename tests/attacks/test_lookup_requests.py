"""The lookup door, attacked by what is asked: addresses, bodies and cursors that could be read in two ways, or not at all."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from attribute_authority.web.lookup.cursor import write_cursor
from tests.factories.doors import IDP, OTHER_IDP, OTHER_PERSON, WITHDRAWN_PERSON
from tests.factories.lookups import BEARER, FOUND, PERSON_QUERY, LookupLab, key, lookup_lab, read
from tests.factories.wires import Http

_JOSIAH = b'{"eppn": "josiah@uni.example"}'


def assert_refused(answer: Http, lab: LookupLab, *sent: str) -> None:
    """The answer is a problem document of status 400 that repeats nothing, and so is the log."""
    problem = read(answer)

    assert (400, "application/problem+json", "Bad Request") == (answer.status, answer.headers["content-type"], problem["title"])
    assert problem["faults"]
    for text in sent:
        assert text not in answer.body.decode()
        assert text not in lab.parts.log.getvalue()


@pytest.mark.parametrize(
    "query",
    [
        "", "?", "?eppn", "?eppn=", "?eppn=josiah", "?eppn=@uni.example", "?eppn=a@b@c.example", "?EPPN=josiah@uni.example",
        "?eppn=josiah@uni.example&eppn=josiah@uni.example", "?eppn=josiah@uni.example&subject-id=josiah1@uni.example",
        "?eppn=josiah@uni.example&", "?&eppn=josiah@uni.example", "?eppn=josiah@uni.example&&", "?eppn=josiah@uni.example&epn=x",
        "?eppn=josiah@uni.example;subject-id=josiah1@uni.example", "?%65ppn=josiah@uni.example&eppn=mary@other.example",
        "?eppn[]=josiah@uni.example", "?eppn=josiah@uni.example&name-qualifier=https://idp.uni.example/idp", "?mail=josiah@uni.example",
        "?subject_id=josiah1@uni.example", "?eppn=josiah@uni.example&sp-name-qualifier=https://sp.example.org/shibboleth",
        "?persistent=a&name-qualifier=idp&sp-name-qualifier=sp", f"?eppn={'a' * 250}@uni.example",
    ],
)  # fmt: skip
def test_address_that_does_not_fit(query: str) -> None:
    """Missing, misspelt, repeated or of several kinds: refused, for a parameter that is passed over would be a wrong answer."""
    lab = lookup_lab()

    assert_refused(lab.get(f"orcid{query}", BEARER), lab, "josiah", "epn=", "mail")


@pytest.mark.parametrize(
    "value",
    ["josiah%00@uni.example", "josiah@uni.example%00", "%00josiah@uni.example", "josiah%0d%0a@uni.example", "josiah%7f@uni.example"],
)
def test_percent_encoded_control_characters(value: str) -> None:
    """NUL and line breaks reach neither the store nor the log."""
    lab = lookup_lab()

    assert_refused(lab.get(f"orcid?eppn={value}", BEARER), lab, "josiah")


@pytest.mark.parametrize(
    "value",
    [
        "%",
        "%4",
        "%zz",
        "josiah%40uni.example%",
        "%u006a",
        "josiah+1@uni.example",
        "%c0%ae@uni.example",
        "%ff@uni.example",
        "%ed%a0%80@x.fi",
    ],
)
def test_percent_encoding_that_is_not_utf_8(value: str) -> None:
    """Overlong, cut off, surrogates, and a plus sign, which some read as a space: each is refused."""
    lab = lookup_lab()

    assert_refused(lab.get(f"orcid?eppn={value}", BEARER), lab, "josiah")


def test_encoded_twice() -> None:
    """It is decoded once."""
    assert 400 == lookup_lab().get("orcid?eppn=josiah%2540uni.example", BEARER).status


def test_percent_encoding_changes_no_meaning() -> None:
    """However much of it is encoded, names too."""
    encoded = "".join(f"%{octet:02x}" for octet in b"josiah@uni.example")

    assert FOUND == lookup_lab().get(f"orcid?%65ppn={encoded}", BEARER).body


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"[", b"\xff", b"\xef\xbb\xbf" + b'{"identifiers": [%s]}' % _JOSIAH, b'{"identifiers": [%s],}' % _JOSIAH,
        b'{"identifiers": [%s]} {}' % _JOSIAH, b'{"identifiers": [NaN]}', b'{"identifiers": [%s], "x": Infinity}' % _JOSIAH,
        b'{"identifiers": [-Infinity]}', b'{"identifiers": [%s], "identifiers": [%s]}' % (_JOSIAH, _JOSIAH),
        b'{"identifiers": [{"eppn": "josiah@uni.example", "eppn": "mary@other.example"}]}',
        b'{"identifiers": [{"eppn": "josiah@uni.example", "\\u0065ppn": "mary@other.example"}]}',
        '{"identifiers": [{"eppn": "josiah@uni.example"}]}'.encode("utf-16"), b"[" * 100_000, b'{"identifiers": ' * 15_000,
        b'{"identifiers": [%s]}' % (b"9" * 10_000), b'{"identifiers": ["\\ud800"]}', b'{"identifiers": [{"eppn": "\\ud83d@uni.example"}]}',
        b'{"identifiers": [{"eppn": "josiah\\u0000@uni.example"}]}', b"{'identifiers': []}", b"null", b"true", b"1e999",
        b'{"identifiers": [{"__proto__": {}, "eppn": "josiah@uni.example"}]}', b'{"identifiers": [[[[%s]]]]}' % _JOSIAH,
    ],
)  # fmt: skip
def test_body_that_is_not_one_json_text(body: bytes) -> None:
    """Names that are there twice, NaN, other encodings, nesting without end, lone surrogates: refused, and nobody is looked up."""
    lab = lookup_lab()

    assert_refused(lab.post(body, BEARER), lab, "josiah", "mary")
    assert [] == lab.parts.people.batches
    assert FOUND == lab.get(PERSON_QUERY, BEARER).body


def test_lone_surrogate_in_every_member() -> None:
    """Nothing that UTF-8 cannot hold goes any further."""
    lab = lookup_lab()
    whole = {"persistent": "a", "name-qualifier": IDP, "sp-name-qualifier": IDP}
    bodies = [json.dumps({"identifiers": [{**whole, name: f"{value}\ud800"}]}).encode() for name, value in whole.items()]

    assert [400] * 3 == [lab.post(body, BEARER).status for body in bodies]


def test_oversized_batch() -> None:
    """One too many is refused before anybody is looked up; too many octets before they are read."""
    lab = lookup_lab()
    many = b'{"identifiers": [%s]}' % b", ".join([_JOSIAH] * 1001)
    large = b'{"identifiers": [%s]}' % b", ".join([_JOSIAH] * 10_000)

    assert_refused(lab.post(many, BEARER), lab, "josiah")
    assert (413, []) == (lab.post(large, BEARER).status, lab.parts.people.batches)


def test_a_thousand_faults() -> None:
    """A few are told, not all."""
    lab = lookup_lab()
    faults = read(lab.post({"identifiers": [{"eppn": "josiah"}] * 1000}, BEARER))["faults"]

    assert 1 <= len(faults) <= 20


def tampered() -> list[str]:
    """Return cursors that were not written here, each near one that was."""
    good = write_cursor(10)
    octets = urlsafe_b64decode(good)
    other = urlsafe_b64encode((11).to_bytes(8, "big") + octets[8:]).decode()
    negative = urlsafe_b64encode(b"\xff" * 12).decode()
    return [other, negative, good[:-1], good + "A", good.lower(), good + "=", f"{good}%20", "10", "0", "-1", "' OR 1=1", "%ef%bc%91", ""]


@pytest.mark.parametrize("cursor", tampered())
def test_cursor_tampering(cursor: str) -> None:
    """A cursor is what we wrote, to the letter."""
    lab = lookup_lab()
    answer = lab.get(f"links?since={cursor.replace(' ', '%20')}", BEARER)

    assert (400, "query.since") == (answer.status, read(answer)["faults"][0]["in"])


def test_cursor_of_somebody_else() -> None:
    """It gives no right: whoever uses it sees the same people as without it."""
    lab = lookup_lab()
    theirs = read(lab.get("links", key("other-idp")))["next"]
    mine = read(lab.get(f"links?since={theirs}", key("idp")))["links"]

    assert {IDP} == {change["homeOrganisation"] for change in mine}


def raw(lab: LookupLab, path: str, header: str) -> bytes:
    """Return an answer octet for octet, without the line that tells the second."""
    wire = lab.wire()
    wire.send(f"GET /api/v1/{path} HTTP/1.1\r\nHost: aa.example.org\r\n{header}\r\n\r\n".encode())
    lines = wire.line.value().split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"date:"))


@pytest.mark.parametrize("header", [BEARER, key("idp")])
def test_unknown_unlinked_and_withheld_are_the_same_octets(header: str) -> None:
    """Head and body: nothing but the second of the answer differs, whatever the reason, and whatever its length."""
    lab = lookup_lab()
    people = ("nobody@uni.example", "n@x.fi", WITHDRAWN_PERSON, OTHER_PERSON, "a" * 240 + "@uni.example")
    answers = {raw(lab, f"orcid?eppn={person}", header) for person in people}

    assert ["unknown", "unknown", "unlinked", "withheld", "unknown"] == [event["outcome"] for event in lab.events()]
    assert 1 == len(answers)
    assert b'etag: "' in answers.pop().lower()


def test_the_same_octets_in_a_batch() -> None:
    """One result is like the other."""
    people = ("nobody@uni.example", WITHDRAWN_PERSON, OTHER_PERSON)
    answers = {lookup_lab().post({"identifiers": [{"eppn": person}]}, BEARER).body for person in people}

    assert {b'{"results": [{"eduPersonOrcid": []}]}'} == answers


def test_every_question_does_the_same_work() -> None:
    """Whether somebody is known, linked or withheld: as many look-ups, as many events, as much counted."""
    people = ("nobody@uni.example", WITHDRAWN_PERSON, OTHER_PERSON, "josiah@uni.example")
    asked = []
    for person in people:
        lab = lookup_lab()
        lab.get(f"orcid?eppn={person}", BEARER)
        asked.append((len(lab.events()), {"requester", "subject", "outcome"} <= lab.events()[0].keys()))

    assert [(1, True)] * 4 == asked


@pytest.mark.parametrize("home", [IDP, OTHER_IDP])
def test_question_about_an_identity_provider_itself(home: str) -> None:
    """An entityID is nobody's identifier."""
    assert 400 == lookup_lab().get(f"orcid?eppn={home}", BEARER).status


def test_pipelined_questions_do_not_share_a_caller() -> None:
    """On one connection each request proves itself."""
    wire = lookup_lab().wire()
    first = f"GET /api/v1/{PERSON_QUERY} HTTP/1.1\r\nHost: a\r\n{BEARER}\r\n\r\n"
    wire.send((first + first.replace(f"{BEARER}\r\n", "")).encode())

    assert [200, 401] == [answer.status for answer in wire.answers()]
