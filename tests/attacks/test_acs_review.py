"""What a hostile review tried at the sign-in: costly messages and metadata, roles and names that deceive, and many at once."""

import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from attribute_authority.domain.entity import Entity, Scope
from attribute_authority.errors import AuthorityError, ScopeNotAllowed, SignInFailed, SignInRefused
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_reader import read_metadata
from tests.factories import metadata as make
from tests.factories.queries import signed
from tests.factories.responses import (
    ACS,
    IDP,
    NOW,
    PERSON,
    SP,
    SUCCESS,
    accept,
    assertion,
    attribute,
    audience,
    begun,
    conditions,
    confirmation,
    encoded,
    encrypted,
    eppn,
    good_response,
    home,
    idp_keys,
    issuer,
    other_idp_keys,
    own_encryption_keys,
    response,
    sign_in,
    subject,
)

ENCRYPTED_KEY = re.compile("<xenc:EncryptedKey>.*</xenc:EncryptedKey>", re.DOTALL)
XENC11 = "http://www.w3.org/2009/xmlenc11#"
BUSY_FOR_EVER = ["(a+)+b", "(a|a)*b", "(a|aa)+b", ".*.*.*b", "((a{0,9}){0,9}){0,9}b", "(a?){1,200}b", "([a-z]+)*b", "(.+){3}b"]
BREAKING = [
    "a{99999999999999999999}",
    "(" * 2000 + ")" * 2000,
    "a" * 3000,
    "(",
    "a)",
    "*a",
    "a{",
    "[[a]b",
    "[a--b]",
]
MEANING_ELSEWHERE = [r"(?=a)b", r"(a)\1", r"(?i)a", r"(?P<a>b)", r"a\b", r"\Qa.b\E", "(?#a)b", "[a&&b]"]
FAMILIAR = [
    (r"^.+\.uni\.example$", "x.uni.example"),
    (r"^([a-zA-Z0-9-]{1,63}\.){0,2}uni\.example$", "a.b.uni.example"),
    (r"^(.+\.)?(one|two|three)\.uni\.example$", "two.uni.example"),
    (r"[a-z0-9.-]+\.xn--uni\.example", "a-b.xn--uni.example"),
]


def read_home(*parts: str) -> tuple[Entity, list[str]]:
    """Read the identity provider from metadata with these in its role; returns what was reported as well."""
    warnings: list[str] = []
    role = make.identity_provider(*parts, make.key_descriptor(idp_keys()))
    document = make.entity(IDP, role)
    (entity,) = read_metadata(document.encode(), None, NOW, warnings.append).entities()
    return entity, warnings


def with_content(content: str, declarations: str = "", signature: str = "") -> str:
    """Write a Response with other content in its Extensions, around an assertion that is signed."""
    document = response(signed(assertion(), idp_keys()), of=issuer() + signature + f"<samlp:Extensions>{content}</samlp:Extensions>")
    return document.replace("<samlp:Response", f"<samlp:Response{declarations}", 1)


def nested(levels: int, declared: Callable[[int], str]) -> str:
    """Write elements in each other, with these declarations, and many in the last of them."""
    return "".join(f"<b{declared(level)}>" for level in range(levels)) + "<c/>" * 3000 + "</b>" * levels


@pytest.mark.parametrize("expression", [*BUSY_FOR_EVER, *BREAKING, *MEANING_ELSEWHERE])
def test_expression_that_harms(expression: str) -> None:
    """A scope that could be matched for ever, or that breaks the reading, is left out alone, and the operator is told."""
    entity, warnings = read_home(make.extensions(make.scope(expression, "true"), make.scope("uni.example")))

    assert (Scope("uni.example"),) == entity.scopes
    assert [True] == ["a scope was left out" in warning and len(warning) < 600 for warning in warnings]


@pytest.mark.parametrize(("expression", "scope"), FAMILIAR)
def test_expression_that_federations_use(expression: str, scope: str) -> None:
    """The expressions that describe domain names are kept."""
    entity, warnings = read_home(make.extensions(make.scope(expression, "true")))

    assert [] == warnings
    assert entity.may_use_scope(scope)
    assert not entity.may_use_scope(f"{scope}.evil.example")


