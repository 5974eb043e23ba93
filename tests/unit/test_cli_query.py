"""`query` against a running authority, and `explain` beside it: the two halves of trouble-shooting."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.factories import metadata as md
from tests.factories.authority import BASE_URL, CARBERRY, HOME, OTHER_ORCID, SELF_TEST, Authority, new_authority

_PERSON = "eppn=josiah@uni.example"
_ORCID = f"eduPersonOrcid: https://orcid.org/{CARBERRY}"
_SERVICE = "https://sp.example.org/sp"
_WITHOUT_RULE = "https://wiki.example.org/sp"
_WITHOUT_KEY = "https://keyless.example.org/sp"


@dataclass(frozen=True, slots=True)
class Served:
    """An authority and the URL at which it is queried; `requesters` holds the key pairs of its service providers, by entityID."""

    authority: Authority
    url: str
    requesters: Path

    def asks(self, requester: str, pair: str) -> tuple[str, ...]:
        """Return the options that ask as a requester with a key pair."""
        return ("--as", requester, "--key", str(self.requesters / f"{pair}.key"), "--certificate", str(self.requesters / f"{pair}.crt"))


def _write_pair(directory: Path, name: str, pair: md.KeyPair) -> None:
    (directory / f"{name}.key").write_bytes(pair.key_pem)
    (directory / f"{name}.crt").write_bytes(pair.certificate_pem)


def _configure(directory: Path) -> Authority:
    authority = new_authority(directory)
    rsa, elliptic = md.rsa_pair("sp"), md.ec_pair("sp")
    _write_pair(directory, "rsa", rsa)
    _write_pair(directory, "elliptic", elliptic)
    _write_pair(directory, "stranger", md.rsa_pair("stranger"))
    entities = [
        md.entity(_SERVICE, md.service_provider(md.key_descriptor(rsa), md.key_descriptor(elliptic))),
        md.entity(_WITHOUT_RULE, md.service_provider(md.key_descriptor(rsa))),
        md.entity(_WITHOUT_KEY, md.service_provider()),
        md.entity(HOME, md.identity_provider(md.key_descriptor(rsa))),
        md.entity("https://idp.other.example/idp", md.identity_provider(md.key_descriptor(rsa))),
    ]
    (directory / "requesters.xml").write_text(md.aggregate(*entities))
    authority.append(
        f'[[metadata]]\nfile = "{directory}/requesters.xml"\n[[release]]\nrequesters = ["{_SERVICE}", "{_WITHOUT_KEY}", "{HOME}"]'
    )
    authority.link(_PERSON)
    authority.link("eppn=gone@uni.example", orcid=OTHER_ORCID)
    authority.run("link", "remove", "--orcid", OTHER_ORCID)
    authority.link(
        "eppn=other@other.example", f"persistent=https://idp.other.example/idp!{_SERVICE}!x1", idp="https://idp.other.example/idp"
    )
    return authority


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves one authority for all tests of this file."""
    directory = tmp_path_factory.mktemp("served")
    authority = _configure(directory)
    with authority.serving() as url:
        yield Served(authority, url, directory)


@pytest.mark.parametrize("options", [(), ("--unsigned",)], ids=["signed", "by TLS alone"])
def test_the_self_test_receives_the_orcid(served: Served, options: tuple[str, ...]) -> None:
    """Without further options the requester of [self_test] asks, signed; with --unsigned its TLS certificate must do."""
    result = served.authority.run("query", "--id", _PERSON, *options, served.url)

    expected = f"HTTP 200 from {served.url}\nstatus: Success\nsigned: Response, Assertion\n{_ORCID}\n"
    assert (0, expected, "") == (result.exit_code, result.stdout, result.stderr)


@pytest.mark.parametrize("pair", ["rsa", "elliptic"])
@pytest.mark.parametrize("options", [(), ("--unsigned",)], ids=["signed", "by TLS alone"])
def test_another_requester_may_be_played(served: Served, pair: str, options: tuple[str, ...]) -> None:
    """With --as, --key and --certificate, RSA or elliptic."""
    result = served.authority.run("query", "--id", _PERSON, *served.asks(_SERVICE, pair), *options, served.url)

    assert (0, True) == (result.exit_code, _ORCID in result.stdout)