@pytest.mark.parametrize(
    "scope",
    [
        "uni.example.",
        ".uni.example",
        "uni\u3002example",
        "un\u0131.example",
        "uni.example\u200b",
        "xn--uni.example",
        "uni.example/",
        "uni.example:443",
        "evil.example\u2024uni.example",
        "uni-example",
        "x.uni.example.evil",
        "un\u0456.example",
    ],
)
def test_scope_that_looks_like_another(scope: str) -> None:
    """Dots, letters and ends that only look like those of a scope make it a foreign one."""
    with pytest.raises(ScopeNotAllowed):
        accept(good_response(eppn(f"josiah@{scope}")))


def test_keys_without_end() -> None:
    """A message with keys for many recipients is refused before our keys are tried on all of them."""
    about = encrypted(signed(assertion(), idp_keys()))
    key, foreign = (found[0] for found in (ENCRYPTED_KEY.search(about), ENCRYPTED_KEY.search(encrypted("x", other_idp_keys()))) if found)

    assert PERSON in str(accept(response(about.replace(key, foreign * 7 + key))))
    with pytest.raises(SignInFailed, match="more than 8 keys"):
        accept(response(about.replace(key, foreign * 8 + key)))


@pytest.mark.parametrize("inside_of_key", [False, True])
def test_derived_and_agreed_keys(inside_of_key: bool) -> None:
    """What else a KeyInfo says, such as a key to derive with thousands of millions of rounds, is not looked at."""
    rounds = "<x:PBKDF2-params><x:Salt><x:Specified>AAAA</x:Specified></x:Salt><x:IterationCount>4000000000</x:IterationCount>"
    rounds += "<x:KeyLength>16</x:KeyLength></x:PBKDF2-params>"
    method = f'<x:KeyDerivationMethod Algorithm="{XENC11}pbkdf2">{rounds}</x:KeyDerivationMethod>'
    agreed = f'<xenc:AgreementMethod Algorithm="{XENC11}ECDH-ES"/><ds:KeyName xmlns:ds="{ns.DS}">us</ds:KeyName>'
    hints = f'<x:DerivedKey xmlns:x="{XENC11}">{method}<x:MasterKeyName>us</x:MasterKeyName></x:DerivedKey>{agreed}'
    about = encrypted(signed(assertion(), idp_keys()))
    if inside_of_key:
        about = about.replace("<xenc:CipherData>", f'<ds:KeyInfo xmlns:ds="{ns.DS}">{hints}</ds:KeyInfo><xenc:CipherData>', 1)
    else:
        about = about.replace("<xenc:EncryptedKey>", f"{hints}<xenc:EncryptedKey>", 1)

    assert PERSON in str(accept(response(about)))


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        (with_content(nested(28, lambda level: "".join(f' xmlns:n{level}x{n}="u:{n}"' for n in range(20)))), "more than 64 namespaces"),
        (with_content(nested(28, lambda _: "".join(f' xmlns:n{n}="u:{n}"' for n in range(20)))), "more than 64 namespaces"),
        (with_content("".join(f'<c xmlns="u:{n}"/>' for n in range(900))), "more than 64 namespaces"),
        (with_content("<c/>", "".join(f' xmlns:n{n}="u:{n}"' for n in range(900))), "more than 64 namespaces"),
        (with_content("<c " + " ".join(f'a{n}=""' for n in range(3000, 0, -1)) + "/>"), "more markup"),
        (with_content(nested(40, lambda _: "")), "more than 32 deep"),
    ],
    ids=["other prefixes", "same prefixes", "one each", "at the root", "attributes", "depth"],
)
def test_markup_that_multiplies(document: str, cause: str) -> None:
    """Markup whose canonicalisation or reading takes the square of its size is refused before any key is used."""
    with pytest.raises(SignInFailed, match=cause):
        sign_in().in_response_to(encoded(document))