@pytest.mark.parametrize("identifier", ["eppn=nobody@uni.example", "eppn=gone@uni.example"])
def test_nothing_to_release_is_a_success(served: Served, identifier: str) -> None:
    """Unknown and withdrawn look alike, and are no fault."""
    result = served.authority.run("query", "--id", identifier, served.url)

    assert 0 == result.exit_code
    assert "status: Success\nsigned: Response, Assertion\neduPersonOrcid: none\n" in result.stdout


def test_a_requester_without_a_rule_receives_nothing(served: Served) -> None:
    """No rule is no error either."""
    result = served.authority.run("query", "--id", _PERSON, *served.asks(_WITHOUT_RULE, "rsa"), served.url)

    assert (0, True) == (result.exit_code, "eduPersonOrcid: none" in result.stdout)


@pytest.mark.parametrize(("requester", "pair"), [(_SERVICE, "stranger"), ("https://unknown.example.org/sp", "rsa")])
@pytest.mark.parametrize("options", [(), ("--unsigned",)], ids=["signed", "by TLS alone"])
def test_a_refused_requester_ends_with_exit_code_1(served: Served, requester: str, pair: str, options: tuple[str, ...]) -> None:
    """Another's key or an unknown entityID: the status, the sentence with its correlation id, and no traceback."""
    result = served.authority.run("query", "--id", _PERSON, *served.asks(requester, pair), *options, served.url)

    assert 1 == result.exit_code
    assert "status: Requester / RequestDenied\nmessage: The request was denied." in result.stdout
    assert "eduPersonOrcid: none" in result.stdout


def test_the_answer_can_be_seen_as_it_came(served: Served) -> None:
    """--show-xml prints the envelope."""
    result = served.authority.run("query", "--id", _PERSON, "--show-xml", served.url)

    assert (0, True) == (result.exit_code, "Envelope" in result.stdout and "AttributeValue" in result.stdout)


def test_an_address_that_speaks_no_saml_is_a_fault(served: Served) -> None:
    """Another path of the same server: what came back is not a SOAP envelope."""
    result = served.authority.run("query", "--id", _PERSON, served.url.replace("attribute-query", "other"))

    assert (1, True, True) == (result.exit_code, "HTTP 404" in result.stdout, result.stderr.startswith("Error: "))


def test_a_certificate_that_is_not_trusted_is_named_as_the_reason(served: Served) -> None:
    """TLS is verified, against --ca where it is given."""
    ca = str(served.requesters / "stranger.crt")
    result = served.authority.run("query", "--id", _PERSON, "--ca", ca, served.url)

    assert 1 == result.exit_code
    assert result.stderr.startswith(f"Error: {served.url} could not be asked: ")
    assert "certificate verify failed" in result.stderr


@pytest.mark.parametrize(("url", "reason"), [("https://localhost:1/", "Connection refused"), ("https://aa.invalid/", "")])
def test_an_address_that_nobody_answers_at_is_a_fault(tmp_path: Path, url: str, reason: str) -> None:
    """One sentence with the URL and the reason, without the library's layers."""
    result = new_authority(tmp_path).run("query", "--id", _PERSON, url)

    assert (1, 1) == (result.exit_code, len(result.stderr.splitlines()))
    assert result.stderr.startswith(f"Error: {url} could not be asked: ")
    assert reason in result.stderr


def test_without_a_url_our_own_is_asked(tmp_path: Path) -> None:
    """The address is the one that our metadata gives."""
    authority = new_authority(tmp_path)
    authority.change((f'base_url = "{BASE_URL}"', 'base_url = "https://localhost:1"'))
    result = authority.run("query", "--id", _PERSON)

    assert (1, "Error: https://localhost:1/saml/attribute-query could not be asked: Connection refused\n") == (
        result.exit_code,
        result.stderr,
    )