def test_schema_location_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hint at a schema neither loads anything nor changes what the next message is judged by."""
    opened: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *asked, **_: opened.append(asked))
    monkeypatch.setattr("xmlschema.resources.urlopen", lambda *asked, **_: opened.append(asked))
    locations = f"{ns.SAMLP} http://127.0.0.1:9/a.xsd {ns.SAML} file:///etc/passwd urn:x saml-schema-x500-2.0.xsd"
    hinting = response(assertion()).replace("<samlp:Response", f'<samlp:Response xsi:schemaLocation="{locations}"', 1)

    assert PERSON in str(accept(signed(hinting, idp_keys())))
    assert PERSON in str(accept(good_response()))
    assert [] == opened


def test_key_of_another_role_or_use() -> None:
    """What the same entity signs as a service provider, or decrypts with, signs nobody in."""
    roles = (
        make.service_provider(make.key_descriptor(other_idp_keys())),
        make.identity_provider(
            make.key_descriptor(own_encryption_keys(), "encryption"),
            make.key_descriptor(idp_keys(), "signing"),
            f'<md:SingleSignOnService Binding="{ns.BINDING_HTTP_REDIRECT}" Location="https://idp.uni.example/sso"/>',
        ),
    )
    warnings: list[str] = []
    (entity,) = read_metadata(make.entity(IDP, *roles).encode(), None, NOW, warnings.append).entities()

    for keys in (other_idp_keys(), own_encryption_keys()):
        with pytest.raises(SignInFailed, match="verifies with none of the 1 keys"):
            sign_in(entity).accept(encoded(signed(response(assertion()), keys)), begun(), NOW)


@pytest.mark.parametrize(
    "location",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example/",
        "https://idp.uni.example/&#13;&#10;Set-Cookie:a=b",
        "https:///x y",
        "",
        "ftp://x/",
    ],
)
def test_address_that_is_none(location: str) -> None:
    """No browser is sent to what is not a web address, and the address says so to the operator."""
    entity, warnings = read_home(f'<md:SingleSignOnService Binding="{ns.BINDING_HTTP_REDIRECT}" Location="{location}"/>')

    assert entity.sign_on_url is None
    assert "is no web address" in warnings[0]


@pytest.mark.parametrize(
    "address", ["https://idp.uni.example/sso?a=b&SAMLRequest=x", "https://idp.uni.example/sso#part", 'https://idp.uni.example/"><script>']
)
def test_odd_address(address: str) -> None:
    """An address with a query, a fragment or markup leads to its own host and breaks nothing."""
    url = sign_in(home(sign_on_url=address)).begin(IDP, NOW).url

    assert "idp.uni.example" == urlsplit(url).hostname
    assert url.startswith(address)
    assert url.isascii()


@pytest.mark.parametrize("written", ["Uni\u202etisrevin", "\u2066Uni\u2069", "U\u200bn\u00adi", "Uni\x85\x9f", "\u200eUni\u061c"])
def test_name_that_deceives(written: str) -> None:
    """Names from metadata and from assertions hold no characters that hide or turn round what stands beside them."""
    ui = f'<mdui:UIInfo xmlns:mdui="{ns.MDUI}"><mdui:DisplayName xml:lang="en">{written * 90}</mdui:DisplayName></mdui:UIInfo>'
    entity, _ = read_home(make.extensions(ui))
    person = accept(good_response(eppn(), attribute(ns.DISPLAY_NAME, written * 90))).signed_in

    for name in (entity.name("en"), person.name or ""):
        assert name
        assert len(name) <= 200
        assert {"Cc", "Cf"}.isdisjoint(map(unicodedata.category, name))


def test_joiners_stay_in_names() -> None:
    """Names in languages that are spelt with joiners stay as they are."""
    assert "می\u200cخواهم" == accept(good_response(eppn(), attribute(ns.DISPLAY_NAME, "می\u200cخواهم"))).signed_in.name


UNPROVEN = {
    "not base64": lambda: "%",
    "not XML": lambda: encoded("x"),
    "unsigned": lambda: encoded(response(assertion())),
    "foreign key": lambda: encoded(signed(response(assertion()), other_idp_keys())),
    "encrypted nothing": lambda: encoded(response(encrypted(" "))),
    "encrypted unsigned": lambda: encoded(response(encrypted(assertion()))),
    "encrypted foreign scope, unsigned": lambda: encoded(response(encrypted(assertion(eppn("a@evil.example"))))),
    "encrypted Response": lambda: encoded(response(encrypted(good_response()))),
    "encrypted to others": lambda: encoded(response(encrypted(signed(assertion(), idp_keys()), other_idp_keys()))),
    "without a name, unsigned": lambda: encoded(response(assertion("", about=subject(confirmation())))),
    "foreign audience, unsigned": lambda: encoded(response(assertion(holds=conditions(audience("urn:x"))))),
}


@pytest.mark.parametrize("make_message", UNPROVEN.values(), ids=UNPROVEN)
def test_unproven_messages_look_alike(make_message: Callable[[], str]) -> None:
    """Whatever is wrong with what nobody has signed, the failure is one and the same: there is nothing to learn from it."""
    with pytest.raises(AuthorityError) as refused:
        sign_in().accept(make_message(), begun(), NOW)

    assert SignInFailed is type(refused.value)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-01T12:00:60Z",
        "2026-03-01T24:00:00Z",
        "\u0662\u0660\u0662\u0666-03-01T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "-2026-03-01T12:00:00Z",
        "99999-03-01T12:00:00Z",
        "2026-03-01T12:00:00Z ",
        "2026-03-01T12:00:00,5Z",
        "2026-03-01T13:00:00+01:00",
    ],
)
def test_instant_that_readers_disagree_about(moment: str) -> None:
    """An instant in any form but that of SAML is refused wherever it stands, and is no crash."""
    for about in (
        assertion(issued=moment),
        assertion(holds=conditions(until=moment)),
        assertion(about=subject(confirmation(until=moment))),
    ):
        with pytest.raises(SignInFailed, match="expected a UTC instant"):
            accept(signed(response(about), idp_keys()))


@pytest.mark.parametrize(
    "address", [f"{ACS}/", ACS.upper(), ACS.replace("acs", "%61cs"), f"{ACS}?", f"{ACS}#", ACS.replace(".org", ".org:443"), f" {ACS}"]
)
def test_address_almost_ours(address: str) -> None:
    """Destination and Recipient are our address to the letter."""
    for document in (response(assertion(), destination=address), response(assertion(about=subject(confirmation(recipient=address))))):
        with pytest.raises(SignInFailed, match=r"Destination|bearer"):
            accept(signed(document, idp_keys()))


def test_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Good and bad sign-ins on many threads end as each of them does alone, and make no temporary file."""
    messages = [_message(number) for number in range(40)]
    service = sign_in()

    def outcome(message: str) -> str:
        try:
            return str(service.accept(message, begun(), NOW))
        except (SignInFailed, SignInRefused) as failure:
            return failure.cause

    alone = [outcome(message) for message in messages]
    left: list[object] = []
    monkeypatch.setattr("saml2.sigver.NamedTemporaryFile", lambda *asked, **_: left.append(asked))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(outcome, messages * 3))

    assert alone * 3 == together
    assert 5 <= len(set(alone))
    assert [] == left


def _message(number: int) -> str:
    about = assertion(eppn(f"person{number}@uni.example"), message_id=f"_assertion{number}")
    failed = SUCCESS.replace("Success", "Responder")
    kinds = (
        lambda: signed(response(about), idp_keys()),
        lambda: response(encrypted(signed(about, idp_keys()))),
        lambda: signed(response(about.replace(SP, "urn:other")), idp_keys()),
        lambda: response(about),
        lambda: signed(response(about), other_idp_keys()),
        lambda: signed(response(about, status=failed), idp_keys()),
        lambda: signed(response(about.replace('AuthnInstant="', 'AuthnInstant="x')), idp_keys()),
    )
    return encoded(kinds[number % len(kinds)]())