@pytest.mark.parametrize("broken", ["key", "certificate"])
def test_a_key_that_cannot_be_used_is_named(tmp_path: Path, broken: str) -> None:
    """The files and what was expected, rather than OpenSSL's words."""
    authority = new_authority(tmp_path)
    (authority.directory / "self-test" / f"requester.{'key' if broken == 'key' else 'crt'}").write_text("no PEM")
    result = authority.run("query", "--id", _PERSON, "--unsigned")

    assert (1, True) == (result.exit_code, "expected an unencrypted PEM private key and its certificate" in result.stderr)


def test_without_a_self_test_the_requester_must_be_given(tmp_path: Path) -> None:
    """The options are named."""
    authority = new_authority(tmp_path)
    text = authority.config.read_text()
    start, end = text.index("# As whom"), text.index("[events]")
    authority.config.write_text(text[:start] + text[end:])
    result = authority.run("query", "--id", _PERSON)

    assert (1, True) == (result.exit_code, "say who asks: --as, --key and --certificate" in result.stderr)


def _explain(served: Served, requester: str, *options: str) -> list[str]:
    result = served.authority.run("explain", "--requester", requester, *options)

    assert (0, "") == (result.exit_code, result.stderr)
    return result.stdout.splitlines()


def test_explain_tells_the_rule_that_releases(served: Served) -> None:
    """The way from the requester to the iD, with every rule's verdict."""
    expected = [
        f"requester: {_SERVICE} (service-provider)",
        f"looked up: {_PERSON}",
        f"matched: {_PERSON}",
        f"home organisation: {HOME}",
        "release rule 1: does not hold: requesters",
        "release rule 2: allows",
        "answer: the iD is released",
        _ORCID,
    ]
    assert expected == _explain(served, _SERVICE, "--id", _PERSON)


@pytest.mark.parametrize(
    ("requester", "options", "expected"),
    [
        (_WITHOUT_RULE, ("--id", _PERSON), "answer: nothing: no release rule allows it"),
        (_SERVICE, ("--id", "eppn=nobody@uni.example"), "answer: nothing: nobody with this identifier is known"),
        (_SERVICE, ("--id", "eppn=gone@uni.example"), "answer: nothing: the person has no iD linked in this environment"),
        (_SERVICE, ("--id", "persistent=x1", "--name-qualifier", "https://idp.other.example/idp"), "answer: the iD is released"),
        (HOME, ("--id", _PERSON), "answer: the iD is released"),
        (HOME, ("--id", "eppn=other@other.example"), "answer: nothing: no release rule allows it"),
    ],
)
def test_explain_tells_each_outcome(served: Served, requester: str, options: tuple[str, ...], expected: str) -> None:
    """Released, withheld, unlinked, unknown: the operator sees what the requester does not."""
    assert expected in _explain(served, requester, *options)


def test_explain_tells_what_an_identity_provider_may_not(served: Served) -> None:
    """A rule that names it, and still does not hold for another organisation's person."""
    lines = _explain(served, HOME, "--id", "eppn=other@other.example")

    reason = "an identity provider must be named, and is answered about its own people alone"
    assert f"release rule 2: does not hold: {reason}" in lines


@pytest.mark.parametrize(
    ("requester", "options", "expected"),
    [
        ("https://unknown.example.org/sp", (), "is not in valid metadata: its queries are denied"),
        ("https://idp.other.example/idp", (), "has no role that queries, and no release rule names it: its queries are denied"),
        (_WITHOUT_KEY, (), "has no key in its metadata by which it could prove itself: its queries are denied"),
        (_SERVICE, ("--name-qualifier", HOME, "--sp-name-qualifier", _WITHOUT_RULE), "is neither the requester nor an affiliation of it"),
    ],
)
def test_explain_tells_why_a_query_would_be_denied(served: Served, requester: str, options: tuple[str, ...], expected: str) -> None:
    """Exit code 1 and the reason."""
    identifier = ("--id", "persistent=x1" if options else _PERSON)
    result = served.authority.run("explain", "--requester", requester, *identifier, *options)

    assert (1, "") == (result.exit_code, result.stdout)
    assert expected in result.stderr


def test_explain_knows_the_self_test_as_it_was_made(served: Served) -> None:
    """What init wrote: metadata, rule and role of a requester that only queries."""
    lines = _explain(served, SELF_TEST, "--id", _PERSON)

    assert f"requester: {SELF_TEST} (attribute-querier)" == lines[0]
